"""What the records say beside the claims: orders of methods, gains over a start, epochs chosen.

Each returns numbers and verdicts; the sentences are made elsewhere.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from dml_bench.ledger.budgets import BUDGET, FREE, Group, Side, alike, meets, primary
from dml_bench.ledger.questions import NCE, PLAIN, Claim
from dml_bench.ledger.verdicts import MORE, Line, line
from dml_bench.published import Published, published
from dml_bench.rows import place
from dml_bench.selection import BEST, OVER_LAST, ledger
from dml_bench.statistics import over_seeds
from dml_bench.types import Recipe, RunResult

STANDS_FOR: Mapping[str, Sequence[str]] = {
    "cifar10": ("cifar10", "cifar10_jpeg"),
    "cub200": ("cub200", "cub100_crops"),
    "cars196": ("cars196", "cars196_crops"),
}
"""A dataset that papers print -> ours whose order of methods may be held against theirs."""
START = BUDGET - {"epochs", "augmentation", "batch_norm", "trained", "share", "batch", "validation"}
"""What a trained run and its start have alike."""
RELEASED: Side = {**PLAIN, "batch_norm": "train", "trained": "all", "head": "linear"}
LOOKS = BUDGET - {"epochs", "batch", "head", "batch_norm"}


def of_result(result: RunResult) -> float | None:
    """Return the primary metric after the last epoch."""
    return result.metrics.get(primary(result))


def of_curve(result: RunResult) -> float | None:
    """Return the mean of the monitor over the epochs; None for a run without one."""
    name = result.recipe.monitor
    seen = [row[name] for row in result.curve if name in row]
    return fmean(seen) if seen and len(seen) == result.recipe.epochs else None


def of_claim(claim: Claim, a: Group, b: Group) -> Line | None:
    """Return the comparison of two recipes that a claim is about."""
    measure, name = of_result, primary(a[0])
    if claim.by == "curve":
        if a[0].recipe.monitor != b[0].recipe.monitor:
            return None
        measure, name = of_curve, f"{a[0].recipe.monitor}, mean over the epochs"
    return line(a, b, name, measure, claim.expected)


def gains(groups: Sequence[Group]) -> list[Line]:
    """Return each trained recipe beside the network it started from, strongest start first."""
    found = []
    for trained in groups:
        if not trained[0].recipe.epochs:
            continue
        start = next((group for group in groups if _is_start(group[0], trained[0])), None)
        compared = line(trained, start, primary(trained[0]), of_result, MORE) if start else None
        if compared:
            found.append(compared)
    return sorted(found, key=lambda one: (place(one.a[0]), -one.values[1], -one.difference))


def _is_start(start: RunResult, trained: RunResult) -> bool:
    """Return whether an untrained run is the network that a trained one began with."""
    if start.recipe.epochs or start.recipe.method not in ("random", "init"):
        return False
    thrown = trained.recipe.head == "projection"  # then the features are asked, before and after
    same = START - {"head", "dim"} if thrown else START
    return alike(start, trained, frozenset(same)) and (not thrown or start.recipe.head == "none")


@dataclass(frozen=True)
class Inflation:
    """What the best epoch on the test has over the last one, in one recipe.

    Args:
        runs: one a seed.
        name: of the monitor.
        last, best: means over the seeds.
        added: best - last, the mean over the seeds.
        half: half the width of its interval; None for one seed.
    """

    runs: Group
    name: str
    last: float
    best: float
    added: float
    half: float | None


def inflations(groups: Sequence[Group]) -> list[Inflation]:
    """Return what choosing the epoch on the test adds, of each recipe with a monitor."""
    found = []
    for group in groups:
        name, rows = group[0].recipe.monitor, [ledger(result) for result in group]
        if group[0].recipe.epochs > 1 and all(rows):
            last, best = (fmean(row[key] for row in rows) for key in (name, f"{name} ({BEST})"))
            added, half = over_seeds([row[f"{name} ({OVER_LAST})"] for row in rows])
            found.append(Inflation(group, name, last, best, added, half))
    return sorted(found, key=lambda one: -one.added)


def orders(groups: Sequence[Group]) -> list[tuple[Published, Published, Line]]:
    """Return each pair of methods that a paper printed, the better first, as our runs have them."""
    found: list[tuple[Published, Published, Line]] = []
    for theirs, ours in STANDS_FOR.items():
        cells = [c for c in published(theirs) if c.source_key.startswith("invaspread_t")]
        cells = [c for c in cells if c.method and c.metric in ("knn@200", "recall@1")]
        here = [group for group in groups if place(group[0])[0] in ours and group[0].recipe.lr]
        here = [group for group in here if group[0].recipe.epochs]
        for first, second in combinations(sorted(cells, key=lambda c: -c.value), 2):
            if first.value > second.value and first.metric == second.metric:
                found += _order(first, second, here)
    return found


def _order(
    first: Published, second: Published, groups: Sequence[Group]
) -> Iterator[tuple[Published, Published, Line]]:
    for a in groups:
        for b in groups:
            if not (_stands(a[0], first) and _stands(b[0], second)):
                continue
            if a is b or not alike(a[0], b[0], BUDGET):
                continue
            compared = line(a, b, first.metric, lambda r: r.metrics.get(first.metric), MORE)
            if compared:
                yield first, second, compared


def _stands(result: RunResult, cell: Published) -> bool:
    """Return whether a run is of the method that a cell is about."""
    sides: Mapping[str, Side] = {"invaspread": PLAIN, "nce": NCE}
    if result.recipe.method != cell.method or not meets(result.recipe, sides.get(cell.method, {})):
        return False
    clusters = re.search(r"k=(\d+)", cell.label)
    return not clusters or result.recipe.options.get("clusters") == int(clusters[1])


def betters(groups: Sequence[Group]) -> list[Line]:
    """Return the project's own recipes beside the released one, of as many looks at images."""
    released = [group for group in groups if _as_released(group[0].recipe)]
    found = []
    for own in (group for group in groups if group[0].recipe.method == "sprint"):
        for other in released:
            if _as_many_looks(own[0], other[0]):
                compared = line(own, other, primary(own[0]), of_result, MORE)
                found += [compared] if compared else []
    return sorted(found, key=lambda one: (place(one.a[0]), -one.difference))


def _as_released(recipe: Recipe) -> bool:
    """Return whether a recipe is InvaSpread's of the released code, for seen classes or unseen."""
    tuned = (recipe.lr, recipe.batch) in ((0.03, 128), (0.001, 64))
    return tuned and meets(recipe, RELEASED)


def _as_many_looks(a: RunResult, b: RunResult) -> bool:
    looks = [r.recipe.epochs * r.recipe.options.get("views", 2) for r in (a, b)]
    return looks[0] == looks[1] and alike(a, b, LOOKS - FREE)
