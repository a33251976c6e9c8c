"""Vectors and what is found among them: Embeddings, Ranking, Clustering."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dml_bench.errors import EmbeddingsError, MetricError

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Embeddings:
    """N unit vectors and what they show.

    Args:
        vectors: (N, D) finite numbers; kept as float32 rows of length 1.
        labels: (N,) integers; kept as int64. Labels of any other kind are numbered by value.
        ids: (N,) names or numbers, unique, that travel with their rows and settle ties; the row
            number where there are none.

    Raises:
        EmbeddingsError: wrong shapes, lengths that differ, NaN, infinity, a zero row, an id twice.

    Example:
        >>> Embeddings(np.array([[3.0, 4.0]]), np.array([7])).vectors
        array([[0.6, 0.8]], dtype=float32)
    """

    vectors: Floats
    labels: Ints
    ids: npt.NDArray[Any] | None = None

    def __post_init__(self) -> None:
        vectors, labels = np.asarray(self.vectors), np.asarray(self.labels)
        if vectors.ndim != 2 or 0 in vectors.shape or vectors.dtype.kind not in "fiu":
            raise EmbeddingsError(
                f"expected vectors of shape (N, D) in numbers, found {vectors.shape}"
                f" {vectors.dtype}; store one row an image"
            )
        if labels.shape != vectors.shape[:1]:
            raise EmbeddingsError(
                f"expected {len(vectors)} labels, one a row, found shape {labels.shape};"
                " store labels as (N,)"
            )
        object.__setattr__(self, "vectors", unit_rows(vectors))
        object.__setattr__(self, "labels", _numbered(labels))
        if self.ids is not None:
            object.__setattr__(self, "ids", _unique(np.asarray(self.ids), len(vectors)))

    def __len__(self) -> int:
        return len(self.vectors)


def unit_rows(vectors: npt.NDArray[Any]) -> Floats:
    """Return (N, D) float32 rows of length 1; refuse NaN, infinity and zero rows.

    Rows that are float32 and of length 1 already (to 1e-6) come back as they are.
    """
    wide = vectors.astype(np.float64, order="C")  # another order would sum in another order
    bad = np.flatnonzero(~np.isfinite(wide).all(axis=1))
    if len(bad):
        raise EmbeddingsError(
            f"expected finite vectors, found NaN or infinity in {len(bad)} rows (first: row"
            f" {bad[0]}); mend the model or leave those rows out"
        )
    largest = np.abs(wide).max(axis=1, keepdims=True)
    zero = np.flatnonzero(largest == 0)
    if len(zero):
        raise EmbeddingsError(
            f"expected vectors with a direction, found {len(zero)} zero rows (first: row"
            f" {zero[0]}); mend the model or leave those rows out"
        )
    scaled = wide / largest  # squares of the largest or smallest doubles leave their range
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    unit = np.ascontiguousarray(scaled / lengths, dtype=np.float32)
    if vectors.dtype.newbyteorder("=") == np.float32:
        kept = np.abs(lengths * largest - 1) < 1e-6
        np.copyto(unit, vectors, where=kept)
    return unit


def _numbered(labels: npt.NDArray[Any]) -> Ints:
    """Return labels as int64 if they are integers that fit, else numbered in order of value."""
    fits = labels.dtype.kind in "iu" and (
        labels.dtype.kind == "i" or not len(labels) or labels.max() <= np.iinfo(np.int64).max
    )
    if fits:
        return labels.astype(np.int64)
    if labels.dtype.kind not in "USu":
        raise EmbeddingsError(
            f"expected labels that are integers or text, found {labels.dtype};"
            " store class numbers as int64"
        )
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _unique(ids: npt.NDArray[Any], n: int) -> npt.NDArray[Any]:
    if ids.shape != (n,) or ids.dtype.kind not in "iuUS":
        raise EmbeddingsError(
            f"expected {n} ids, integers or text, found {ids.dtype} of shape {ids.shape};"
            " store one a row, or none"
        )
    if len(np.unique(ids)) != n:
        raise EmbeddingsError(f"expected {n} different ids, found {len(np.unique(ids))}")
    return ids


@dataclass(frozen=True, eq=False)
class Ranking:
    """Each query's nearest gallery items, itself excluded. Built by `neighbours.rank`.

    Args:
        ids: (Q, K) int64 rows of the gallery, nearest first; never the query itself.
        scores: (Q, K) float32 cosine.
        query_labels: (Q,) int64.
        gallery_labels: (G,) int64.
        leave_one_out: the queries are the gallery: row q of both is the same image.
    """

    ids: Ints
    scores: Floats
    query_labels: Ints
    gallery_labels: Ints
    leave_one_out: bool

    @property
    def depth(self) -> int:
        """K, the neighbours kept."""
        return int(self.ids.shape[1])

    @cached_property
    def hits(self) -> npt.NDArray[np.bool_]:
        """(Q, K): whether a neighbour is of the query's class."""
        found: npt.NDArray[np.bool_] = self.gallery_labels[self.ids] == self.query_labels[:, None]
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
