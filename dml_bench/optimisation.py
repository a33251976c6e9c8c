"""The optimisers, and the learning rate by epoch.

Adam and AdamW change a weight in one pass (torch's `fused`), two to three times as fast as in many.
SGD does not: torch's one pass for it gains little on the processor, and fails where a weight gets
its first slope later than another.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from dml_bench.errors import RecipeError
from dml_bench.muon import Muon, matrices
from dml_bench.registry import unknown
from dml_bench.types import Recipe

OPTIMISERS: Mapping[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda weights, lr, momentum, decay: torch.optim.SGD(
        weights, lr, momentum, weight_decay=decay
    ),
    "adam": lambda weights, lr, momentum, decay: torch.optim.Adam(
        weights, lr, (momentum, 0.999), weight_decay=decay, fused=_whole(weights) or None
    ),
    "adamw": lambda weights, lr, momentum, decay: torch.optim.AdamW(
        weights, lr, (momentum, 0.999), weight_decay=decay, fused=_whole(weights) or None
    ),
}
SCHEDULES: Mapping[str, Mapping[int, float]] = {  # epoch -> factor of the learning rate
    "constant": {},
    "paper-seen": {120: 0.1, 160: 0.01},
    "code-seen": {120: 0.1, 160: 0.05, 200: 0.01},
    "code-unseen": {20: 0.1, 40: 0.01},
}
WARMUP = "warmup:"
KNOWN = (*OPTIMISERS, "muon")
"""What a recipe's optimiser may be."""


def build(
    recipe: Recipe, groups: Sequence[Mapping[str, Any]], network: nn.Module
) -> torch.optim.Optimizer | Muon:
    """Return what changes the weights.

    Args:
        recipe: optimiser, lr, momentum, weight_decay and precision.
        groups: of the network's weights and of the method's, each with its `lr`.
        network: whose matrices Muon steps; a method's are none of them.
    """
    said = (recipe.lr, recipe.momentum, recipe.weight_decay)
    if recipe.optimiser != "muon":
        return OPTIMISERS[recipe.optimiser](groups, *said)
    kind = torch.bfloat16 if recipe.precision == "bf16" else torch.float32
    return Muon(groups, matrices(network), *said, kind)


def _whole(groups: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether weights fill their memory as slopes do: one pass takes both as they lie."""
    return all(
        weight.is_contiguous() or weight.is_contiguous(memory_format=torch.channels_last)
        for group in groups
        for weight in group["params"]
    )


def by_step(schedule: str) -> bool:
    """Return whether a schedule changes the rate with every step, not with every epoch."""
    return schedule.startswith(WARMUP)


def rate(schedule: str, epoch: float, epochs: int) -> float:
    """Return the factor of the learning rate in an epoch.

    Args:
        schedule: a name of `SCHEDULES`, "cosine", steps such as "steps:120=0.1,160=0.01", or
            "warmup:0.1": over that share of the training the rate rises evenly from 0, then it
            falls as half a cosine to 0, step by step.
        epoch: from 0; for a schedule `by_step` the epochs that have passed, with their fraction.
        epochs: of the whole training.

    Raises:
        UnknownNameError: a schedule that is none of these.

    Example:
        >>> rate("steps:2=0.1,4=0.01", epoch=3, epochs=5)
        0.1
        >>> [round(rate("warmup:0.5", epoch, 4), 2) for epoch in (0, 1, 2, 3)]
        [0.0, 0.5, 1.0, 0.5]

    Source:
        Ye et al. (CVPR 2019), section 4.1 ("paper-seen"), and the released code's two scripts.
        Goyal et al., "Accurate, Large Minibatch SGD" (2017), section 2.2, and Loshchilov and
        Hutter, "SGDR" (ICLR 2017), equation 5, for "warmup".
    """
    if by_step(schedule):
        return _warmed(epoch / max(epochs, 1), _share(schedule))
    if schedule == "cosine":
        return (1 + math.cos(math.pi * epoch / max(epochs, 1))) / 2
    passed = [factor for start, factor in sorted(steps(schedule).items()) if start <= epoch]
    return passed[-1] if passed else 1.0


def _warmed(passed: float, rising: float) -> float:
    """Return the factor when a share of the training has passed, of which a part is the rise."""
    if passed < rising:
        return passed / rising
    return (1 + math.cos(math.pi * (passed - rising) / (1 - rising))) / 2


def _share(schedule: str) -> float:
    """Return the share of a training that a schedule's rise takes."""
    try:
        share = float(schedule.removeprefix(WARMUP))
        if not 0 <= share < 1:
            raise ValueError
        return share
    except ValueError:
        raise RecipeError(
            f"expected a schedule like 'warmup:0.1', a share from 0 to below 1, found '{schedule}';"
            " write one"
        ) from None


def steps(schedule: str) -> Mapping[int, float]:
    """Return epoch -> factor of a schedule with steps.

    Raises:
        UnknownNameError: no such schedule.
        RecipeError: steps that cannot be read.
    """
    if schedule in SCHEDULES:
        return SCHEDULES[schedule]
    if not schedule.startswith("steps:"):
        known = [*SCHEDULES, "cosine", "warmup:SHARE", "steps:EPOCH=FACTOR,..."]
        raise unknown("schedule", schedule, known)
    try:
        pairs = [step.split("=") for step in schedule.removeprefix("steps:").split(",")]
        found = {int(start): float(factor) for start, factor in pairs}
        if not all(start >= 0 and 0 <= factor < 1e6 for start, factor in found.items()):
            raise ValueError
        return found
    except ValueError:
        raise RecipeError(
            f"expected a schedule like 'steps:120=0.1,160=0.01', found '{schedule}'; write one"
        ) from None
