"""Exact search by inner product: what decides is float64, whatever the machine's fast products say.

Candidates come from products in float32, whose last bits depend on threads, blocks and the order
of the rows. What decides is each candidate's product in float64, summed one dimension after the
other; where a faster sum in float64 cannot have put two candidates the wrong way round, it stands
for that. A query whose candidates may have missed a better item, by the bound on what float32 can
be wrong by, is searched again, wider, in the end in full.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dml_bench.levels import Doubles, cosines
from dml_bench.products import products, slack, threads
from dml_bench.types import Floats, Ints

MARGIN = 64  # candidates beyond those asked for
WIDER = 16  # how much wider the second attempt is
FEW = 256  # rows: a gallery that is sorted whole
GATHER = 1 << 19  # numbers of candidates that are gathered at a time: they fit a cache
BLOCK = 1 << 21  # pairs that are held at a time


class Search:
    """A gallery of any float32 rows, searched by inner product.

    Args:
        rows: (G, D) float32, in the order that settles ties.
        device: where rough products are made, "cpu" or "cuda"; it changes no bit of an answer.
        margin: candidates beyond those asked for; more of them make a second attempt rarer.
    """

    def __init__(self, rows: Floats, device: str = "cpu", *, margin: int = MARGIN) -> None:
        self.rows, self.margin = rows, margin
        self.products = products(rows, device)
        self.longest = _longest(rows)

    def nearest(
        self,
        query: Floats,
        k: int,
        own: Ints | None = None,
        done: Callable[[int], None] = lambda n: None,
    ) -> tuple[Ints, Doubles]:
        """Return the (Q, k) places and scores of the best rows, best first.

        Args:
            query: (Q, D) float32.
            k: at most G, less 1 where there is an own row.
            own: (Q,) the row that each query may not find; -1 for none.
            done: told of each few queries that are answered, how many they are.

        Returns:
            places (Q, k) int64, and scores (Q, k) float64 that are what they are rounded from.
        """
        own = np.full(len(query), -1) if own is None else own
        places = np.empty((len(query), k), np.int64)
        scores = np.empty((len(query), k))
        left = np.arange(len(query))
        for width in self._widths(k):
            unsure = [np.empty(0, np.int64)]
            step = min(4096, max(1, BLOCK // width))
            for rows in (left[i : i + step] for i in range(0, len(left), step)):
                places[rows], scores[rows], sure = self._attempt(query[rows], k, own[rows], width)
                unsure.append(rows[~sure])
                done(int(sure.sum()))
            left = np.concatenate(unsure)
        return places, scores

    def _widths(self, k: int) -> list[int]:
        """Return how many candidates each attempt takes; the last takes all there are."""
        size = len(self.rows)
        first = k + 1 + self.margin
        narrow = [width for width in (first, first * WIDER) if width < size / 4]
        return [*(narrow or [first] * (first < size)), size]

    def _attempt(
        self, query: Floats, k: int, own: Ints, width: int
    ) -> tuple[Ints, Doubles, npt.NDArray[np.bool_]]:
        """Return places and scores, and whether no row outside the candidates can be better."""
        if width == len(self.rows):
            return *self._full(query, k, own), np.ones(len(query), bool)
        rough, near = self.products.best(query, width)
        places = np.empty((len(query), k), np.int64)
        scores = np.empty((len(query), k))

        def settle(rows: slice) -> None:
            places[rows], scores[rows] = self._settled(query[rows], near[rows], k, own[rows])

        step = max(1, GATHER // (width * query.shape[1]))
        with ThreadPoolExecutor(threads()) as pool:
            list(pool.map(settle, [slice(i, i + step) for i in range(0, len(query), step)]))
        sure = scores[:, -1] > rough[:, -1] + slack(query, self.longest)
        return places, scores, sure

    def _settled(self, query: Floats, near: Ints, k: int, own: Ints) -> tuple[Ints, Doubles]:
        """Return the (Q, k) best of (Q, W) candidates, in order of (score, place)."""
        wide = query.astype(np.float64)
        scores = np.einsum("qwd,qd->qw", self.rows[near].astype(np.float64), wide)
        scores[near == own[:, None]] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")
        near, scores = (np.take_along_axis(a, order, axis=1) for a in (near, scores))
        unsure = self._unsure(scores, wide, k)
        if unsure.any():
            asked, at = np.nonzero(unsure)
            scores[asked, at] = self.exact(query[asked], near[asked, at])
            for row in np.unique(asked):
                again = np.lexsort((near[row], -scores[row]))
                near[row], scores[row] = near[row, again], scores[row, again]
        return near[:, :k], scores[:, :k]

    def _unsure(self, scores: Doubles, query: Doubles, k: int) -> npt.NDArray[np.bool_]:
        """Return which of the (Q, W) sorted sums a sum in another order could swap or round off.

        Either sum is wrong by D 2^-53 times the lengths at most; see `products.slack`.
        """
        lengths = np.linalg.norm(query, axis=1, keepdims=True) * self.longest
        wrong = 5 * (query.shape[1] + 2) * 2.0**-53 * lengths
        unsure: npt.NDArray[np.bool_] = (scores - wrong).astype(np.float32) != (
            scores + wrong
        ).astype(np.float32)
        unsure[:, k:] = False
        level = scores[:, :k] - scores[:, 1 : k + 1] <= wrong  # short where k is all there is
        unsure[:, : level.shape[1]] |= level
        unsure[:, 1 : level.shape[1] + 1] |= level
        beyond = scores[:, k - 1 : k] - scores <= wrong  # those that may yet be the k-th
        unsure |= beyond & (scores > -np.inf) & (np.arange(scores.shape[1]) >= k)
        return unsure

    def exact(self, query: Floats, places: Ints) -> Doubles:
        """Return the (P,) inner products of (P, D) queries with the rows at (P,) places.

        The same bits wherever a pair stands; see `levels.cosines`.
        """
        total = np.empty(len(places))
        step = max(1, GATHER // query.shape[1])
        for part in (slice(i, i + step) for i in range(0, len(places), step)):
            total[part] = cosines(query[part], self.rows[places[part]])
        return total

    @cached_property
    def _codes(self) -> tuple[Floats, Ints]:
        """The (D, U) different rows, and (G,) which of them each row is."""
        codes, which = np.unique(self.rows, axis=0, return_inverse=True)
        return np.ascontiguousarray(codes.T), which.ravel()

    def _full(self, query: Floats, k: int, own: Ints) -> tuple[Ints, Doubles]:
        """Return places and scores of the best among all rows; equal rows are summed once."""
        codes, which = self._codes
        places = np.empty((len(query), k), np.int64)
        scores = np.empty((len(query), k))
        exact = np.zeros((len(query), codes.shape[1]))
        for column, asked in zip(codes, query.T, strict=True):
            exact += np.multiply.outer(asked.astype(np.float64), column.astype(np.float64))
        if len(which) <= FEW:
            return _sorted(exact[:, which], k, own)
        for row, values in enumerate(exact):
            places[row], scores[row] = _best(values[which], k, own[row])
        return places, scores


def _longest(rows: Floats) -> float:
    """Return the length of the longest row, a few rows at a time."""
    step = max(1, BLOCK // rows.shape[1])
    parts = (rows[i : i + step].astype(np.float64) for i in range(0, len(rows), step))
    return max(float(np.linalg.norm(part, axis=1).max()) for part in parts)


def _sorted(scores: Doubles, k: int, own: Ints) -> tuple[Ints, Doubles]:
    """Return the k best of each row of (Q, G) scores in order of (score, place)."""
    scores[own[:, None] == np.arange(scores.shape[1])] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(scores, order, axis=1)


def _best(scores: Doubles, k: int, own: int) -> tuple[Ints, Doubles]:
    """Return the k best of (G,) scores in order of (score, place)."""
    if own >= 0:
        scores[own] = -np.inf
    last = np.partition(scores, -k)[-k]
    above, level = np.flatnonzero(scores > last), np.flatnonzero(scores == last)
    kept = np.concatenate([above, level[: k - len(above)]])
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    return kept, scores[kept]
