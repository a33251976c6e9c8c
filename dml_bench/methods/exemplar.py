"""Exemplar: every image is a class of its own, with a classifier weight that is learned.

Source: Dosovitskiy et al., "Discriminative Unsupervised Feature Learning with Convolutional Neural
Networks" (NeurIPS 2014), in the form that Ye et al. (CVPR 2019), equation 1, compare with: a
softmax over all N images of the training split.
Differs from the source: whole images instead of patches, and all of them instead of a few thousand
surrogate classes, as in the comparison. Neither paper says how the logits are scaled: vectors are
unit rows here, weights are free, and the temperature is an option.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dml_bench.methods.base import BaseMethod, positive
from dml_bench.types import Batch


class Method(BaseMethod):
    """Classify each image among all N of the training split.

    Args:
        n_items: N.
        dim: D.
        temperature: divides the logits.
    """

    views = 1

    def __init__(self, n_items: int, dim: int, temperature: float = 0.1) -> None:
        super().__init__()
        positive(temperature=temperature)
        self.temperature = temperature
        bound = dim**-0.5
        self.weights = nn.Parameter(torch.empty(n_items, dim).uniform_(-bound, bound))

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the cross-entropy of each image against its own weight."""
        logits = vectors[0] @ self.weights.T / self.temperature  # (B, N)
        return F.cross_entropy(logits, batch.ids)
