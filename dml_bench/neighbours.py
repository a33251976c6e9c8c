"""Exact cosine search, in an order that nothing but the vectors and the ids decides."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dml_bench.errors import MetricError
from dml_bench.memory import LEAST, resident, room
from dml_bench.progress import Bar
from dml_bench.search import Search
from dml_bench.types import Embeddings, Floats, Ints, Ranking

NEIGHBOUR = 9  # bytes of an answer: a row, a score, and whether it is right
QUERY = 64  # bytes beside them, for each query
ITEM = 24  # bytes for each image of the gallery
SCORED = 64  # bytes for each of them while one query is compared with all


def rank(
    query: Embeddings,
    gallery: Embeddings,
    k: int,
    *,
    leave_one_out: bool | None = None,
    device: str = "cpu",
    memory: int | None = None,
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
        device: where rough products are made, "cpu" or "cuda"; it changes no bit of the answer.
        memory: bytes that may be used, vectors in memory and the answer among them; it changes no
            bit of the answer.

    Raises:
        MetricError: `k` is more than the gallery has, dimensions that differ, images that are
            on both sides of a search that is not leave-one-out, or too little memory.

    Example:
        >>> photos = Embeddings(np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]), np.array([4, 4, 7]))
        >>> rank(photos, photos, k=2).ids
        array([[1, 2],
               [0, 2],
               [1, 0]], dtype=int32)
    """
    alone = query is gallery if leave_one_out is None else leave_one_out
    check(query, gallery, k, alone)
    left = searching_room(query, gallery, k, memory)
    ids, scores = unanswered(query, gallery, k)
    own = np.arange(len(query)) if alone else None
    with Bar("searching", len(query), delay=2.0) as bar:
        search = Search(gallery.vectors, device, order=order_of(gallery), room=left)
        search.nearest(query.vectors, k, own, bar.advance, into=(ids, scores))
    return Ranking(
        ids=ids,
        scores=scores,  # float32, in the order of float64
        query_labels=query.labels,
        gallery_labels=gallery.labels,
        leave_one_out=alone,
    )


def unanswered(query: Embeddings, gallery: Embeddings, k: int) -> tuple[Ints, Floats]:
    """Return room for an answer: (Q, k) ids, as small as the gallery allows, and float32 scores."""
    kind = np.int32 if len(gallery) <= np.iinfo(np.int32).max else np.int64
    return np.empty((len(query), k), kind), np.empty((len(query), k), np.float32)


def searching_room(
    query: Embeddings, gallery: Embeddings, k: int, memory: int | None, beside: int = 0
) -> int:
    """Return the bytes that are left to search in, `k` deep, where others are taken `beside`.

    Raises:
        MetricError: too few.
    """
    answer = len(query) * (k * NEIGHBOUR + QUERY) + len(gallery) * ITEM + beside
    least = LEAST + SCORED * len(gallery)
    work = f"{len(query)} queries in {len(gallery)} images, {k} deep"
    return room(memory, resident(query, gallery) + answer, least, work)


def bytes_of_one(k: int) -> int:
    """Return what an image takes that is asked for its `k` nearest and found, beside its vector."""
    return k * NEIGHBOUR + QUERY + ITEM + SCORED


def size(ranking: Ranking) -> int:
    """Return the bytes that a ranking takes, with its hits and where the first of them stand."""
    beside = () if ranking.firsts is None else vars(ranking.firsts).values()
    arrays = (ranking.ids, ranking.scores, *beside)
    return sum(int(array.nbytes) for array in arrays) + ranking.ids.size


def order_of(items: Embeddings) -> Ints | None:
    """Return `by_id`, or None where the rows are in that order."""
    order = by_id(items)
    return None if (order[1:] > order[:-1]).all() else order


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


def check(query: Embeddings, gallery: Embeddings, k: int, alone: bool) -> None:
    """Refuse what cannot be searched.

    Raises:
        MetricError: as `rank`.
    """
    sides = query.vectors.shape, gallery.vectors.shape
    if sides[0][1] != sides[1][1] or (alone and sides[0][0] != sides[1][0]):
        raise MetricError(
            f"expected queries and gallery of one shape, found {sides[0]} and {sides[1]};"
            " embed both with the same model"
        )
    if not alone and (both := in_both(query.ids, gallery.ids)):
        raise MetricError(
            f"expected a gallery apart from the queries, found {len(both)} ids in both (first:"
            f" '{both[0]}'); take those images out of one side, or give others ids of their own"
        )
    there = len(gallery) - alone
    if not there:
        raise MetricError(
            "expected two images at least to search among each other, found one; embed more images"
        )
    if not 1 <= k <= there:
        others = "other images" if alone else "images"
        raise MetricError(
            f"expected from 1 to {there} neighbours, for there are {there} {others} to find,"
            f" found k={k}; ask for fewer, or embed more images"
        )


def in_both(first: npt.NDArray[Any] | None, second: npt.NDArray[Any] | None) -> list[str]:
    """Return the ids that were given on both sides, as text, of whatever kind they are.

    Row numbers that nobody gave are no ids.

    Example:
        >>> in_both(np.array([7, 8]), np.array([b"8", b"9"]))
        ['8']
    """
    if first is None or second is None:
        return []
    if first.dtype.kind != second.dtype.kind:
        first, second = _as_text(first), _as_text(second)
    return [str(name) for name in _as_text(np.intersect1d(first, second))]


def _as_text(ids: npt.NDArray[Any]) -> npt.NDArray[np.str_]:
    """Return numbers, text or bytes as text; bytes that are no UTF-8 keep an escape."""
    return (
        np.char.decode(ids, "utf-8", "backslashreplace")
        if ids.dtype.kind == "S"
        else ids.astype(str)
    )
