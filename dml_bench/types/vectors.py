"""Embeddings: unit vectors, their labels and ids, checked when they are made."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dml_bench.errors import EmbeddingsError

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

ROOM = 1 << 20  # numbers that are looked at at a time


@dataclass(frozen=True, eq=False)
class Embeddings:
    """N unit vectors and what they show.

    Args:
        vectors: (N, D) finite numbers; kept as float32 rows of length 1.
        labels: (N,) integers; kept as int64. Labels of any other kind are numbered by value.
        ids: (N,) names or numbers, unique, that travel with their rows and settle ties; the row
            number where there are none.
        names: what the classes 0, 1, ... are called where labels were numbered; else empty.

    Raises:
        EmbeddingsError: wrong shapes, lengths that differ, NaN, infinity, a zero row, an id twice.

    Example:
        >>> Embeddings(np.array([[3.0, 4.0]]), np.array([7])).vectors
        array([[0.6, 0.8]], dtype=float32)
    """

    vectors: Floats
    labels: Ints
    ids: npt.NDArray[Any] | None = None
    names: tuple[str, ...] = ()

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
        numbers, names = _numbered(labels)
        object.__setattr__(self, "labels", numbers)
        object.__setattr__(self, "names", self.names or names)
        if self.ids is not None:
            object.__setattr__(self, "ids", _unique(np.asarray(self.ids), len(vectors)))

    def __len__(self) -> int:
        return len(self.vectors)

    def said(self, label: int) -> int | str:
        """Return a class's label as it was given.

        Example:
            >>> Embeddings(np.eye(2), np.array(["wren", "kite"])).said(0)
            'kite'
        """
        return self.names[label] if self.names else int(label)


def unit_rows(vectors: npt.NDArray[Any]) -> Floats:
    """Return (N, D) float32 rows of length 1; refuse NaN, infinity and zero rows.

    Rows that are float32 and of length 1 already (to 1e-6) come back as they are: if all are, and
    one stands behind the other, the array itself, with the memory or the file that it is in.
    """
    plain = vectors.dtype == np.float32 and vectors.flags.c_contiguous
    made = None if plain else np.empty(vectors.shape, np.float32)
    bad, zero = [], []
    step = max(1, ROOM // vectors.shape[1])
    for start in range(0, len(vectors), step):
        rows = vectors[start : start + step]
        unit, wrong, nought = _unit(rows)
        bad.extend((start + wrong).tolist())
        zero.extend((start + nought).tolist())
        if made is None and not (bad or zero or np.array_equal(unit, rows)):
            made = vectors.copy()
        if made is not None:
            made[start : start + step] = unit
    _refuse(bad, zero)
    return vectors if made is None else made


def _unit(vectors: npt.NDArray[Any]) -> tuple[Floats, Ints, Ints]:
    """Return float32 rows of length 1, and which rows are not finite, and which are zero."""
    wide = vectors.astype(np.float64, order="C")  # another order would sum in another order
    bad = np.flatnonzero(~np.isfinite(wide).all(axis=1))
    wide[bad] = 1  # refused, all of them together
    largest = np.abs(wide).max(axis=1, keepdims=True)
    zero = np.flatnonzero(largest == 0)
    largest[zero] = 1
    scaled = wide / largest  # squares of the largest or smallest doubles leave their range
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    lengths[zero] = 1
    unit = np.ascontiguousarray(scaled / lengths, dtype=np.float32)
    if vectors.dtype.newbyteorder("=") == np.float32:
        kept = np.abs(lengths * largest - 1) < 1e-6
        np.copyto(unit, vectors, where=kept)
    return unit, bad, zero


def _refuse(bad: list[int], zero: list[int]) -> None:
    if bad:
        raise EmbeddingsError(
            f"expected finite vectors, found NaN or infinity in {len(bad)} rows (first: row"
            f" {bad[0]}); mend the model or leave those rows out"
        )
    if zero:
        raise EmbeddingsError(
            f"expected vectors with a direction, found {len(zero)} zero rows (first: row"
            f" {zero[0]}); mend the model or leave those rows out"
        )


def _numbered(labels: npt.NDArray[Any]) -> tuple[Ints, tuple[str, ...]]:
    """Return labels as int64 if they are integers that fit, else numbered by value, with names."""
    fits = labels.dtype.kind in "iu" and (
        labels.dtype.kind == "i" or not len(labels) or labels.max() <= np.iinfo(np.int64).max
    )
    if fits:
        return labels.astype(np.int64), ()
    if labels.dtype.kind not in "USu":
        raise EmbeddingsError(
            f"expected labels that are integers or text, found {labels.dtype};"
            " store class numbers as int64"
        )
    values, numbers = np.unique(labels, return_inverse=True)
    return numbers.astype(np.int64), tuple(map(str, values))


def _unique(ids: npt.NDArray[Any], n: int) -> npt.NDArray[Any]:
    if ids.shape != (n,) or ids.dtype.kind not in "iuUS":
        raise EmbeddingsError(
            f"expected {n} ids, integers or text, found {ids.dtype} of shape {ids.shape};"
            " store one a row, or none"
        )
    names, many = np.unique(ids, return_counts=True)
    if len(names) != n:
        raise EmbeddingsError(
            f"expected {n} different ids, found {len(names)} (more than once:"
            f" '{names[many > 1][0]}'); give each row its own, or none"
        )
    return ids
