"""Triplets without labels, with the hardest negative of the batch.

Source: Ye et al. (CVPR 2019), section 4.1: the baseline "Triplet (Hard)", margin 0.5, after Hermans
et al., "In Defense of the Triplet Loss" (2017); through pytorch-metric-learning's `BatchHardMiner`
and `TripletMarginLoss`.
Differs from the source: the mean is over all views that ask (Hermans et al., equation 5), the
satisfied ones among them. Euclidean distance between unit vectors.
"""

import torch
from pytorch_metric_learning.losses import TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner
from pytorch_metric_learning.reducers import MeanReducer
from torch import Tensor

from dml_bench.methods.base import BaseMethod, positive
from dml_bench.types import Batch


class Method(BaseMethod):
    """Pull the other view nearer than the nearest other image, by a margin.

    Args:
        margin: in Euclidean distance between unit vectors.
    """

    def __init__(self, margin: float = 0.5) -> None:
        super().__init__()
        positive(margin=margin)
        self.mine = BatchHardMiner()
        self.criterion = TripletMarginLoss(margin=margin, reducer=MeanReducer())

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the mean over the views, each with its hardest negative."""
        names = torch.arange(vectors.shape[1], device=vectors.device).repeat(2)
        flat = vectors.flatten(0, 1)
        value: Tensor = self.criterion(flat, names, self.mine(flat, names))
        return value
