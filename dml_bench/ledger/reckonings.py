"""What the records say: to claims, of orders, of starts, of epochs chosen, of the own recipe.

Each returns numbers and verdicts; the sentences are made elsewhere.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from dml_bench.ledger import verdicts
from dml_bench.ledger.budgets import (
    BUDGET,
    UNTRAINED,
    Group,
    Where,
    alike,
    as_released,
    budget,
    matched,
    meets,
    primary,
    setting,
    views,
)
from dml_bench.ledger.questions import PLAIN, Claim, Side
from dml_bench.ledger.verdicts import Line, Measure, line
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
OWN = "sprint"
OWN_RECIPE: Side = {
    "head": "projection",
    "schedule": "warmup:0.1",
    "options.temperature": 0.2,
    "options.views": 2,
}
"""The project's own recipe as it stands; what differs was tried on the way to it."""
LOOKS = BUDGET - {"epochs", "batch", "head", "batch_norm", "dim"}
AIM = 0.6
"""Weighted kNN after one epoch of CIFAR-10 in two views: what the project's own recipe aims at."""


def of_result(result: RunResult) -> float | None:
    """Return the primary metric after the last epoch."""
    return result.metrics.get(primary(result))


def of_curve(result: RunResult) -> float | None:
    """Return the mean of the monitor over the epochs; None for a run without one."""
    seen = watched(result)
    return fmean(seen) if seen and len(seen) == result.recipe.epochs else None


def watched(result: RunResult) -> list[float]:
    """Return the monitor after each epoch that it was asked."""
    name = result.recipe.monitor
    return [row[name] for row in result.curve if name in row]


def of_claim(claim: Claim, groups: Sequence[Group]) -> list[Line]:
    """Return the comparisons that a claim is about, one for each budget.

    A method that stands beside another stands at the rate that served it best.
    """
    found = defaultdict(list)
    for a, b in matched(groups, claim):
        measure: tuple[str, Measure] = (primary(a[0]), of_result)
        if claim.by == "curve":
            if a[0].recipe.monitor != b[0].recipe.monitor:
                continue
            measure = (f"{a[0].recipe.monitor}, mean over the epochs,", of_curve)
        one = line(a, b, measure, claim.expected, where=setting(a[0], claim.named))
        if one:
            found[one.where].append(one)
    best = [max(some, key=lambda one: _rank(one, claim.across)) for some in found.values()]
    return sorted(best, key=lambda one: str(one.where))


def _rank(one: Line, across: bool) -> tuple[float, int]:
    return (one.values[1] if across else 0.0), len(one.a)


def caught_up(one: Line) -> str:
    """Return when the second side reaches what the first has after one epoch, in words."""
    aim = fmean(watched(result)[0] for result in one.a)
    curve = [fmean(epoch) for epoch in zip(*(watched(result) for result in one.b), strict=True)]
    reached = next((n for n, value in enumerate(curve, start=1) if value >= aim), None)
    return f"after epoch {reached}" if reached else f"in none of {len(curve)} epochs"


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


def by_strength(found: Sequence[Gain]) -> list[Line]:
    """Return what the released recipe gains, one comparison for each start, the strongest first."""
    some = [g.start for g in found if _released(g.start.a[0].recipe)]
    best: dict[tuple[tuple[str, str], Where], Line] = {}
    for one in some:
        at = (place(one.a[0]), one.where)
        if at not in best or len(best[at].a) < len(one.a):
            best[at] = one
    return sorted(best.values(), key=lambda one: -one.values[1])


def _released(recipe: Recipe) -> bool:
    whole = {"batch_norm": "train", "trained": "all", "head": "linear"}
    return meets(recipe, {**PLAIN, **whole}) and as_released(recipe)


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
        if group[0].recipe.epochs > 1 and all(name in row for row in rows):
            last, best = (fmean(row[key] for row in rows) for key in (name, f"{name} ({BEST})"))
            added, half = over_seeds([row[f"{name} ({OVER_LAST})"] for row in rows])
            found.append(Inflation(group, name, last, best, added, half))
    return sorted(found, key=lambda one: (one.runs[0].recipe.epochs, -one.added))


Order = tuple[Published, Published, Line]
"""Two printed numbers of one table, the better first, and our two methods beside each other."""


def orders(groups: Sequence[Group]) -> list[Order]:
    """Return each pair of methods that a paper printed, the better first, as our runs have them.

    Each method stands once for a budget: in the variant, and at the rate, that served it best;
    InvaSpread as released.
    """
    found: list[Order] = []
    for theirs, ours in STANDS_FOR.items():
        cells = [c for c in published(theirs) if c.source_key.startswith("invaspread_t")]
        cells = [c for c in cells if c.method and c.metric in ("knn@200", "recall@1")]
        here = [g for g in groups if place(g[0])[0] in ours and g[0].recipe.epochs]
        here = [g for g in here if g[0].recipe.lr and g[0].recipe.method not in UNTRAINED]
        for some in _budgets(here):
            found += _orders(cells, some)
    return found


def _budgets(groups: Sequence[Group]) -> Iterable[Sequence[Group]]:
    """Return the recipes that have the budget alike, together."""
    found = defaultdict(list)
    for group in groups:
        key = tuple(getattr(group[0].recipe, name) for name in sorted(BUDGET))
        found[(*place(group[0]), *key)].append(group)
    return found.values()


def _orders(cells: Sequence[Published], groups: Sequence[Group]) -> Iterator[Order]:
    best = {cell: _best(cell, groups) for cell in sorted(cells, key=lambda c: -c.value)}
    for first, second in combinations(best, 2):
        a, b = best[first], best[second]
        if a is None or b is None or a is b or first.metric != second.metric:
            continue
        measure = (first.metric, of_result)
        one = line(a, b, measure, where=setting(a[0])) if first.value > second.value else None
        if one:
            yield first, second, one


def _best(cell: Published, groups: Sequence[Group]) -> Group | None:
    """Return the recipe of the method that a cell is about that came out best; None for none."""
    own = [g for g in groups if _stands(g[0], cell) and cell.metric == primary(g[0])]
    return max(own, key=lambda g: fmean(r.metrics[cell.metric] for r in g), default=None)


def _stands(result: RunResult, cell: Published) -> bool:
    """Return whether a run is of the method that a cell is about."""
    recipe = result.recipe
    if recipe.method != cell.method:
        return False
    if recipe.method == "invaspread":
        return meets(recipe, PLAIN) and as_released(recipe)
    clusters = re.search(r"k=(\d+)", cell.label)
    return not clusters or recipe.options.get("clusters") == int(clusters[1])


@dataclass(frozen=True)
class Own:
    """The project's own recipe beside the released one, at as many looks at images.

    Args:
        released: over InvaSpread as released.
        alike: over InvaSpread with the own recipe's head and batch norm, at the released rate.
        tried: other settings of the own recipe over InvaSpread as released: they were tried on the
            way, and decide nothing.
        aim: over `AIM`, after one epoch of CIFAR-10 in two views.
    """

    released: Sequence[Line]
    alike: Sequence[Line]
    tried: Sequence[Line]
    aim: Sequence[Line]


def own(groups: Sequence[Group]) -> Own:
    """Return what the records say of the project's own recipe."""
    mine = [g for g in groups if g[0].recipe.method == OWN]
    whole = [g for g in groups if _released(g[0].recipe)]
    same = [g for g in groups if meets(g[0].recipe, PLAIN) and as_released(g[0].recipe)]
    stands = [g for g in mine if _as_it_stands(g[0].recipe)]
    tried = [g for g in mine if not _as_it_stands(g[0].recipe)]
    return Own(
        _beside(stands, whole, LOOKS),
        _beside(stands, same, LOOKS | {"head", "batch_norm"}),
        _beside(tried, whole, LOOKS),
        [_over_aim(g) for g in mine if _is_aim(g[0])],
    )


def _as_it_stands(recipe: Recipe) -> bool:
    return meets(recipe, OWN_RECIPE) and as_released(recipe)


def _beside(mine: Sequence[Group], others: Sequence[Group], same: frozenset[str]) -> list[Line]:
    found = []
    for a in mine:
        for b in others:
            if _looks(a[0].recipe) == _looks(b[0].recipe) and alike(a[0], b[0], same):
                found.append(line(a, b, (primary(a[0]), of_result), where=budget(b[0])))
    known = [one for one in found if one]
    return sorted(known, key=lambda one: (str(one.where), -one.difference))


def _looks(recipe: Recipe) -> int:
    return recipe.epochs * views(recipe)


def _is_aim(result: RunResult) -> bool:
    recipe = result.recipe
    cifar = place(result)[0] in STANDS_FOR["cifar10"]
    return cifar and recipe.share == 1 and _looks(recipe) == 2 and "knn@200" in result.metrics


def _over_aim(group: Group) -> Line:
    values = [result.metrics["knn@200"] for result in group]
    mean, half = over_seeds(values)
    verdict = verdicts.judged(mean - AIM, half, "more")
    where = budget(group[0])
    return Line(group, (), where, "knn@200", (mean, AIM), mean - AIM, half, verdict)
