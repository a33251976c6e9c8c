"""Embeddings from a file that anybody may have written: .npz, .safetensors, .parquet."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dml_bench.errors import EmbeddingsError
from dml_bench.mapping import Array
from dml_bench.readers import NAMES, read_arrays
from dml_bench.types import Embeddings

BIGGEST = np.iinfo(np.int64).max


def load_embeddings(path: str | Path) -> tuple[Embeddings, Embeddings]:
    """Read queries and gallery from a file; nothing in it is ever executed.

    Names that are none of these are not looked at, and told on the standard error stream.

    Args:
        path: `.npz` or `.safetensors` with `vectors` (N, D), `labels` (N,) and, if wanted, `ids`
            (N,), `gallery_vectors`, `gallery_labels`, `gallery_ids`; or `.parquet` with columns
            `vector`, `label` and, if wanted, `id` and `split` ("query" or "gallery").

    Returns:
        The queries and the gallery: one object if the file has no gallery (leave one out).

    Raises:
        EmbeddingsError: no such file, another format, damage, a missing or misspelt name, or
            values that no metric can be computed from.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "mine.npz")
        >>> np.savez(file, vectors=np.eye(3), labels=[1, 1, 2])
        >>> query, gallery = load_embeddings(file)
        >>> len(query), gallery is query
        (3, True)
    """
    path = Path(path)
    arrays = read_arrays(path)
    try:
        return paired(arrays)
    except EmbeddingsError as problem:
        raise EmbeddingsError(f"{path.name}: {problem}") from problem


def paired(arrays: Mapping[str, Array]) -> tuple[Embeddings, Embeddings]:
    """Make queries and gallery of arrays by name (see `readers.NAMES`), and of no others.

    Labels that are text, or too large for int64, are numbered over both sides together.

    Raises:
        EmbeddingsError: a missing name, or values that are refused.
    """
    check_names(arrays)
    labels = [arrays["labels"], *([arrays["gallery_labels"]] if "gallery_labels" in arrays else [])]
    numbered, names = _numbered(labels)
    query = Embeddings(arrays["vectors"], numbered[0], arrays.get("ids"), names)
    if "gallery_vectors" not in arrays:
        return query, query
    try:
        gallery = Embeddings(
            arrays["gallery_vectors"], numbered[1], arrays.get("gallery_ids"), names
        )
    except EmbeddingsError as problem:
        raise EmbeddingsError(f"gallery: {problem}") from problem
    if query.vectors.shape[1] != gallery.vectors.shape[1]:
        raise EmbeddingsError(
            f"expected gallery vectors of {query.vectors.shape[1]} dimensions like the queries,"
            f" found {gallery.vectors.shape[1]}; embed both with the same model"
        )
    return query, gallery


def as_array(name: str, values: Any) -> Array:
    """Return lists, a tensor or an array as an array that `paired` can judge.

    A tensor comes from wherever it is, with a gradient or without, bfloat16 as float32. Objects
    are taken if all are text, or all whole numbers.

    Args:
        name: one of `readers.NAMES`.
        values: what a user gave under this name.

    Raises:
        EmbeddingsError: rows that differ in length, objects of other kinds, or text and numbers in
            one list.

    Example:
        >>> as_array("labels", ["finch", "wren"]).tolist()
        ['finch', 'wren']
    """
    try:
        array = _of_tensor(values) if hasattr(values, "detach") else np.asarray(values)
    except (ValueError, TypeError, RuntimeError, OverflowError) as problem:
        said = " ".join(str(problem).split())[:120]
        raise EmbeddingsError(
            f"{name}: expected one array of numbers or text, found what makes none ({said});"
            " give rows of one length"
        ) from problem
    listed = values if isinstance(values, list | tuple) else ()
    if array.dtype.kind == "f" and array.ndim == 1 and listed and all(map(_whole, listed)):
        array = np.array(listed, object)  # NumPy makes fractions of numbers on both sides of 2^63
    kinds = {"str" if isinstance(one, str) else type(one).__name__ for one in listed}
    if array.dtype.kind in "US" and array.ndim == 1 and len(kinds) > 1:
        raise EmbeddingsError(
            f"{name}: expected all text or all numbers, found {' and '.join(sorted(kinds))};"
            " make them one kind"
        )
    return _plain(name, array) if array.dtype.kind == "O" else array


def _of_tensor(values: Any) -> Array:
    tensor = values.detach().cpu()
    half = tensor.is_floating_point() and tensor.element_size() < 4  # NumPy lacks some of these
    array: Array = (tensor.float() if half else tensor).numpy()
    return array


def _plain(name: str, objects: Array) -> Array:
    """Return an array of objects as text or whole numbers."""
    flat = objects.reshape(-1).tolist()
    if all(isinstance(one, str) for one in flat):
        return objects.astype(str)
    if all(map(_whole, flat)) and -BIGGEST <= min(flat) <= max(flat) <= 2 * BIGGEST + 1:
        if max(flat) <= BIGGEST:
            return objects.astype(np.int64)
        if min(flat) >= 0:
            return objects.astype(np.uint64)
    kinds = ", ".join(sorted({type(one).__name__ for one in flat})[:4])
    raise EmbeddingsError(
        f"{name}: expected numbers{'' if name.endswith('vectors') else ' or text'}, found objects"
        f" ({kinds}); give whole numbers, or their names as str"
    )


def _whole(one: Any) -> bool:
    """Return whether something is a whole number."""
    return isinstance(one, int | np.integer)


def check_names(arrays: Mapping[str, Array]) -> None:
    """Refuse arrays of which one that is needed is missing."""
    needed = {"vectors", "labels"}
    if any(name.startswith("gallery_") for name in arrays if name in NAMES):
        needed |= {"gallery_vectors", "gallery_labels"}
    if missing := sorted(needed - set(arrays), reverse=True):
        found = ", ".join(sorted(arrays)) or "nothing"
        raise EmbeddingsError(f"expected '{missing[0]}', found {found}; add it")


def _numbered(labels: list[Array]) -> tuple[list[Array], tuple[str, ...]]:
    """Return the labels as they are if int64 holds them all, else numbered by value together.

    Beside them the values that were numbered, in order.
    """
    if any(side.ndim != 1 for side in labels):
        return labels, ()  # refused with its shape when the embeddings are made
    kinds = {side.dtype.kind for side in labels}
    if kinds <= set("iu"):
        if all(side.dtype.kind == "i" or _fits(side) for side in labels):
            return [side.astype(np.int64) for side in labels], ()
        labels = [side.astype(object) for side in labels]  # no type of NumPy's holds all of them
    elif len(kinds) > 1:
        raise EmbeddingsError(
            "expected labels of one kind on both sides, found"
            f" {' and '.join(str(side.dtype) for side in labels)}; store both the same way"
        )
    elif not kinds <= set("US"):
        return labels, ()
    values, numbers = np.unique(np.concatenate(labels), return_inverse=True)
    ends = np.cumsum([len(side) for side in labels])[:-1]
    return np.split(numbers.astype(np.int64), ends), tuple(map(str, values))


def _fits(labels: Array) -> bool:
    """Return whether unsigned integers fit int64."""
    return not len(labels) or bool(labels.max() <= BIGGEST)
