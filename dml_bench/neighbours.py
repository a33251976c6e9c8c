"""Exact cosine search, in an order that nothing but the vectors and the ids decides.

FAISS finds candidates in float32, where the last bits depend on threads, blocks and the order of
the rows. Each candidate's cosine is then summed in float64, one dimension after the other, and the
candidates are sorted by (score, id). A query whose candidates may have missed a better item, by
the bound on what float32 can be wrong by, is searched again, wider, in the end in full.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dml_bench.errors import MetricError
from dml_bench.progress import Bar
from dml_bench.types import Embeddings, Floats, Ints, Ranking

Doubles = npt.NDArray[np.float64]

MARGIN = 64  # candidates beyond those asked for
WIDER = 16  # how much wider the second attempt is
CELLS = 1 << 17  # pairs whose cosine is summed at a time: their buffers fit a cache
BLOCK = 1 << 21  # pairs that are held at a time


def rank(
    query: Embeddings, gallery: Embeddings, k: int, *, leave_one_out: bool | None = None
) -> Ranking:
    """Find each query's `k` nearest gallery items by cosine, the query's own image left out.

    The own image is left out by its row, never by its rank: an exact duplicate that stands in
    front of it stays. Equal scores (in float64) are ordered by the gallery's ids, ascending; by
    its rows where it has no ids. Neither threads, nor block sizes, nor the order of the rows
    (where they have ids) change a bit of the answer.

    Args:
        query: Q embeddings.
        gallery: G embeddings.
        k: neighbours to keep, 1 or more.
        leave_one_out: row q of both is the same image; by default, whether both are one object.

    Raises:
        MetricError: `k` is more than the gallery has, dimensions that differ, or images that are
            on both sides of a search that is not leave-one-out.

    Example:
        >>> photos = Embeddings(np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]), np.array([4, 4, 7]))
        >>> rank(photos, photos, k=2).ids
        array([[1, 2],
               [0, 2],
               [1, 0]])
    """
    alone = query is gallery if leave_one_out is None else leave_one_out
    _check(query, gallery, k, alone)
    order = by_id(gallery)
    own = np.argsort(order) if alone else np.full(len(query), -1)
    with Bar("searching", len(query), delay=2.0) as bar:
        search = Search(gallery.vectors[order])
        places, scores = search.nearest(query.vectors, k, own, bar.advance)
    return Ranking(
        ids=places if gallery.ids is None else order[places],
        scores=scores,
        query_labels=query.labels,
        gallery_labels=gallery.labels,
        leave_one_out=alone,
    )


def by_id(items: Embeddings) -> Ints:
    """Return the (N,) rows in ascending order of their ids; as they stand where there are none.

    Example:
        >>> by_id(Embeddings(np.eye(3), np.arange(3), ids=np.array(["c", "a", "b"])))
        array([1, 2, 0])
    """
    return np.arange(len(items)) if items.ids is None else np.argsort(items.ids, kind="stable")


def most(ranking: Ranking) -> int:
    """Return how many items each query can find: the gallery, less its own image if it is there."""
    return len(ranking.gallery_labels) - ranking.leave_one_out


def _check(query: Embeddings, gallery: Embeddings, k: int, alone: bool) -> None:
    """Refuse what cannot be searched."""
    sides = query.vectors.shape, gallery.vectors.shape
    if sides[0][1] != sides[1][1] or (alone and sides[0][0] != sides[1][0]):
        raise MetricError(
            f"expected queries and gallery of one shape, found {sides[0]} and {sides[1]};"
            " embed both with the same model"
        )
    if not alone and (both := _shared(query.ids, gallery.ids)):
        raise MetricError(
            f"expected a gallery apart from the queries, found {len(both)} ids in both (first:"
            f" '{both[0]}'); take those images out of one side"
        )
    there = len(gallery) - alone
    if not 1 <= k <= there:
        others = "other images" if alone else "images"
        raise MetricError(
            f"expected from 1 to {there} neighbours, for there are {there} {others} to find,"
            f" found k={k}; ask for fewer, or embed more images"
        )


def _shared(first: npt.NDArray[Any] | None, second: npt.NDArray[Any] | None) -> list[str]:
    """Return the names on both sides; numbers name rows, and may well be on both."""
    if first is None or second is None or first.dtype.kind not in "US":
        return []
    return np.intersect1d(first, second).tolist() if first.dtype.kind == second.dtype.kind else []


class Search:
    """A gallery of any float32 rows, searched by inner product.

    Args:
        rows: (G, D) float32, in the order that settles ties.
        margin: candidates beyond those asked for; more of them make a second attempt rarer.
    """

    def __init__(self, rows: Floats, margin: int = MARGIN) -> None:
        import faiss

        self.columns = np.ascontiguousarray(rows.T)  # (D, G)
        self.margin = margin
        self.index = faiss.IndexFlatIP(rows.shape[1])
        self.index.add(np.ascontiguousarray(rows))
        self.longest = float(np.linalg.norm(rows.astype(np.float64), axis=1).max())

    def nearest(
        self,
        query: Floats,
        k: int,
        own: Ints | None = None,
        done: Callable[[int], None] = lambda n: None,
    ) -> tuple[Ints, Floats]:
        """Return the (Q, k) places and scores of the best rows, best first.

        Args:
            query: (Q, D) float32.
            k: at most G, less 1 where there is an own row.
            own: (Q,) the row that each query may not find; -1 for none.
            done: told of each few queries that are answered, how many they are.
        """
        own = np.full(len(query), -1) if own is None else own
        places = np.empty((len(query), k), np.int64)
        scores = np.empty((len(query), k), np.float32)  # in the order of float64
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
        size = self.columns.shape[1]
        first = k + 1 + self.margin
        narrow = [width for width in (first, first * WIDER) if width < size / 4]
        return [*(narrow or [first] * (first < size)), size]

    def _attempt(
        self, query: Floats, k: int, own: Ints, width: int
    ) -> tuple[Ints, Doubles, npt.NDArray[np.bool_]]:
        """Return places and scores, and whether no row outside the candidates can be better."""
        if width == self.columns.shape[1]:
            return *self._full(query, k, own), np.ones(len(query), bool)
        rough, near = self.index.search(query, width)
        near.sort(axis=1)  # a stable sort by score then leaves ties in order of place
        exact = self._scores(query, near)
        exact[near == own[:, None]] = -np.inf
        best = np.argsort(-exact, axis=1, kind="stable")[:, :k]
        scores = np.take_along_axis(exact, best, axis=1)
        sure = scores[:, -1] > rough[:, -1] + self._slack(query)
        return np.take_along_axis(near, best, axis=1), scores, sure

    def _slack(self, query: Floats) -> Doubles:
        """Return the (Q,) bounds on what an inner product in float32 can be wrong by.

        Source:
            Higham, "Accuracy and Stability of Numerical Algorithms" (2002), section 3.1: at most
            D u / (1 - D u) times the product of the lengths, in whatever order it is summed.
        """
        lengths = np.linalg.norm(query.astype(np.float64), axis=1)
        slack: Doubles = 1.01 * (query.shape[1] + 2) * 2.0**-24 * lengths * self.longest + 1e-30
        return slack

    def _scores(self, query: Floats, near: Ints) -> Doubles:
        """Return the (Q, K) inner products with the rows at `near`, in float64.

        A product of two float32 is exact in float64, and the sum runs over D in order: the same
        bits wherever a pair stands.
        """
        exact = np.zeros(near.shape)
        step = max(1, CELLS // near.shape[1])
        for rows in (slice(i, i + step) for i in range(0, len(near), step)):
            term = np.empty(near[rows].shape)
            for column, asked in zip(self.columns, query[rows].T.astype(np.float64), strict=True):
                np.take(column.astype(np.float64), near[rows], out=term, mode="clip")
                term *= asked[:, None]
                exact[rows] += term
        return exact

    @cached_property
    def _codes(self) -> tuple[Floats, Ints]:
        """The (D, U) different rows, and (G,) which of them each row is."""
        codes, which = np.unique(self.columns, axis=1, return_inverse=True)
        return codes, which

    def _full(self, query: Floats, k: int, own: Ints) -> tuple[Ints, Doubles]:
        """Return places and scores of the best among all rows; equal rows are summed once."""
        codes, which = self._codes
        places = np.empty((len(query), k), np.int64)
        scores = np.empty((len(query), k))
        exact = np.zeros((len(query), codes.shape[1]))
        for column, asked in zip(codes, query.T, strict=True):
            exact += np.multiply.outer(asked.astype(np.float64), column.astype(np.float64))
        for row, values in enumerate(exact):
            places[row], scores[row] = _best(values[which], k, own[row])
        return places, scores


def _best(scores: Doubles, k: int, own: int) -> tuple[Ints, Doubles]:
    """Return the k best of (G,) scores in order of (score, place)."""
    if own >= 0:
        scores[own] = -np.inf
    last = np.partition(scores, -k)[-k]
    above, level = np.flatnonzero(scores > last), np.flatnonzero(scores == last)
    kept = np.concatenate([above, level[: k - len(above)]])
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    return kept, scores[kept]
