"""What differs between two results, most important first: what decides a number, then what may."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from dml_bench.plugins import short
from dml_bench.types import RunResult

ASKED, RECIPE, MATERIAL, CODE, MACHINE = TOPICS = (
    "what was asked",
    "recipe",
    "images and weights",
    "code",
    "machine",
)
FIELDS = (  # of a recipe, the likeliest cause first
    *("method", "method_digest", "options", "backbone", "backbone_digest"),
    *("weights", "weights_digest", "head", "dim", "epochs"),
    *("share", "trained", "batch_norm"),
    *("augmentation", "batch", "per_class", "order", "optimiser", "lr", "schedule", "momentum"),
    *("weight_decay", "fit", "resize", "crop", "mean", "std", "precision", "validation", "seed"),
    "monitor",
)
COSTS = ("seconds", "images_per_second")
"""What no two runs have alike, and no number depends on."""


@dataclass(frozen=True)
class Line:
    """One thing that differs, and what it is on either side; None where one side has no such."""

    topic: str
    what: str
    a: Any
    b: Any

    def __str__(self) -> str:
        """Return it in words."""
        if self.a is None or self.b is None:
            side, value = ("B", self.b) if self.a is None else ("A", self.a)
            return f"{self.what}: {said(value)}, in {side} only"
        return f"{self.what}: {said(self.a)} against {said(self.b)}"


def explain(a: RunResult, b: RunResult) -> list[Line]:
    """Return what differs between two results, most important first; no metric among it.

    What one of them never noted (an old record lacks some marks) is no difference.
    """
    about = [
        *_unlike(ASKED, _asked(a), _asked(b)),
        *_recipe(a, b),
        *_unlike(MATERIAL, *_materials(a, b)),
    ]
    for topic, names in (
        (CODE, ("commit", "commits", "dirty", "packages")),
        (MACHINE, ("device", "processor", "bf16_flags", "threads", "cores", "python", "platform")),
    ):
        mine = [{name: one.environment.get(name) for name in names} for one in (a, b)]
        about += _unlike(topic, _flat(mine[0]), _flat(mine[1]))
    return about


def numbers(result: RunResult) -> dict[str, float | str]:
    """Return all that a rerun should find again: metrics, the curve but for its costs, weights.

    Args:
        result: of a run.

    Returns:
        name -> value; those of the curve are named by their epoch.
    """
    found: dict[str, float | str] = dict(result.metrics)
    for row in result.curve:
        kept = {name: value for name, value in row.items() if name not in ("epoch", *COSTS)}
        found |= {f"epoch {row['epoch']:g}: {name}": value for name, value in kept.items()}
    return found | ({"weights": result.end} if result.end else {})


def verdict(a: RunResult, b: RunResult, lines: list[Line]) -> str:
    """Return in one sentence what two results are to each other."""
    topics = {line.topic for line in lines}
    fields = [line.what for line in lines if line.topic == RECIPE]
    same = same_numbers(a, b)
    if ASKED in topics:
        return "They were not asked the same: no number of one may stand beside one of the other."
    if fields == ["seed"]:
        return "They are two seeds of one recipe."
    if fields:
        return f"They are different recipes; first of all in {fields[0]}."
    if MATERIAL in topics:
        return "It is one recipe, with other images or weights."
    if same:
        return "It is one recipe, and all numbers are the same to the last bit."
    causes = [topic for topic in (CODE, MACHINE) if topic in topics]
    return "It is one recipe, and its numbers differ" + (
        f"; what else differs is the {' and the '.join(causes)}."
        if causes
        else " for no noted reason."
    )


def same_numbers(a: RunResult, b: RunResult) -> bool:
    """Return whether all that both noted is the same to the last bit."""
    return not apart(numbers(a), numbers(b))


def apart(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Return the names of what differs; a mark that only one noted ("weights") does not."""
    either = dict.fromkeys([*a, *b])
    noted = {n for n in either if n != "weights" or (n in a and n in b)}
    return [name for name in either if name in noted and a.get(name) != b.get(name)]


def said(value: Any) -> str:
    """Return a value as a person writes it."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _asked(result: RunResult) -> dict[str, Any]:
    return {
        "dataset": PurePath(result.recipe.dataset).name,
        "protocol": result.fingerprint,
        "conventions of the metrics": result.conventions,
    }


def incomparable(a: RunResult, b: RunResult) -> list[str]:
    """Return which marks of images both noted, of other things: no difference shows by them.

    The mark of image files is of the training images too where a run is trained, and that of the
    training images of their labels too where a method sees them.
    """
    kinds = [one.supervision for one in (a, b)]
    trained, labelled = ([kind != "none" for kind in kinds], [k == "supervised" for k in kinds])
    unlike = {
        "training images": bool(a.training and b.training) and labelled[0] != labelled[1],
        "image files": bool(a.files and b.files) and trained[0] != trained[1],
    }
    return [name for name, so in unlike.items() if so]


def _materials(a: RunResult, b: RunResult) -> list[dict[str, Any]]:
    """Return what both saw, but for what cannot be compared."""
    left_out = incomparable(a, b)
    both = (_material(one).items() for one in (a, b))
    return [{name: value for name, value in one if name not in left_out} for one in both]


def _material(result: RunResult) -> dict[str, Any]:
    return {
        "training images": result.training or None,
        "image files": result.files or None,
        "weights at the start": result.start or None,
        **{name.replace("_", " "): count for name, count in result.counts.items()},
    }


def _recipe(a: RunResult, b: RunResult) -> Iterator[Line]:
    one, other = a.recipe.as_dict(), b.recipe.as_dict()
    for name in FIELDS:
        if name == "options":
            yield from _options(one[name], other[name])
        elif name == "weights":
            names = [PurePath(values[name]).name for values in (one, other)]
            alike = one["weights_digest"] and one["weights_digest"] == other["weights_digest"]
            if names[0] != names[1] and not alike:
                yield Line(RECIPE, name, *names)
        elif name in ("method", "backbone"):  # a user's own, wherever its file lies
            yield from _unlike(RECIPE, {name: short(one[name])}, {name: short(other[name])})
        elif one[name] != other[name]:
            yield Line(RECIPE, name, one[name], other[name])


def _options(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Line]:
    for name in dict.fromkeys([*a, *b]):
        if a.get(name) != b.get(name):
            yield Line(RECIPE, f"option {name}", a.get(name), b.get(name))


def _unlike(topic: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Line]:
    """Yield what both noted and is not alike."""
    for name in a:
        if a[name] is not None and b.get(name) is not None and a[name] != b[name]:
            yield Line(topic, name, a[name], b[name])


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    packages = values.get("packages") or {}
    rest = {name.replace("_", " "): v for name, v in values.items() if name != "packages"}
    return rest | (dict(packages) if isinstance(packages, Mapping) else {})
