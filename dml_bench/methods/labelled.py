"""What supervised methods share: a criterion of pytorch-metric-learning, and its miner."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from dml_bench.methods.base import BaseMethod, given
from dml_bench.types import Batch


class Labelled(BaseMethod):
    """Hand the vectors and labels of a batch to a criterion, with what a miner finds in them.

    Args:
        criterion: (M, D) vectors and (M,) labels, and a miner's findings, -> () loss. Weights that
            it holds (proxies, class centres) are trained with the network.
        mine: (M, D) vectors and (M,) labels -> findings; None where the criterion needs none.
    """

    supervision = "supervised"
    views = 1
    defaults = {"per_class": 4}  # noqa: RUF012

    def __init__(self, criterion: nn.Module, mine: Callable[..., Any] | None = None) -> None:
        super().__init__()
        self.criterion, self.mine = criterion, mine

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the criterion's value, over all views."""
        flat, labels = vectors.flatten(0, 1), given(batch.labels).repeat(len(vectors))
        found = None if self.mine is None else self.mine(flat, labels)
        value: Tensor = self.criterion(flat, labels, found)
        return value
