"""InvaSpread: views of an image agree, images of a batch spread; no classifier, no memory.

Source: Ye et al., "Unsupervised Embedding Learning via Invariant and Spreading Instance Feature"
(CVPR 2019), and the authors' released code.
Differs from the source: the loss in what `losses.invariance_spread` says. The neighbour positive
(code: CUB-200-2011 only, nearest neighbours of pool5 features) uses the backbone's features of
whatever network the recipe names; the last epoch is the result, not the best on the test set.
"""

import numpy as np
import torch
from torch import Tensor

from dml_bench import draws, losses
from dml_bench.methods.base import BaseMethod, Network, buffer, choice, positive
from dml_bench.neighbours import rank
from dml_bench.types import Batch, Embeddings, Ints


class Method(BaseMethod):
    """Compare the images of a batch with each other.

    Args:
        n_items: N.
        temperature: divides the cosine.
        form: "code" (the released criterion) or "paper" (its equations).
        negative_weight: of the negatives, as in `losses.invariance_spread`.
        negatives: "all", "hard" or "easy" (half of them).
        neighbour: the second view shows the image's nearest neighbour, every other time.
        detach_keys: "form" (as the form has it), "yes" or "no".
    """

    second: Tensor  # (N,) int64, the row whose picture is the second view

    def __init__(
        self,
        n_items: int,
        temperature: float = 0.1,
        form: str = "code",
        negative_weight: float = 1.0,
        negatives: str = "all",
        neighbour: bool = False,
        detach_keys: str = "form",
    ) -> None:
        super().__init__()
        positive(temperature=temperature, negative_weight=negative_weight)
        choice("form", form, losses.FORMS)
        choice("negatives", negatives, losses.NEGATIVES)
        choice("detach_keys", detach_keys, ("form", "yes", "no"))
        self.temperature, self.form, self.neighbour = temperature, form, neighbour
        self.negative_weight, self.negatives = negative_weight, negatives
        self.detach_keys = None if detach_keys == "form" else detach_keys == "yes"
        self.register_buffer("second", torch.arange(n_items))

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the invariance and spread of the batch's two views."""
        return losses.invariance_spread(
            vectors[0],
            vectors[1],
            self.temperature,
            self.form,
            negative_weight=self.negative_weight,
            negatives=self.negatives,
            detach_keys=self.detach_keys,
        )

    def begin_epoch(self, epoch: int, seed: int, network: Network) -> None:
        """Toss for each image whether its nearest neighbour stands in for its second view."""
        if not self.neighbour:
            return
        found = network.features().cpu().numpy()
        known = Embeddings(found, np.zeros(len(found), np.int64))
        nearest = torch.from_numpy(rank(known, known, 1).ids[:, 0].astype(np.int64))
        stands_in = torch.from_numpy(draws.table(seed, epoch, "neighbour", nearest.shape) < 0.5)
        itself = torch.arange(len(nearest))
        self.second.copy_(torch.where(stands_in, nearest, itself))

    def partners(self) -> Ints | None:
        """Return (N,) the rows of the second views."""
        return buffer(self.second) if self.neighbour else None
