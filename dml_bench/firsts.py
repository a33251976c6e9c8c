"""Where each query's best right item stands, however deep, without ranking what is before it.

The right items of a query are those of its class, and few; the best of them is known at once. Its
place is one more than the number of items that score more, or as much with a lower id: they are
counted, and not kept. So a Recall@1000 needs no ranking 1,000 deep, and is the same to the bit.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from dml_bench import dist, exchange
from dml_bench.levels import BLOCK, LONGEST, NUMBER, Counting, Doubles, between
from dml_bench.memory import ROOM
from dml_bench.neighbours import most, order_of
from dml_bench.products import slack
from dml_bench.types import Embeddings, Firsts, Floats, Ints, Ranking


def firsts(
    query: Embeddings,
    gallery: Embeddings,
    ranking: Ranking,
    *,
    device: str = "cpu",
    room: int = ROOM,
) -> Firsts:
    """Return where each query's best right item stands.

    Where there are several processes, all call this alike, and each counts for its share of the
    queries.

    Args:
        query: Q embeddings.
        gallery: G embeddings.
        ranking: of these two, of any depth; what it shows is not counted again.
        device: where rough products are made, "cpu" or "cuda"; it changes no number.
        room: bytes that may be used beside the answer; it changes no number.

    Example:
        >>> from dml_bench.neighbours import rank
        >>> photos = Embeddings(np.array([[1.0, 0], [0.9, 0.1], [0, 1]]), np.array([4, 7, 4]))
        >>> firsts(photos, photos, rank(photos, photos, 1)).places
        array([2, 0, 2])
    """
    found = Firsts(*(np.zeros(len(query), np.int64) for _ in range(4)))
    hit = np.asarray(ranking.hits.any(axis=1))
    found.places[hit] = ranking.hits[hit].argmax(axis=1) + 1
    missed = np.flatnonzero(~hit & (ranking.n_relevant > 0))
    asked = np.concatenate([missed, _tied_to_the_end(query, gallery, ranking, hit)])
    if not len(asked):
        return found
    mine = _counted(
        query, gallery, asked[dist.part(len(asked))], ranking.leave_one_out, device, room
    )
    answers = exchange.joined(mine, len(asked))
    for whole, answer in zip(vars(found).values(), answers.T, strict=True):
        whole[asked] = answer
    return found


def _counted(
    query: Embeddings, gallery: Embeddings, asked: Ints, alone: bool, device: str, room: int
) -> Ints:
    """Return (P, 4): the place of each query's best right item, and how others stand to it."""
    numbers = min(BLOCK, room // (2 * NUMBER))
    order = order_of(gallery)
    places = np.arange(len(gallery)) if order is None else np.argsort(order)
    mates = Mates(query, gallery, places, alone=alone, numbers=numbers)
    counting = Counting(gallery.vectors, places, device, numbers)
    step = max(1, numbers // query.vectors.shape[1])
    found = np.empty((len(asked), 4), np.int64)
    for part in (slice(i, i + step) for i in range(0, len(asked), step)):
        rows = asked[part]
        best, at, right = mates.best(rows)
        stand = counting.stand(query.vectors[rows], at, places[best])
        above, level, earlier = stand.above, stand.level, stand.earlier
        if alone:
            own = between(query.vectors, rows, query.vectors, rows)
            above, level = above - (own > at), level - (own == at)
            earlier = earlier - ((own == at) & (places[rows] < places[best]))
        found[part] = np.stack([above + earlier + 1, above, level, right], axis=1)
    return found


def _tied_to_the_end(
    query: Embeddings, gallery: Embeddings, ranking: Ranking, hit: npt.NDArray[np.bool_]
) -> Ints:
    """Return the queries whose first hit scores exactly what the last neighbour kept does."""
    rows = np.flatnonzero(hit)
    if ranking.depth == most(ranking):
        return rows[:0]
    place = ranking.hits[rows].argmax(axis=1)
    alike = ranking.scores[rows, place] == ranking.scores[rows, -1]
    rows, place = rows[alike], place[alike]
    first, last = (
        between(query.vectors, rows, gallery.vectors, ranking.ids[rows, at])
        for at in (place, np.full(len(rows), ranking.depth - 1))
    )
    tied: Ints = rows[first == last]
    return tied


class Mates:
    """The gallery by classes: what each query should find.

    Args:
        query: Q embeddings.
        gallery: G embeddings.
        places: (G,) where each stands among equal scores.
        alone: row q of both is the same image.
        numbers: that may be held at a time.
    """

    def __init__(
        self, query: Embeddings, gallery: Embeddings, places: Ints, *, alone: bool, numbers: int
    ) -> None:
        self.query, self.gallery, self.alone, self.numbers = query, gallery, alone, numbers
        self.order = np.lexsort((places, gallery.labels))
        self.labels = gallery.labels[self.order]

    def best(self, rows: Ints) -> tuple[Ints, Doubles, Ints]:
        """Return what the best of the class of some queries are; each has one.

        Returns:
            (P,) rows of the gallery, of the lowest place among equal scores; (P,) the scores; and
            (P,) how many of the class score that.
        """
        found = np.empty(len(rows), np.int64), np.empty(len(rows)), np.empty(len(rows), np.int64)
        asked = self.query.labels[rows]
        starts = np.searchsorted(self.labels, asked)
        ends = np.searchsorted(self.labels, asked, side="right")
        for part in _shares(ends - starts, self.numbers // self.query.vectors.shape[1]):
            answers = self._best(rows[part], starts[part], ends[part])
            for whole, answer in zip(found, answers, strict=True):
                whole[part] = answer
        return found

    def _best(self, rows: Ints, starts: Ints, ends: Ints) -> tuple[Ints, Doubles, Ints]:
        sizes = ends - starts
        begin = np.cumsum(sizes) - sizes  # where each query's pairs begin
        who = np.repeat(np.arange(len(rows)), sizes)
        mate = self.order[np.arange(len(who)) - np.repeat(begin - starts, sizes)]
        vectors = self.query.vectors[rows]
        rough = self._rough(vectors, who, mate)
        if self.alone:
            rough[mate == rows[who]] = -np.inf
        wrong = 2 * slack(vectors, LONGEST)
        near = np.flatnonzero(rough >= (np.maximum.reduceat(rough, begin) - wrong)[who])
        who, mate = who[near], mate[near]
        exact = between(vectors, who, self.gallery.vectors, mate, self.numbers)
        begin = np.searchsorted(who, np.arange(len(rows)))
        at = np.maximum.reduceat(exact, begin)
        level = exact == at[who]
        first = np.flatnonzero(level)[np.searchsorted(who[level], np.arange(len(rows)))]
        return mate[first], at, np.add.reduceat(level.astype(np.int64), begin)

    def _rough(self, vectors: Floats, who: Ints, mate: Ints) -> Floats:
        """Return the (P,) products of pairs in float32."""
        rough = np.empty(len(who), np.float32)
        step = max(1, self.numbers // (2 * vectors.shape[1]))
        for part in (slice(i, i + step) for i in range(0, len(who), step)):
            rows = self.gallery.vectors[mate[part]]
            rough[part] = np.einsum("pd,pd->p", vectors[who[part]], rows)
        return rough


def _shares(sizes: Ints, most_pairs: int) -> Iterator[slice]:
    """Yield slices of queries with about so many pairs together, one query at least.

    Example:
        >>> list(_shares(np.array([2, 2, 5, 1]), 4))
        [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None)]
    """
    ends = np.cumsum(sizes)
    first = 0
    while first < len(sizes):
        before = ends[first] - sizes[first]
        last = max(first + 1, int(np.searchsorted(ends, before + most_pairs, side="right")))
        yield slice(first, last)
        first = last
