"""Sprint: this project's own, for budgets of a few epochs; it is in no paper.

Source: none for the whole. The loss is InvaSpread's released one (Ye et al., CVPR 2019) with the
gradient through those asked as well, over every pair of the views; the rate rises and falls by
step (Goyal et al., 2017). Drawn weights are stepped by Muon (Jordan et al., 2024), in batches of
64 where a dataset needs no others; pretrained ones by SGD at three tenths of the paper's rate for
unseen classes, and what else helps there is said beside it: `batch_norm = "frozen"`,
`head = "projection"`, and InvaSpread's neighbour as second view, `neighbour`.
Differs from the source: the suite `ledger-better` tries settings of it, and holds it against the
released recipe; `ledger-cifar` has the gradient through those asked by itself.
"""

from itertools import combinations

import torch
from torch import Tensor

from dml_bench import losses
from dml_bench.methods.base import at_least, positive
from dml_bench.methods.neighbourly import Neighbourly
from dml_bench.types import Batch


class Method(Neighbourly):
    """Compare the images of a batch with each other, all views with all.

    Args:
        n_items: N.
        temperature: divides the cosine.
        views: V, how many views of an image a step sees, 2 or more.
        neighbour: the further views show the image's nearest neighbour, every other time.
    """

    defaults = {"schedule": "warmup:0.1"}  # noqa: RUF012
    defaults_by_start = {  # noqa: RUF012
        "drawn": {"optimiser": "muon", "lr": 0.005, "batch": 64},
        "pretrained": {"optimiser": "sgd", "lr": 0.0003, "batch": 64},
    }

    def __init__(
        self, n_items: int, temperature: float = 0.1, views: int = 2, neighbour: bool = False
    ) -> None:
        super().__init__(n_items, neighbour)
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
