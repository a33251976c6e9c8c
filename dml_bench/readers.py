"""Files of arrays by anybody, .npz, .safetensors or .parquet; nothing in them is executed."""

import sys
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from dml_bench.errors import EmbeddingsError
from dml_bench.mapping import Array as Array
from dml_bench.mapping import of_npz, of_safetensors
from dml_bench.text import shown

NAMES = ("vectors", "labels", "ids", "gallery_vectors", "gallery_labels", "gallery_ids")
COLUMNS = ("vector", "label", "id", "split")
ABOUT = ("run", "finished")  # what `export` writes beside them
TOLD = 8  # names


def read_arrays(path: Path) -> Mapping[str, Array]:
    """Return a file's arrays by name, whatever they hold; say which names mean nothing here.

    Raises:
        EmbeddingsError: no such file, another format, damage, or a misspelt name.
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


def _npz(path: Path) -> Mapping[str, Array]:
    arrays = of_npz(path)
    _check_names(path, arrays, NAMES)
    return arrays


def _safetensors(path: Path) -> Mapping[str, Array]:
    arrays = of_safetensors(path)
    _check_names(path, arrays, NAMES)
    return arrays


def _check_names(path: Path, found: Iterable[str], known: tuple[str, ...]) -> None:
    """Refuse a name that looks like a slip of the pen, and say which others are not looked at.

    Args:
        path: for the message.
        found: names of arrays or columns.
        known: those that mean something, the two that are needed first.
    """
    others = sorted(set(found) - set(known) - set(ABOUT))
    absent = [name for name in known if name not in found]
    for name in others:
        if meant := _meant(name, absent):
            raise EmbeddingsError(f"expected '{meant}', found '{name}'; rename it, or leave it out")
        if _meant(name, ["split"]) and known is NAMES:
            raise EmbeddingsError(
                f"expected a gallery in 'gallery_vectors' and 'gallery_labels', found '{name}',"
                " which only .parquet may have; store both sides apart"
            )
    if others and set(known[:2]) <= set(found):
        more = f" and {len(others) - TOLD} others" if len(others) > TOLD else ""
        told = f"{path.name}: not looked at: {', '.join(others[:TOLD])}{more}"
        sys.stderr.write(f"{shown(told)}\n")


def _meant(name: str, among: list[str]) -> str:
    """Return which of some names was meant: the same in singular or plural, or nearly; else "".

    Example:
        >>> _meant("Labels", ["label", "id"]), _meant("ids", ["id"]), _meant("index", ["id"])
        ('label', 'id', '')
    """
    plain = name.lower().replace("-", "_")
    same = [one for one in among if one.rstrip("s") == plain.rstrip("s")]
    return next(iter(same or get_close_matches(plain, among, 1, cutoff=0.85)), "")


def _parquet(path: Path) -> Mapping[str, Array]:
    try:
        from pyarrow import parquet
    except ImportError as absent:
        raise EmbeddingsError(
            "expected pyarrow to read .parquet, found none; pip install 'dml_bench[parquet]'"
        ) from absent
    table = parquet.read_table(path)
    _check_names(path, table.column_names, COLUMNS)
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
    from pyarrow import compute, types

    if types.is_integer(column.type):
        return np.asarray(column.to_numpy())
    if "list" not in str(column.type):
        return np.array(column.to_pylist())
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
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".parquet": _parquet,
}
