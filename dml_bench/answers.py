"""What each query answered, before the mean is taken: what intervals and comparisons resample.

A metric that is a mean over queries is `answers.<its function>(...).mean()`, to the last bit.
"""

import numpy as np
import numpy.typing as npt

from dml_bench.errors import MetricError
from dml_bench.neighbours import most
from dml_bench.probes import probed_right, voted_right
from dml_bench.types import Embeddings, PerQuery, Ranking


def recalls(ranking: Ranking, k: int) -> PerQuery:
    """Return 1 for a query with one or more of its class among its `k` nearest, else 0.

    Raises:
        MetricError: fewer neighbours kept than that, and `firsts` not looked for.

    Example:
        >>> from dml_bench.neighbours import rank
        >>> photos = Embeddings(np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]), np.array([4, 4, 7]))
        >>> recalls(rank(photos, photos, k=2), k=1)
        PerQuery(values=array([1., 1., 0.]), counted=array([ True,  True, False]))
    """
    if k > ranking.depth and ranking.firsts is not None:
        found = (ranking.firsts.places > 0) & (ranking.firsts.places <= k)
        return _of(ranking, found.astype(np.float64))
    depth = _deep_enough(ranking, min(k, most(ranking)), f"recall@{k}")
    return _of(ranking, np.asarray(ranking.hits[:, :depth].any(axis=1), np.float64))


def r_precisions(ranking: Ranking) -> PerQuery:
    """Return the share of each query's R nearest that are of its class.

    Raises:
        MetricError: some query has more relevant items than neighbours kept.
    """
    found = _within_r(ranking, "r_precision").sum(axis=1, dtype=np.float64)
    return _of(ranking, found / _r(ranking))


def average_precisions(ranking: Ranking) -> PerQuery:
    """Return each query's average precision within its R nearest.

    Raises:
        MetricError: some query has more relevant items than neighbours kept.
    """
    hits = _within_r(ranking, "map@r")
    total = np.zeros(len(hits))
    found = np.zeros(len(hits), np.int64)
    for place, hit in enumerate(hits.T, start=1):
        found += hit
        total += hit * (found / place)
    return _of(ranking, total / _r(ranking))


def votes(ranking: Ranking, k: int) -> PerQuery:
    """Return 1 for a query whose class wins the vote of its `k` nearest, else 0; all count.

    Raises:
        MetricError: the ranking is shallower than `k` and the gallery has more.
    """
    return _all_of(voted_right(ranking, k))


def probes(train: Embeddings, test: Embeddings) -> PerQuery:
    """Return 1 for a query of `test` that a linear probe gets right, else 0; all count.

    Raises:
        MetricError: `train` has one class only, or another dimension than `test`.
    """
    return _all_of(probed_right(train, test))


def _of(ranking: Ranking, values: npt.NDArray[np.float64]) -> PerQuery:
    return PerQuery(values, ranking.n_relevant > 0)


def _all_of(right: npt.NDArray[np.bool_]) -> PerQuery:
    return PerQuery(right.astype(np.float64), np.ones(len(right), bool))


def _deep_enough(ranking: Ranking, needed: int, name: str) -> int:
    """Return `needed`, if the ranking has that many neighbours."""
    if not 1 <= needed <= ranking.depth:
        raise MetricError(
            f"{name} needs {needed} neighbours, the ranking has {ranking.depth}; rank with"
            f" k={max(needed, 1)}"
        )
    return needed


def _within_r(ranking: Ranking, name: str) -> npt.NDArray[np.bool_]:
    """Return the (Q, greatest R) hits, none beyond each query's own R."""
    depth = _deep_enough(ranking, max(1, int(ranking.n_relevant.max())), name)
    return ranking.hits[:, :depth] & (np.arange(depth) < ranking.n_relevant[:, None])


def _r(ranking: Ranking) -> npt.NDArray[np.float64]:
    """Return the (Q,) divisors: R, and 1 for the queries that are left out of the mean."""
    return np.maximum(ranking.n_relevant, 1).astype(np.float64)
