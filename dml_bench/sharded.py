"""The search of `neighbours` by several processes: each looks at its own share of the gallery.

Each finds the best of its share for every query; the best of all are among them. They are put in
order by their scores in float64, summed as everywhere, and so are those of one process. Each orders
what all have found for its part of the queries, so more processes need no more memory each.
"""

import numpy as np

from dml_bench import dist
from dml_bench.levels import Doubles, between
from dml_bench.neighbours import by_id, check, searching_room, unanswered
from dml_bench.progress import Bar
from dml_bench.search import GATHER, Search
from dml_bench.types import Embeddings, Ints, Ranking

EXCHANGED = 1 << 25  # bytes that a round takes: what is found, exchanged and put in order
NEIGHBOUR = 96  # bytes that a neighbour takes in it


def rank(
    query: Embeddings,
    gallery: Embeddings,
    k: int,
    *,
    device: str = "cpu",
    memory: int | None = None,
) -> Ranking:
    """Return what `neighbours.rank` does, to the last bit; all processes call this alike.

    Args:
        query: Q embeddings.
        gallery: G embeddings; of the vectors only the rows of `dist.part` are searched here, and a
            process may keep the others in a file that it never reads.
        k: neighbours to keep, 1 or more.
        device: where rough products are made, "cpu" or "cuda"; it changes no bit of the answer.
        memory: bytes that each process may use; it changes no bit of the answer.

    Raises:
        MetricError: as `neighbours.rank`.

    Example:
        >>> photos = Embeddings(np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]), np.array([4, 4, 7]))
        >>> rank(photos, photos, k=2).ids.tolist()
        [[1, 2], [0, 2], [1, 0]]
    """
    alone = query is gallery
    check(query, gallery, k, alone)
    step, taken = _round(k, len(gallery))
    left = searching_room(query, gallery, k, memory, taken)
    share, places = dist.part(len(gallery)), np.argsort(by_id(gallery))
    ids, scores = unanswered(query, gallery, k)
    rows, order = gallery.vectors[share], _order(places[share])
    search = Search(rows, device, order=order, room=left) if len(rows) else None
    with Bar("searching", len(query), delay=2.0) as bar:
        for start in range(0, len(query), step):
            asked = np.arange(start, min(start + step, len(query)))
            found = _of_share(query, asked, search, share, k + 1)
            near, exact = (np.concatenate(dist.exchange(each), axis=1) for each in found)
            own = asked[dist.part(len(asked))]
            if alone:
                exact[near == own[:, None]] = -np.inf
            best = np.lexsort((places[near], -exact))[:, :k]
            ids[own] = np.take_along_axis(near, best, axis=1)
            scores[own] = np.take_along_axis(exact, best, axis=1)
            for answer in (ids, scores):
                dist.complete(answer[start : start + step])
            bar.advance(len(asked))
    return Ranking(ids, scores, query.labels, gallery.labels, alone)


def _order(places: Ints) -> Ints | None:
    """Return the rows of a share in the order of their places; None where they are in it."""
    return None if (places[1:] > places[:-1]).all() else np.argsort(places)


def _round(k: int, gallery: int) -> tuple[int, int]:
    """Return how many queries are exchanged at a time, as many for each, and the bytes it takes."""
    widest = min(k + 1, -(-gallery // dist.world()))
    each = NEIGHBOUR * widest * dist.world()  # a query of each process, with what all find for it
    queries = max(1, EXCHANGED // each)
    return queries * dist.world(), queries * each


def _of_share(
    query: Embeddings, asked: Ints, search: Search | None, share: slice, k: int
) -> tuple[Ints, Doubles]:
    """Return the (P, k) best of a share for some queries, their own image among them; or all."""
    if search is None:
        return np.empty((len(asked), 0), np.int64), np.empty((len(asked), 0))
    near, _ = search.nearest(query.vectors[asked], min(k, len(search.rows)))
    who = np.repeat(asked, near.shape[1])
    exact = between(query.vectors, who, search.rows, near.ravel(), GATHER)
    near += share.start
    return near, exact.reshape(near.shape)
