"""BYOL: a view foretells what a slower network sees in the other view; there are no negatives.

Source: Grill et al., "Bootstrap Your Own Latent" (NeurIPS 2020), equation 2: a predictor of two
layers, the loss in both directions, the teacher keeps 0.996 a step.
Differs from the source: the teacher's share stays where it is instead of rising to 1 over the
training; no projection head that is thrown away: the predictor stands on the recipe's unit vectors,
which are the evaluated ones, and its hidden layer has 512 units, not 4,096. SGD instead of LARS.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from dml_bench.methods.base import BaseMethod, at_least, given, share
from dml_bench.types import Batch


def foretelling(told: Tensor, seen: Tensor) -> Tensor:
    """Return () the mean squared distance between unit rows: 2 - 2 cosine.

    Args:
        told: (M, D), of any length.
        seen: (M, D) unit rows, without gradient.

    Source:
        Grill et al. (NeurIPS 2020), equation 2.
    """
    return 2 - 2 * (F.normalize(told, dim=1) * seen).sum(dim=1).mean()


class Method(BaseMethod):
    """Foretell the teacher's vector of the other view.

    Args:
        dim: D.
        hidden: width of the predictor's hidden layer.
        keep: share of the teacher's weights that a step keeps, 0 to 1.
    """

    def __init__(self, dim: int, hidden: int = 512, keep: float = 0.996) -> None:
        super().__init__()
        share(keep=keep)
        at_least(1, hidden=hidden)
        self.teacher_keep = keep
        self.predictor = nn.Sequential(
            nn.Linear(dim, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, dim)
        )

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the sum of both directions."""
        seen = given(batch.taught)
        first, second = self.predictor(vectors[0]), self.predictor(vectors[1])
        return foretelling(first, seen[1]) + foretelling(second, seen[0])
