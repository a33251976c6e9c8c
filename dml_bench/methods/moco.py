"""MoCo: a view finds its partner, as a slower network sees it, in a queue of past images.

Source: He et al., "Momentum Contrast for Unsupervised Visual Representation Learning" (CVPR 2020),
equation 1 and algorithm 1: queue of 65,536, temperature 0.07, the teacher keeps 0.999 a step.
Differs from the source: the queue holds 4,096 by default, for small sets (no more than N); no
shuffling of the batch norm between devices; the recipe's linear head is the evaluated one.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dml_bench.methods.base import BaseMethod, at_least, given, positive, share
from dml_bench.types import Batch


def queue_contrast(asking: Tensor, wanted: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Let each row choose the wanted one among it and a queue.

    Args:
        asking: (B, D) unit rows, with gradient.
        wanted: (B, D) unit rows, the right answers.
        queue: (Q, D) unit rows, the wrong ones.
        temperature: divides the cosine.

    Returns:
        () cross-entropy, the mean over the batch.

    Source:
        He et al. (CVPR 2020), equation 1.
    """
    right = (asking * wanted).sum(dim=1, keepdim=True)  # (B, 1)
    logits = torch.cat([right, asking @ queue.T], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros_like(logits[:, 0], dtype=torch.int64))


class Method(BaseMethod):
    """Find the partner, as the teacher sees it, among the images of the last batches.

    Args:
        n_items: N.
        dim: D.
        temperature: divides the cosine.
        queue: images that the queue holds.
        keep: share of the teacher's weights that a step keeps, 0 to 1.
    """

    rows: Tensor  # (Q, D) unit rows, the oldest overwritten first
    at: Tensor  # () int64, where the next batch goes

    def __init__(
        self,
        n_items: int,
        dim: int,
        temperature: float = 0.07,
        queue: int = 4096,
        keep: float = 0.999,
    ) -> None:
        super().__init__()
        positive(temperature=temperature)
        share(keep=keep)
        at_least(1, queue=queue)
        self.temperature, self.teacher_keep = temperature, keep
        size = min(queue, n_items)
        self.register_buffer("rows", F.normalize(torch.randn(size, dim), dim=1))
        self.register_buffer("at", torch.zeros((), dtype=torch.int64))

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the cross-entropy of first views against what the teacher sees in second ones."""
        wanted = given(batch.taught)[1]
        return queue_contrast(vectors[0], wanted, self.rows, self.temperature)

    def after_step(self, vectors: Tensor, batch: Batch) -> None:
        """Put what the teacher sees in the second views in the place of the oldest."""
        newest = given(batch.taught)[1][-len(self.rows) :]
        places = (self.at + torch.arange(len(newest), device=newest.device)) % len(self.rows)
        self.rows[places] = newest
        self.at.copy_((self.at + len(newest)) % len(self.rows))
