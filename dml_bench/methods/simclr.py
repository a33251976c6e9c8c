"""SimCLR: the two views of an image choose each other among all views of the batch.

Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations" (ICML
2020), equation 1 (NT-Xent), temperature 0.5 for small batches on CIFAR-10 (appendix B.9); through
pytorch-metric-learning's `SupConLoss`. With the images for classes each view has one positive, and
that is NT-Xent; the library's `NTXentLoss` gives the same number in several times the time.
Differs from the source: no projection head of two layers that is thrown away after training: the
recipe's linear head is trained and evaluated, as for every other method here. SGD instead of LARS.
"""

import torch
from pytorch_metric_learning.losses import SupConLoss
from torch import Tensor

from dml_bench.methods.base import BaseMethod, positive
from dml_bench.types import Batch


class Method(BaseMethod):
    """Let each view choose its partner among the 2B - 1 others.

    Args:
        temperature: divides the cosine.
    """

    def __init__(self, temperature: float = 0.5) -> None:
        super().__init__()
        positive(temperature=temperature)
        self.criterion = SupConLoss(temperature=temperature)

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the normalised cross-entropy, the mean over the 2B views."""
        names = torch.arange(vectors.shape[1], device=vectors.device).repeat(2)
        value: Tensor = self.criterion(vectors.flatten(0, 1), names)
        return value
