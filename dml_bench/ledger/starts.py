"""What training gains over what it started from."""

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
from dml_bench.ledger.reckonings import of_result
from dml_bench.ledger.released import meets, released
from dml_bench.ledger.verdicts import FAILS, Line, line
from dml_bench.rows import place
from dml_bench.types import Recipe, RunResult

START = BUDGET - {"epochs", "augmentation", "batch_norm", "trained", "share", "batch", "validation"}
"""What a trained run and its start have alike."""


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


def gains(groups: Sequence[Group]) -> list[Gain]:
    """Return each trained recipe beside its starts, strongest start first."""
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


def losers(found: Sequence[Gain]) -> Mapping[str, bool]:
    """Return the runs whose recipe ends, in the mean, below what it started from.

    Returns:
        the key of each -> whether that is decided.
    """
    lost = [one.start for one in found if one.start.difference < 0]
    return {result.recipe.key: one.verdict == FAILS for one in lost for result in one.a}


def by_strength(found: Sequence[Gain]) -> list[Line]:
    """Return what the released recipe gains, one comparison for each start, the strongest first."""
    some = [g.start for g in found if _usual(g.start.a[0]) and released(g.start.a[0])]
    best: dict[tuple[tuple[str, str], Where], Line] = {}
    for one in some:
        at = (place(one.a[0]), one.where)
        if at not in best or len(best[at].a) < len(one.a):
            best[at] = one
    return sorted(best.values(), key=lambda one: (one.where.dataset, -one.values[1]))


def _usual(result: RunResult) -> bool:
    """Return whether a run has the augmentation that goes without saying."""
    protocol = "seen" if primary(result) == "knn@200" else "unseen"
    usual = {**PROTOCOLS[protocol], **DATASETS.get(place(result)[0], {})}["augmentation"]
    return meets(result.recipe, {"augmentation": usual})
