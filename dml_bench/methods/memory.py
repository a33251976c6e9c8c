"""Memories of one row an image: how they begin and how they move."""

import torch
import torch.nn.functional as F
from torch import Tensor


def start(n_items: int, dim: int) -> Tensor:
    """Return (N, D) unit rows, drawn as the released code of Wu et al. (CVPR 2018) draws them."""
    bound = (dim / 3) ** -0.5
    return F.normalize(torch.empty(n_items, dim).uniform_(-bound, bound), dim=1)


def moved(old: Tensor, new: Tensor, keep: float) -> Tensor:
    """Return (B, D) unit rows between old and new ones, `keep` of the old.

    Example:
        >>> moved(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), keep=0.5)
        tensor([[0.7071, 0.7071]])
    """
    return F.normalize(keep * old + (1 - keep) * new, dim=1)
