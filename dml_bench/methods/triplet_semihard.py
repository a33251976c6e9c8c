"""Supervised triplets with semi-hard negatives.

Source: Schroff et al., "FaceNet" (CVPR 2015), section 3.2, through pytorch-metric-learning's
`TripletMarginLoss` and `TripletMarginMiner`.
Differs from the source: every positive pair of a batch with every semi-hard negative (nearer than
the margin allows, farther than the positive), not one negative a pair; Euclidean distance, not
its square; batches of a few hundred instead of 1,800.
"""

from torch import Tensor

from dml_bench.methods.base import BaseMethod, positive
from dml_bench.types import Batch


class Method(BaseMethod):
    """Pull a positive nearer than each semi-hard negative by a margin.

    Args:
        margin: in Euclidean distance between unit vectors.
    """

    supervision = "supervised"
    views = 1
    defaults = {"per_class": 4}  # noqa: RUF012

    def __init__(self, margin: float = 0.2) -> None:
        super().__init__()
        positive(margin=margin)
        from pytorch_metric_learning.losses import TripletMarginLoss
        from pytorch_metric_learning.miners import TripletMarginMiner

        self.mine = TripletMarginMiner(margin=margin, type_of_triplets="semihard")
        self.criterion = TripletMarginLoss(margin=margin)

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the mean over the triplets that are not satisfied; 0 if there are none."""
        found = self.mine(vectors[0], batch.labels)
        value: Tensor = self.criterion(vectors[0], batch.labels, found)
        return value
