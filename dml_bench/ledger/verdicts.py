"""Two recipes against each other, seed by seed: the difference, its interval, and what it decides.

The rules are these and no others. The interval is Student's t over the seeds that both have. A
claim holds if the whole interval lies on its side, is refuted if it lies on the other, and is not
decided otherwise; one seed decides nothing. Two are alike if the whole interval lies within a
point, and unlike if it lies beyond.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dml_bench.ledger.budgets import Where
from dml_bench.ledger.claims import ALIKE, MORE
from dml_bench.statistics import over_seeds
from dml_bench.types import RunResult

HOLDS, FAILS, OPEN, ABSENT = WORDS = ("holds", "is refuted", "not decided", "not run yet")
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
        verdict: of `WORDS`.
    """

    a: Sequence[RunResult]
    b: Sequence[RunResult]
    where: Where
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
        ('holds', 'is refuted', 'not decided')
        >>> judged(0.002, 0.003, "alike"), judged(0.05, 0.02, "alike"), judged(0.5, None, "more")
        ('holds', 'is refuted', 'not decided')
    """
    if half is None:
        return OPEN
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
    both = [(float(of(x) or 0), float(of(y) or 0)) for x, y in pairs]
    difference, half = over_seeds([x - y for x, y in both])
    values = (over_seeds([x for x, _ in both])[0], over_seeds([y for _, y in both])[0])
    firsts, seconds = zip(*pairs, strict=True)
    verdict = judged(difference, half, expected)
    return Line(firsts, seconds, where, name, values, difference, half, verdict)


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


def told(lines: Sequence[Line]) -> str:
    """Return what the comparisons of a claim say, each where it was made.

    Example:
        >>> told([])
        '**not run yet**'
    """
    found = {word: [at(one, lines) for one in lines if one.verdict == word] for word in WORDS}
    words = [f"**{word}** on {'; on '.join(places)}" for word, places in found.items() if places]
    return ". ".join(words) or f"**{ABSENT}**"


def at(one: Line, lines: Sequence[Line]) -> str:
    """Return where a comparison was made, as briefly as tells it from the others.

    Args:
        one: of `lines`.
        lines: that stand in one sentence.
    """
    brief = one.where.brief
    alone = all(other.where.brief != brief for other in lines if other.where != one.where)
    return brief if alone else str(one.where)


def counted(lines: Sequence[Line]) -> str:
    """Return of how many comparisons of different recipes each verdict is, each place for itself.

    Example:
        >>> counted([])
        '**not run yet**'
    """
    words = []
    for where in dict.fromkeys(one.where for one in lines):
        some = [one for one in lines if one.where == where]
        counts = Counter(one.verdict for one in some)
        each = ", ".join(f"{word} in {counts[word]}" for word in WORDS if word in counts)
        words.append(f"**{each}** of {len(some)} on {at(some[0], lines)}")
    return "; ".join(words) or f"**{ABSENT}**"
