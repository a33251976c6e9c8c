"""Lifted structure: each positive pair against all negatives of both its images.

Source: Song et al., "Deep Metric Learning via Lifted Structured Feature Embedding" (CVPR 2016),
equation 4, margin 1; through pytorch-metric-learning's `LiftedStructureLoss`.
Differs from the source: unit vectors, where the source leaves them free and regularises; no hard
negatives are searched to fill the batch.
"""

from pytorch_metric_learning.losses import LiftedStructureLoss

from dml_bench.methods.base import positive
from dml_bench.methods.labelled import Labelled


class Method(Labelled):
    """Compare each positive pair with every negative of the batch.

    Args:
        margin: in Euclidean distance between unit vectors.
    """

    def __init__(self, margin: float = 1.0) -> None:
        positive(margin=margin)
        super().__init__(LiftedStructureLoss(neg_margin=margin))
