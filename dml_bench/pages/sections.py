"""What the page says of each dataset and protocol: facts, table, figures, close-ups."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dml_bench import report
from dml_bench.pages import charts, costs, figures, plots, thumbnails
from dml_bench.pages.charts import Entry
from dml_bench.pages.closeups import closeups
from dml_bench.pages.exhibits import Closeup, Picture, pictures
from dml_bench.pages.figures import Drawing
from dml_bench.pages.sortable import Table, table
from dml_bench.published import Published
from dml_bench.rows import headings, place
from dml_bench.types import Dataset, RunResult

KINDS = {
    "none": "of what was not trained",
    "unsupervised": "without labels",
    "supervised": "with labels",
}
MOST_LINES = 14
"""Curves that one figure shows; of more it would be a tangle."""


@dataclass(frozen=True)
class Section:
    """All that the page says of one dataset and protocol."""

    anchor: str
    heading: str
    facts: tuple[tuple[str, str], ...]
    table: Table
    curves: tuple[Drawing, ...]
    losses: tuple[Drawing, ...]
    ablations: tuple[Drawing, ...]
    costs: tuple[Drawing, ...]
    closeups: tuple[Closeup, ...]
    sheet: thumbnails.Sheet | None
    missing: str
    entries: tuple[Entry, ...]
    metric: str

    @cached_property
    def mapped(self) -> dict[str, tuple[int, Picture]]:
        """Return each image that a map shows, by its id, with its number."""
        points = (point.picture for closeup in self.closeups for point in closeup.points)
        unique = {picture.id: picture for picture in points}
        return {name: (at, picture) for at, (name, picture) in enumerate(unique.items())}

    def atlas(self) -> list[tuple[int | None, int | None, str, str]]:
        """Return what a map says of each image: column and row on the sheet, class, id."""
        places = {} if self.sheet is None else self.sheet.places
        width = 1 if self.sheet is None else self.sheet.columns
        return [
            (places[name] % width, places[name] // width, picture.name, name)
            if name in places
            else (None, None, picture.name, name)
            for name, (_, picture) in self.mapped.items()
        ]

    def atlas_index(self, picture: Picture) -> int:
        """Return an image's number in the atlas."""
        return self.mapped[picture.id][0]

    def evidence(self) -> list[Drawing]:
        """Return the figures of what a ledger asks: learning curves, one thing changed."""
        return [*self.curves, *self.ablations]

    def drawings(self) -> list[Drawing]:
        """Return every figure, as files show them: all losses in one."""
        trained = [entry for entry in self.entries if charts.curves(entry, "loss")]
        losses = [plots.loss(trained)] if trained else []
        close = [closeup.classes for closeup in self.closeups]
        return [*self.curves, *losses, *self.ablations, *self.costs, *close]


def sections(
    results: Sequence[RunResult],
    folder: Path,
    records: Sequence[RunResult],
    *,
    data_root: Path | None,
    printed: Sequence[Published] = (),
) -> list[Section]:
    """Return what the page says, a section a dataset and protocol.

    Args:
        results: of the runs made here; their vectors and neighbours are read in `folder`.
        folder: the root of all results.
        records: of the runs that the project publishes.
        data_root: where the datasets are; None looks for no image.
        printed: what other papers printed: a table that a user brings.
    """
    found: list[Section] = []
    for at, heading in headings([*results, *records]).items():
        mine = [result for result in results if place(result) == at]
        theirs = [result for result in records if place(result) == at]
        entries = charts.entries(mine, theirs)
        shown = table(report.wide(mine, theirs, printed=printed), entries)
        first = entries[0].runs[0]
        dataset: Dataset | str = ""
        if data_root and mine:  # of a record nothing is looked at closely
            dataset = thumbnails.find(first.recipe.dataset, data_root, first.fingerprint)
        anchor = _anchor(heading, {section.anchor for section in found})
        found.append(_section(heading, anchor, shown, entries, folder, dataset))
    return found


def _section(
    heading: str,
    anchor: str,
    shown: Table,
    entries: list[Entry],
    folder: Path,
    dataset: Dataset | str,
) -> Section:
    metric = charts.main_metric(entries)
    asked = charts.with_metric(entries, metric)
    known = dataset if isinstance(dataset, Dataset) else None
    close = closeups(entries, folder, metric, known)
    ids = {picture.id for picture in pictures(close)}
    trained = [entry for entry in entries if charts.curves(entry, "loss")]
    return Section(
        anchor=anchor,
        heading=heading,
        facts=_facts(asked, metric),
        table=shown,
        curves=tuple(_curves(entries)),
        losses=tuple(plots.loss([one], 1, f"loss-{n}") for n, one in enumerate(trained)),
        ablations=tuple(
            plots.ablation(one, metric, f"ablation-{n}")
            for n, one in enumerate(charts.ablations(asked), start=1)
        ),
        costs=tuple(costs.against_cost(asked, metric)),
        closeups=tuple(close),
        sheet=thumbnails.sheet(known, ids) if known and close else None,
        missing=_missing(close, dataset),
        entries=tuple(entries),
        metric=metric,
    )


def _curves(entries: Sequence[Entry]) -> list[Drawing]:
    drawn = []
    for name in charts.monitored(entries):
        lines = [entry for entry in entries if charts.curves(entry, name)]
        drawn += [
            plots.by_epoch(lines[at : at + MOST_LINES], name, part)
            for part, at in enumerate(range(0, len(lines), MOST_LINES), start=1)
        ]
    return drawn


def _missing(close: Sequence[Closeup], dataset: Dataset | str) -> str:
    if not close:
        return (
            "No run of this table has its vectors on this machine: published records hold recipes,"
            " curves and metrics. A run made here shows its queries, classes and map."
        )
    return dataset if isinstance(dataset, str) else ""


def _facts(entries: Sequence[Entry], metric: str) -> tuple[tuple[str, str], ...]:
    """Return what stands large above a table."""
    counts = entries[0].runs[0].counts
    facts = [
        (f"{counts[f'{split}_images']:,}", f"{name} images of {counts[f'{split}_classes']} classes")
        for split, name in (("query", "test"), ("train", "training"))
        if f"{split}_images" in counts
    ]
    for supervision, said in KINDS.items():
        mine = [entry for entry in entries if entry.row["supervision"] == supervision]
        if mine:
            best = max(mine, key=lambda entry: entry.row[metric])
            value = f"{100 * best.row[metric]:.1f} %"
            facts.append((value, f"best {metric} {said}: {best.label}"))
    return tuple(facts)


def _anchor(heading: str, taken: set[str]) -> str:
    """Return a name for a section: of letters that an address and a file can hold, and its own."""
    name = figures.file_name(heading) or "results"
    mark = hashlib.sha256(heading.encode()).hexdigest()[:6]
    return name if name not in taken and name == heading else f"{name}-{mark}"
