"""A pretrained backbone before training: with a random head, or its own features (head "none").

Source: Ye et al. (CVPR 2019), "Initial (FC)" of Tables 3 to 5; they do not say which layer that is.
Frozen features without a head are the usual first row of newer work.
Differs from the source: in nothing but the weights that the recipe names.
"""

from dml_bench.methods.base import BaseMethod


class Method(BaseMethod):
    """Pretrained weights and no training."""

    supervision = "none"
    defaults = {  # noqa: RUF012
        "epochs": 0,
        "augmentation": "none",
        "validation": 0.0,
        "batch_norm": "train",
        "trained": "all",
    }
