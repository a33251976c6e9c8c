"""SoftTriple: classification with several centres a class.

Source: Qian et al., "SoftTriple Loss: Deep Metric Learning Without Triplet Sampling" (ICCV 2019):
10 centres, lambda 20, gamma 0.1, margin 0.01, tau 0.2; centres learn 100 times as fast as the
network; through pytorch-metric-learning's `SoftTripleLoss`. The distance between a class's centres
is computed here: the library's regulariser compares every centre with every other.
Differs from the source: the batches are the recipe's, the authors' code shuffles freely.
"""

import torch
import torch.nn.functional as F
from pytorch_metric_learning.losses import SoftTripleLoss
from torch import Tensor

from dml_bench.methods.base import positive, share
from dml_bench.methods.labelled import Labelled
from dml_bench.types import Batch


class Method(Labelled):
    """Classify by the cosine to the nearest centres of each class.

    Args:
        n_classes: C.
        dim: D.
        centres: of a class.
        scale: lambda, multiplies the cosine.
        gamma: softness of the choice of a centre.
        margin: in cosine, from 0 to 1.
        tau: weight of the distance between a class's centres, so that superfluous ones merge; 0
            leaves it out.
        proxy_rate: what the learning rate of the class weights is multiplied by.
    """

    def __init__(
        self,
        n_classes: int,
        dim: int,
        centres: int = 10,
        scale: float = 20.0,
        gamma: float = 0.1,
        margin: float = 0.01,
        tau: float = 0.2,
        proxy_rate: float = 100.0,
    ) -> None:
        positive(centres=centres, scale=scale, gamma=gamma, proxy_rate=proxy_rate)
        share(margin=margin, tau=tau)
        super().__init__(
            SoftTripleLoss(
                n_classes, dim, centers_per_class=centres, la=scale, gamma=gamma, margin=margin
            )
        )
        self.centres, self.tau = centres, tau
        self.rate = proxy_rate

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the cross-entropy, and how far apart each class's centres are."""
        value = super().loss(vectors, batch)
        if self.centres == 1 or not self.tau:
            return value
        rows = self.criterion.get_parameter("fc").T  # (C * K, D), a class's centres in a row
        return value + self.tau * scattered(rows.reshape(-1, self.centres, rows.shape[1]))


def scattered(centres: Tensor) -> Tensor:
    """Return () half the mean distance between the centres of a class.

    Args:
        centres: (C, K, D) of any length; K of 2 or more.

    Source:
        Qian et al. (ICCV 2019); the factor as in the released code.
    """
    unit = F.normalize(centres, dim=2)
    first, second = torch.triu_indices(unit.shape[1], unit.shape[1], offset=1)
    cosine = (unit @ unit.mT)[:, first, second]  # (C, pairs)
    return (2 - 2 * cosine).clamp(min=torch.finfo(cosine.dtype).eps).sqrt().mean() / 2
