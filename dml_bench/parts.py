"""Small tables, shown one after the other: full values for files, cells for people."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from dml_bench import typeset
from dml_bench.atomic import to_json
from dml_bench.text import formula_free


@dataclass(frozen=True)
class Part:
    """One table.

    Args:
        title: stands over it.
        header: a name a column.
        values: the rows, in full precision.
        cells: the same rows as print.
        note: stands below it.
        numeric: the columns that stand to the right.
    """

    title: str
    header: Sequence[str]
    values: Sequence[Sequence[Any]]
    cells: Sequence[Sequence[str]]
    note: str = ""
    numeric: Sequence[int] = ()


def cent(value: float) -> str:
    """Return a fraction in per cent."""
    return f"{100 * value:.1f}"


def signed(value: float) -> str:
    """Return a difference of fractions in per cent, with its sign; nothing is a negative zero."""
    return f"{round(100 * value, 1) + 0.0:+.1f}"


def number(value: float) -> str:
    """Return what is no fraction as it is."""
    return f"{value:.3f}"


def signed_number(value: float) -> str:
    """Return a difference of what is no fraction, with its sign; nothing is a negative zero."""
    return f"{round(value, 3) + 0.0:+.3f}"


def show_parts(some: Sequence[Part], values: Mapping[str, Any], forms: Sequence[str]) -> None:
    """Print tables in each of the formats.

    Args:
        some: the tables.
        values: the same as plain values, for JSON.
        forms: of `terminal.FORMATS`; a CSV has an empty line between two tables.
    """
    writers = {"csv": _csv, "md": _markdown, "tex": _latex}
    for form in forms:
        if form == "json":
            print(to_json(values).rstrip())
        elif form in writers:
            print("\n".join(writers[form](part) for part in some).rstrip())
        else:
            _show(some, Console())


def _show(some: Sequence[Part], console: Console) -> None:
    for number, part in enumerate(some):
        if number and some[number - 1].note:
            console.print()
        typeset.show(_grid(part), console, part.title, part.note)


def _grid(part: Part) -> typeset.Grid:
    return typeset.Grid(part.header, part.cells, frozenset(part.numeric))


def _markdown(part: Part) -> str:
    return typeset.markdown(_grid(part), part.title, part.note)


def _latex(part: Part) -> str:
    return typeset.latex(_grid(part), part.title, part.note)


def _csv(part: Part) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([[formula_free(cell) for cell in row] for row in (part.header, *part.values)])
    return file.getvalue()
