"""A figure and where it goes: files under a title (PNG, SVG), or a page (SVG inside HTML)."""

import io
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from dml_bench.atomic import atomic_write
from dml_bench.locks import only_writer

INK, GRID = "#16191d", "#d5d9de"
PAGE = {INK: "currentColor", GRID: "var(--line)", "#0072b2": "var(--blue)"}
"""Colours that a page, which may be dark, has its own for."""
STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.dpi": 100,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "path.simplify": True,
    "text.color": INK,
    "text.parse_math": False,  # a name with two dollar signs is a name
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure and what it says in words.

    Args:
        name: of its files.
        title: as in a heading.
        text: what the figure shows, for who does not see it.
        figure: of matplotlib.
        tips: id of a part of the drawing -> what a page says of it.
    """

    name: str
    title: str
    text: str
    figure: Figure
    tips: Mapping[str, str] = field(default_factory=dict)


def write(
    drawings: Mapping[str, Sequence[Drawing]],
    folder: Path,
    kinds: Sequence[str] = ("png", "svg"),
    *,
    headings: Mapping[str, str] | None = None,
    alone: bool = False,
) -> list[Path]:
    """Write each drawing, as PNG and SVG unless said otherwise.

    Args:
        drawings: the beginning of the files' names -> what is drawn.
        folder: where.
        kinds: of files: "png", "svg".
        headings: the beginning of the files' names -> what stands before a title, if not the same.
        alone: remove the files of these kinds that the folder holds from before.

    Returns:
        the files.

    Raises:
        StoreError: the folder cannot be written.
    """
    wanted = {
        folder / f"{start}-{file_name(drawing.name)}.{kind}": (drawing, start, kind)
        for start, some in drawings.items()
        for drawing in some
        for kind in kinds
    }
    before = {path for kind in kinds for path in folder.glob(f"*.{kind}")} if alone else set()
    with only_writer(folder) if {*wanted, *before} else nullcontext():
        for path, (drawing, start, kind) in wanted.items():
            heading = (headings or {}).get(start, start)
            drawn = to_svg(drawing, heading) if kind == "svg" else to_png(drawing, heading)
            atomic_write(path, drawn)
        for path in before - {*wanted}:
            path.unlink(missing_ok=True)
    return list(wanted)


def file_name(text: str) -> str:
    """Return text as a part of a file's name.

    Example:
        >>> file_name("epochs-recall@1 of <x>/..")
        'epochs-recall@1_of_x'
    """
    return re.sub(r"[^\w@.-]+", "_", text, flags=re.ASCII).strip("._-")


def to_png(drawing: Drawing, place: str) -> bytes:
    """Return a drawing under its title, on white."""
    kept = io.BytesIO()
    with _titled(drawing, place):
        FigureCanvasAgg(drawing.figure)
        drawing.figure.savefig(kept, format="png", dpi=200, facecolor="white",
                               metadata={"Software": None})  # fmt: skip
    return kept.getvalue()


def to_svg(drawing: Drawing, place: str) -> str:
    """Return a drawing under its title, letters as outlines, on white."""
    with _titled(drawing, place):
        return _svg(drawing, facecolor="white")


def inline(drawing: Drawing, place: str = "") -> str:
    """Return a drawing to stand in a page: its inks are the page's, its letters are letters.

    Names are escaped; nothing in it has an id that another drawing could have.

    Args:
        drawing: to be drawn.
        place: of the page; no other drawing there has its name and title.
    """
    with mpl.rc_context({"svg.fonttype": "none"}):
        text = _svg(drawing, facecolor="none", place=place)
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    for colour, own in PAGE.items():
        text = text.replace(colour, own)
    for gid, tip in drawing.tips.items():
        said = f'<g class="tip"><title>{escape(tip)}</title>'
        text = text.replace(f'<g id="{gid}">', said)
    used = set(re.findall(r"(?:url\(|href=\")#([\w-]+)", text))
    text = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in used else "", text)
    head = f'<svg role="img" aria-label="{escape(drawing.text)}" class="plot"'
    return re.sub(r"\s*\n\s*", "\n", text.replace("<svg", head, 1)).strip()


def _svg(drawing: Drawing, facecolor: str, place: str = "") -> str:
    kept = io.StringIO()
    salt = place + drawing.name + drawing.title
    with mpl.rc_context({"svg.hashsalt": salt, "text.parse_math": False}):
        FigureCanvasSVG(drawing.figure)
        drawing.figure.savefig(kept, format="svg", facecolor=facecolor, metadata={"Date": None})
    return kept.getvalue()


@contextmanager
def _titled(drawing: Drawing, place: str) -> Iterator[None]:
    with mpl.rc_context(STYLE):
        drawing.figure.suptitle(
            wrapped(f"{place}: {drawing.title}", 76), x=0.01, ha="left", fontsize=10
        )
        yield
        drawing.figure.suptitle("")


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the project's style, whatever the machine's own is."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def wrapped(text: str, width: int) -> str:
    """Return text in three lines at most."""
    return "\n".join(textwrap.wrap(text, width, max_lines=3, placeholder=" …"))
