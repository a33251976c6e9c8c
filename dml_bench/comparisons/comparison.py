"""A against B, query by query: what differs, how surely, in which classes, and what flips."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dml_bench.comparisons.sides import Side, be_comparable
from dml_bench.metric_table import metric
from dml_bench.scoring import CLUSTERING, default_metrics, evaluate
from dml_bench.statistics import Difference, paired
from dml_bench.types import Ints, PerQuery

FLIPS = "recall@1"


@dataclass(frozen=True)
class MetricLine:
    """One metric of both, and the difference A - B."""

    metric: str
    a: float
    b: float
    difference: Difference


@dataclass(frozen=True)
class ClassLine:
    """One class: its label on A's side, an image of it, its queries, and its mean of a metric."""

    label: int | str
    example: str
    queries: int
    a: float
    b: float


@dataclass(frozen=True)
class Flip:
    """A query that one side answers rightly: which, and what the nearest of both are."""

    id: str
    label: int | str
    right: str
    nearest_a: str
    nearest_b: str


@dataclass(frozen=True, eq=False)
class Comparison:
    """What differs between two embeddings of the same images.

    Args:
        names: what A and B are called.
        metrics: a line each; without an interval where the metric is no mean over queries.
        by_class: the metric that `classes` are about.
        classes: every class with a query that counts, what A gains most first.
        agreement: queries that both, only A, only B and neither answers rightly at rank 1.
        flips: the queries that only one answers rightly, in the order of their ids.
    """

    names: tuple[str, str]
    metrics: Sequence[MetricLine]
    by_class: str
    classes: Sequence[ClassLine]
    agreement: dict[str, int]
    flips: Sequence[Flip]


def compare(first: Side, second: Side, names: Sequence[str] = ()) -> Comparison:
    """Compare two embeddings of the same images, paired query by query.

    Args:
        first: A.
        second: B.
        names: of metrics; those that both runs have, or the usual ones, where none is named.

    Raises:
        StoreError: they were not asked the same.
        UnknownNameError, MetricError: a metric that is not known, or that they cannot answer.
    """
    be_comparable(first, second)
    wanted = list(names) or _usual(first, second)
    resampled = [n for n in wanted if metric(n).per_query and (names or n != "linear")]
    asked = list(dict.fromkeys([*resampled, FLIPS]))
    (a, found_a), (b, found_b) = (side.answers(asked) for side in (first, second))
    classes = first.classes[: len(first.query)]
    others = _others(first, second, [n for n in wanted if n not in resampled])
    lines = {
        n: MetricLine(n, a[n].mean(), b[n].mean(), paired(a[n], b[n], classes)) for n in resampled
    }
    by_class = (resampled or [FLIPS])[0]
    right = (a[FLIPS].values.astype(bool), b[FLIPS].values.astype(bool))
    nearest = [side.nearest(ranking) for side, ranking in ((first, found_a), (second, found_b))]
    return Comparison(
        names=(first.name, second.name),
        metrics=[{**lines, **others}[n] for n in wanted if n in {**lines, **others}],
        by_class=by_class,
        classes=_by_class(first, a[by_class], b[by_class], classes),
        agreement=_agreement(right[0], right[1], a[FLIPS].counted),
        flips=_flips(first, right, nearest, a[FLIPS].counted),
    )


def _usual(first: Side, second: Side) -> list[str]:
    """Return what both runs were asked; the usual metrics of a ranking where one is a file."""
    if first.result and second.result:
        return [name for name in first.result.metrics if name in second.result.metrics]
    results = [side.result for side in (first, second) if side.result]
    usual = list(results[0].metrics) if results else default_metrics("unseen", (1, 2, 4, 8))
    return [name for name in usual if name not in (*CLUSTERING, "linear")]


def _others(first: Side, second: Side, names: Sequence[str]) -> dict[str, MetricLine]:
    """Return the lines of metrics that no query has a share in, as the results have them."""
    found = {}
    for name in names:
        a, b = _value(first, name), _value(second, name)
        found[name] = MetricLine(name, a, b, Difference(a - b))
    return found


def _value(side: Side, name: str) -> float:
    """Return a metric as the run's result has it, else as its embeddings give it."""
    if side.result and name in side.result.metrics:
        return side.result.metrics[name]
    return evaluate(side.query, side.gallery, [name])[0][name]


def _by_class(side: Side, a: PerQuery, b: PerQuery, classes: Ints) -> list[ClassLine]:
    """Return a line a class, what A gains most first; equal gains in the order of ids."""
    labels, ids = side.query.labels[side.rows], side.ids
    known, which = np.unique(classes[a.counted], return_inverse=True)
    counts = np.bincount(which)
    means = [np.bincount(which, of.values[of.counted]) / counts for of in (a, b)]
    gains = means[0] - means[1]
    return [
        ClassLine(
            side.query.said(labels[known[n]]),
            str(ids[known[n]]),
            int(counts[n]),
            *(float(m[n]) for m in means),
        )
        for n in np.argsort(-gains, kind="stable")
    ]


def _agreement(
    a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_], counted: npt.NDArray[np.bool_]
) -> dict[str, int]:
    cases = {"both": a & b, "only A": a & ~b, "only B": ~a & b, "neither": ~a & ~b}
    return {name: int((case & counted).sum()) for name, case in cases.items()}


def _flips(
    side: Side,
    right: Sequence[npt.NDArray[np.bool_]],
    nearest: Sequence[npt.NDArray[Any]],
    counted: npt.NDArray[np.bool_],
) -> list[Flip]:
    labels, ids = side.query.labels[side.rows], side.ids
    return [
        Flip(
            id=str(ids[n]),
            label=side.query.said(labels[n]),
            right="A" if right[0][n] else "B",
            nearest_a=str(nearest[0][n]),
            nearest_b=str(nearest[1][n]),
        )
        for n in np.flatnonzero((right[0] != right[1]) & counted)
    ]
