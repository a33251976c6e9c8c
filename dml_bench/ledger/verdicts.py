"""Two recipes against each other, seed by seed: the difference, its interval, and what it decides.

The rules are these and no others. The interval is Student's t over the seeds that both have. A
claim holds if the whole interval lies on its side, fails if it lies on the other, and is not
decided otherwise; one seed has no interval. Two are alike if the whole interval lies within a
point, and unlike if it lies beyond. Of many that are decided some are by chance: those that would
not be, were one in twenty of the decided allowed to be wrong, are decided weakly.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from dml_bench.ledger.budgets import Where
from dml_bench.ledger.claims import ALIKE, MORE
from dml_bench.statistics import LEVEL, over_seeds, surprise
from dml_bench.types import RunResult

HOLDS, FAILS, OPEN, ONE = WORDS = ("holds", "fails", "not decided", "one seed")
ABSENT = "not run yet"
MARGIN = 0.01
"""How far apart two may lie, ends of the interval included, and be called alike: a point."""
Measure = Callable[[RunResult], float | None]


@dataclass(frozen=True)
class Line:
    """One comparison.

    Args:
        a, b: the runs, one a seed; the same seeds in the same order.
        where: dataset, network and budget.
        name: of what was measured.
        values: (a, b), means over the seeds.
        difference: a - b, the mean over the seeds.
        half: half the width of its interval; None for one seed.
        expected: what a claim says of a beside b.
        verdict: of `WORDS`.
        hair: whether it is decided weakly.
        idle: of each side, whether it is a training that has not risen above its start; None
            where that was not run.
        beside: the difference by another metric, in words.
        remark: what else is to be known of it, in words.
    """

    a: Sequence[RunResult]
    b: Sequence[RunResult]
    where: Where
    name: str
    values: tuple[float, float]
    difference: float
    half: float | None
    expected: str
    verdict: str
    hair: bool = False
    idle: tuple[bool | None, bool | None] = (None, None)
    beside: str = ""
    remark: str = ""

    @property
    def decided(self) -> bool:
        """Whether it holds or fails."""
        return self.verdict in (HOLDS, FAILS)

    @property
    def chance(self) -> float | None:
        """How often seeds alone would put the interval where it is, or further; None for one seed.

        Two-sided, and of the edge that decides: zero, or what two may lie apart and be alike.
        """
        if self.half is None:
            return None
        apart = abs(self.difference)
        if self.expected == ALIKE:
            apart = abs(apart - MARGIN)
        return surprise(apart, self.half, len(self.a))


def judged(difference: float, half: float | None, expected: str) -> str:
    """Return what an interval says of a claim.

    Args:
        difference: a - b.
        half: half the width of its interval, None where there is none.
        expected: "more", "less" or "alike": what the claim says of a beside b.

    Example:
        >>> judged(0.05, 0.02, "more"), judged(0.05, 0.02, "less"), judged(0.05, 0.06, "more")
        ('holds', 'fails', 'not decided')
        >>> judged(0.002, 0.003, "alike"), judged(0.05, 0.02, "alike"), judged(0.5, None, "more")
        ('holds', 'fails', 'one seed')
    """
    if half is None:
        return ONE
    low, high = difference - half, difference + half
    if expected == ALIKE:
        if low >= -MARGIN and high <= MARGIN:
            return HOLDS
        return FAILS if low > MARGIN or high < -MARGIN else OPEN
    above, below = (HOLDS, FAILS) if expected == MORE else (FAILS, HOLDS)
    return above if low > 0 else below if high < 0 else OPEN


def line(
    a: Sequence[RunResult],
    b: Sequence[RunResult],
    measure: tuple[str, Measure],
    expected: str = MORE,
    *,
    where: Where,
) -> Line | None:
    """Return the comparison of two recipes; None where no seed has both numbers.

    Args:
        a: the runs of a recipe, one a seed.
        b: those of the other; a start that no seed moves (`seedless`) stands beside every seed.
        measure: a name, and of a run -> the number, or None where it has none.
        expected: what a claim says of a beside b.
        where: dataset, network and budget.
    """
    name, of = measure
    pairs = [(x, y) for x, y in _pairs(a, b) if None not in (of(x), of(y))]
    if not pairs:
        return None
    both = [(cast(float, of(x)), cast(float, of(y))) for x, y in pairs]
    difference, half = over_seeds([x - y for x, y in both])
    values = (over_seeds([x for x, _ in both])[0], over_seeds([y for _, y in both])[0])
    firsts, seconds = zip(*pairs, strict=True)
    verdict = judged(difference, half, expected)
    return Line(firsts, seconds, where, name, values, difference, half, expected, verdict)


def firm(lines: Iterable[Line], *, any_dependence: bool = False) -> float:
    """Return up to which `chance` a comparison among many is decided by more than a hair.

    One that is decided by itself may be so by chance where many are asked: up to here, one in
    twenty of the decided is.

    Args:
        lines: all that are asked; those of one seed count for nothing.
        any_dependence: whether it holds however they hang together; else they do so in the same
            direction.

    Source:
        Benjamini and Hochberg, "Controlling the False Discovery Rate" (JRSS B 1995); for any
        dependence Benjamini and Yekutieli, "The Control of the False Discovery Rate in Multiple
        Testing under Dependency" (Annals of Statistics 2001).
    """
    known = sorted(one.chance for one in lines if one.chance is not None)
    if not known:
        return 0.0
    from scipy.stats import false_discovery_control  # here, so that a command line is read without

    among = false_discovery_control(known, method="by" if any_dependence else "bh")
    passing = [alone for alone, all_ in zip(known, among, strict=True) if all_ <= 1 - LEVEL]
    return max(passing, default=0.0)


def marked(one: Line, most: float) -> Line:
    """Return a comparison with its `hair`, where chances up to `most` are firm."""
    return replace(one, hair=one.decided and one.chance is not None and one.chance > most)


def _pairs(a: Sequence[RunResult], b: Sequence[RunResult]) -> Iterable[tuple[RunResult, RunResult]]:
    if len(b) == 1 and seedless(b[0]):
        return [(x, b[0]) for x in _by_seed(a).values()]
    mine, others = _by_seed(a), _by_seed(b)
    return [(mine[seed], others[seed]) for seed in sorted(set(mine) & set(others))]


def _by_seed(group: Sequence[RunResult]) -> Mapping[int, RunResult]:
    return {result.recipe.seed: result for result in sorted(group, key=lambda r: r.recipe.seed)}


def seedless(result: RunResult) -> bool:
    """Return whether a run is the same for every seed: published weights, nothing drawn."""
    recipe = result.recipe
    return recipe.method == "init" and recipe.head == "none"


def at(one: Line, lines: Sequence[Line], *, briefly: bool = False) -> str:
    """Return where a comparison was made, as briefly as tells all of them apart.

    Args:
        one: of `lines`.
        lines: that stand together.
        briefly: whether epochs and images may be but numbers.
    """
    places = {line.where for line in lines}
    forms = [*zip(*(place.forms for place in places), strict=True)]
    enough = next(n for n, some in enumerate(forms) if len(set(some)) == len(places))
    return one.where.forms[max(enough, 0 if briefly else len(forms) - 2)]
