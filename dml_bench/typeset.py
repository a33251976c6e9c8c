"""A grid of text as Markdown, LaTeX or lines on a screen; every name is escaped, whatever it is."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

MARKDOWN = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {mark: f"\\{mark}" for mark in "\\|`*[]~$"}
)
EMPHASIS = re.compile(r"(?<![^\W_])_|_(?![^\W_])")  # at the edge of a word; inside it is none
LATEX = str.maketrans(
    {mark: f"\\{mark}" for mark in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "±": r"$\pm$"}
)
MARKS = {"best": r"\textbf{%s}", "second": r"\underline{%s}"}


@dataclass(frozen=True)
class Grid:
    """Cells that are text already.

    Args:
        header: a name a column.
        rows: one text a column, empty where there is nothing.
        numeric: the columns that stand to the right.
        marks: (row, column) -> "best" or "second".
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[int] = frozenset()
    marks: dict[tuple[int, int], Literal["best", "second"]] = field(default_factory=dict)


def plain(text: object) -> str:
    r"""Return text on one line, without what a screen would obey.

    Example:
        >>> plain("two\nlines")
        'two lines'
    """
    return "".join(mark if mark.isprintable() else " " for mark in str(text))


def markdown(grid: Grid, title: str = "", note: str = "") -> str:
    r"""Return a Markdown table, under a heading and over a note if there are any.

    Example:
        >>> print(markdown(Grid(["method", "nmi"], [["a|b", "55.4"]], frozenset({1}))), end="")
        | method | nmi |
        | :-- | --: |
        | a\|b | 55.4 |
    """
    sides = ["--:" if column in grid.numeric else ":--" for column in range(len(grid.header))]
    rows = [_markdown(grid.header), sides, *map(_markdown, grid.rows)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    head = [f"# {_in_markdown(title)}", ""] if title else []
    foot = ["", _in_markdown(note)] if note else []
    return "\n".join([*head, *lines, *foot, ""])


def latex(grid: Grid, title: str = "", note: str = "") -> str:
    """Return a LaTeX table for the package booktabs: best in bold, second underlined."""
    sides = "".join("r" if column in grid.numeric else "l" for column in range(len(grid.header)))
    body = [
        [_marked(grid, at, column, cell) for column, cell in enumerate(row)]
        for at, row in enumerate(grid.rows)
    ]
    return "\n".join(
        [
            *(f"% {plain(text)}" for text in (title, note) if text),
            "% needs \\usepackage{booktabs}",
            f"\\begin{{tabular}}{{{sides}}}",
            "\\toprule",
            _latex_row([plain(name).translate(LATEX) for name in grid.header]),
            "\\midrule",
            *map(_latex_row, body),
            "\\bottomrule",
            "\\end{tabular}",
            "",
        ]
    )


def show(grid: Grid, console: Console, title: str = "", note: str = "") -> None:
    """Print a table for a person, or plain lines that are never broken where nobody watches."""
    if not console.is_terminal:
        for line in (plain(title), *_lines(grid), plain(note)):
            console.out(line.rstrip(), highlight=False)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=Text(plain(title)))
    table.caption, table.caption_justify = Text(plain(note)), "left"
    for column, name in enumerate(grid.header):
        side: Literal["right", "left"] = "right" if column in grid.numeric else "left"
        table.add_column(Text(plain(name)), justify=side, overflow="fold")
    for at, row in enumerate(grid.rows):
        styles = ["bold" if grid.marks.get((at, c)) == "best" else "" for c in range(len(row))]
        table.add_row(*(Text(plain(c), style=s) for c, s in zip(row, styles, strict=True)))
    console.print(table)


def _markdown(row: Sequence[str]) -> list[str]:
    return [_in_markdown(cell) for cell in row]


def _in_markdown(text: str) -> str:
    return EMPHASIS.sub(r"\\_", plain(text).translate(MARKDOWN))


def _marked(grid: Grid, at: int, column: int, cell: str) -> str:
    mark = grid.marks.get((at, column))
    return (MARKS[mark] if mark else "%s") % plain(cell).translate(LATEX)


def _latex_row(cells: Sequence[str]) -> str:
    """Return a row; a first cell that the end of the row before would take for its own is held."""
    held = "{}" if cells[0].startswith(("[", "*")) else ""
    return held + " & ".join(cells) + " \\\\"


def _lines(grid: Grid) -> list[str]:
    rows = [[plain(cell) for cell in row] for row in (grid.header, *grid.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if column in grid.numeric else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
