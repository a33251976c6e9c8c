"""How much of a Recall@K the order of exactly equal scores decides.

The order of the ids settles every tie here, and settles it alike on every machine; but it knows
nothing of the images. Where many scores are equal (few distinct codes, duplicates, a network that
has collapsed) it is the order and not the embedding that is measured: these numbers say how much.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np
import numpy.typing as npt

from dml_bench.answers import recalls
from dml_bench.errors import MetricError
from dml_bench.levels import BLOCK, NUMBER, Counting, Doubles, between
from dml_bench.memory import ROOM
from dml_bench.neighbours import most, order_of
from dml_bench.search import Search
from dml_bench.types import Embeddings, Firsts, Floats, Ints, PerQuery, Ranking

Flags = npt.NDArray[np.bool_]

PLACE = 64  # bytes for each neighbour that is looked at, where a ranking ends too early


@dataclass(frozen=True)
class RecallTies:
    """What Recall@K is and could be; shares of the queries that have a right answer.

    Args:
        tied: share whose places K and K + 1 hold exactly equal scores.
        mass: tie mass: share whose answer the order of equal scores decides.
        against: Recall@K with every tie broken against the query.
        expected: its mean over all orders of equal scores.
        in_favour: Recall@K with every tie broken for the query.
    """

    tied: float
    mass: float
    against: float
    expected: float
    in_favour: float


def recall_ties(
    query: Embeddings, gallery: Embeddings, ranking: Ranking, k: int, *, room: int = ROOM
) -> RecallTies:
    """Return how far the order of exactly equal scores could move Recall@K.

    No deeper ranking is made: of the queries with a tie at place K, those that the tie decides are
    counted, how many items score above it and how many are in it, of their own class and of all.

    Args:
        query: Q embeddings; the same object as `gallery` means leave one out.
        gallery: G embeddings.
        ranking: of these two, K + 1 deep, or with its `firsts`.
        k: the depth; beyond the gallery no order matters.
        room: bytes that may be used; it changes no number.

    Raises:
        MetricError: the ranking has neither, or no query has a right answer.

    Example:
        >>> from dml_bench.neighbours import rank
        >>> photos = Embeddings(np.ones((4, 2)), np.array([4, 4, 7, 7]))
        >>> found = recall_ties(photos, photos, rank(photos, photos, 2), k=1)
        >>> found.against, round(found.expected, 4), found.in_favour
        (0.0, 0.3333, 1.0)
    """
    depth = min(k, most(ranking))
    answer = recalls(ranking, k)
    tied = _tied(query, gallery, ranking, depth, room)
    worst, middle, best = (answer.values.copy() for _ in range(3))
    for q, counts in _decided(query, gallery, ranking, depth, tied & answer.counted, room):
        worst[q], middle[q], best[q] = broken(depth, *counts)
    means = [PerQuery(v, answer.counted).mean() for v in (worst, middle, best)]
    return RecallTies(
        PerQuery(tied.astype(np.float64), answer.counted).mean(),
        PerQuery(best - worst, answer.counted).mean(),
        *means,
    )


def may_decide(ranking: Ranking, k: int) -> bool:
    """Return whether ties could move Recall@K at all, as far as the ranking knows.

    Raises:
        MetricError: as `recall_ties`.
    """
    depth = min(k, most(ranking))
    if depth < ranking.depth:
        return True
    return depth < most(ranking) and bool(len(_at_the_end(ranking, depth)))


def _at_the_end(ranking: Ranking, depth: int) -> Ints:
    """Return the queries whose best right item is in a tie that reaches across `depth`."""
    firsts = _firsts(ranking, depth)
    across = (firsts.above < depth) & (depth < firsts.above + firsts.level)
    return np.flatnonzero(across & (firsts.level > 0))


def _firsts(ranking: Ranking, depth: int) -> Firsts:
    if ranking.firsts is None:
        raise MetricError(
            f"expected a ranking {depth + 1} deep to see whether place {depth} is tied, found"
            f" {ranking.depth}; rank with k={depth + 1}"
        )
    return ranking.firsts


def _decided(
    query: Embeddings, gallery: Embeddings, ranking: Ranking, depth: int, tied: Flags, room: int
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield the queries that a tie may decide, and what `broken` asks of them."""
    if depth >= ranking.depth:
        yield from _decided_beyond(ranking, depth)
        return
    last = ranking.scores[:, depth - 1, None]
    certain = (ranking.hits[:, :depth] & (ranking.scores[:, :depth] > last)).any(axis=1)
    left = np.flatnonzero(tied & ~certain)
    at = between(query.vectors, left, gallery.vectors, ranking.ids[left, depth - 1])
    above, level = _counts(query, gallery.vectors, left, at, ranking.leave_one_out, room)
    ours, ours_level = _own_class(query, gallery, left, at, ranking.leave_one_out, room)
    for q, *counts in zip(left, above, level, ours, ours_level, strict=True):
        yield int(q), tuple(map(int, counts))


@cache
def broken(k: int, above: int, level: int, above_right: int, level_right: int) -> tuple[float, ...]:
    """Return one query's Recall@K with a tie broken against it, in expectation, and for it.

    Of the `level` items with equal scores only the first k - `above` are among the k nearest; in a
    random order none of the `level_right` ones is with the probability of drawing that many others.

    Args:
        k: places.
        above: items that score above the tie, fewer than k.
        level: items in the tie.
        above_right: those above that are of the query's class.
        level_right: those in the tie that are.

    Example:
        >>> broken(k=2, above=1, level=4, above_right=0, level_right=1)
        (0.0, 0.25, 1.0)
    """
    if above_right:
        return 1.0, 1.0, 1.0
    wrong, places = level - level_right, min(k - above, level)
    missed = Fraction(math.comb(wrong, places), math.comb(level, places))
    return float(missed == 0), float(1 - missed), float(level_right > 0)


def _decided_beyond(ranking: Ranking, depth: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield what `_decided` does, of a depth that the ranking does not reach."""
    if depth == most(ranking):
        return
    found = _firsts(ranking, depth)
    for q in _at_the_end(ranking, depth).tolist():
        yield q, (int(found.above[q]), int(found.level[q]), 0, int(found.right[q]))


def _tied(query: Embeddings, gallery: Embeddings, ranking: Ranking, depth: int, room: int) -> Flags:
    """Return (Q,) whether places `depth` and `depth` + 1 hold equal scores, in float64."""
    tied = np.zeros(len(query), bool)
    if depth == most(ranking):
        return tied
    if ranking.depth <= depth:
        _firsts(ranking, depth)
        return _tied_beyond(query, gallery, ranking, depth, room)
    near = np.flatnonzero(ranking.scores[:, depth - 1] == ranking.scores[:, depth])
    last, beyond = (
        between(query.vectors, near, gallery.vectors, ranking.ids[near, place])
        for place in (depth - 1, depth)
    )
    tied[near] = last == beyond
    return tied


def _tied_beyond(
    query: Embeddings, gallery: Embeddings, ranking: Ranking, depth: int, room: int
) -> Flags:
    """Return what `_tied` does, of a depth that the ranking does not reach: none of it is kept."""
    tied = np.empty(len(query), bool)
    search = Search(gallery.vectors, order=order_of(gallery), room=room // 2)
    step = max(1, room // (PLACE * (depth + 1)))
    rows = np.arange(len(query))
    for part in (rows[i : i + step] for i in range(0, len(rows), step)):
        own = part if ranking.leave_one_out else None
        near, _ = search.nearest(query.vectors[part], depth + 1, own)
        last, beyond = (
            between(query.vectors, part, gallery.vectors, near[:, place]) for place in (-2, -1)
        )
        tied[part] = last == beyond
    return tied


def _counts(
    query: Embeddings, rows: Floats, left: Ints, at: Doubles, alone: bool, room: int
) -> tuple[Ints, Ints]:
    """Count the rows above and level for the queries `left`, their own images left out."""
    above, level = np.zeros(len(left), np.int64), np.zeros(len(left), np.int64)
    if not len(left):
        return above, level  # nothing to count
    numbers = min(BLOCK, room // NUMBER)
    counting = Counting(rows, numbers=numbers)
    step = max(1, numbers // rows.shape[1])
    for part in (slice(i, i + step) for i in range(0, len(left), step)):
        stand = counting.stand(query.vectors[left[part]], at[part])
        above[part], level[part] = stand.above, stand.level
    if alone:
        own = between(query.vectors, left, query.vectors, left)
        above, level = above - (own > at), level - (own == at)
    return above, level


def _own_class(
    query: Embeddings, gallery: Embeddings, left: Ints, at: Doubles, alone: bool, room: int
) -> tuple[Ints, Ints]:
    """Count the items of each query's own class above and level, likewise."""
    above, level = np.zeros(len(left), np.int64), np.zeros(len(left), np.int64)
    for label in np.unique(query.labels[left]):
        here = np.flatnonzero(query.labels[left] == label)
        mates = gallery.vectors[gallery.labels == label]
        above[here], level[here] = _counts(query, mates, left[here], at[here], alone, room)
    return above, level
