"""What training gains over what it started from."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dml_bench.defaults import DATASETS, PROTOCOLS
from dml_bench.ledger.budgets import (
    BUDGET,
    UNTRAINED,
    Group,
    Where,
    alike,
    budget,
    primary,
)
from dml_bench.ledger.claims import PLAIN
from dml_bench.ledger.reckonings import of_result
from dml_bench.ledger.released import WHOLE, meets, released, released_steps
from dml_bench.ledger.verdicts import FAILS, HOLDS, ONE, Line, line, marked
from dml_bench.rows import place
from dml_bench.types import Recipe, RunResult

START = BUDGET - {"epochs", "augmentation", "batch_norm", "trained", "share", "batch", "validation"}
"""What a trained run and its start have alike."""

RISEN, LOST, LOST_MEAN, UNSHOWN = (
    "ends above its start",
    "ends below its start",
    "ends below its start, in the mean",
    "is not shown to end above its start",
)
"""How a training ends beside what it started from."""
BOTH = {
    LOST: "both end below their start",
    LOST_MEAN: "both end below their start, in the mean",
    UNSHOWN: f"neither {UNSHOWN}".replace("is not", "is"),
}
"""The same of two that have not risen."""


@dataclass(frozen=True)
class Gain:
    """A trained recipe beside what it started from.

    Args:
        start: over the same network untrained, with its head.
        features: over the features of the pretrained backbone, without a head; None for drawn
            weights, and where the start is just that.
    """

    start: Line
    features: Line | None

    @property
    def lines(self) -> list[Line]:
        """Both comparisons, where there are two."""
        return [self.start, *([self.features] if self.features else [])]

    def marked(self, most: float) -> "Gain":
        """Return it with what is decided weakly marked; chances up to `most` are firm."""
        return Gain(marked(self.start, most), self.features and marked(self.features, most))


def gains(groups: Sequence[Group]) -> list[Gain]:
    """Return each trained recipe beside its starts, place by place, strongest start first."""
    untrained = [g for g in groups if _untrained(g[0].recipe)]
    found = []
    for trained in groups:
        recipe = trained[0].recipe
        if not recipe.epochs or not recipe.lr or recipe.method in UNTRAINED:
            continue
        asked = "none" if recipe.head == "projection" else recipe.head  # what is asked afterwards
        start = _from(trained, untrained, asked)
        plain = None
        if asked != "none" and recipe.weights != "none":
            plain = _from(trained, untrained, "none")
        if start:
            found.append(Gain(start, plain))
    return sorted(
        found,
        key=lambda g: (
            place(g.start.a[0]),
            str(g.start.where),
            -g.start.values[1],
            -g.start.difference,
        ),
    )


def _untrained(recipe: Recipe) -> bool:
    return not recipe.epochs and recipe.method in ("random", "init")


def _from(trained: Group, untrained: Sequence[Group], head: str) -> Line | None:
    """Return a trained recipe beside the untrained network with a head."""
    same = START - {"head"} - (set() if head == trained[0].recipe.head else {"dim"})
    for start in untrained:
        if start[0].recipe.head == head and alike(start[0], trained[0], frozenset(same)):
            return line(trained, start, (primary(trained[0]), of_result), where=budget(trained[0]))
    return None


def ends(found: Sequence[Gain]) -> Mapping[str, str]:
    """Return how each training ends beside what it started from.

    A run of one seed has risen where it ends above: it is all that is known of it.

    Returns:
        the key of each run whose start was run -> how its recipe ends, in words.
    """
    return {result.recipe.key: _end(gain.start) for gain in found for result in gain.start.a}


def _end(one: Line) -> str:
    if one.verdict == HOLDS or (one.verdict == ONE and one.difference > 0):
        return RISEN
    if one.verdict == FAILS:
        return LOST
    return LOST_MEAN if one.difference < 0 else UNSHOWN


def by_strength(found: Sequence[Gain]) -> list[Line]:
    """Return what the released recipe gains, dataset by dataset, from the strongest start on."""
    some = [g.start for g in found if _usual(g.start.a[0]) and released(g.start.a[0])]
    best: dict[tuple[tuple[str, str], Where], Line] = {}
    for one in some:
        at = (place(one.a[0]), one.where)
        if at not in best or len(best[at].a) < len(one.a):
            best[at] = one
    return sorted(best.values(), key=lambda one: (one.where.dataset, -one.values[1]))


def against_strength(found: Sequence[Gain]) -> list[list[Line]]:
    """Return what the released loss, without the neighbour, gains over starts of unlike strength.

    Each has all the images, and the released rate for where its weights come from; pixels and
    epochs are others with the start.

    Returns:
        for each dataset that has more than one start, the comparisons, from the strongest start on.
    """
    side = {**PLAIN, **WHOLE, "share": 1.0}
    some = [g.start for g in found if meets(g.start.a[0].recipe, side) and _usual(g.start.a[0])]
    places = defaultdict(list)
    for one in some:
        recipe = one.a[0].recipe
        if recipe.lr == released_steps(recipe)["lr"]:
            places[one.where.dataset.split(", ")[0]].append(one)
    unlike = [
        lines
        for lines in places.values()
        if len({(one.a[0].recipe.weights, one.a[0].recipe.crop) for one in lines}) > 1
    ]
    return [sorted(lines, key=lambda one: -one.values[1]) for lines in unlike]


def _usual(result: RunResult) -> bool:
    """Return whether a run has the augmentation that goes without saying."""
    protocol = "seen" if primary(result) == "knn@200" else "unseen"
    usual = {**PROTOCOLS[protocol], **DATASETS.get(place(result)[0], {})}["augmentation"]
    return meets(result.recipe, {"augmentation": usual})
