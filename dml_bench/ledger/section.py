"""A section of the ledger: what the runs say to one question."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dml_bench.ledger.verdicts import ABSENT, Line


class Section(NamedTuple):
    """What the runs say to a question.

    Args:
        title: its heading.
        short: what it comes to, in a sentence or more.
        lines: the comparisons, in Markdown.
        intervals: how many comparisons of its claims have an interval.
        gains: how many more have one, of its tables of what training gains.
    """

    title: str
    short: Sequence[str]
    lines: Sequence[str]
    intervals: int
    gains: int = 0


def sure(lines: Iterable[Line]) -> int:
    """Return how many comparisons have an interval."""
    return sum(one.half is not None for one in lines)


def bullets(told_of: Iterable[str]) -> list[str]:
    """Return sentences as a list in Markdown; where there is none, that nothing was run."""
    return [f"- {text}" for text in told_of] or [f"- {ABSENT}"]
