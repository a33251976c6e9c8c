"""Margin loss: pairs on their side of a learned boundary, negatives drawn by distance.

Source: Wu et al., "Sampling Matters in Deep Embedding Learning" (ICCV 2017): margin 0.2, beta
starts at 1.2, negatives drawn by the inverse density of distances, cut off at 0.5, and none beyond
margin + beta, where they cost nothing at first; the mean over the pairs that cost something;
through pytorch-metric-learning's `MarginLoss` and `DistanceWeightedMiner`.
Differs from the source: one beta for all classes, learned and decayed like the network (the
authors' code: one a class, 1000 times as fast, without decay); an image has as many triplets as its
class has images, their positives drawn at random; an image without a negative to draw is left out,
where the authors' code draws any other image. The weights of negatives are relative to the batch's
nearest: they are float64 here, since at D = 512 one near pair makes all others vanish in float32.
"""

from pytorch_metric_learning.losses import MarginLoss
from pytorch_metric_learning.miners import DistanceWeightedMiner

from dml_bench.errors import RecipeError
from dml_bench.methods.base import positive
from dml_bench.methods.labelled import Labelled


class Method(Labelled):
    """Keep positive pairs nearer and negative pairs farther than a learned boundary.

    Args:
        margin: on both sides of the boundary, in Euclidean distance.
        beta: where the boundary is at first.
        cutoff: distances below it are drawn as if they were it; below margin + beta.
    """

    def __init__(self, margin: float = 0.2, beta: float = 1.2, cutoff: float = 0.5) -> None:
        positive(margin=margin, beta=beta, cutoff=cutoff)
        if cutoff >= margin + beta:
            raise RecipeError(f"option cutoff: expected less than margin + beta, found {cutoff}")
        miner = DistanceWeightedMiner(cutoff=cutoff, nonzero_loss_cutoff=margin + beta)
        super().__init__(
            MarginLoss(margin=margin, beta=beta, learn_beta=True),
            lambda vectors, labels: miner(vectors.double(), labels),
        )
