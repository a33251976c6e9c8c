"""The two sides of a comparison: who is asked what, in one order, whatever the rows' own."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dml_bench import scoring
from dml_bench.comparisons.locate import locate
from dml_bench.errors import MetricError, StoreError
from dml_bench.files import load_embeddings
from dml_bench.metric_table import metric
from dml_bench.neighbours import by_id
from dml_bench.readers import READERS
from dml_bench.results import read_result
from dml_bench.store import Run
from dml_bench.types import Embeddings, Ints, PerQuery, Ranking, RunResult

Names = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Side:
    """One of two that are compared.

    Args:
        name: what a person calls it: a run's key, or a file's name.
        query: Q embeddings.
        gallery: G embeddings; the same object as `query` means leave one out.
        ranking: a search that was stored; None where there is none.
        result: of a run.
    """

    name: str
    query: Embeddings
    gallery: Embeddings
    ranking: Ranking | None = None
    result: RunResult | None = None

    @cached_property
    def rows(self) -> Ints:
        """(Q,) the queries' rows in the order of their ids: the order of all that is compared."""
        return by_id(self.query)

    @cached_property
    def classes(self) -> Ints:
        """(Q + G,) classes in the order of ids, each numbered by its first item."""
        both = (self.query, self.gallery)
        labels = np.concatenate([side.labels[by_id(side)] for side in both])
        _, first, which = np.unique(labels, return_index=True, return_inverse=True)
        numbers: Ints = first[which]
        return numbers

    @property
    def ids(self) -> Names:
        """(Q,) the queries' ids, ascending."""
        ids: Names = _ids(self.query)[self.rows]
        return ids

    def answers(self, names: Sequence[str]) -> tuple[dict[str, PerQuery], Ranking]:
        """Return what each query answered, in the order of ids, and the search (in its own order).

        The stored search is taken where it is deep enough, and all that is asked is of a search.
        """
        each, ranking = (
            self._stored(names) or scoring.answered(self.query, self.gallery, names)[:0:-1]
        )
        rows = self.rows
        return {n: PerQuery(of.values[rows], of.counted[rows]) for n, of in each.items()}, ranking

    def _stored(self, names: Sequence[str]) -> tuple[dict[str, PerQuery], Ranking] | None:
        if self.ranking is None:
            return None
        wanted = [m for m in map(metric, names) if m.per_query]
        if any(m.needs != "ranking" for m in wanted):
            return None
        try:
            found = {m.name: m.per_query(self.ranking) for m in wanted if m.per_query}
        except MetricError:  # too shallow
            return None
        return found, self.ranking

    def nearest(self, ranking: Ranking) -> Names:
        """Return the (Q,) ids of each query's nearest, in the order of the queries' ids."""
        found: Names = _ids(self.gallery)[ranking.ids[self.rows, 0]]
        return found


def side_of(word: str, results: Path) -> Side:
    """Return what a word on the command line means: a file of embeddings, or a run.

    Raises:
        StoreError: no run, several, or one without its embeddings.
        EmbeddingsError: a file that holds none.
    """
    path = Path(word)
    if path.suffix in READERS:
        return Side(path.name, *load_embeddings(path))
    found = locate(word, [results / "runs"])
    result = read_result(found)
    stored = Run(found.parents[2], result.recipe)
    if not (stored.folder / "embeddings.npz").exists():
        raise StoreError(
            f"{result.recipe.key}: expected a run with its embeddings, found a record without;"
            " make it here: dml-bench rerun"
        )
    searched = (stored.folder / "neighbours.npz").exists()
    ranking = stored.load_neighbours() if searched else None
    return Side(result.recipe.key, *stored.load_embeddings(), ranking, result)


def be_comparable(first: Side, second: Side) -> None:
    """Refuse two sides that were not asked the same.

    Raises:
        StoreError: another protocol, other conventions of the metrics, other queries, another
            gallery, or other classes.
    """
    marks = [side.result.fingerprint for side in (first, second) if side.result]
    if len(set(marks)) > 1:
        raise StoreError(
            f"expected two runs of one protocol, found {marks[0]} ({first.name}) and {marks[1]}"
            f" ({second.name}); compare runs of one dataset"
        )
    versions = [side.result.conventions for side in (first, second) if side.result]
    if len(set(versions)) > 1:
        raise StoreError(
            f"expected two runs by one version of the metrics' conventions, found {versions[0]}"
            f" ({first.name}) and {versions[1]} ({second.name}); make the older one anew:"
            " dml-bench rerun --into"
        )
    for what in ("query", "gallery"):
        _same_ids(what, *(_ids(getattr(side, what)) for side in (first, second)))
    if (first.query is first.gallery) != (second.query is second.gallery):
        raise StoreError("expected a gallery apart on both sides, found it on one; compare alike")
    if not np.array_equal(first.classes, second.classes):
        raise StoreError(
            f"expected the same classes on both sides, found labels that part the images otherwise"
            f" ({first.name}, {second.name}); compare embeddings of one labelling"
        )


def _same_ids(what: str, one: Names, other: Names) -> None:
    if one.dtype.kind != other.dtype.kind:
        raise StoreError(
            f"expected ids of one kind on both sides, found {one.dtype} and {other.dtype};"
            " store the same names of images with both"
        )
    alone = np.setxor1d(one, other)
    if len(alone) or len(one) != len(other):
        raise StoreError(
            f"expected the same {what} images on both sides, found {len(alone)} that only one has"
            f" (first: '{alone[0]}'); compare embeddings of the same images"
        )


def _ids(side: Embeddings) -> Names:
    return np.arange(len(side)) if side.ids is None else side.ids
