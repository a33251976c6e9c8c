"""Metrics by name: the table of ours, and the functions of a user's own file."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from dml_bench.answers import average_precisions, probes, r_precisions, recalls, votes
from dml_bench.errors import MetricError
from dml_bench.metrics import (
    ami,
    map_at_r,
    nmi,
    nmi_chance,
    nmi_geometric,
    r_precision,
    recall_at_k,
)
from dml_bench.plugins import is_plugin, measure
from dml_bench.probes import linear_probe, weighted_vote
from dml_bench.registry import unknown
from dml_bench.spread import alignment, uniformity
from dml_bench.types import PerQuery, Ranking


@dataclass(frozen=True)
class Metric:
    """A metric by name.

    Args:
        name: as on the command line and in a result; "@k" stands for any depth.
        compute: what it is a function of (see `needs`) -> the value.
        needs: "ranking", "clustering" (of the queries), "splits" (gallery and queries), "queries".
        depth: (k, the greatest R) -> how many neighbours it must see.
        meaning: one sentence.
        per_query: of the same arguments -> what each query answered, whose mean `compute` is;
            None for a metric that is no mean over queries.
        k: the depth asked for; 0 for a metric that has none.
    """

    name: str
    compute: Callable[..., float]
    needs: str
    depth: Callable[[int, int], int]
    meaning: str
    per_query: Callable[..., PerQuery] | None = None
    k: int = 0


def _none(_k: int, _r: int) -> int:
    return 0


def _asked(k: int, _r: int) -> int:
    return k


def _all_r(_k: int, r: int) -> int:
    return r


_R, _C = "ranking", "clustering"
METRICS = {
    entry.name: entry
    for entry in (
        Metric("recall@k", recall_at_k, _R, _asked, "any of the k nearest is right", recalls),
        Metric(
            "r_precision",
            r_precision,
            _R,
            _all_r,
            "share right of the R nearest",
            r_precisions,
        ),
        Metric(
            "map@r",
            map_at_r,
            _R,
            _all_r,
            "average precision in the R nearest",
            average_precisions,
        ),
        Metric("nmi", nmi, _C, _none, "clusters against classes, arithmetic"),
        Metric("nmi_geometric", nmi_geometric, _C, _none, "the same, geometric"),
        Metric("nmi_chance", nmi_chance, _C, _none, "nmi of clusters filled at random"),
        Metric("ami", ami, _C, _none, "clusters against classes, less chance"),
        Metric(
            "knn@k", weighted_vote, _R, _asked, "weighted vote of the k nearest is right", votes
        ),
        Metric(
            "linear", linear_probe, "splits", _none, "regression on the gallery is right", probes
        ),
        Metric("alignment", alignment, "queries", _none, "squared distance within a class"),
        Metric("uniformity", uniformity, "queries", _none, "how evenly all lie, a logarithm"),
    )
}


def metric(name: str) -> Metric:
    """Return the metric that `name` names, bound to its k.

    Args:
        name: of `METRICS`, or a function of the user's own, "FILE.py:function": what it is a
            function of, its arguments say (see `plugins.measure`).

    Raises:
        UnknownNameError: there is none; the message lists those there are.
        MetricError: the k is not a whole number from 1.

    Example:
        >>> metric("recall@8").k
        8
    """
    head, at, depth = _parted(name)
    ours = METRICS.get(name) or METRICS.get(f"{head}@k" if at else name)
    entry = _brought(head) if is_plugin(head) else ours
    if entry is None:
        raise unknown("metric", name, METRICS)
    if not entry.name.endswith("@k"):
        if at and is_plugin(head):
            raise MetricError(f"{head}: expected an argument k for '@{depth}', found none; add it")
        return entry
    if not (depth.isascii() and depth.isdigit() and depth[0] != "0" and len(depth) < 19):
        raise MetricError(
            f"expected a whole number from 1 after '{head}@', found '{depth}'; write {head}@1"
        )
    each = partial(entry.per_query, k=int(depth)) if entry.per_query else None
    whole = partial(entry.compute, k=int(depth))
    return replace(entry, name=name, k=int(depth), compute=whole, per_query=each)


def _parted(name: str) -> tuple[str, str, str]:
    """Part a name from its k; a user's file may have an "@" in its path.

    Example:
        >>> _parted("recall@8"), _parted("a@b/my.py:mrr@10"), _parted("a@b/my.py:mrr")
        (('recall', '@', '8'), ('a@b/my.py:mrr', '@', '10'), ('a@b/my.py:mrr', '', ''))
    """
    own, at, depth = name.rpartition("@")
    if is_plugin(own):
        return own, at, depth
    return (name, "", "") if is_plugin(name) else name.partition("@")


def _brought(name: str) -> Metric:
    """Return a user's metric; without a k of its own it sees as deep as the greatest R."""
    compute, needs, has_k = measure(name)
    depth = {True: _asked, False: _all_r}[has_k] if needs == "ranking" else _none

    def at_its_depth(ranking: Ranking, k: int = 0) -> float:
        needed = depth(k, int(ranking.n_relevant.max()))  # the search may be deeper, for others
        return compute(ranking.cut(max(1, needed)), **({"k": k} if has_k else {}))

    whole = at_its_depth if needs == "ranking" else compute
    return Metric(f"{name}@k" if has_k else name, whole, needs, depth, "the user's own")
