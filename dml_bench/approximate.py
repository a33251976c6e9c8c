"""Search that looks at a part of the gallery only, and says how much of the exact answer it finds.

For galleries whose every pair is too much. The lists that rows are sorted into, and how many of
them a query looks at, are chosen here; of what is found the scores and their order are exact.
"""

import numpy as np

from dml_bench import dist, exchange
from dml_bench.errors import MetricError
from dml_bench.neighbours import check, order_of, searching_room, unanswered
from dml_bench.products import InvertedLists
from dml_bench.progress import Bar
from dml_bench.search import Search
from dml_bench.types import Embeddings, Ints, Ranking

KINDS = ("exact", "ivf")
LEAST = 50_000  # images: below, the exact search is soon done
WANTED = 0.99  # share of the exact neighbours that is to be found; lists are added up to MOST
MOST = 8  # lists of every so many are looked at, at most
SAMPLE = 1000  # queries by which the answer is judged
TRIED = 200  # others, by which the number of lists is chosen
BLOCK = 1024  # queries that are searched at a time: the same ones, however many processes
SEED = 0


def rank(
    query: Embeddings,
    gallery: Embeddings,
    k: int,
    *,
    device: str = "cpu",
    memory: int | None = None,
) -> Ranking:
    """Find nearly each query's `k` nearest, and measure on a sample how nearly.

    Several processes call this alike: each answers a part of the queries, from the same lists.

    Args:
        query: Q embeddings; the same object as `gallery` means leave one out.
        gallery: G embeddings, 50,000 or more.
        k: neighbours to keep, 1 or more.
        device: where the exact products of the sample are made, "cpu" or "cuda".
        memory: bytes that each process may use; the lists hold a copy of the gallery.

    Returns:
        The ranking; its `index` is {"kind", "nlist", "nprobe", "sample", "recall_of_exact@1", and
        so on}: of the exact k nearest, the share that is among the k found, over the sample.

    Raises:
        MetricError: as `neighbours.rank`, or a smaller gallery.

    Source:
        Jégou, Douze and Schmid (TPAMI 2011) for inverted lists; FAISS's IndexIVFFlat.
    """
    alone = query is gallery
    check(query, gallery, k, alone)
    if len(gallery) < LEAST:
        raise MetricError(
            f"index ivf: expected a gallery of {LEAST:,} images at least, found {len(gallery):,};"
            " leave it out: the exact search is soon done"
        )
    copy = len(gallery) * bytes_of_one(gallery.vectors.shape[1])
    left = searching_room(query, gallery, k, None if memory is None else memory - copy)
    exact = Search(gallery.vectors, device, order=order_of(gallery), room=left)
    lists = InvertedLists(gallery.vectors, SEED)
    nearly = exact.of(lists)
    judged, tried = _samples(len(query))
    _open(lists, query, nearly, _nearest(query, exact, tried, k, alone), tried, alone)
    ids, scores = unanswered(query, gallery, k)
    blocks = [slice(i, min(i + BLOCK, len(query))) for i in range(0, len(query), BLOCK)]
    with Bar("searching", len(query), delay=2.0) as bar:
        for rows in blocks[dist.part(len(blocks))]:
            own = np.arange(rows.start, rows.stop) if alone else None
            nearly.nearest(query.vectors[rows], k, own, into=(ids[rows], scores[rows]))
            bar.advance((rows.stop - rows.start) * dist.world())
    for answer in (ids, scores):
        exchange.complete(answer, BLOCK)
    truth = _nearest(query, exact, judged, k, alone)
    depths = sorted({1, min(10, k), k})
    recalls = {f"recall_of_exact@{n}": _shared(ids[judged, :n], truth[:, :n]) for n in depths}
    index = {"kind": "ivf", **lists.form, "sample": len(judged), **recalls}
    return Ranking(ids, scores, query.labels, gallery.labels, alone, index=index)


def bytes_of_one(d: int) -> int:
    """Return what the lists hold of an image: a copy of its vector, its number, and their room."""
    return 4 * d + 16


def _samples(queries: int) -> tuple[Ints, Ints]:
    """Return the queries to judge by, and others to choose by; the same where there are few."""
    drawn = np.random.default_rng(SEED).permutation(queries)
    judged, others = drawn[:SAMPLE], drawn[SAMPLE : SAMPLE + TRIED]
    return np.sort(judged), np.sort(others if len(others) else judged)


def _nearest(query: Embeddings, search: Search, rows: Ints, k: int, alone: bool) -> Ints:
    """Return the (P, k) neighbours of some queries, of which each process finds a part."""
    own = rows[dist.part(len(rows))]
    found, _ = search.nearest(query.vectors[own], k, own if alone else None)
    return exchange.joined(found, len(rows))


def _open(
    lists: InvertedLists,
    query: Embeddings,
    nearly: Search,
    truth: Ints,
    tried: Ints,
    alone: bool,
) -> None:
    """Look at more lists until enough of the exact neighbours of some queries is found."""
    while lists.probes * MOST < lists.lists:
        if _shared(_nearest(query, nearly, tried, truth.shape[1], alone), truth) >= WANTED:
            return
        lists.probes *= 2


def _shared(found: Ints, truth: Ints) -> float:
    """Return the share of the (P, k) exact neighbours that is among the (P, k) found.

    Example:
        >>> _shared(np.array([[4, 5], [1, 2]]), np.array([[5, 4], [1, 3]]))
        0.75
    """
    both = [len(np.intersect1d(*pair)) for pair in zip(found, truth, strict=True)]
    return sum(both) / truth.size
