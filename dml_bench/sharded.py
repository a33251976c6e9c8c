"""The search of `neighbours` by several processes: each looks at its own share of the gallery.

Each finds the best of its share for every query; the best of all are among them. They are put in
order by their scores in float64, summed as everywhere, and so are those of one process.
"""

import numpy as np

from dml_bench import dist
from dml_bench.levels import Doubles, between
from dml_bench.neighbours import by_id, check, searching_room, unanswered
from dml_bench.progress import Bar
from dml_bench.search import Search
from dml_bench.types import Embeddings, Floats, Ints, Ranking

TOGETHER = 1 << 21  # neighbours that are exchanged at a time


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
    left = searching_room(query, gallery, k, memory)
    share, places = dist.part(len(gallery)), np.argsort(by_id(gallery))
    ids, scores = unanswered(query, gallery, k)
    rows = gallery.vectors[share]
    search = Search(rows, device, order=_order(places[share]), room=left) if len(rows) else None
    step = max(1, TOGETHER // (k + 1))
    with Bar("searching", len(query), delay=2.0) as bar:
        for start in range(0, len(query), step):
            asked = np.arange(start, min(start + step, len(query)))
            found = _of_share(query, asked, rows, search, min(k + 1, len(rows)))
            near, exact = _of_all(found[0] + share.start, found[1])
            if alone:
                exact[near == asked[:, None]] = -np.inf
            order = np.lexsort((places[near], -exact))[:, :k]
            ids[asked] = np.take_along_axis(near, order, axis=1)
            scores[asked] = np.take_along_axis(exact, order, axis=1)
            bar.advance(len(asked))
    return Ranking(ids, scores, query.labels, gallery.labels, alone)


def _order(places: Ints) -> Ints | None:
    """Return the rows of a share in the order of their places; None where they are in it."""
    return None if (places[1:] > places[:-1]).all() else np.argsort(places)


def _of_share(
    query: Embeddings, asked: Ints, rows: Floats, search: Search | None, k: int
) -> tuple[Ints, Doubles]:
    """Return the (P, k) best rows of a share for some queries, their own image among them."""
    if search is None:
        return np.empty((len(asked), 0), np.int64), np.empty((len(asked), 0))
    near, _ = search.nearest(query.vectors[asked], k)
    exact = between(query.vectors, np.repeat(asked, k), rows, near.ravel())
    return near, exact.reshape(near.shape)


def _of_all(near: Ints, exact: Doubles) -> tuple[Ints, Doubles]:
    """Return what all shares found, side by side."""
    return (
        np.concatenate(dist.gather_arrays(near), axis=1),
        np.concatenate(dist.gather_arrays(exact), axis=1),
    )
