"""A table as a page shows it: with all that sorting, filtering and folding needs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dml_bench import report
from dml_bench.pages.charts import Entry
from dml_bench.rows import COUNTS, LONE, TEXTS

FOLDED = ("origin", "weights", "batch", "nmi_geometric", "nmi_chance")
"""Columns that are shown when asked for, beside those that say the same in every row."""
SETUP = ("origin", *TEXTS[2:], *COUNTS, LONE)
SELECTS = ("origin", "supervision", "backbone")


@dataclass(frozen=True)
class Cell:
    """A cell of a table: what it says, what it is sorted by, and whether it is the best."""

    text: str
    value: float | str | None
    mark: str = ""


@dataclass(frozen=True)
class Column:
    """A column's name, and how it is shown.

    Args:
        name: "recall@1 (published)".
        numeric: stands to the right, and is sorted by its number.
        setup: says how a run was made, not what it reached; folded on a narrow screen.
        folded: shown when asked for.
    """

    name: str
    numeric: bool
    setup: bool
    folded: bool

    @property
    def parts(self) -> tuple[str, str]:
        """Return the lines of the heading: the name, and what stands behind it in brackets."""
        name, bracket, kind = self.name.partition(" (")
        return name, f"{bracket[1:]}{kind}"


@dataclass(frozen=True)
class Table:
    """A table with all that sorting and filtering needs."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)


def table(frame: report.Frame, entries: Sequence[Entry]) -> Table:
    """Return a table as a page shows it.

    Args:
        frame: as `report.wide` returns it.
        entries: its lines that are runs.
    """
    grid = report.grid(frame)
    values = frame.astype(object).where(frame.notna(), None).to_dict("records")
    folded = {*FOLDED, *report.shared(frame)}
    columns = tuple(
        Column(name, at in grid.numeric, name in SETUP, name in folded)
        for at, name in enumerate(grid.header)
    )
    rows = tuple(
        tuple(
            Cell(text, _sorted_by(record[column.name], column), grid.marks.get((row, at), ""))
            for at, (text, column) in enumerate(zip(texts, columns, strict=True))
        )
        for row, (texts, record) in enumerate(zip(grid.rows, values, strict=True))
    )
    choices = {name: tuple(sorted({str(r[name]) for r in values if r[name]})) for name in SELECTS}
    several = {name: found for name, found in choices.items() if len(found) > 1}
    return Table(columns, rows, f"{report.note(frame)}{_older(entries)}", several)


def _older(entries: Sequence[Entry]) -> str:
    """Return what is said of single runs whose interval nobody stored."""
    if all(len(entry.runs) > 1 or entry.runs[0].intervals for entry in entries):
        return ""
    return " A single run without an interval was recorded without it, as older records are."


def _sorted_by(value: Any, column: Column) -> float | str | None:
    if value is None:
        return None
    return round(float(value), 6) if column.numeric else str(value)
