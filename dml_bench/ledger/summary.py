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
    """Return the claims by what came out of them, as a list in Markdown; each leads to its section.

    Args:
        sections: those that are not listed are left out.
    """
    asked = [(claim, s.title) for s in sections if s.listed for claim in s.asked]
    lines = []
    for kind, said in KINDS:
        some = [_linked(*one) for one in asked if one[0].found and _kind(one[0]) == kind]
        if some:
            lines.append(f"- **{said}** ({len(some)}): {'; '.join(some)}.")
    if absent := [_linked(*one) for one in asked if not one[0].found]:
        lines.append(f"- **{ABSENT.capitalize()}** ({len(absent)}): {'; '.join(absent)}.")
    return lines


def _kind(claim: Asked) -> set[str]:
    return {one.verdict for one in claim.found} - {OPEN}


def _linked(claim: Asked, title: str) -> str:
    decided = [one for one in claim.found if one.verdict != OPEN]
    hair = f" ({HAIR})" if decided and all(one.hair for one in decided) else ""
    return f"[{claim.text}](#{anchor(title)}){hair}"


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


def tally(kinds: Sequence[tuple[str, Sequence[Line]]], what: str) -> list[str]:
    """Return a table of how many comparisons of a kind hold, each place for itself.

    Args:
        kinds: what is held of them, and the comparisons.
        what: is counted: "recipes (methods)" counts the methods of the first side, too.
    """
    lines = [f"|  | where | {what} | hold | are refuted | not decided |"]
    lines.append("| :-- | :-- | --: | --: | --: | --: |")
    for text, found in kinds:
        if not found:
            lines.append(f"| {text} |  | {ABSENT} |  |  |  |")
        for n, where in enumerate(dict.fromkeys(one.where for one in found)):
            some = [one for one in found if one.where == where]
            counts = Counter(one.verdict for one in some)
            methods = len({one.a[0].recipe.method for one in some})
            many = f"{len(some)} ({methods})" if "methods" in what else str(len(some))
            words = " | ".join(str(counts[word] or "") for word in (HOLDS, FAILS, OPEN))
            lines.append(f"| {'' if n else text} | {at(some[0], found)} | {many} | {words} |")
    return lines
