"""What `list` shows a person: what fits a screen, with headings in words."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dml_bench.typeset import Grid

Line = Mapping[str, Any]
CITED = re.compile(r'([^"(]*?)(?:,? ".*?")?(?:,[^"(]*)? (\([^()]*\d{4}\))')
"""Authors, then perhaps a title in quotes and more, then venue and year in brackets."""


def grid(lines: Sequence[Line]) -> Grid:
    """Return lines as a table.

    Args:
        lines: of one kind, all with the same names; values are text, counts or fractions.
    """
    shown = [_in_short(line) for line in lines]
    header = list(shown[0]) if shown else ["none"]
    kinds = [{type(line[name]) for line in shown} - {type(None)} for name in header if shown]
    numeric = frozenset(at for at, kind in enumerate(kinds) if kind and kind <= {int, float})
    rows = [[text(value) for value in line.values()] for line in shown]
    return Grid([name.replace("_", " ") for name in header], rows, numeric)


def text(value: Any) -> str:
    """Return a value as print: counts as they are, fractions in per cent.

    Example:
        >>> text(0.517), text(731), text(None)
        ('51.7', '731', '')
    """
    if isinstance(value, float):
        return f"{100 * value:.1f}"
    return "" if value is None else str(value)


def _in_short(line: Line) -> dict[str, Any]:
    """Return a line with its source as it is cited, and counts of images beside their classes.

    Example:
        >>> _in_short({"source": 'Sohn, "N-pair" (NIPS 2016), two images', "options": "scale=4"})
        {'source': 'Sohn (NIPS 2016)'}
        >>> _in_short({"train_images": 10506, "train_classes": 733, "licence": "MIT"})
        {'train (classes)': '10,506 (733)', 'licence': 'MIT'}
    """
    short: dict[str, Any] = {}
    for name, value in line.items():
        split, _, what = name.partition("_")
        if name == "source":
            cited = CITED.match(value)
            short[name] = f"{cited[1]} {cited[2]}" if cited else value
        elif what == "images":
            classes = line[f"{split}_classes"]
            short[f"{split} (classes)"] = "" if value is None else f"{value:,} ({classes})"
        elif what != "classes" and name != "options":
            short[name] = value
    return short
