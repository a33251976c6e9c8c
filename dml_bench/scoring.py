"""Any vectors in, every metric out: a dictionary."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from dml_bench.answering import answered, evaluate
from dml_bench.approximate import KINDS
from dml_bench.clusters import ITERATIONS, SEEDS
from dml_bench.environment import device_of
from dml_bench.errors import MetricError
from dml_bench.files import as_array, load_embeddings, paired
from dml_bench.memory import size_of
from dml_bench.metric_table import metric
from dml_bench.metrics import unanswerable
from dml_bench.neighbours import searching_room
from dml_bench.ties import may_decide, recall_ties
from dml_bench.types import Embeddings, Ranking

__all__ = ["answered", "default_metrics", "evaluate", "load_embeddings", "report", "score"]

CLUSTERING = ("nmi", "nmi_geometric", "nmi_chance", "ami")


def score(
    vectors: npt.ArrayLike,
    labels: npt.ArrayLike,
    k: int | Sequence[int] | None = None,
    *,
    ids: npt.ArrayLike | None = None,
    gallery_vectors: npt.ArrayLike | None = None,
    gallery_labels: npt.ArrayLike | None = None,
    gallery_ids: npt.ArrayLike | None = None,
    metrics: str | Sequence[str] | None = None,
    protocol: str = "unseen",
    device: str = "cpu",
    memory: str | int | None = None,
    index: str = "exact",
) -> dict[str, Any]:
    """Score vectors by what is near what: among themselves, or in a gallery apart.

    Args:
        vectors: (N, D) finite numbers, of any length but zero: lists, an array, or a tensor, with a
            gradient or of half precision too.
        labels: (N,) integers or text, no mixture of both.
        k: the depths of Recall@K, or one depth; 1, 2, 4 and 8 where neither k nor metrics are said.
        ids: (N,) names or numbers that settle ties, and of which none may be in the gallery's; the
            row number settles ties where there are none.
        gallery_vectors: (G, D), if the queries are searched for in a set apart.
        gallery_labels: (G,).
        gallery_ids: (G,).
        metrics: names, or one name, instead of the protocol's own list; Recall@K for each k that is
            said stands before them.
        protocol: "unseen" or "seen" (which needs a gallery apart); decides the list of metrics:
            recalls, precisions and clusters, whether or not there is a gallery apart; classifiers,
            recalls and clusters with "seen".
        device: where rough products are made: "cpu", "cuda", or "auto"; it changes no number.
        memory: what may be used, vectors in memory among it: "4GB", or bytes; it changes no number.
        index: "exact"; or "ivf", which looks at a part of a large gallery only, and says under
            "index" how much of the exact answer it finds.

    Returns:
        {"metrics": {name: fraction}, "counts": {name: number}, "ties": {name: {which: fraction}},
        "protocol": {what: how}}. "ties" holds each Recall@K that the order of exactly equal scores
        could change, with the fields of `ties.RecallTies`; it is empty where there is none.

    Raises:
        EmbeddingsError: vectors or labels that nothing can be computed from.
        MetricError: a metric that they cannot answer, an id on both sides, or too little memory.
        UnknownNameError: a metric that is not registered.
        RecipeError: another device, or one that is not there.

    Example:
        >>> found = score([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]], [0, 0, 1, 1], k=[1])
        >>> found["metrics"]["recall@1"], found["counts"]["queries"]
        (1.0, 4)
    """
    arrays = {
        "vectors": vectors,
        "labels": labels,
        "ids": ids,
        "gallery_vectors": gallery_vectors,
        "gallery_labels": gallery_labels,
        "gallery_ids": gallery_ids,
    }
    names = _asked(_names(metrics), k, protocol)
    query, gallery = paired({n: as_array(n, a) for n, a in arrays.items() if a is not None})
    return report(query, gallery, names, protocol, device=device, memory=memory, index=index)


def _asked(named: Sequence[str], k: Any, protocol: str) -> list[str]:
    """Return the names of metrics that are asked for, each once, as the command line reads them."""
    if not named:
        return default_metrics(protocol, (1, 2, 4, 8) if k is None else _depths(k))
    recalls = [] if k is None else [f"recall@{depth}" for depth in _depths(k)]
    return list(dict.fromkeys([*recalls, *named]))


def _depths(k: Any) -> list[Any]:
    """Return the depths of Recall@K as a list; each is looked at with its metric."""
    if isinstance(k, str) or not (isinstance(k, Iterable) or hasattr(k, "__index__")):
        raise MetricError(
            f"expected k to be a whole number or a list of them, found {k!r}; write k=(1, 2)"
        )
    return [int(k)] if hasattr(k, "__index__") and np.ndim(k) == 0 else list(k)


def _names(metrics: Any) -> list[str]:
    """Return the names of metrics as a list; empty where none was asked for."""
    named = [metrics] if isinstance(metrics, str) else metrics
    if named is None:
        return []
    listed = list(named) if isinstance(named, Iterable) else [named]
    if not all(isinstance(name, str) for name in listed):
        raise MetricError(
            f"expected metrics to be names, found {metrics!r}; write metrics=['recall@1', 'nmi']"
        )
    return listed


def report(
    query: Embeddings,
    gallery: Embeddings,
    names: Sequence[str],
    protocol: str = "unseen",
    *,
    device: str = "cpu",
    memory: str | int | None = None,
    index: str = "exact",
) -> dict[str, Any]:
    """Return what `score` returns, of embeddings that are made already.

    Args:
        query: Q embeddings; the same object as `gallery` means leave one out.
        gallery: G embeddings.
        names: of metrics.
        protocol: "unseen" or "seen": whether the vectors' maker saw these classes. It is written
            down, and changes no number.
        device: as `score` takes it.
        memory: likewise.
        index: likewise.

    Raises:
        UnknownNameError, MetricError: as `evaluate`, or another protocol.
        RecipeError: as `score`.
    """
    where = device_of(device)
    default_metrics(protocol, ())  # refuses another protocol
    cap = None if memory is None else size_of(memory)
    if index not in KINDS:
        raise MetricError(f"expected index {' or '.join(KINDS)}, found {index!r}; say one of them")
    values, ranking, _ = answered(query, gallery, names, where, memory=cap, index=index)
    ties = tied(query, gallery, ranking, names, memory=cap) if index == "exact" else None
    return {
        "metrics": values,
        "counts": counts(query, ranking),
        **({"index": ranking.index} if ties is None else {"ties": ties}),
        "protocol": {"classes": protocol, **conventions(query, ranking, names)},
    }


def default_metrics(protocol: str, recall_at: Sequence[int]) -> list[str]:
    """Return the metrics that a table of this protocol shows.

    Example:
        >>> default_metrics("unseen", [1, 10])[:4]
        ['recall@1', 'recall@10', 'r_precision', 'map@r']
    """
    recalls = [f"recall@{k}" for k in recall_at]
    if protocol == "unseen":
        return [*recalls, "r_precision", "map@r", *CLUSTERING]
    if protocol == "seen":
        return ["knn@200", "linear", *recalls, *CLUSTERING]
    raise MetricError(f"expected protocol 'unseen' or 'seen', found '{protocol}'; say one of them")


def tied(
    query: Embeddings,
    gallery: Embeddings,
    ranking: Ranking,
    names: Sequence[str],
    *,
    memory: int | None = None,
) -> dict[str, dict[str, float]]:
    """Return what ties could make of each Recall@K; nothing of those that they cannot change."""
    left = searching_room(query, gallery, ranking.depth, memory)
    recalls = [m for m in map(metric, names) if m.name.startswith("recall@")]
    found = {
        m.name: recall_ties(query, gallery, ranking, m.k, room=left)
        for m in recalls
        if may_decide(ranking, m.k)
    }
    return {name: asdict(ties) for name, ties in found.items() if ties.mass}


def counts(query: Embeddings, ranking: Ranking) -> dict[str, int]:
    """Return how many of everything a score is about."""
    return {
        "queries": len(query),
        "gallery": len(ranking.gallery_labels),
        "classes": len(np.unique(query.labels)),
        "dimensions": query.vectors.shape[1],
        "unanswerable": unanswerable(ranking),
    }


def conventions(query: Embeddings, ranking: Ranking, names: Sequence[str]) -> Mapping[str, Any]:
    """Return what was decided where tools differ."""
    clustered = {
        "of": "queries",
        "clusters": len(np.unique(query.labels)),
        "seeds": list(SEEDS),
        "iterations": ITERATIONS,
        "spherical": False,
    }
    return {
        "similarity": "cosine",
        "self_excluded_by": "id" if ranking.leave_one_out else "not needed (gallery apart)",
        "ties": "(score, id), scores in float64",
        "unanswerable": "left out of what is ranked; weighted kNN and linear probe ask all",
        **({"kmeans": clustered} if any(metric(n).needs == "clustering" for n in names) else {}),
    }
