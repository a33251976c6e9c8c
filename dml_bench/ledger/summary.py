"""The ledger in short: claims by what came out, and a table of each question's comparisons."""

from collections import Counter
from collections.abc import Iterator, Sequence

from dml_bench.ledger.section import Asked, Section
from dml_bench.ledger.sentences import anchor, interval, outcome
from dml_bench.ledger.verdicts import ABSENT, FAILS, HOLDS, OPEN, Line, at

HEADER = (
    "| claim | printed | where | ours | seeds | verdict |",
    "| :-- | --: | :-- | :-- | --: | :-- |",
)
KINDS: Sequence[tuple[set[str], str]] = (
    ({HOLDS}, "Holds wherever the runs decide it"),
    ({HOLDS, FAILS}, "Holds in one place and is refuted in another"),
    ({FAILS}, "Is refuted wherever the runs decide it"),
    (set(), "Not decided anywhere"),
)
"""What came out of a claim's comparisons -> what is said of it."""
HAIR = "by a hair"


def abstract(sections: Sequence[Section]) -> list[str]:
    """Return the claims by what came out of them, as a list in Markdown: by question, with a link.

    Args:
        sections: those that are not listed are left out.
    """
    listed = [section for section in sections if section.listed]
    lines: list[str] = []
    for kind, said in KINDS:
        of_kind = [[one for one in s.asked if one.found and _kind(one) == kind] for s in listed]
        lines += _told(said, listed, of_kind)
    absent = [[one for one in s.asked if not one.found] for s in listed]
    return [*lines, *_told(ABSENT.capitalize(), listed, absent)]


def _told(
    said: str, sections: Sequence[Section], of_each: Sequence[Sequence[Asked]]
) -> Iterator[str]:
    """Yield what is said of claims, how many they are, and a line with those of each question."""
    if count := sum(map(len, of_each)):
        yield f"- **{said}** ({count}):"
    for section, some in zip(sections, of_each, strict=True):
        if some:
            claims = "; ".join(map(_named, some))
            yield f"  - [{section.title}](#{anchor(section.title)}): {claims}."


def _kind(claim: Asked) -> set[str]:
    return {one.verdict for one in claim.found} - {OPEN}


def _named(claim: Asked) -> str:
    decided = [one for one in claim.found if one.verdict != OPEN]
    hair = HAIR if decided and all(one.hair for one in decided) else ""
    beside = ", ".join(filter(None, (hair, claim.but)))
    return f"{claim.text} ({beside})" if beside else claim.text


def short(section: Section) -> list[str]:
    """Return what a question comes to: a table of its claims, and its notes.

    Args:
        section: of the ledger.
    """
    lines = []
    if section.listed and section.asked:
        lines += [*HEADER, *(row for claim in section.asked for row in _rows(claim))]
    return [*lines, *([""] if lines and section.notes else []), *section.notes]


def _rows(claim: Asked) -> Iterator[str]:
    """Yield a line for each comparison of a claim; the first alone names it."""
    if not claim.found:
        yield f"| {claim.text} | {claim.printed} |  |  |  | {ABSENT} |"
    for n, one in enumerate(claim.found):
        text, printed = ("", "") if n else (claim.text, claim.printed)
        said = "; ".join(filter(None, (outcome(one), one.remark)))
        apart = interval(one.difference, one.half)
        where = at(one, claim.found)
        yield f"| {text} | {printed} | {where} | {apart} | {len(one.a)} | {said} |"


def tally(kinds: Sequence[tuple[str, Sequence[Line]]], *, methods: bool = False) -> list[str]:
    """Return a table of how many comparisons of a kind hold, each place for itself.

    Args:
        kinds: what is held of them, and the comparisons.
        methods: whether they are of recipes: then the methods are counted, too; else of pairs.
    """
    lines = [
        f"|  | where | {'recipes (methods)' if methods else 'pairs'} | hold | are refuted |"
        " not decided |",
        "| :-- | :-- | --: | --: | --: | --: |",
    ]
    for text, found in kinds:
        if not found:
            lines.append(f"| {text} |  | {ABSENT} |  |  |  |")
        for n, where in enumerate(dict.fromkeys(one.where for one in found)):
            some = [one for one in found if one.where == where]
            counts = Counter(one.verdict for one in some)
            kinds_of = f" ({len({one.a[0].recipe.method for one in some})})" if methods else ""
            words = " | ".join(str(counts[word] or "") for word in (HOLDS, FAILS, OPEN))
            place = at(some[0], found)
            lines.append(f"| {'' if n else text} | {place} | {len(some)}{kinds_of} | {words} |")
    return lines
