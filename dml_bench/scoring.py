"""Any vectors in, every metric out: one search, one clustering, a dictionary."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from dml_bench.clusters import ITERATIONS, SEEDS, kmeans
from dml_bench.errors import MetricError
from dml_bench.files import as_array, load_embeddings, paired
from dml_bench.metrics import Metric, metric, unanswerable
from dml_bench.neighbours import rank
from dml_bench.ties import recall_ties
from dml_bench.types import Embeddings, PerQuery, Ranking

__all__ = ["default_metrics", "evaluate", "load_embeddings", "report", "score"]

CLUSTERING = ("nmi", "nmi_geometric", "nmi_chance", "ami")


def score(
    vectors: npt.ArrayLike,
    labels: npt.ArrayLike,
    k: int | Sequence[int] = (1, 2, 4, 8),
    *,
    ids: npt.ArrayLike | None = None,
    gallery_vectors: npt.ArrayLike | None = None,
    gallery_labels: npt.ArrayLike | None = None,
    gallery_ids: npt.ArrayLike | None = None,
    metrics: str | Sequence[str] | None = None,
    protocol: str = "unseen",
) -> dict[str, Any]:
    """Score vectors by what is near what: among themselves, or in a gallery apart.

    Args:
        vectors: (N, D) finite numbers, of any length but zero: lists, an array, or a tensor, with a
            gradient or of half precision too.
        labels: (N,) integers or text, no mixture of both.
        k: the depths of Recall@K, or one depth.
        ids: (N,) names or numbers that settle ties; the row number where there are none.
        gallery_vectors: (G, D), if the queries are searched for in a set apart.
        gallery_labels: (G,).
        gallery_ids: (G,).
        metrics: names, or one name, instead of the protocol's own list.
        protocol: "unseen" or "seen" (which needs a gallery apart); decides the list of metrics:
            recalls, precisions and clusters, whether or not there is a gallery apart; classifiers,
            recalls and clusters with "seen".

    Returns:
        {"metrics": {name: fraction}, "counts": {name: number}, "ties": {name: {which: fraction}},
        "protocol": {what: how}}. "ties" holds each Recall@K that the order of exactly equal scores
        could change, with the fields of `ties.RecallTies`; it is empty where there is none.

    Raises:
        EmbeddingsError: vectors or labels that nothing can be computed from.
        MetricError: a metric that they cannot answer.
        UnknownNameError: a metric that is not registered.

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
    names = _names(metrics) or default_metrics(protocol, _depths(k))
    query, gallery = paired({n: as_array(n, a) for n, a in arrays.items() if a is not None})
    return report(query, gallery, names, protocol)


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
    query: Embeddings, gallery: Embeddings, names: Sequence[str], protocol: str = "unseen"
) -> dict[str, Any]:
    """Return what `score` returns, of embeddings that are made already.

    Args:
        query: Q embeddings; the same object as `gallery` means leave one out.
        gallery: G embeddings.
        names: of metrics.
        protocol: "unseen" or "seen": whether the vectors' maker saw these classes. It is written
            down, and changes no number.

    Raises:
        UnknownNameError, MetricError: as `evaluate`, or another protocol.
    """
    default_metrics(protocol, ())  # refuses another protocol
    values, ranking = evaluate(query, gallery, names)
    return {
        "metrics": values,
        "counts": counts(query, ranking),
        "ties": tied(query, gallery, ranking, names),
        "protocol": {"classes": protocol, **conventions(query, ranking, names)},
    }


def evaluate(
    query: Embeddings, gallery: Embeddings, names: Sequence[str]
) -> tuple[dict[str, float], Ranking]:
    """Compute the named metrics with one search, as deep as the deepest needs.

    Args:
        query: Q embeddings; the same object as `gallery` means leave one out.
        gallery: G embeddings. Depths beyond it ask for all of it.
        names: of `metrics.metric`; those of clusters are about the queries.

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
    query: Embeddings, gallery: Embeddings, names: Sequence[str], device: str = "cpu"
) -> tuple[dict[str, float], Ranking, dict[str, PerQuery]]:
    """Compute what `evaluate` does, and say what each query answered.

    Rough products are made on `device`, "cpu" or "cuda"; it changes no bit.

    Returns:
        The values, the ranking, and for each metric that is a mean over queries what it is of.

    Raises:
        UnknownNameError, MetricError: as `evaluate`.
    """
    wanted = [metric(name) for name in names]
    if query is gallery and (apart := [m.name for m in wanted if m.needs == "splits"]):
        raise MetricError(
            f"expected a gallery apart from the queries for {apart[0]}, found none;"
            " give gallery vectors with labels, or leave it out"
        )
    ranking = rank(query, gallery, _depth(query, gallery, wanted), device=device)
    needs: dict[str, tuple[Any, ...]] = {"ranking": (ranking,), "splits": (gallery, query)}
    if any(m.needs == "clustering" for m in wanted):
        needs["clustering"] = (kmeans(query, len(np.unique(query.labels)), device=device),)
    each = {m.name: m.per_query(*needs[m.needs]) for m in wanted if m.per_query}
    values = {
        m.name: each[m.name].mean() if m.name in each else m.compute(*needs[m.needs])
        for m in wanted
    }
    return values, ranking, each


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
    query: Embeddings, gallery: Embeddings, ranking: Ranking, names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return what ties could make of each Recall@K; nothing of those that they cannot change."""
    recalls = [m for m in map(metric, names) if m.name.startswith("recall@")]
    found = {m.name: recall_ties(query, gallery, ranking, m.k) for m in recalls}
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
        "unanswerable": "left out of the mean",
        **({"kmeans": clustered} if any(metric(n).needs == "clustering" for n in names) else {}),
    }


def _depth(query: Embeddings, gallery: Embeddings, wanted: Sequence[Metric]) -> int:
    """Return how deep to search: what the metrics need, 1 at least, the gallery at most."""
    none = np.empty((len(query), 0))
    alone = query is gallery
    unsearched = Ranking(
        none.astype(np.int64), none.astype(np.float32), query.labels, gallery.labels, alone
    )
    most_relevant = int(unsearched.n_relevant.max())
    depths = [m.depth(m.k, most_relevant) + m.name.startswith("recall@") for m in wanted]
    needed = max(depths, default=1)  # one beyond a recall's: is its last place shared?
    return max(1, min(needed, len(gallery) - alone))
