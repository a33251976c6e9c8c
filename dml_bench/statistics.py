"""How sure a number is: over the seeds of a recipe, and over the classes that one run is asked.

The queries of one class are answered by the same few galleries and look alike: they are no
independent draws. So a run's interval resamples classes, all queries of a class together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
import numpy.typing as npt

from dml_bench.types import Ints, PerQuery

Doubles = npt.NDArray[np.float64]

LEVEL = 0.95
DRAWS = 2000
CELLS = 1 << 20  # of the table of weights that is held at a time


@dataclass(frozen=True)
class Interval:
    """A number and where it lies, at `LEVEL`.

    Args:
        value: the estimate.
        low, high: the ends; both None where nothing can be said (one seed, one class).
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Difference(Interval):
    """A paired difference A - B.

    Args:
        p: two-sided: how often a difference as far from zero would be seen if there were none, by
            the share of resamples on the other side of zero; None where nothing can be said.
    """

    p: float | None = None


def over_seeds(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean, and half the width of its interval by Student's t; None for one value.

    Args:
        values: one a seed.

    Example:
        >>> mean, half = over_seeds([0.4, 0.5, 0.6])
        >>> round(mean, 3), round(half, 3)
        (0.5, 0.248)

    Source:
        Student, "The Probable Error of a Mean" (Biometrika 1908).
    """
    if len(values) < 2:
        return fmean(values), None
    from scipy.special import stdtrit  # here, so that a command line is read without it

    reach = float(stdtrit(len(values) - 1, (1 + LEVEL) / 2))
    return fmean(values), reach * stdev(values) / math.sqrt(len(values))


def surprise(apart: float, half: float, n: int) -> float:
    """Return how often, by Student's t, a mean lies at least so far from where it is expected.

    Args:
        apart: how far it lies.
        half: half the width of its interval, as `over_seeds` gives it.
        n: of how many values, two or more.

    Returns:
        The two-sided probability; an interval that just touches has `1 - LEVEL`.

    Example:
        >>> round(surprise(0.2, 0.2, 3), 6), surprise(0.0, 0.2, 3), surprise(0.1, 0.0, 3)
        (0.05, 1.0, 0.0)
    """
    from scipy.special import stdtr, stdtrit

    if not half:
        return float(apart == 0)
    return float(2 * stdtr(n - 1, -apart / half * stdtrit(n - 1, (1 + LEVEL) / 2)))


def bootstrap(found: PerQuery, classes: Ints, *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Return a metric and its interval over the classes: percentiles of resampled means.

    A resample draws as many classes as there are, with replacement, each with all its queries; its
    mean is over queries, as the metric's is. Neither the order of the rows nor the names of the
    classes changes a bit. Of fewer than about ten classes the interval is too narrow.

    Args:
        found: (Q,) what each query answered.
        classes: (Q,) the class of each query.
        draws: how many resamples.
        seed: of the draws.

    Returns:
        The metric; without an interval where only one class counts.

    Raises:
        MetricError: no query counts.

    Example:
        >>> right = PerQuery(np.array([1.0, 1, 0, 0, 1, 0]), np.ones(6, bool))
        >>> bootstrap(right, np.array([0, 0, 1, 1, 2, 2]))
        Interval(value=0.5, low=0.0, high=1.0)

    Source:
        Davison and Hinkley, "Bootstrap Methods and their Application" (1997), section 3.8, the
        first of the two schemes; Field and Welsh (JRSS B 2007) for clusters of unequal size.
    """
    value = found.mean()
    means = _resampled(*_totals(found, classes), draws, seed)
    return Interval(value, *_ends(means)) if len(means) else Interval(value)


def paired(
    first: PerQuery, second: PerQuery, classes: Ints, *, draws: int = DRAWS, seed: int = 0
) -> Difference:
    """Return the difference first - second of one metric, both asked the same queries.

    The same classes are drawn for both, so what a class costs either is no part of the interval.

    Args:
        first: (Q,) what each query answered.
        second: (Q,) the same of the other, in the same order; the same queries count.
        classes: (Q,) the class of each query.
        draws: how many resamples.
        seed: of the draws.

    Raises:
        MetricError: no query counts.
    """
    apart = PerQuery(first.values - second.values, first.counted)
    value = first.mean() - second.mean()
    means = _resampled(*_totals(apart, classes), draws, seed)
    if not len(means):
        return Difference(value)
    return Difference(value, *_ends(means), _two_sided(means))


def _two_sided(means: Doubles) -> float:
    """Return twice the smaller share of resamples on one side of zero, zero counted on both."""
    aside = min(int((means <= 0).sum()), int((means >= 0).sum()))
    return min(1.0, 2 * (aside + 1) / (len(means) + 1))


def _totals(found: PerQuery, classes: Ints) -> tuple[Doubles, Doubles]:
    """Return each class's (C,) sum and number of queries that count, in an order of their own."""
    values, labels = found.values[found.counted], classes[found.counted]
    order = np.argsort(labels, kind="stable")
    cuts = np.flatnonzero(np.diff(labels[order])) + 1
    parts = np.split(values[order], cuts)
    pairs = sorted((math.fsum(part), float(len(part))) for part in parts)
    sums, counts = np.array(pairs).T
    return sums, counts


def _resampled(sums: Doubles, counts: Doubles, draws: int, seed: int) -> Doubles:
    """Return (draws,) means of resampled classes; none where there is one class."""
    n = len(sums)
    if n < 2:
        return np.empty(0)
    generator = np.random.default_rng(seed)
    step = max(1, CELLS // n)
    means = []
    for start in range(0, draws, step):
        some = (min(step, draws - start), n)
        taken = generator.integers(0, n, some)
        # summed without BLAS: no thread has a say in the last bit
        means.append(sums[taken].sum(axis=1) / counts[taken].sum(axis=1))
    return np.concatenate(means)


def _ends(means: Doubles) -> tuple[float, float]:
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
