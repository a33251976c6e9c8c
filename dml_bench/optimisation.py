"""The optimisers, and the learning rate by epoch."""

import math
from collections.abc import Callable, Mapping

import torch

from dml_bench.errors import RecipeError
from dml_bench.registry import unknown

OPTIMISERS: Mapping[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda weights, lr, momentum, decay: torch.optim.SGD(
        weights, lr, momentum, weight_decay=decay
    ),
    "adam": lambda weights, lr, momentum, decay: torch.optim.Adam(
        weights, lr, (momentum, 0.999), weight_decay=decay
    ),
    "adamw": lambda weights, lr, momentum, decay: torch.optim.AdamW(
        weights, lr, (momentum, 0.999), weight_decay=decay
    ),
}
SCHEDULES: Mapping[str, Mapping[int, float]] = {  # epoch -> factor of the learning rate
    "constant": {},
    "paper-seen": {120: 0.1, 160: 0.01},
    "code-seen": {120: 0.1, 160: 0.05, 200: 0.01},
    "code-unseen": {20: 0.1, 40: 0.01},
}


def rate(schedule: str, epoch: int, epochs: int) -> float:
    """Return the factor of the learning rate in an epoch.

    Args:
        schedule: a name of `SCHEDULES`, "cosine", or steps such as "steps:120=0.1,160=0.01".
        epoch: from 0.
        epochs: of the whole training.

    Raises:
        UnknownNameError: a schedule that is none of these.

    Example:
        >>> rate("steps:2=0.1,4=0.01", epoch=3, epochs=5)
        0.1

    Source:
        Ye et al. (CVPR 2019), section 4.1 ("paper-seen"), and the released code's two scripts.
    """
    if schedule == "cosine":
        return (1 + math.cos(math.pi * epoch / max(epochs, 1))) / 2
    passed = [factor for start, factor in sorted(steps(schedule).items()) if start <= epoch]
    return passed[-1] if passed else 1.0


def steps(schedule: str) -> Mapping[int, float]:
    """Return epoch -> factor of a schedule with steps.

    Raises:
        UnknownNameError: no such schedule.
        RecipeError: steps that cannot be read.
    """
    if schedule in SCHEDULES:
        return SCHEDULES[schedule]
    if not schedule.startswith("steps:"):
        raise unknown("schedule", schedule, [*SCHEDULES, "cosine", "steps:EPOCH=FACTOR,..."])
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
