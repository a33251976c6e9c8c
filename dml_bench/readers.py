"""Files of arrays by anybody, .npz, .safetensors or .parquet; nothing in them is executed."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dml_bench.errors import EmbeddingsError
from dml_bench.mapping import Array as Array
from dml_bench.mapping import of_npz, of_safetensors

COLUMNS = ("vector", "label", "id", "split")


def read_arrays(path: Path) -> Mapping[str, Array]:
    """Return a file's arrays by name, whatever they hold.

    Raises:
        EmbeddingsError: no such file, another format, or damage.
    """
    if path.suffix not in READERS:
        raise EmbeddingsError(
            f"{path.name or path}: expected a file that ends in {', '.join(READERS)}, found"
            f" '{path.suffix}'; save the vectors as .npz"
        )
    if not path.is_file():
        raise EmbeddingsError(f"{path}: expected a file, found none; check the path")
    try:
        return _read(path)
    except EmbeddingsError as problem:
        raise EmbeddingsError(f"{path.name}: {problem}") from problem


def _read(path: Path) -> Mapping[str, Array]:
    try:
        return READERS[path.suffix](path)
    except EmbeddingsError:
        raise
    except (Exception, RecursionError) as problem:  # a parser may trip in any way over damage
        said = " ".join(str(problem).split())[:200] or type(problem).__name__
        raise EmbeddingsError(
            f"expected a sound {path.suffix} file, found one that cannot be read ({said});"
            " write it again, without pickled objects"
        ) from problem


def _parquet(path: Path) -> Mapping[str, Array]:
    try:
        from pyarrow import parquet
    except ImportError as absent:
        raise EmbeddingsError(
            "expected pyarrow to read .parquet, found none; pip install 'dml_bench[parquet]'"
        ) from absent
    table = parquet.read_table(path)
    columns = {name: _column(table[name], name) for name in COLUMNS if name in table.column_names}
    if missing := sorted({"vector", "label"} - set(columns)):
        found = ", ".join(table.column_names) or "none"
        raise EmbeddingsError(f"expected a column '{missing[0]}', found {found}; add it")
    named = {f"{name}s": values for name, values in columns.items() if name != "split"}
    if "split" not in columns:
        return named
    return _by_split(named, columns["split"])


def _column(column: Any, name: str) -> Array:
    """Return a column as an array: (N, D) of lists, else (N,)."""
    if column.null_count:
        raise EmbeddingsError(f"expected a full column '{name}', found {column.null_count} empty")
    if "list" not in str(column.type):
        return np.array(column.to_pylist())
    from pyarrow import compute

    widths = compute.list_value_length(column).unique().to_pylist()
    if len(widths) != 1:
        raise EmbeddingsError(
            f"expected vectors of one length, found {sorted(widths)[:4]}; mend it"
        )
    flat: Array = compute.list_flatten(column).to_numpy()
    return flat.reshape(len(column), widths[0])


def _by_split(arrays: Mapping[str, Array], split: Array) -> Mapping[str, Array]:
    """Part the rows by what their `split` says."""
    if strange := sorted({str(side) for side in split} - {"query", "gallery"}):
        raise EmbeddingsError(
            f"expected split 'query' or 'gallery', found '{strange[0]}'; rename it"
        )
    sides = {"": split == "query", "gallery_": split == "gallery"}
    return {
        prefix + name: values[rows]
        for prefix, rows in sides.items()
        for name, values in arrays.items()
        if rows.any()
    }


READERS: dict[str, Callable[[Path], Mapping[str, Array]]] = {
    ".npz": of_npz,
    ".safetensors": of_safetensors,
    ".parquet": _parquet,
}
