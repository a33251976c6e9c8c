"""What methods share that may take an image's nearest neighbour for its second view."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dml_bench import draws
from dml_bench.methods.base import BaseMethod, Network, buffer
from dml_bench.neighbours import rank
from dml_bench.types import Embeddings, Ints


class Neighbourly(BaseMethod):
    """Show an image's nearest neighbour in its further views, every other time, where it is asked.

    The neighbours are those of the backbone's features, found anew each epoch; whether one stands
    in is tossed by image and epoch.

    Args:
        n_items: N.
        neighbour: whether it is asked.

    Source:
        Ye et al. (CVPR 2019), the released code for CUB-200-2011; no equation of the paper has it.
    """

    second: Tensor  # (N,) int64, the row whose picture the further views show

    def __init__(self, n_items: int, neighbour: bool) -> None:
        super().__init__()
        self.neighbour = neighbour
        self.register_buffer("second", torch.arange(n_items), persistent=neighbour)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        if not self.neighbour:  # states of before kept it all the same
            state.pop(f"{prefix}second", None)
        super()._load_from_state_dict(state, prefix, *rest)

    def begin_epoch(self, epoch: int, seed: int, network: Network) -> None:
        """Toss for each image whether its nearest neighbour stands in for it."""
        if not self.neighbour:
            return
        found = network.features().cpu().numpy()
        known = Embeddings(found, np.zeros(len(found), np.int64))
        nearest = torch.from_numpy(rank(known, known, 1).ids[:, 0].astype(np.int64))
        stands_in = torch.from_numpy(draws.table(seed, epoch, "neighbour", nearest.shape) < 0.5)
        itself = torch.arange(len(nearest))
        self.second.copy_(torch.where(stands_in, nearest, itself))

    def partners(self) -> Ints | None:
        """Return (N,) the rows of the further views."""
        return buffer(self.second) if self.neighbour else None
