"""A network that follows another: its weights are a moving average of the other's."""

import copy

import torch
from torch import Tensor, nn

from dml_bench.models import Model


class Teacher(nn.Module):
    """Looks at the same images as the network that is trained; no gradient reaches it.

    Args:
        model: whose copy it is at first.
        keep: share of its weights that a step keeps, 0 to 1.
        trains: whether its batch norm counts with the batch at hand, as the student's does, and
            keeps statistics of its own; else the statistics follow the student's like weights.

    Source:
        Tarvainen and Valpola, "Mean teachers are better role models" (NeurIPS 2017).
    """

    def __init__(self, model: Model, keep: float, *, trains: bool) -> None:
        super().__init__()
        self.network = copy.deepcopy(model).requires_grad_(False)
        self.keep, self.trains = keep, trains
        self.network.train(trains)

    @torch.no_grad()
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return (M, width) features and (M, D) unit rows of (M, 3, H, W) images."""
        found: tuple[Tensor, Tensor] = self.network.both(images)
        return found

    @torch.no_grad()
    def follow(self, model: Model) -> None:
        """Move towards a model, once a step."""
        mine, its = self.network.state_dict(), model.state_dict()
        for name in self._following():
            if mine[name].is_floating_point():
                mine[name].lerp_(its[name], 1 - self.keep)
            else:
                mine[name].copy_(its[name])

    def _following(self) -> list[str]:
        if not self.trains:
            return list(self.network.state_dict())
        return [name for name, _ in self.network.named_parameters()]
