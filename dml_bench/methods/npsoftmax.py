"""Non-parametric softmax: every image is a class of its own, its last vector the class's weight.

Source: Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination" (CVPR
2018), equation 2, and the authors' released code: memory drawn from a uniform distribution,
momentum 0.5, temperature 0.1 on CIFAR-10.
Differs from the source: the memory moves after the step, not inside the backward pass; its rows are
unit vectors from the start. The paper's proximal term is in no released code: as there, the
momentum plays its part.
"""

import torch.nn.functional as F
from torch import Tensor

from dml_bench.methods.base import BaseMethod, positive, share
from dml_bench.methods.memory import moved, start
from dml_bench.types import Batch


class Method(BaseMethod):
    """Classify each image among all N of the training split, without classifier weights.

    Args:
        n_items: N.
        dim: D.
        temperature: divides the cosine.
        keep: share of the old row that an update keeps, 0 to 1.
    """

    views = 1
    memory: Tensor  # (N, D) unit rows

    def __init__(self, n_items: int, dim: int, temperature: float = 0.1, keep: float = 0.5) -> None:
        super().__init__()
        positive(temperature=temperature)
        share(keep=keep)
        self.temperature, self.keep = temperature, keep
        self.register_buffer("memory", start(n_items, dim))

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the cross-entropy of each image against its own row of the memory."""
        logits = vectors[0] @ self.memory.T / self.temperature  # (B, N)
        return F.cross_entropy(logits, batch.ids)

    def after_step(self, vectors: Tensor, batch: Batch) -> None:
        """Move the rows of the batch towards its vectors."""
        self.memory[batch.ids] = moved(self.memory[batch.ids], vectors[0], self.keep)
