"""What the ledger calls released: the authors' loss, with their rate, batch and dimension."""

import math
from collections.abc import Mapping
from typing import Any

from dml_bench.ledger.claims import ANY_RATE, LOSS, SAME_RATE, SAME_STEP, Side
from dml_bench.rows import place
from dml_bench.types import Recipe, RunResult

RANDOM_STEPS: Mapping[str, Any] = {"lr": 0.03, "batch": 128}
"""Rate and batch from random weights: those of seen classes; letters have them, too."""
PRETRAINED_STEPS: Mapping[str, Any] = {"lr": 0.001, "batch": 64}
"""Rate and batch from pretrained weights, where the classes of the test are never seen."""
WHOLE: Side = {"batch_norm": "train", "trained": "all", "head": "linear"}
"""All of the network trained, and asked with its head."""
SHAPE: Side = {"dim": 128, "validation": 0.0}
"""What goes with the released recipe, whoever steps the weights."""
NEIGHBOURLY = ("cub200", "cub100_crops")
"""Datasets where the released code takes the nearest neighbour for every other second view."""


def meets(recipe: Recipe, side: Side) -> bool:
    """Return whether a recipe says what a side asks.

    Args:
        recipe: of a run.
        side: what it must say.
    """
    for name, wanted in side.items():
        field, _, option = name.partition(".")
        found = getattr(recipe, field)
        if (found.get(option) if option else found) != wanted:
            return False
    return True


def released_loss(result: RunResult) -> bool:
    """Return whether a run has the released loss, with the neighbour just where the code has it."""
    return meets(result.recipe, {**LOSS, "options.neighbour": neighbourly(result)})


def neighbourly(result: RunResult) -> bool:
    """Return whether the released code takes the neighbour on the dataset of a run."""
    return place(result)[0] in NEIGHBOURLY


def released_steps(recipe: Recipe) -> Mapping[str, Any]:
    """Return the released rate and batch, by where the weights of a recipe come from."""
    return RANDOM_STEPS if recipe.weights == "none" else PRETRAINED_STEPS


def as_released(recipe: Recipe, but: frozenset[str] = frozenset(), rate: str = SAME_RATE) -> bool:
    """Return whether rate, batch, dimension and optimiser are the released recipe's.

    Args:
        recipe: of a run.
        but: fields that may be others.
        rate: `SAME_STEP` if the printed loss, a sum over the batch, has the rate divided by it;
            `ANY_RATE` if it may be any.
    """
    tuned = released_steps(recipe)
    summed = rate == SAME_STEP and recipe.options.get("form") == "paper"
    lr = recipe.lr * recipe.batch if summed else recipe.lr
    shape = {name: value for name, value in SHAPE.items() if name not in but}
    if recipe.head == "none":  # then the dimension is the network's
        shape.pop("dim", None)
    return (
        ("lr" in but or rate == ANY_RATE or math.isclose(lr, tuned["lr"]))
        and recipe.batch == tuned["batch"]
        and ("optimiser" in but or recipe.optimiser == "sgd")
        and meets(recipe, shape)
    )


def released(result: RunResult) -> bool:
    """Return whether a run is InvaSpread as released, all of it trained."""
    return released_loss(result) and meets(result.recipe, WHOLE) and as_released(result.recipe)
