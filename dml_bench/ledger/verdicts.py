"""Two recipes against each other, seed by seed: the difference, its interval, and what it decides.

The rules are these and no others. The interval is Student's t over the seeds that both have. A
claim holds if the whole interval lies on its side, does not if it lies on the other, and is
not decided otherwise; one seed decides nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dml_bench.statistics import over_seeds
from dml_bench.types import RunResult

HOLDS, FAILS, OPEN, ABSENT = WORDS = ("holds", "does not hold", "not decided", "not run yet")
MORE, LESS, ALIKE = ("more", "less", "alike")
MARGIN = 0.01
"""How far apart two may lie, ends of the interval included, and be called alike: a point."""
Measure = Callable[[RunResult], float | None]


@dataclass(frozen=True)
class Line:
    """One comparison.

    Args:
        a, b: the runs, one a seed; the same seeds in the same order.
        name: of what was measured.
        values: (a, b), means over the seeds.
        difference: a - b, the mean over the seeds.
        half: half the width of its interval; None for one seed.
        verdict: of `WORDS`.
    """

    a: Sequence[RunResult]
    b: Sequence[RunResult]
    name: str
    values: tuple[float, float]
    difference: float
    half: float | None
    verdict: str


def judged(difference: float, half: float | None, expected: str) -> str:
    """Return what an interval says of a claim.

    Args:
        difference: a - b.
        half: half the width of its interval, None where there is none.
        expected: "more", "less" or "alike": what the claim says of a beside b.

    Example:
        >>> judged(0.05, 0.02, "more"), judged(0.05, 0.02, "less"), judged(0.05, 0.06, "more")
        ('holds', 'does not hold', 'not decided')
        >>> judged(0.002, 0.003, "alike"), judged(0.05, 0.02, "alike"), judged(0.5, None, "more")
        ('holds', 'does not hold', 'not decided')
    """
    if half is None:
        return OPEN
    low, high = difference - half, difference + half
    if expected == ALIKE:
        if low >= -MARGIN and high <= MARGIN:
            return HOLDS
        return FAILS if low > 0 or high < 0 else OPEN
    above, below = (HOLDS, FAILS) if expected == MORE else (FAILS, HOLDS)
    return above if low > 0 else below if high < 0 else OPEN


def line(
    a: Sequence[RunResult], b: Sequence[RunResult], name: str, measure: Measure, expected: str
) -> Line | None:
    """Return the comparison of two recipes; None where no seed has both numbers.

    Args:
        a: the runs of a recipe, one a seed.
        b: those of the other; a start that no seed moves (`seedless`) stands beside every seed.
        name: of what is measured.
        measure: of a run -> the number, or None where it has none.
        expected: what a claim says of a beside b.
    """
    pairs = [(x, y) for x, y in _pairs(a, b) if None not in (measure(x), measure(y))]
    if not pairs:
        return None
    both = [(float(measure(x) or 0), float(measure(y) or 0)) for x, y in pairs]
    difference, half = over_seeds([x - y for x, y in both])
    values = (over_seeds([x for x, _ in both])[0], over_seeds([y for _, y in both])[0])
    firsts, seconds = zip(*pairs, strict=True)
    return Line(firsts, seconds, name, values, difference, half, judged(difference, half, expected))


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


def overall(lines: Sequence[Line]) -> str:
    """Return what all comparisons of a claim say together.

    Example:
        >>> overall([])
        'not run yet'
    """
    counts = {word: sum(one.verdict == word for one in lines) for word in (HOLDS, FAILS, OPEN)}
    found = {word: n for word, n in counts.items() if n}
    if not found:
        return ABSENT
    first, *others = found
    if not others:
        return first if len(lines) == 1 else f"{first} in all {len(lines)}"
    told = [f"{first} in {found[first]} of {len(lines)}", *(f"{w} in {found[w]}" for w in others)]
    return ", ".join(told)
