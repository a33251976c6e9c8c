"""dml_bench: how good is an embedding at finding and grouping images of unseen classes?

Example:
    >>> import numpy as np
    >>> from dml_bench import score
    >>> vectors = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    >>> score(vectors, [0, 0, 1, 1], k=(1, 2))["metrics"]["recall@1"]
    1.0
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "score"]

if TYPE_CHECKING:
    from dml_bench.scoring import score


def __getattr__(name: str) -> Any:
    """Import `score` when it is used: `import dml_bench` alone costs next to nothing."""
    if name == "score":
        from dml_bench.scoring import score

        return score
    raise AttributeError(f"module 'dml_bench' has no attribute '{name}'")
