"""Raw pixels: the image itself is the vector. What any method has to be above.

Source: none; the plainest baseline.
Differs from the source: in nothing.
"""

from dml_bench.methods.base import BaseMethod


class Method(BaseMethod):
    """No network and no training."""

    supervision = "none"
    defaults = {  # noqa: RUF012
        "backbone": "pixels",
        "weights": "none",
        "head": "none",
        "epochs": 0,
        "augmentation": "none",
        "validation": 0.0,
        "batch_norm": "train",
        "trained": "all",
    }
