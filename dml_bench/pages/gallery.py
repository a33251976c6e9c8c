"""What a ranking gets wrong, and where: pure functions of rankings; nothing here draws."""

from dataclasses import dataclass

import numpy as np

from dml_bench.types import Ints, Ranking

HUB_DEPTH = 8
"""Among how many nearest an image must often be to be called a hub."""


@dataclass(frozen=True)
class Answer:
    """A query and what was found nearest to it.

    Args:
        query: its row.
        found: rows of the gallery, nearest first.
        hits: whether each is of the query's class.
        rank: the place of the first right answer, 1 is the best; None where there is none among
            the neighbours kept.
    """

    query: int
    found: tuple[int, ...]
    hits: tuple[bool, ...]
    rank: int | None


@dataclass(frozen=True)
class Hub:
    """A gallery image that is near to many queries.

    Args:
        row: of the gallery.
        count: among the `HUB_DEPTH` nearest of how many queries it is.
        right: of how many of these it has the class.
        drawn: rows of queries of other classes that it is nearest to, nearest first.
    """

    row: int
    count: int
    right: int
    drawn: tuple[int, ...]


@dataclass(frozen=True)
class Confusion:
    """Two classes whose images are taken for one another.

    Args:
        classes: their ids, the smaller first.
        count: queries of either whose nearest is of the other.
        examples: (query, its nearest), the most similar first.
    """

    classes: tuple[int, int]
    count: int
    examples: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class ClassScore:
    """How often the queries of one class find their class first.

    Args:
        label: its id.
        value: Recall@1 of its queries, a fraction.
        queries: how many have a right answer.
    """

    label: int
    value: float
    queries: int


def class_scores(ranking: Ranking) -> list[ClassScore]:
    """Return the Recall@1 of each class, the best first; queries without a right answer left out.

    Example:
        >>> labels = np.array([4, 4, 7, 7])
        >>> ids = np.array([[1], [0], [3], [0]])
        >>> ranking = Ranking(ids, np.ones((4, 1), np.float32), labels, labels, True)
        >>> [(score.label, score.value) for score in class_scores(ranking)]
        [(4, 1.0), (7, 0.5)]
    """
    counted = ranking.n_relevant > 0
    labels, first = ranking.query_labels[counted], ranking.hits[counted, 0]
    classes, place = np.unique(labels, return_inverse=True)
    sizes = np.bincount(place)
    shares = np.bincount(place, weights=first) / sizes
    found = zip(classes.tolist(), shares.tolist(), sizes.tolist(), strict=True)
    return sorted((ClassScore(*one) for one in found), key=lambda one: (-one.value, one.label))


def answer(ranking: Ranking, query: int, depth: int) -> Answer:
    """Return one query and its `depth` nearest."""
    hits = ranking.hits[query]
    rank = int(hits.argmax()) + 1 if hits.any() else None
    return Answer(
        query,
        tuple(ranking.ids[query, :depth].tolist()),
        tuple(hits[:depth].tolist()),
        rank,
    )


def worst(ranking: Ranking, n: int, depth: int) -> list[Answer]:
    """Return the queries whose first right answer comes last; of equals the surest of the wrong.

    Args:
        ranking: of a run.
        n: how many queries.
        depth: how many neighbours of each.
    """
    wrong = np.flatnonzero((ranking.n_relevant > 0) & ~ranking.hits[:, 0])
    hits = ranking.hits[wrong]
    rank = np.where(hits.any(axis=1), hits.argmax(axis=1), ranking.depth)
    order = np.lexsort((wrong, -ranking.scores[wrong, 0], -rank))
    return [answer(ranking, int(query), depth) for query in wrong[order][:n]]


def hubs(ranking: Ranking, n: int, drawn: int) -> list[Hub]:
    """Return the gallery images that are among the nearest of the most queries.

    Args:
        ranking: of a run.
        n: how many hubs.
        drawn: how many of the queries that each one misleads.

    Source:
        Radovanović, Nanopoulos and Ivanović, "Hubs in Space" (JMLR 2010): the k-occurrences N_k.
    """
    near, right = ranking.ids[:, :HUB_DEPTH], ranking.hits[:, :HUB_DEPTH]
    size = len(ranking.gallery_labels)
    counts = np.bincount(near.ravel(), minlength=size)
    rights = np.bincount(near[right], minlength=size)
    rows = np.lexsort((np.arange(size), -counts))[:n]
    return [
        Hub(int(row), int(counts[row]), int(rights[row]), _misled(ranking, int(row), drawn))
        for row in rows
        if counts[row]
    ]


def _misled(ranking: Ranking, row: int, n: int) -> tuple[int, ...]:
    """Return the queries of other classes that have `row` near, by its place and their score."""
    query, place = np.nonzero(ranking.ids[:, :HUB_DEPTH] == row)
    wrong = ranking.query_labels[query] != ranking.gallery_labels[row]
    query, place = query[wrong], place[wrong]
    order = np.lexsort((query, -ranking.scores[query, place], place))
    return tuple(query[order][:n].tolist())


def confused(ranking: Ranking, n: int, examples: int) -> list[Confusion]:
    """Return the pairs of classes whose queries find the other's images first.

    Args:
        ranking: of a run.
        n: how many pairs.
        examples: how many queries of each pair.
    """
    nearest = ranking.ids[:, 0]
    pairs = np.sort(np.stack([ranking.query_labels, ranking.gallery_labels[nearest]]), axis=0)
    wrong = np.flatnonzero((pairs[0] != pairs[1]) & (ranking.n_relevant > 0))
    found, place, counts = np.unique(
        pairs[:, wrong], axis=1, return_inverse=True, return_counts=True
    )
    place = place.reshape(-1)
    most = np.lexsort((np.arange(len(counts)), -counts))[:n]
    return [
        Confusion(
            (int(found[0, pair]), int(found[1, pair])),
            int(counts[pair]),
            _examples(ranking, wrong[place == pair], examples),
        )
        for pair in most
    ]


def _examples(ranking: Ranking, queries: Ints, n: int) -> tuple[tuple[int, int], ...]:
    order = np.lexsort((queries, -ranking.scores[queries, 0]))[:n]
    return tuple((int(query), int(ranking.ids[query, 0])) for query in queries[order])


def won(first: Ranking, second: Ranking) -> Ints:
    """Return the queries that `first` answers and `second` does not, the most telling first.

    These are the ones that the second finds last, and then is surest of what is wrong.

    Args:
        first: of one run.
        second: of another; of the same queries and gallery, in the same order.
    """
    queries = np.flatnonzero(first.hits[:, 0] & ~second.hits[:, 0])
    hits = second.hits[queries]
    rank = np.where(hits.any(axis=1), hits.argmax(axis=1), second.depth)
    found: Ints = queries[np.lexsort((queries, -second.scores[queries, 0], -rank))]
    return found
