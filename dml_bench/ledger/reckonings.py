"""What the records say to the claims, and what choosing an epoch on the test adds.

Numbers and verdicts; the sentences are made elsewhere.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from dml_bench.ledger.budgets import BUDGET, Group, alike, budget, matched, primary, setting
from dml_bench.ledger.claims import PLAIN, Claim
from dml_bench.ledger.verdicts import Line, Measure, line
from dml_bench.selection import BEST, OVER_LAST, ledger
from dml_bench.statistics import over_seeds
from dml_bench.types import RunResult

ELSE = BUDGET - {"epochs"} | {"method"}
"""What recipes have alike that differ in rate, schedule and epochs."""


def of_result(result: RunResult) -> float | None:
    """Return the primary metric after the last epoch."""
    return result.metrics.get(primary(result))


def named(metric: str) -> tuple[str, Measure]:
    """Return a metric after the last epoch, as `line` wants it."""
    return metric, lambda result: result.metrics.get(metric)


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

    A method that stands beside another stands at the rate that served it best, of those that as
    many seeds ran.
    """
    found = defaultdict(list)
    for a, b in matched(groups, claim):
        measure: tuple[str, Measure] = (primary(a[0]), of_result)
        if claim.by == "curve":
            if a[0].recipe.monitor != b[0].recipe.monitor:
                continue
            measure = (f"{a[0].recipe.monitor}, mean over the epochs,", of_curve)
        one = line(a, b, measure, claim.expected, where=setting(a[0], claim.named | claim.options))
        if one:
            found[one.where].append(one)
    best = [_served(some) if claim.across else _longest(some) for some in found.values()]
    if claim.across:
        best = [told_of_rates(one, groups) for one in best]
    return sorted(best, key=lambda one: str(one.where))


def _longest(found: Sequence[Line]) -> Line:
    """Return the comparison with the most seeds, of one place."""
    return max(found, key=lambda one: len(one.a))


def _served(found: Sequence[Line]) -> Line:
    """Return the comparison where the second method came out best, and say of how many rates.

    One of more seeds stands before one of fewer: one lucky seed is no better recipe.
    """
    best = max(found, key=lambda one: (len(one.a), one.values[1]))
    rates = {one.b[0].recipe.lr for one in found}
    told = f"{best.b[0].recipe.method} at the best of {len(rates)} rates"
    return replace(best, remark=told) if len(rates) > 1 else best


def told_of_rates(one: Line, groups: Sequence[Group]) -> Line:
    """Return a comparison of two methods, with where a side did better at another rate.

    InvaSpread stands as released, whatever other rates do.

    Args:
        one: the comparison.
        groups: the runs of each recipe, one a seed.
    """
    sides = [side for side in (one.a, one.b) if side[0].recipe.method != PLAIN["method"]]
    told = [one.remark, *(_better_rate(side, groups) for side in sides)]
    return replace(one, remark="; ".join(filter(None, told)))


def _better_rate(side: Group, groups: Sequence[Group]) -> str:
    """Return at which rate that a budget has not a recipe did better at another, in words."""
    recipe = side[0].recipe
    same = [g for g in groups if alike(g[0], side[0], ELSE) and _options(g) == _options(side)]
    here = {g[0].recipe.lr for g in same if g[0].recipe.epochs == recipe.epochs}
    mean = {id(g): fmean(run.metrics[primary(run)] for run in g) for g in same}
    for epochs in sorted({g[0].recipe.epochs for g in same} - {recipe.epochs}):
        there = [g for g in same if g[0].recipe.epochs == epochs]
        mine = [mean[id(g)] for g in there if g[0].recipe.lr == recipe.lr]
        best = max(there, key=lambda g: mean[id(g)])
        if mine and mean[id(best)] > max(mine) and best[0].recipe.lr not in here:
            looked = budget(best[0]).epochs
            return f"{recipe.method} did better at the rate {best[0].recipe.lr:g} in {looked}"
    return ""


def _options(group: Group) -> Mapping[str, object]:
    return group[0].recipe.options


def caught_up(one: Line) -> str:
    """Return when the second side reaches what the first has after one epoch, in words."""
    aim = fmean(watched(result)[0] for result in one.a)
    curve = [fmean(epoch) for epoch in zip(*(watched(result) for result in one.b), strict=True)]
    reached = next((n for n, value in enumerate(curve, start=1) if value >= aim), None)
    return f"after epoch {reached}" if reached else f"in none of {len(curve)} epochs"


@dataclass(frozen=True)
class Inflation:
    """What the best epoch on the test has over the last one, in one recipe.

    Args:
        runs: one a seed.
        name: of the monitor.
        last, best: means over the seeds.
        added: best - last, of each seed.
    """

    runs: Group
    name: str
    last: float
    best: float
    added: Sequence[float]

    @property
    def mean(self) -> float:
        """What the best epoch adds, the mean over the seeds."""
        return over_seeds(self.added)[0]

    @property
    def half(self) -> float | None:
        """Half the width of its interval; None for one seed."""
        return over_seeds(self.added)[1]


def inflations(groups: Sequence[Group]) -> list[Inflation]:
    """Return what choosing the epoch on the test adds, of each recipe with a monitor."""
    found = []
    for group in groups:
        name, rows = group[0].recipe.monitor, [ledger(result) for result in group]
        if group[0].recipe.epochs > 1 and all(name in row for row in rows):
            last, best = (fmean(row[key] for row in rows) for key in (name, f"{name} ({BEST})"))
            added = [row[f"{name} ({OVER_LAST})"] for row in rows]
            found.append(Inflation(group, name, last, best, added))
    return sorted(found, key=lambda one: (one.runs[0].recipe.epochs, -one.mean))
