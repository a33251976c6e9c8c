"""NCE: instance discrimination against a sample of the memory, by noise-contrastive estimation.

Source: Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination" (CVPR
2018), section 3.2, and the authors' released code: 4,096 negatives drawn with replacement from all
N images (the image itself may be among them), momentum 0.5, temperature 0.1 on CIFAR-10, the
normalising constant estimated from the first batch and kept.
Differs from the source: the memory moves after the step, not inside the backward pass; its rows are
unit vectors from the start; no 1e-7 in the denominators. `constant="average"` re-estimates the
constant after each step as a moving average: the first batch, seen through an untrained network,
gives a poor estimate.
"""

import torch
from torch import Tensor

from dml_bench.methods.base import BaseMethod, at_least, choice, positive, share
from dml_bench.methods.memory import moved, start
from dml_bench.types import Batch


def noise_contrast(own: Tensor, noise: Tensor, n_items: int, constant: Tensor) -> Tensor:
    """Tell each image's own row from rows that were drawn at random.

    Args:
        own: (B,) exponentials of the similarity to the image's own row.
        noise: (B, M) exponentials of the similarities to M rows drawn uniformly.
        n_items: N, from how many they were drawn.
        constant: () what turns an exponential into a probability.

    Returns:
        () loss, the mean over the batch.

    Source:
        Wu et al. (CVPR 2018), section 3.2.
    """
    chance = noise.shape[1] / n_items  # M times the probability of each row under the noise
    hit, miss = own / constant, noise / constant
    found = (hit / (hit + chance)).log()
    refused = (chance / (miss + chance)).log().sum(dim=1)
    return -(found + refused).mean()


class Method(BaseMethod):
    """Tell each image's row of the memory from rows drawn at random.

    Args:
        n_items: N.
        dim: D.
        temperature: divides the cosine.
        keep: share of the old row that an update keeps, 0 to 1.
        negatives: M, rows drawn for each image.
        constant: "once" (from the first batch, then kept) or "average".
        average_keep: share of the old constant that "average" keeps at a step, 0 to 1.
    """

    views = 1
    memory: Tensor  # (N, D) unit rows
    normaliser: Tensor  # () the constant; 0 before the first step

    def __init__(
        self,
        n_items: int,
        dim: int,
        temperature: float = 0.1,
        keep: float = 0.5,
        negatives: int = 4096,
        constant: str = "once",
        average_keep: float = 0.9,
    ) -> None:
        super().__init__()
        positive(temperature=temperature)
        share(keep=keep, average_keep=average_keep)
        choice("constant", constant, ("once", "average"))
        at_least(1, negatives=negatives)
        self.temperature, self.keep, self.negatives = temperature, keep, negatives
        self.constant, self.average_keep = constant, average_keep
        self.register_buffer("memory", start(n_items, dim))
        self.register_buffer("normaliser", torch.zeros(()))
        self.drawn = torch.zeros(0, dtype=torch.int64)

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the noise-contrastive loss of the batch; draws the negatives."""
        n_items = len(self.memory)
        self.drawn = torch.randint(n_items, (len(batch.ids), self.negatives)).to(vectors.device)
        own, noise = self.exponentials(vectors[0], batch.ids)
        constant = self.normaliser if self.normaliser > 0 else self.estimate(own, noise)
        return noise_contrast(own, noise, n_items, constant)

    def exponentials(self, vectors: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B,) of each image's own row and (B, M) of the rows drawn."""
        own = (vectors * self.memory[ids]).sum(dim=1)
        if len(self.memory) <= 16 * self.negatives:  # then the whole product costs less
            noise = (vectors @ self.memory.T).gather(1, self.drawn)
        else:
            noise = torch.einsum("bd,bmd->bm", vectors, self.memory[self.drawn])
        return (own / self.temperature).exp(), (noise / self.temperature).exp()

    def estimate(self, own: Tensor, noise: Tensor) -> Tensor:
        """Return () the constant that a batch suggests: N times the mean exponential."""
        everything = torch.cat([own[:, None], noise], dim=1)
        return everything.mean().detach() * len(self.memory)

    def after_step(self, vectors: Tensor, batch: Batch) -> None:
        """Settle the constant, and move the rows of the batch towards its vectors."""
        seen = self.estimate(*self.exponentials(vectors[0], batch.ids))
        if self.normaliser == 0:
            self.normaliser.copy_(seen)
        elif self.constant == "average":
            self.normaliser.lerp_(seen, 1 - self.average_keep)
        self.memory[batch.ids] = moved(self.memory[batch.ids], vectors[0], self.keep)
