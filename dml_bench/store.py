"""A run's folder: written once, atomically; read back, checked."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from dml_bench.atomic import atomic_file, to_json
from dml_bench.atomic import atomic_write as atomic_write
from dml_bench.environment import environment as environment
from dml_bench.errors import BenchError, StoreError
from dml_bench.locks import alone
from dml_bench.mapping import of_npz
from dml_bench.results import KINDS, read_result
from dml_bench.types import Embeddings, Firsts, Ranking, Recipe, RunResult

NOTES = ("recipe.json", "sessions.json", "curve.jsonl")
"""What a run writes before there is anything of worth in its folder."""
COMPRESSED = ("neighbours.npz",)
"""Row numbers are full of zeros. Vectors are not, and can be mapped where they lie as they are."""
BIGGEST = np.iinfo(np.int32).max


class Run:
    """The folder of one recipe: `results`/runs/<key>/.

    Args:
        results: the root of all results.
        recipe: decides the folder's name.

    Example:
        >>> run = Run(Path("results"), recipe)  # doctest: +SKIP
        >>> with run.lock():  # doctest: +SKIP
        ...     run.begin()
        ...     run.save_embeddings(query)
        ...     run.finish(result)
    """

    def __init__(self, results: Path, recipe: Recipe) -> None:
        self.recipe = recipe
        self.folder = Path(results) / "runs" / recipe.key

    @property
    def finished(self) -> bool:
        """Whether the run is whole.

        Raises:
            StoreError: there is a `result.json`, but it is torn or of another recipe.
        """
        path = self.folder / "result.json"
        return path.is_file() and read_result(path).recipe.key == self.recipe.key

    @contextmanager
    def lock(self, *, wait: float = 0.0) -> Iterator[None]:
        """Keep every other process out of the folder.

        Args:
            wait: seconds to wait for another process; below zero waits for ever.

        Raises:
            BusyError: another process holds the folder.
            StoreError: nothing can be written there.
        """
        with alone(self.folder / ".lock", wait=wait, notes=NOTES):
            for left in self.folder.glob(".*.tmp"):  # by a process that was killed
                left.unlink(missing_ok=True)
            yield

    def begin(self) -> None:
        """Write `recipe.json`, with what stands beside the key."""
        atomic_write(self.folder / "recipe.json", to_json(self.recipe.as_dict(beside=True)))

    def save_embeddings(self, query: Embeddings, gallery: Embeddings | None = None) -> None:
        """Write `embeddings.npz`; without a gallery, or with the same object, leave one out."""
        arrays = _arrays(query, "")
        if gallery is not None and gallery is not query:
            arrays |= _arrays(gallery, "gallery_")
        self._save("embeddings.npz", arrays)

    def load_embeddings(self) -> tuple[Embeddings, Embeddings]:
        """Return query and gallery; the same object twice if one is left out.

        Raises:
            StoreError: the file is missing, torn, or holds no embeddings.
        """
        arrays = self._load("embeddings.npz")
        query = self._embeddings(arrays, "")
        both = "gallery_vectors" in arrays
        return query, self._embeddings(arrays, "gallery_") if both else query

    def save_neighbours(self, ranking: Ranking) -> None:
        """Write `neighbours.npz`: ids (Q, K), scores (Q, K), and where the first right ones stand.

        Numbers are int32 where they fit.
        """
        numbers = np.int32 if len(ranking.gallery_labels) <= BIGGEST else np.int64
        arrays = {"ids": ranking.ids, **({} if ranking.firsts is None else vars(ranking.firsts))}
        small = {name: values.astype(numbers, copy=False) for name, values in arrays.items()}
        self._save("neighbours.npz", {**small, "scores": ranking.scores})

    def load_neighbours(self) -> Ranking:
        """Return the ranking that was saved; its labels are those of the embeddings.

        Raises:
            StoreError: a file is missing or torn, or they do not belong together.
        """
        query, gallery = self.load_embeddings()
        arrays = self._load("neighbours.npz")
        if {"ids", "scores"} - set(arrays):
            raise self._torn("neighbours.npz", f"the arrays {sorted(arrays)}")
        ids, scores = arrays["ids"], arrays["scores"]
        if (
            ids.ndim != 2
            or ids.dtype.kind != "i"
            or ids.shape != scores.shape
            or len(ids) != len(query)
        ):
            raise self._torn("neighbours.npz", f"{ids.shape} ids for {len(query)} queries")
        if ids.size and not 0 <= ids.min() <= ids.max() < len(gallery):
            raise self._torn("neighbours.npz", "ids beyond the gallery")
        labels = query.labels, gallery.labels
        return Ranking(ids, scores, *labels, gallery is query, self._firsts(arrays, len(query)))

    def _firsts(self, arrays: Mapping[str, Any], queries: int) -> Firsts | None:
        """Return where the first right items stand; None where nobody looked."""
        names = [field.name for field in fields(Firsts)]
        found = [arrays[name].astype(np.int64) for name in names if name in arrays]
        if found and [values.shape for values in found] != [(queries,)] * len(names):
            raise self._torn("neighbours.npz", f"places of other than {queries} queries")
        return Firsts(*found) if found else None

    def write_curve(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Replace `curve.jsonl`: a line an epoch."""
        lines = (to_json(row, indent=None) for row in rows)
        atomic_write(self.folder / "curve.jsonl", "".join(lines))

    def finish(self, result: RunResult) -> None:
        """Write `result.json`, last: where it exists the run is whole.

        Raises:
            StoreError: the result is of another recipe, or the folder cannot be written.
        """
        if result.recipe.key != self.recipe.key:
            raise StoreError(
                f"expected the result of {self.recipe.key}, found that of {result.recipe.key};"
                " finish each run in its own folder"
            )
        values = {name: getattr(result, name) for name in KINDS}
        values["recipe"] = result.recipe.as_dict(beside=True)
        atomic_write(self.folder / "result.json", to_json(values))

    def write_beside(self) -> RunResult:
        """Write what this recipe says beside its key into a finished run; all else stays as it is.

        Returns:
            the result as it is then.

        Raises:
            StoreError: there is no whole result, or the folder cannot be written.
        """
        path = self.folder / "result.json"
        read_result(path)  # a torn one is refused
        values = json.loads(path.read_text(encoding="utf-8"))
        said, in_key = self.recipe.as_dict(beside=True), self.recipe.as_dict()
        values["recipe"] |= {name: value for name, value in said.items() if name not in in_key}
        atomic_write(self.folder / "recipe.json", to_json(values["recipe"]))
        atomic_write(path, to_json(values))
        return read_result(path)

    def _save(self, name: str, arrays: Mapping[str, Any]) -> None:
        write = np.savez_compressed if name in COMPRESSED else np.savez
        with atomic_file(self.folder / name) as file:
            write(file, allow_pickle=False, **arrays)

    def _load(self, name: str) -> dict[str, Any]:
        try:
            return of_npz(self.folder / name)
        except Exception as error:  # zipfile and numpy raise a dozen kinds on a damaged file
            raise self._torn(name, type(error).__name__) from error

    def _embeddings(self, arrays: Mapping[str, Any], prefix: str) -> Embeddings:
        try:
            parts = (arrays[f"{prefix}vectors"], arrays[f"{prefix}labels"])
            return Embeddings(*parts, arrays.get(f"{prefix}ids"))
        except KeyError as error:
            raise self._torn("embeddings.npz", f"no array {error}") from error
        except BenchError as error:
            raise self._torn("embeddings.npz", str(error)) from error

    def _torn(self, name: str, found: str) -> StoreError:
        return StoreError(
            f"{self.folder.name}/{name}: expected what this run saved, found {found};"
            " delete the folder and run it again"
        )


def _arrays(embeddings: Embeddings, prefix: str) -> dict[str, Any]:
    arrays = {f"{prefix}vectors": embeddings.vectors, f"{prefix}labels": embeddings.labels}
    if embeddings.ids is not None:
        arrays[f"{prefix}ids"] = embeddings.ids
    return arrays
