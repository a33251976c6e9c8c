"""An untrained network: what the architecture alone can do.

Source: Ye et al. (CVPR 2019), "RandomCNN" of Table 1 and "Random" of Table 6.
Differs from the source: in nothing that they state.
"""

from dml_bench.methods.base import BaseMethod


class Method(BaseMethod):
    """Random weights and no training."""

    supervision = "none"
    defaults = {  # noqa: RUF012
        "weights": "none",
        "epochs": 0,
        "augmentation": "none",
        "validation": 0.0,
        "batch_norm": "train",
        "trained": "all",
    }
