"""Supervised triplets with semi-hard negatives.

Source: Schroff et al., "FaceNet" (CVPR 2015), section 3.2, through pytorch-metric-learning's
`TripletMarginLoss` and `TripletMarginMiner`.
Differs from the source: every positive pair of a batch with every semi-hard negative (nearer than
the margin allows, farther than the positive), not one negative a pair; their mean, not their sum;
Euclidean distance, not its square; batches of a few hundred instead of 1,800.
"""

from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.miners import TripletMarginMiner

from dml_bench.methods.base import positive
from dml_bench.methods.labelled import Labelled


class Method(Labelled):
    """Pull a positive nearer than each semi-hard negative by a margin.

    Args:
        margin: in Euclidean distance between unit vectors.
    """

    def __init__(self, margin: float = 0.2) -> None:
        positive(margin=margin)
        super().__init__(
            TripletMarginLoss(margin=margin),
            TripletMarginMiner(margin=margin, type_of_triplets="semihard"),
        )
