"""Muon: a network's matrices step in the nearest orthogonal direction, all else by AdamW."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

STEPS = 5
QUINTIC = (3.4445, -4.7750, 2.0315)
LIKE_ADAMW = 0.2  # of the rate, in root mean square


class Matrices(torch.optim.Optimizer):
    """Muon itself: momentum (Nesterov's), made orthogonal, as long a step as AdamW usually makes.

    Args:
        groups: of weights of two axes or more, each with its `lr`; what is a row is decided by the
            first axis.
        lr: a step is a fifth of it, in root mean square.
        momentum: of the slopes.
        decay: weight decay, apart from the slope.
        kind: in which numbers directions are made orthogonal.

    Source:
        Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024), with their
        coefficients; the length of a step from Liu et al., "Muon is Scalable for LLM Training"
        (2025), section 2.2. In bfloat16 it comes to the bits of `torch.optim.Muon`. Differs from
        the source: float32 where that is asked, which processors without bfloat16 need.
    """

    def __init__(
        self,
        groups: Sequence[Mapping[str, Any]],
        lr: float,
        momentum: float,
        decay: float,
        kind: torch.dtype,
    ) -> None:
        self.kind = kind
        wanted = {"lr": lr, "momentum": momentum, "weight_decay": decay}
        super().__init__([dict(group) for group in groups], wanted)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Change every weight that has a slope; takes no closure."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._change(weight, weight.grad, group)

    def _change(self, weight: nn.Parameter, slope: Tensor, group: Mapping[str, Any]) -> None:
        lr, momentum = group["lr"], group["momentum"]
        if not self.state[weight]:
            self.state[weight]["momentum"] = torch.zeros_like(weight)
        kept = self.state[weight]["momentum"].lerp_(slope, 1 - momentum)
        rows = torch.lerp(slope, kept, momentum).flatten(1)
        step = orthogonal(rows.to(self.kind)).reshape(weight.shape)
        length = LIKE_ADAMW * math.sqrt(max(rows.shape))
        weight.mul_(1 - lr * group["weight_decay"]).add_(step, alpha=-lr * length)


class Muon:
    """Muon for a network's matrices and AdamW for the rest, at one rate; used as the engine does.

    Args:
        groups: of weights, each with its `lr`.
        whole: those of them that Muon steps.
        lr: of both; from random weights 0.002 to 0.01 were of use here.
        momentum: of Muon, and beta 1 of AdamW.
        decay: weight decay, apart from the slope in both.
        kind: in which numbers Muon works.

    Example:
        >>> layer = nn.Linear(4, 3)
        >>> group = {"params": list(layer.parameters()), "lr": 0.01}
        >>> made = Muon([group], matrices(layer), 0.01, 0.9, 0.0, torch.float32)
        >>> [len(part["params"]) for part in made.param_groups]
        [1, 1]
    """

    def __init__(
        self,
        groups: Sequence[Mapping[str, Any]],
        whole: Iterable[Tensor],
        lr: float,
        momentum: float,
        decay: float,
        kind: torch.dtype,
    ) -> None:
        chosen = {id(weight) for weight in whole}
        rows = _of(groups, lambda weight: id(weight) in chosen)
        rest = _of(groups, lambda weight: id(weight) not in chosen)
        betas = (momentum, 0.999)
        own = Matrices(rows, lr, momentum, decay, kind) if rows else None
        self.rest = torch.optim.AdamW(rest, lr, betas, weight_decay=decay) if rest else None
        self.parts = [part for part in (own, self.rest) if part]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Return the groups of both parts; a rate that is set in one counts."""
        return list(chain.from_iterable(part.param_groups for part in self.parts))

    @property
    def state(self) -> dict[Tensor, Any]:
        """Return what AdamW remembers of each of its weights; a method's are all there."""
        return self.rest.state if self.rest else {}

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the slopes."""
        for part in self.parts:
            part.zero_grad(set_to_none)

    def step(self) -> None:
        """Change every weight that has a slope."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        for part, kept in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(kept)


def _of(
    groups: Iterable[Mapping[str, Any]], wanted: Callable[[Tensor], bool]
) -> list[dict[str, Any]]:
    found = [{**group, "params": list(filter(wanted, group["params"]))} for group in groups]
    return [group for group in found if group["params"]]


def matrices(network: nn.Module) -> list[Tensor]:
    """Return the weights of a network that Muon is for: of linear layers and of convolutions.

    Not, where a convolution's rows see channels of their own (`groups`), and none that a layer
    holds otherwise, such as the projections of torch's attention.

    Example:
        >>> network = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3))
        >>> [tuple(weight.shape) for weight in matrices(network)]
        [(3, 4)]
    """
    return [
        part.weight
        for part in network.modules()
        if isinstance(part, nn.Linear) or (isinstance(part, _ConvNd) and _is_whole(part))
    ]


def _is_whole(part: _ConvNd) -> bool:
    return part.groups == 1 and not isinstance(part, _ConvTransposeNd)


def orthogonal(rows: Tensor) -> Tensor:
    """Return nearly the nearest matrix whose rows, or columns, are orthogonal and of length one.

    Args:
        rows: (R, C); its singular values become 0.7 to 1.2, by five steps of Newton and Schulz.
    """
    a, b, c = QUINTIC
    upright = rows.shape[0] > rows.shape[1]
    found = rows.T if upright else rows
    found = found / found.norm().clamp(min=1e-7)
    for _ in range(STEPS):
        gram = found @ found.T
        found = torch.addmm(found, torch.addmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found.T if upright else found
