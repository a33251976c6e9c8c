"""What is found among vectors: Ranking, PerQuery, Clustering."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dml_bench.errors import MetricError
from dml_bench.types.vectors import ROOM, Floats, Ints

Rows = npt.NDArray[np.int32] | npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Firsts:
    """Where each query's best right item stands, however deep.

    Args:
        places: (Q,) 1 for the nearest; 0 where there is no right item.
        above: (Q,) items that score more.
        level: (Q,) items that score exactly as much, itself among them.
        right: (Q,) those of them that are of the query's class.

    Where the place is within the ranking and no tie at it reaches the ranking's end, the last three
    are of no use to anybody and may be 0.
    """

    places: Ints
    above: Ints
    level: Ints
    right: Ints


@dataclass(frozen=True, eq=False)
class Ranking:
    """Each query's nearest gallery items, itself excluded. Built by `neighbours.rank`.

    Args:
        ids: (Q, K) rows of the gallery, nearest first, never the query itself; int32, or int64
            where a gallery has more rows than that can number.
        scores: (Q, K) float32 cosine.
        query_labels: (Q,) int64.
        gallery_labels: (G,) int64.
        leave_one_out: the queries are the gallery: row q of both is the same image.
        firsts: where the best right items stand, for recalls beyond K; None where not looked for.
        index: what it was found with, and how nearly, where the search was not exact; else None.
    """

    ids: Rows
    scores: Floats
    query_labels: Ints
    gallery_labels: Ints
    leave_one_out: bool
    firsts: Firsts | None = None
    index: Mapping[str, Any] | None = None

    @property
    def depth(self) -> int:
        """K, the neighbours kept."""
        return int(self.ids.shape[1])

    def cut(self, depth: int) -> "Ranking":
        """Return the same ranking with the `depth` nearest of each query, and no `firsts`."""
        return replace(self, ids=self.ids[:, :depth], scores=self.scores[:, :depth], firsts=None)

    @cached_property
    def hits(self) -> npt.NDArray[np.bool_]:
        """(Q, K): whether a neighbour is of the query's class."""
        found = np.empty(self.ids.shape, bool)
        step = max(1, ROOM // max(1, self.depth))
        for part in (slice(i, i + step) for i in range(0, len(found), step)):
            asked = self.query_labels[part, None]
            np.equal(self.gallery_labels[self.ids[part]], asked, out=found[part])
        return found

    @cached_property
    def n_relevant(self) -> Ints:
        """(Q,): R, how many gallery items are of the query's class, itself not counted."""
        classes, counts = np.unique(self.gallery_labels, return_counts=True)
        at = np.minimum(np.searchsorted(classes, self.query_labels), len(classes) - 1)
        found = np.where(classes[at] == self.query_labels, counts[at], 0)
        return found.astype(np.int64) - int(self.leave_one_out)


@dataclass(frozen=True, eq=False)
class PerQuery:
    """A metric before its mean is taken: what each query answered.

    Args:
        values: (Q,) float64, 0 to 1.
        counted: (Q,) whether a query has a right answer, and so a place in the mean.

    Example:
        >>> PerQuery(np.array([1.0, 0.5, 0.0]), np.array([True, True, False])).mean()
        0.75
    """

    values: npt.NDArray[np.float64]
    counted: npt.NDArray[np.bool_]

    def mean(self) -> float:
        """Return the mean over the queries that count, rounded once: in any order the same bits.

        Raises:
            MetricError: no query counts.
        """
        kept = self.values[self.counted]
        if not len(kept):
            raise MetricError(
                "expected a query with another image of its class, found none in"
                f" {len(self.values)}; check the labels"
            )
        return math.fsum(kept) / len(kept)


@dataclass(frozen=True, eq=False)
class Clustering:
    """What k-means made of a gallery, once a seed.

    Args:
        assignments: (S, N) int64, the cluster of each image in each of S repetitions.
        labels: (N,) int64, the classes.
    """

    assignments: Ints
    labels: Ints
