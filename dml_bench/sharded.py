"""The search of `neighbours` by several processes: each looks at its own share of the gallery.

Each finds the best of its share for every query; the best of all are among them. Each puts what all
have found in order for its part of the queries, so more processes need no more memory each: by the
scores that were found, and by exact sums where those could decide otherwise, as one process does.
"""

from functools import partial

import numpy as np

from dml_bench import dist, exchange
from dml_bench.levels import LONGEST, Doubles, between
from dml_bench.neighbours import by_id, check, searching_room, unanswered
from dml_bench.progress import Bar
from dml_bench.search import GATHER, Search
from dml_bench.settling import in_order, wrongness
from dml_bench.types import Embeddings, Floats, Ints, Ranking

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
            process may keep the others in a file: it reads those that an equal score asks for.
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
            found = _of_share(query.vectors[asked], search, share, k + 1)
            near, rough = (np.concatenate(exchange.collected(each), axis=1) for each in found)
            own = asked[dist.part(len(asked))]
            if alone:
                rough[near == own[:, None]] = -np.inf
            few = max(1, GATHER // near.shape[1])
            for part in (slice(i, i + few) for i in range(0, len(own), few)):
                who = own[part]
                wrong = wrongness(query.vectors[who], LONGEST)
                exact = partial(_exact, query.vectors, who, gallery.vectors)
                best = in_order(near[part], rough[part], k, wrong, exact, places.__getitem__)
                ids[who], scores[who] = best
            for answer in (ids, scores):
                exchange.complete(answer[start : start + step])
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


def _of_share(asked: Floats, search: Search | None, share: slice, k: int) -> tuple[Ints, Doubles]:
    """Return the (P, k) best of a share for (P, D) queries, their own image among them; or all."""
    if search is None:
        return np.empty((len(asked), 0), np.int64), np.empty((len(asked), 0))
    near, scores = search.nearest(asked, min(k, len(search.rows)))
    return near + share.start, scores


def _exact(query: Floats, who: Ints, gallery: Floats, asked: Ints, rows: Ints) -> Doubles:
    """Return the sums of some of the queries `who` with rows of any share, read where they lie."""
    return between(query, who[asked], gallery, rows, GATHER)
