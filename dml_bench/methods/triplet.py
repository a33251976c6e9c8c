"""Triplets without labels: the two views of an image against every other image of the batch.

Source: Ye et al. (CVPR 2019), section 4.1: the baseline "Triplet", margin 0.5; through
pytorch-metric-learning's `TripletMarginLoss`.
Differs from the source: the paper does not say which triplets it takes; here each view asks, its
partner is the positive, and every view of another image is a negative once; the mean is over the
triplets that are not satisfied. Euclidean distance between unit vectors.
"""

import torch
from pytorch_metric_learning.losses import TripletMarginLoss
from torch import Tensor

from dml_bench.methods.base import BaseMethod, positive
from dml_bench.types import Batch


class Method(BaseMethod):
    """Pull the other view nearer than any other image, by a margin.

    Args:
        margin: in Euclidean distance between unit vectors.
    """

    def __init__(self, margin: float = 0.5) -> None:
        super().__init__()
        positive(margin=margin)
        self.criterion = TripletMarginLoss(margin=margin, triplets_per_anchor="all")

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the mean over the triplets that are not satisfied; 0 if there are none."""
        names = torch.arange(vectors.shape[1], device=vectors.device).repeat(2)
        value: Tensor = self.criterion(vectors.flatten(0, 1), names)
        return value
