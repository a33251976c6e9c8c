"""Muon: a network's matrices step in the nearest orthogonal direction, all else by AdamW."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn


class Muon:
    """An optimiser of two parts at one rate; called as torch's own are.

    By Muon goes each weight of the network that has rows and columns: a convolution's is a row for
    each channel that it makes. By AdamW go the rest (scales, biases, filters of one channel each)
    and whatever weights a method brings. torch's Muon takes plain matrices alone; each here is a
    view of its weight, so that a step changes the weight where it lies.

    Args:
        groups: of weights, each with its `lr`; where "method" is True, they are a method's.
        lr: the rate of both; a matrix's step is as large as AdamW's would be, in root mean square.
        momentum: of Muon (Nesterov's), and beta 1 of AdamW.
        decay: weight decay, apart from the slope in both.

    Example:
        >>> layer = nn.Linear(4, 3)
        >>> optimiser = Muon([{"params": list(layer.parameters()), "lr": 0.01}], 0.01, 0.9, 0.0)
        >>> [len(group["params"]) for group in optimiser.param_groups]
        [1, 1]

    Source:
        Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024); the size of
        a step from Liu et al., "Muon is Scalable for LLM Training" (2025), section 2.2. The
        arithmetic is torch's. Differs from the source: the first layer and the head are matrices,
        too.
    """

    def __init__(
        self, groups: Sequence[Mapping[str, Any]], lr: float, momentum: float, decay: float
    ) -> None:
        self.views: list[tuple[Tensor, nn.Parameter]] = []
        matrices, rest = [], []
        for group in groups:
            whole = [w for w in group["params"] if not group.get("method") and is_matrix(w)]
            views = [nn.Parameter(as_matrix(weight, weight).detach()) for weight in whole]
            self.views += zip(whole, views, strict=True)
            chosen = {id(weight) for weight in whole}
            others = [weight for weight in group["params"] if id(weight) not in chosen]
            matrices += [{**group, "params": views}] if views else []
            rest += [{**group, "params": others}] if others else []
        self.parts: list[torch.optim.Optimizer] = []
        if matrices:
            self.parts += [
                torch.optim.Muon(matrices, lr, decay, momentum, adjust_lr_fn="match_rms_adamw")
            ]
        if rest:
            self.parts += [torch.optim.AdamW(rest, lr, (momentum, 0.999), weight_decay=decay)]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Return the groups of both parts; a rate that is set in one counts."""
        return list(chain.from_iterable(part.param_groups for part in self.parts))

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the slopes."""
        for weight, _ in self.views:
            weight.grad = None
        for part in self.parts:
            part.zero_grad(set_to_none)

    def step(self) -> None:
        """Change every weight that has a slope."""
        for weight, view in self.views:
            view.grad = None if weight.grad is None else as_matrix(weight.grad, weight)
        for part in self.parts:
            part.step()

    @property
    def state(self) -> dict[Tensor, Any]:
        """Return what AdamW remembers of each of its weights; a method's are all there."""
        return self.parts[-1].state

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        for part, kept in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(kept)


def is_matrix(weight: Tensor) -> bool:
    """Return whether a weight has rows and columns, and lies in memory so that it can be viewed so.

    Not, where each row sees one channel alone, as in a depthwise convolution.

    Example:
        >>> is_matrix(torch.zeros(8, 3, 3, 3)), is_matrix(torch.zeros(8, 1, 3, 3))
        (True, False)
    """
    return weight.ndim > 1 and min(weight.shape[:2]) > 1 and (_last(weight) or _first(weight))


def as_matrix(values: Tensor, weight: Tensor) -> Tensor:
    """Return a weight, or its slope, as (rows, columns): a view, where it lies as the weight does.

    The order of the columns, which Muon does not ask about, is the weight's in memory.
    """
    lying = values if _last(weight) else values.movedim(1, -1)
    return lying.reshape(len(values), -1)


def _last(weight: Tensor) -> bool:
    return weight.is_contiguous()


def _first(weight: Tensor) -> bool:
    """Return whether channels come last in memory."""
    return weight.movedim(1, -1).is_contiguous()
