"""Sprint: this project's own, for budgets of a few epochs; it is in no paper.

Source: none for the whole. The loss is InvaSpread's released one (Ye et al., CVPR 2019) with the
gradient through those asked as well, over every pair of the views; the head that is thrown away is
SimCLR's (Chen et al., ICML 2020), and the rate rises and falls by step.
Differs from the source: the suite `ledger-better` tries settings of it, and holds it against the
released recipe; `ledger-cifar` has the gradient through those asked by itself.
"""

from itertools import combinations

import torch
from torch import Tensor

from dml_bench import losses
from dml_bench.methods.base import BaseMethod, at_least, positive
from dml_bench.types import Batch


class Method(BaseMethod):
    """Compare the images of a batch with each other, all views with all.

    Args:
        temperature: divides the cosine.
        views: V, how many views of an image a step sees, 2 or more.
    """

    defaults = {"head": "projection", "schedule": "warmup:0.1"}  # noqa: RUF012

    def __init__(self, temperature: float = 0.2, views: int = 2) -> None:
        super().__init__()
        positive(temperature=temperature)
        at_least(2, views=views)
        self.temperature, self.views = temperature, views

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the invariance and spread of the batch, the mean over the pairs of views."""
        pairs = [
            losses.invariance_spread(first, second, self.temperature, detach_keys=False)
            for first, second in combinations(vectors, 2)
        ]
        return torch.stack(pairs).mean()
