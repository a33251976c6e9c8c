"""What a run was given: its budget and the switches that matter, in words; which runs are alike.

No table of the ledger holds two budgets.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import PurePath
from typing import Any

from dml_bench.rows import place
from dml_bench.types import Recipe, RunResult

Side = Mapping[str, Any]
"""What a recipe must say: field -> value, "options.form" -> an option's; a tuple is any of them."""
Group = Sequence[RunResult]
FREE = frozenset({"seed", "monitor", "expect", "source"})
"""Fields that two recipes of one comparison may always differ in."""
EVERY = frozenset(field.name for field in fields(Recipe)) - FREE - {"options"}
BUDGET = frozenset(
    {
        *("dataset", "backbone", "backbone_digest", "weights", "weights_digest", "precision"),
        *("fit", "resize", "crop", "batch", "epochs", "share", "validation"),
        *("head", "dim", "batch_norm", "trained", "augmentation"),
    }
)
"""What two methods must have alike so that their numbers are of one budget."""


def primary(result: RunResult) -> str:
    """Return the metric that stands for a run: weighted kNN of seen classes, else Recall@1."""
    return "knn@200" if "knn@200" in result.metrics else "recall@1"


def meets(recipe: Recipe, side: Side) -> bool:
    """Return whether a recipe says what a side asks.

    Args:
        recipe: of a run.
        side: what it must say.
    """
    for name, wanted in side.items():
        field, _, option = name.partition(".")
        found = getattr(recipe, field)
        found = found.get(option) if option else found
        if found not in (wanted if isinstance(wanted, tuple) else (wanted,)):
            return False
    return True


def alike(a: RunResult, b: RunResult, names: frozenset[str]) -> bool:
    """Return whether two runs were asked the same and have the named fields alike."""
    return place(a) == place(b) and all(
        getattr(a.recipe, name) == getattr(b.recipe, name) for name in names
    )


def matched(
    groups: Sequence[Group], a: Side, b: Side, same: frozenset[str], free: frozenset[str]
) -> Iterator[tuple[Group, Group]]:
    """Yield the pairs of recipes that meet two sides and are alike in everything else.

    Args:
        groups: the runs of each recipe, one a seed.
        a: what the first must say.
        b: what the second must say.
        same: fields that must be alike, less those that a side names. With all of them (`EVERY`)
            the options that no side names must be alike as well.
        free: fields that may differ.
    """
    named = {name.partition(".")[0] for name in (*a, *b)} - {"options"}
    options = {name.partition(".")[2] for name in (*a, *b) if "." in name}
    for first in groups:
        for second in groups:
            if not (meets(first[0].recipe, a) and meets(second[0].recipe, b)):
                continue
            if first is second or not alike(first[0], second[0], same - named - free):
                continue
            if same == EVERY and not _same_options(first[0].recipe, second[0].recipe, options):
                continue
            yield first, second


def _same_options(a: Recipe, b: Recipe, but: set[str]) -> bool:
    names = {*a.options, *b.options} - but
    return a.method == b.method and all(a.options.get(n) == b.options.get(n) for n in names)


def said(result: RunResult) -> str:
    """Return the budget of a run in words; two runs with the same words had the same."""
    recipe, counts = result.recipe, result.counts
    images = f"{counts['train_images']:,} images" if counts.get("train_images") else "the images"
    side = f", {recipe.crop} px" if recipe.resize else ""
    where = f"{PurePath(recipe.dataset).name}{side}, {network(recipe)}"
    if not recipe.epochs:
        return f"{where}, untrained"
    epochs = "1 epoch" if recipe.epochs == 1 else f"{recipe.epochs} epochs"
    return f"{where}, {epochs} of {images}"


def network(recipe: Recipe) -> str:
    """Return the network and where its weights come from."""
    weights = "random weights" if recipe.weights == "none" else PurePath(recipe.weights).name
    return f"{recipe.backbone} ({weights})"


def switches(recipe: Recipe) -> str:
    """Return the switches of a recipe that numbers of papers silently hang on."""
    return "; ".join([*_form(recipe), *_kept(recipe), *_shown(recipe), "last epoch"])


def _form(recipe: Recipe) -> Iterator[str]:
    if recipe.method != "invaspread":
        return
    form = recipe.options["form"]
    detached = recipe.options["detach_keys"]
    stopped = form == "code" if detached == "form" else detached == "yes"
    yield f"{form} form"
    yield "self term" if form == "paper" else "no self term"
    yield "stop-gradient" if stopped else "no stop-gradient"
    yield "neighbour positive" if recipe.options["neighbour"] else "own second view"
    if recipe.options["negatives"] != "all":
        yield f"{recipe.options['negatives']} negatives"


def _kept(recipe: Recipe) -> Iterator[str]:
    if recipe.trained != "all":
        yield f"{recipe.trained} alone trained"
    if recipe.batch_norm != "train":
        yield f"batch norm {recipe.batch_norm}"
    if recipe.head != "linear":
        yield "no head" if recipe.head == "none" else "head thrown away"


def _shown(recipe: Recipe) -> Iterator[str]:
    if recipe.resize:
        yield "squashed images" if recipe.fit == "squash" else "images not squashed"
    if recipe.epochs:
        yield f"augmentation {recipe.augmentation}"
        yield f"rate {recipe.lr:g}, {recipe.schedule}"
