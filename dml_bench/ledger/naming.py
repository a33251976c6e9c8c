"""What recipes are called: two beside each other, many in a table, and by their switches."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from dml_bench.atomic import to_json
from dml_bench.defaults import COMMON, DATASETS, TUNED, usual
from dml_bench.ledger.budgets import EVERY, UNTRAINED, kept, views
from dml_bench.ledger.claims import PLAIN
from dml_bench.ledger.released import NEIGHBOURLY, released_steps
from dml_bench.methods import METHODS
from dml_bench.methods.base import options
from dml_bench.types import Recipe

OWN = "sprint"
"""The project's own method."""
SETTING = frozenset(
    {
        *("dataset", "method", "backbone", "backbone_digest", "weights", "weights_digest"),
        *("mean", "std", "crop", "epochs", "share", "precision"),
    }
)
"""Fields that a heading says, or that follow from others."""
EACH = frozenset({"momentum", "weight_decay", "per_class", "dim", "order", "fit", "resize"})
"""Fields that two methods may have of their own, and that no sentence says."""
SAID = frozenset(
    {"batch_norm", "trained", "head", "neighbour", "lr", "batch", "optimiser", "temperature"}
)
"""What a name says wherever it is not the usual, even if all of a method share it."""
LOSSES: Mapping[str, Mapping[str, str]] = {
    "invaspread": {},
    OWN: {"form": "code", "detach_keys": "no", "negatives": "all"},
}
"""The methods whose loss is the released or the printed one -> what they have no option for."""
VARIANTS: Mapping[str, Sequence[str]] = {
    "nce": ("constant",),
    "deepcluster": ("clusters",),
    "sprint": ("temperature", "views", "neighbour"),
}
"""Options that make another method of it, said beside methods with other options."""


def pair(a: Recipe, b: Recipe) -> tuple[str, str]:
    """Return what two recipes are called beside each other: all in which they differ.

    Args:
        a: a recipe of a comparison.
        b: the other.
    """
    across = a.method != b.method
    left = SETTING - {"epochs", "precision", "share"} | (EACH if across else frozenset())
    names = [name for name in sorted(EVERY - left) if getattr(a, name) != getattr(b, name)]
    found = []
    for recipe in (a, b):
        told = {name: getattr(recipe, name) for name in names if name != "method_digest"}
        options = _variant(recipe) if across else _unlike(a, b)
        told |= {name: recipe.options[name] for name in options}
        words = [f"{name}={_plain(value)}" for name, value in told.items()]
        if views(a) != views(b) and "views" not in told:
            words.append("1 view" if views(recipe) == 1 else f"{views(recipe)} views")
        found.append(_with(recipe.method, words))
    return found[0], found[1]


def _variant(recipe: Recipe) -> Sequence[str]:
    if recipe.method != PLAIN["method"]:
        return VARIANTS.get(recipe.method, ())
    said = {name: PLAIN.get(f"options.{name}", value) for name, value in recipe.options.items()}
    return [name for name, value in recipe.options.items() if value != said[name]]


def _unlike(a: Recipe, b: Recipe) -> list[str]:
    names = {*a.options, *b.options}
    return sorted(name for name in names if a.options.get(name) != b.options.get(name))


def labels(recipes: Sequence[Recipe]) -> list[str]:
    """Name the rows of a table: by the method, and by what does not go without saying.

    No two different recipes of one budget get the same name.

    Args:
        recipes: of one budget, without their seeds.
    """
    found = []
    for recipe in recipes:
        same = [_values(other) for other in recipes if other.method == recipe.method]
        told = {
            name: value
            for name, value in _values(recipe).items()
            if value != _unsaid(recipe, name, [other.get(name) for other in same])
        }
        words = [f"{name}={_plain(value)}" for name, value in told.items()]
        found.append(_with(recipe.method, words))
    return found


def known(of: Recipe, others: Sequence[Recipe]) -> str:
    """Return what a recipe is called among others of its budget.

    Args:
        of: the recipe.
        others: it, and others of any budget.
    """
    same = [one for one in others if all(getattr(one, n) == getattr(of, n) for n in SETTING)]
    return dict(zip((one.key for one in same), labels(same), strict=True))[of.key]


def _values(recipe: Recipe) -> dict[str, Any]:
    values = recipe.decisive()
    about = {name: values[name] for name in sorted(EVERY - SETTING)}
    return {**dict(sorted(recipe.options.items())), **about}


def _unsaid(recipe: Recipe, name: str, values: Sequence[Any]) -> Any:
    """Return what a name leaves out: what anybody has who says nothing, else what most have.

    Args:
        recipe: one of the rows.
        name: of a field or an option.
        values: of the rows; of two as frequent the first as text.
    """
    plainly = _plainly(recipe)
    plain = plainly.get(name)
    if plain in values or (name in SAID and name in plainly) or name in _always(recipe):
        return plain
    counts = Counter(to_json(value) for value in values)
    most = max(counts.values())
    first = min(text for text, n in counts.items() if n == most)
    return next(value for value in values if to_json(value) == first)


def _plainly(recipe: Recipe) -> Mapping[str, Any]:
    """Return what goes without saying in a row: of the released recipe, and of the own one."""
    if not recipe.epochs:
        return COMMON
    if recipe.method == OWN:
        return {**COMMON, **own_unsaid(recipe), **options(METHODS[OWN].Method, {})}
    steps = {**COMMON, **released_steps(recipe)}
    if recipe.method != PLAIN["method"]:
        return steps
    told = {name.removeprefix("options."): value for name, value in PLAIN.items()}
    return {**steps, **{name: value for name, value in told.items() if name not in _always(recipe)}}


def _always(recipe: Recipe) -> Sequence[str]:
    """Return what a name says whatever it is: what makes another method of one.

    On birds it is the neighbour, which the released code has there and no equation of the paper.
    """
    if recipe.method == PLAIN["method"]:
        return ("neighbour",) if PurePath(recipe.dataset).name in NEIGHBOURLY else ()
    return () if recipe.method == OWN else VARIANTS.get(recipe.method, ())


def own_unsaid(recipe: Recipe) -> Mapping[str, Any]:
    """Return the fields that the project's own method brings, where its weights come from there.

    Args:
        recipe: of any run of it; no protocol has a say in these.
    """
    said = {"weights": recipe.weights, "backbone": recipe.backbone}
    unsaid = usual(OWN, "unseen", DATASETS.get(PurePath(recipe.dataset).name, {}), said)
    return {name: unsaid[name] for name in (*TUNED, "schedule", "batch")}


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _with(name: str, words: Sequence[str]) -> str:
    return f"{name} ({', '.join(words)})" if words else name


def switches(recipe: Recipe) -> str:
    """Return the switches of a recipe that numbers of papers silently hang on."""
    return "; ".join([*_form(recipe), *kept(recipe), *_shown(recipe)])


def _form(recipe: Recipe) -> Iterator[str]:
    if recipe.method in LOSSES:
        told = {**LOSSES[recipe.method], **recipe.options}
        form, detached = told["form"], told["detach_keys"]
        stopped = form == "code" if detached == "form" else detached == "yes"
        yield f"{form} form"
        yield "self term" if form == "paper" else "no self term"
        yield "stop-gradient" if stopped else "no stop-gradient"
        yield "neighbour positive" if told["neighbour"] else "own second view"
        if told["negatives"] != "all":
            yield f"{told['negatives']} negatives"
    for name in ("constant", "clusters", "temperature"):
        if name in recipe.options:
            yield f"{name} {_plain(recipe.options[name])}"


def _shown(recipe: Recipe) -> Iterator[str]:
    if recipe.resize:
        yield "squashed images" if recipe.fit == "squash" else "images not squashed"
    if recipe.head != "none":
        yield f"{recipe.dim} dimensions{' in training' if recipe.head == 'projection' else ''}"
    if not recipe.epochs or recipe.method in UNTRAINED:
        return
    yield "1 view" if views(recipe) == 1 else f"{views(recipe)} views"
    yield f"augmentation {recipe.augmentation}"
    yield f"batches of {recipe.batch}"
    if recipe.optimiser != "sgd":
        yield recipe.optimiser
    yield f"rate {recipe.lr:g}, {recipe.schedule}"
    yield "last epoch"
