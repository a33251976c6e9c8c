"""Margin loss: pairs on their side of a learned boundary, negatives drawn by distance.

Source: Wu et al., "Sampling Matters in Deep Embedding Learning" (ICCV 2017): margin 0.2, beta
starts at 1.2, negatives drawn by the inverse density of distances, cut off at 0.5; through
pytorch-metric-learning's `MarginLoss` and `DistanceWeightedMiner`.
Differs from the source: one beta for all classes, learned at the network's rate.
"""

from pytorch_metric_learning.losses import MarginLoss
from pytorch_metric_learning.miners import DistanceWeightedMiner

from dml_bench.methods.base import positive
from dml_bench.methods.labelled import Labelled


class Method(Labelled):
    """Keep positive pairs nearer and negative pairs farther than a learned boundary.

    Args:
        margin: on both sides of the boundary, in Euclidean distance.
        beta: where the boundary is at first.
        cutoff: distances below it are drawn as if they were it.
    """

    def __init__(self, margin: float = 0.2, beta: float = 1.2, cutoff: float = 0.5) -> None:
        positive(margin=margin, beta=beta, cutoff=cutoff)
        super().__init__(
            MarginLoss(margin=margin, beta=beta, learn_beta=True),
            DistanceWeightedMiner(cutoff=cutoff),
        )
