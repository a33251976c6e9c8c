"""`export`: the vectors of a run in a file that other tools read, and `evaluate` too."""

import argparse
import shlex
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dml_bench.atomic import atomic_file, atomic_write
from dml_bench.comparisons.locate import locate
from dml_bench.errors import RecipeError, StoreError
from dml_bench.readers import ABOUT, Array
from dml_bench.results import read_result
from dml_bench.store import Run
from dml_bench.terminal import say
from dml_bench.types import Embeddings


def export(args: argparse.Namespace) -> int:
    """Write the vectors of a run to a file."""
    path = write(args.run, args.results, args.to)
    print(path)
    say(f"to score it: dml-bench evaluate --embeddings {shlex.quote(str(path))}")
    return 0


def write(word: str, results: Path, to: Path) -> Path:
    """Write a run's vectors, labels and ids, those of its gallery beside them.

    What is read back from the file gives the same metrics to the last bit.

    Args:
        word: the key of a run, its beginning, or a pattern.
        results: the root of all results.
        to: ends in .npz, .safetensors or .parquet (which is read with the extra `parquet`). A
            .safetensors file holds no text: its ids are the places of the ids in their order.

    Raises:
        RecipeError: another ending.
        StoreError: no such run, its vectors are not there, the file cannot be written, or another
            than an export lies there.
    """
    if to.suffix not in WRITERS:
        raise RecipeError(
            f"--to: expected a file that ends in {', '.join(WRITERS)}, found '{to.name}'; take one"
        )
    _be_new_or_ours(to)
    found = locate(word, [results / "runs"])
    result = read_result(found)
    if found.parent.parent.resolve() != (results / "runs").resolve():
        raise StoreError(
            f"{word}: expected a run under {results / 'runs'}, found a record, which has no"
            " vectors; name its root with --results"
        )
    query, gallery = Run(results, result.recipe).load_embeddings()
    arrays = _arrays(query, "") | ({} if gallery is query else _arrays(gallery, "gallery_"))
    said = (result.recipe.key, result.finished)
    WRITERS[to.suffix](to, arrays, dict(zip(ABOUT, said, strict=True)))
    return to


def _be_new_or_ours(to: Path) -> None:
    """Refuse to write over a file that no export wrote."""
    if to.is_file() and not set(ABOUT) <= _marks(to):
        raise StoreError(
            f"{to}: expected no file, or an export of ours, found another; choose another file"
            " (--to), or move it"
        )


def _marks(path: Path) -> set[str]:
    """Return the names beside a file's arrays; none where it cannot be read."""
    try:
        return set(MARKS[path.suffix](path))
    except Exception:  # a parser may trip in any way over what somebody else wrote
        return set()


def _of_npz(path: Path) -> Iterable[str]:
    with zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def _of_safetensors(path: Path) -> Iterable[str]:
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        return list(file.metadata() or ())


def _of_parquet(path: Path) -> Iterable[str]:
    from pyarrow import parquet

    return [name.decode() for name in parquet.read_schema(path).metadata or ()]


def _arrays(embeddings: Embeddings, prefix: str) -> dict[str, Array]:
    found: dict[str, Array] = {"vectors": embeddings.vectors, "labels": embeddings.labels}
    if embeddings.ids is not None:
        found["ids"] = embeddings.ids
    return {f"{prefix}{name}": values for name, values in found.items()}


def _npz(path: Path, arrays: Mapping[str, Array], about: Mapping[str, str]) -> None:
    said = {name: np.array(text) for name, text in about.items()}
    with atomic_file(path, option="--to") as file:
        np.savez(file, allow_pickle=False, **{**arrays, **said})


def _safetensors(path: Path, arrays: Mapping[str, Array], about: Mapping[str, str]) -> None:
    from safetensors.numpy import save

    plain = {name: np.ascontiguousarray(values) for name, values in _numbered(arrays).items()}
    atomic_write(path, save(plain, metadata=dict(about)), option="--to")


def _numbered(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return arrays with numbers in the place of ids that are text, in the same order."""
    texts = {n: a for n, a in arrays.items() if n.endswith("ids") and a.dtype.kind in "US"}
    if not texts:
        return dict(arrays)
    places = np.unique(np.concatenate(list(texts.values())), return_inverse=True)[1]
    ends = np.cumsum([len(ids) for ids in texts.values()])[:-1]
    parts = np.split(places.astype(np.int64), ends)
    return {**arrays, **dict(zip(texts, parts, strict=True))}


def _parquet(path: Path, arrays: Mapping[str, Array], about: Mapping[str, str]) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as absent:
        raise RecipeError(
            "--to: expected pyarrow to write .parquet, found none; pip install 'dml_bench[parquet]'"
        ) from absent
    sides = ("", "gallery_") if "gallery_vectors" in arrays else ("",)
    columns = {
        name.removesuffix("s"): pyarrow.array(
            [row for side in sides for row in _rows(arrays[f"{side}{name}"])]
        )
        for name in ("vectors", "labels", "ids")
        if name in arrays
    }
    parts = (("query", "vectors"), ("gallery", "gallery_vectors"))
    columns["split"] = [word for word, name in parts for _ in arrays.get(name, ())]
    if len(sides) == 1:
        del columns["split"]
    table = pyarrow.table(columns).replace_schema_metadata(dict(about))
    with atomic_file(path, option="--to") as file:
        parquet.write_table(table, file)


def _rows(values: Array) -> list[Any]:
    """Return rows as Arrow takes them: float32 vectors stay float32."""
    return list(values) if values.ndim == 2 else values.tolist()


WRITERS: Mapping[str, Callable[[Path, Mapping[str, Array], Mapping[str, str]], Any]] = {
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".parquet": _parquet,
}
MARKS: Mapping[str, Callable[[Path], Iterable[str]]] = {
    ".npz": _of_npz,
    ".safetensors": _of_safetensors,
    ".parquet": _of_parquet,
}
