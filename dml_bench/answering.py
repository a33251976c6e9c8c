"""The named metrics of embeddings: one search and one clustering, as deep as the deepest needs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dml_bench import approximate, dist, sharded
from dml_bench.clusters import kmeans
from dml_bench.errors import MetricError
from dml_bench.firsts import firsts
from dml_bench.memory import resident
from dml_bench.metric_table import Metric, metric
from dml_bench.neighbours import most, rank, searching_room, size
from dml_bench.types import Embeddings, PerQuery, Ranking

RANKED = 128  # neighbours that a recall asks for at most; beyond, the place of the first is counted


def evaluate(
    query: Embeddings, gallery: Embeddings, names: Sequence[str]
) -> tuple[dict[str, float], Ranking]:
    """Compute the named metrics with one search, as deep as the deepest needs.

    Args:
        query: Q embeddings; the same object as `gallery` means leave one out.
        gallery: G embeddings. Depths beyond it ask for all of it.
        names: of `metric_table.metric`; those of clusters are about the queries.

    Returns:
        The values in the order of `names`, and the ranking.

    Raises:
        UnknownNameError: a name that is not registered.
        MetricError: nothing to search, no query with a right answer, or a metric that needs a
            gallery apart where there is none.

    Example:
        >>> vectors = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
        >>> photos = Embeddings(vectors, np.array([4, 4, 7, 7]))
        >>> evaluate(photos, photos, ["recall@1", "ami"])[0]
        {'recall@1': 1.0, 'ami': 1.0}
    """
    values, ranking, _ = answered(query, gallery, names)
    return values, ranking


def answered(
    query: Embeddings,
    gallery: Embeddings,
    names: Sequence[str],
    device: str = "cpu",
    *,
    memory: int | None = None,
    index: str = "exact",
) -> tuple[dict[str, float], Ranking, dict[str, PerQuery]]:
    """Compute what `evaluate` does, and say what each query answered.

    Rough products are made on `device`, "cpu" or "cuda"; it changes no bit. Nor does `memory`, the
    bytes that may be used, nor the number of processes: where there are several, all call this
    alike, and each does its share. An `index` other than "exact" does: see `approximate.rank`.

    Returns:
        The values, the ranking, and for each metric that is a mean over queries what it is of.

    Raises:
        UnknownNameError, MetricError: as `evaluate`, or too little memory.
    """
    wanted = [metric(name) for name in names]
    if query is gallery and (apart := [m.name for m in wanted if m.needs == "splits"]):
        raise MetricError(
            f"expected a gallery apart from the queries for {apart[0]}, found none;"
            " give gallery vectors with labels, or leave it out"
        )
    ranked = _ranked if index == "exact" else _nearly_ranked
    ranking = ranked(query, gallery, wanted, device, memory)
    needs: dict[str, tuple[Any, ...]] = {"ranking": (ranking,), "splits": (gallery, query)}
    needs["queries"] = (query,)
    if any(m.needs == "clustering" for m in wanted):
        other = size(ranking) + resident(query, gallery) - resident(query)
        left = None if memory is None else memory - other
        classes = len(np.unique(query.labels))
        needs["clustering"] = (kmeans(query, classes, device=device, memory=left),)
    each = {m.name: m.per_query(*needs[m.needs]) for m in wanted if m.per_query}
    values = {
        m.name: each[m.name].mean() if m.name in each else m.compute(*needs[m.needs])
        for m in wanted
    }
    return values, ranking, each


def _ranked(
    query: Embeddings,
    gallery: Embeddings,
    wanted: Sequence[Metric],
    device: str,
    memory: int | None,
) -> Ranking:
    """Return a ranking as deep as the metrics need; beyond that, where the first right item is."""
    depth = _depth(query, gallery, wanted)
    search = rank if dist.world() == 1 else sharded.rank
    ranking = search(query, gallery, depth, device=device, memory=memory)
    deeper = [m.k for m in wanted if m.name.startswith("recall@") and m.k >= depth]
    if not deeper or depth == most(ranking):
        return ranking
    left = searching_room(query, gallery, depth, memory)
    return replace(ranking, firsts=firsts(query, gallery, ranking, device=device, room=left))


def _nearly_ranked(
    query: Embeddings,
    gallery: Embeddings,
    wanted: Sequence[Metric],
    device: str,
    memory: int | None,
) -> Ranking:
    """Return an approximate ranking, as deep as the deepest recall asks for."""
    deepest = max((m.k for m in wanted if m.name.startswith("recall@")), default=1)
    others = [m for m in wanted if not m.name.startswith("recall@")]
    there = len(gallery) - (query is gallery)
    depth = max(_depth(query, gallery, others), min(deepest, there))
    return approximate.rank(query, gallery, depth, device=device, memory=memory)


def _depth(query: Embeddings, gallery: Embeddings, wanted: Sequence[Metric]) -> int:
    """Return how deep to rank: what the metrics need, 1 at least, the gallery at most.

    A recall needs one more than its k: is its last place shared? Beyond `RANKED` it needs none.
    """
    none = np.empty((len(query), 0))
    alone = query is gallery
    unsearched = Ranking(
        none.astype(np.int64), none.astype(np.float32), query.labels, gallery.labels, alone
    )
    most_relevant = int(unsearched.n_relevant.max())
    recalls = [m.k + 1 for m in wanted if m.name.startswith("recall@")]
    others = [m.depth(m.k, most_relevant) for m in wanted if not m.name.startswith("recall@")]
    ranked = [k for k in recalls if k <= RANKED]
    needed = max(ranked + others, default=RANKED if recalls else 1)
    return max(1, min(needed, len(gallery) - alone))
