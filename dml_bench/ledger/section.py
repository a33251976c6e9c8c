"""A section of the ledger: a question, its claims with what was compared for each, and its tables.

Numbers and verdicts; `summary` and `account` put them into words.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from dml_bench.ledger.claims import PLAINLY
from dml_bench.ledger.verdicts import ABSENT, Line

PRINTED_AT = "at the paper's budget, best epoch on the test"
"""Of what run a printed number is."""
Tell = Callable[[Line, str], str]
"""A comparison, and where the records lie seen from the page -> a sentence."""


class Asked(NamedTuple):
    """A claim, and what was compared for it.

    Args:
        text: the claim.
        found: a comparison for each budget that has one.
        tell: what makes a sentence of one.
        printed: a dataset -> the difference that a paper printed for it, in words.
        about: what it printed, with its source.
        short: what the claim is called among others of its section; its text without.
        words: what is said in short of what so holds, fails, is not decided.
    """

    text: str
    found: Sequence[Line]
    tell: Tell
    printed: Mapping[str, str] = {}
    about: str = ""
    short: str = ""
    words: tuple[str, str, str] = PLAINLY


class Section(NamedTuple):
    """What the runs say to a question.

    Args:
        title: its heading.
        asked: its claims, in reading order.
        lead: what stands of it in short beside them, sentences in Markdown.
        notes: its tables beside that of the claims, in Markdown.
        after: what stands below all else.
        tables: long ones, which the file has apart.
        gains: comparisons of no claim, of its tables of what training gains.
    """

    title: str
    asked: Sequence[Asked] = ()
    lead: Sequence[str] = ()
    notes: Sequence[str] = ()
    after: Sequence[str] = ()
    tables: Sequence[str] = ()
    gains: Sequence[Line] = ()

    @property
    def compared(self) -> Iterator[Line]:
        """Every comparison of its claims."""
        return (one for claim in self.asked for one in claim.found)

    def each(self, change: Callable[[Line], Line]) -> "Section":
        """Return it with every comparison of its claims changed."""
        return self._replace(
            asked=[claim._replace(found=[*map(change, claim.found)]) for claim in self.asked]
        )

    def lines(self, folder: str) -> list[str]:
        """Return all of it but its heading and all of its tables, in Markdown.

        Args:
            folder: where the records lie, seen from the page.
        """
        made: list[str] = []
        for claim in self.asked:
            made += [f"**{claim.text}.** {claim.about}".rstrip(), ""]
            made += [*bullets(claim.tell(one, folder) for one in claim.found), ""]
        return [*made, *self.after]


def sure(lines: Iterable[Line]) -> int:
    """Return how many comparisons have an interval."""
    return sum(one.half is not None for one in lines)


def bullets(told_of: Iterable[str]) -> list[str]:
    """Return sentences as a list in Markdown; where there is none, that nothing was run."""
    return [f"- {text}" for text in told_of] or [f"- {ABSENT}"]
