"""Runs looked at closely: what each one finds, misses and mixes up, ready to be shown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dml_bench.errors import StoreError
from dml_bench.pages import gallery, plots
from dml_bench.pages.charts import Entry, with_metric
from dml_bench.pages.exhibits import Apart, Closeup, Named, Picture, Point, Shown
from dml_bench.pages.figures import file_name
from dml_bench.pages.projection import project, sample
from dml_bench.rows import HERE
from dml_bench.store import Run
from dml_bench.types import Dataset, Embeddings, Ints, Ranking

MOST = 6
"""Runs of one dataset that are looked at closely."""
QUERIES, DEPTH, HUBS, PAIRS, EXAMPLES, CLASSES, APART, MISLED = 8, 8, 8, 8, 3, 6, 5, 8


@dataclass(frozen=True, eq=False)
class Seen:
    """A run's vectors and neighbours, and how its images are called."""

    entry: Entry
    embeddings: Embeddings
    searched: Embeddings
    ranking: Ranking
    names: dict[int, str]

    def query(self, row: int) -> Picture:
        """Return a query's picture."""
        return Picture(_id(self.embeddings, row), self.named(int(self.embeddings.labels[row])))

    def found(self, row: int, hit: bool | None) -> Picture:
        """Return a gallery image's picture."""
        return Picture(_id(self.searched, row), self.named(int(self.searched.labels[row])), hit)

    def named(self, label: int) -> str:
        """Return what a class is called."""
        return self.names.get(label, f"class {label}")

    def answered(self, answer: gallery.Answer, said: str) -> Shown:
        """Return a query with what was found."""
        pairs = zip(answer.found, answer.hits, strict=True)
        return Shown(said, self.query(answer.query), tuple(self.found(*pair) for pair in pairs))


def _id(embeddings: Embeddings, row: int) -> str:
    return str(row if embeddings.ids is None else embeddings.ids[row])


def closeups(
    found: Sequence[Entry], results: Path, metric: str, dataset: Dataset | None
) -> list[Closeup]:
    """Look closely at the best runs that are stored here.

    Args:
        found: of one dataset and protocol.
        results: the root of all results.
        metric: decides what is best.
        dataset: knows the names of the classes; without it they are numbers.

    Returns:
        the best first, `MOST` at most; a run whose vectors or neighbours are not there is left out.
    """
    names = {} if dataset is None else {**dataset.gallery.class_names, **dataset.query.class_names}
    local = [entry for entry in with_metric(found, metric) if entry.origin == HERE]
    local.sort(key=lambda entry: (-entry.row[metric], entry.label))
    seen = [one for entry in local if (one := _see(entry, results, dict(names)))][:MOST]
    rows = sample(seen[0].embeddings.labels) if seen else np.empty(0, np.int64)
    return [_closeup(one, _rival(seen, number), rows) for number, one in enumerate(seen)]


def _see(entry: Entry, results: Path, names: dict[int, str]) -> Seen | None:
    stored = Run(results, entry.runs[0].recipe)
    try:
        query, searched = stored.load_embeddings()
        return Seen(entry, query, searched, stored.load_neighbours(), names)
    except StoreError:  # a run may be kept without its vectors; its numbers stand
        return None


def _rival(seen: Sequence[Seen], number: int) -> Seen | None:
    """Return the best run, or for that the second best, if it was asked the same in this order."""
    other = seen[0] if number else (seen[1] if len(seen) > 1 else None)
    if other is None:
        return None
    mine = seen[number]
    same = np.array_equal(mine.ranking.query_labels, other.ranking.query_labels) and [
        _id(mine.embeddings, row) for row in range(len(mine.embeddings))
    ] == [_id(other.embeddings, row) for row in range(len(other.embeddings))]
    return other if same else None


def _closeup(seen: Seen, rival: Seen | None, rows: Ints) -> Closeup:
    scores = gallery.class_scores(seen.ranking)
    recipe = seen.entry.runs[0].recipe
    name = f"classes-{file_name(recipe.key)}"
    return Closeup(
        label=seen.entry.label,
        key=recipe.key,
        seed=recipe.seed,
        classes=plots.per_class([score.value for score in scores], seen.entry.label, name),
        best=_named(seen, scores[:CLASSES]),
        worst_classes=_named(seen, scores[CLASSES:][::-1][:CLASSES]),
        worst=_worst(seen),
        hubs=_hubs(seen),
        confused=_confused(seen),
        apart=None if rival is None else _apart(seen, rival),
        points=_points(seen, rows),
    )


def _named(seen: Seen, scores: Iterable[gallery.ClassScore]) -> tuple[Named, ...]:
    labels = seen.ranking.query_labels
    return tuple(
        Named(
            seen.named(score.label),
            score.value,
            score.queries,
            seen.query(int(np.flatnonzero(labels == score.label)[0])),
        )
        for score in scores
    )


def _worst(seen: Seen) -> tuple[Shown, ...]:
    found = gallery.worst(seen.ranking, QUERIES, DEPTH)
    depth = seen.ranking.depth
    return tuple(
        seen.answered(
            answer,
            f"first right answer in place {answer.rank}"
            if answer.rank
            else f"no right answer among the {depth} nearest",
        )
        for answer in found
    )


def _hubs(seen: Seen) -> tuple[Shown, ...]:
    near = min(gallery.HUB_DEPTH, seen.ranking.depth)
    return tuple(
        Shown(
            f"among the {near} nearest of {hub.count} queries, and of the class of {hub.right}",
            seen.found(hub.row, None),
            tuple(seen.query(row) for row in hub.drawn),
        )
        for hub in gallery.hubs(seen.ranking, HUBS, MISLED)
    )


def _confused(seen: Seen) -> tuple[Shown, ...]:
    found = []
    for pair in gallery.confused(seen.ranking, PAIRS, EXAMPLES):
        first, second = (seen.named(label) for label in pair.classes)
        pictures = [
            picture
            for query, nearest in pair.examples
            for picture in (seen.query(query), seen.found(nearest, False))
        ]
        times = "query finds" if pair.count == 1 else "queries find"
        said = f"{first} and {second}: {pair.count} {times} the other first"
        found.append(Shown(said, pictures[0], tuple(pictures[1:])))
    return tuple(found)


def _apart(mine: Seen, other: Seen) -> Apart:
    won = gallery.won(mine.ranking, other.ranking)
    lost = gallery.won(other.ranking, mine.ranking)

    def both(queries: Ints) -> tuple[tuple[Shown, Shown], ...]:
        return tuple(
            (
                mine.answered(gallery.answer(mine.ranking, int(q), 4), mine.entry.label),
                other.answered(gallery.answer(other.ranking, int(q), 4), other.entry.label),
            )
            for q in queries[:APART]
        )

    return Apart(other.entry.label, len(won), len(lost), both(won), both(lost))


def _points(seen: Seen, rows: Ints) -> tuple[Point, ...]:
    places = np.round(1000 * project(seen.embeddings, rows)).astype(int)
    right = seen.ranking.hits[rows, 0]
    return tuple(
        Point(int(x), int(y), bool(hit), seen.query(int(row)))
        for (x, y), hit, row in zip(places.tolist(), right.tolist(), rows.tolist(), strict=True)
    )
