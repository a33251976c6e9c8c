"""The ledger in short: what each question comes to, in words and in a table."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from dml_bench.ledger.budgets import Where
from dml_bench.ledger.orders import stands_for
from dml_bench.ledger.section import Asked, Section
from dml_bench.ledger.sentences import anchor, interval, measured, outcome, remarks, sizes
from dml_bench.ledger.verdicts import ABSENT, OPEN, WORDS, Line, at
from dml_bench.parts import cent

HEADER = (
    "| claim | printed (paper's budget) | where | measured | first | second | difference | seeds |"
    " verdict |",
    "| :-- | --: | :-- | :-- | --: | --: | :-- | --: | :-- |",
)
NEITHER, BEHIND = "‡", "†"
"""Marks of a comparison where neither side is shown to have risen, or not the one behind."""
Told = tuple[str, str, Line]
"""What is said of a comparison, what it is called there, and the comparison."""


def abstract(sections: Sequence[Section]) -> list[str]:
    """Return what each question comes to, in Markdown, with links to the sections.

    First a table of how many of its comparisons hold, then a list of what they say.

    Args:
        sections: of the ledger.
    """
    lines = [*_counts(sections), ""]
    for section in sections:
        lines.append(f"- **{_link(section)}**")
        lines += [f"  - {text}" for text in (*_told(section), *section.lead)]
    return lines


def _counts(sections: Sequence[Section]) -> Iterator[str]:
    """Yield a table of how many comparisons came out how: of a question, or of each of its claims.

    Of each claim where they are unlike each other; many that ask the same of many are one row.
    """
    some = [section for section in sections if section.asked]
    absent = [sum(not claim.found for claim in section.asked) for section in some]
    words = [*WORDS, *([f"claims {ABSENT}"] if any(absent) else [])]
    yield f"| question | {' | '.join(words)} |"
    yield f"| :-- | {' | '.join('--:' for _ in words)} |"
    for section, missing in zip(some, absent, strict=True):
        claims = section.asked if _is_by_claim(section) and len(section.asked) > 1 else ()
        cells = ["" if claims else _count([*section.compared], word) for word in WORDS]
        cells.append(str(missing or ""))
        yield f"| {' | '.join([_link(section), *cells[: len(words)]])} |"
        for claim in claims:
            cells = [_count(claim.found, word) for word in WORDS] + [""]
            yield f"| … {' | '.join([claim.text, *cells[: len(words)]])} |"


def _count(found: Sequence[Line], verdict: str) -> str:
    some = [one for one in found if one.verdict == verdict]
    weakly = sum(one.hair for one in some)
    return f"{len(some) or ''}{f' ({weakly} weakly)' if weakly else ''}"


def _link(section: Section) -> str:
    return f"[{section.title}](#{anchor(section.title)})"


def _told(section: Section) -> Iterator[str]:
    """Yield what was found: place by place, or claim by claim where there are fewer of them."""
    every = list(section.compared)
    ran = [claim for claim in section.asked if claim.found]
    places = {one.where: at(one, every, briefly=True) for one in every}
    if decided := [one for one in every if one.decided and _of_two_methods(one)]:
        risen = sum(one.idle == (False, False) for one in decided) or "none"
        unknown = sum(None in one.idle for one in decided)
        rest = f"; of {unknown} a start was not run" if unknown else ""
        told = f"{risen} are of two that both end above their start{rest}"
        yield f"Of the {len(decided)} decided between two methods, {told}."
    yield from _by_claim(ran, places) if _is_by_claim(section) else _by_place(ran, places)
    if absent := [claim.text for claim in section.asked if not claim.found]:
        yield f"**{ABSENT}**: {'; '.join(absent)}."


def _is_by_claim(section: Section) -> bool:
    """Return whether a question has no more claims that ran than places."""
    ran = sum(bool(claim.found) for claim in section.asked)
    return ran <= len({one.where for one in section.compared})


def _by_claim(ran: Sequence[Asked], places: Mapping[Where, str]) -> Iterator[str]:
    for claim in ran:
        told = [(one.verdict, places[one.where], one) for one in claim.found]
        yield f"{claim.text}: {_grouped(told)}."


def _by_place(ran: Sequence[Asked], places: Mapping[Where, str]) -> Iterator[str]:
    for where, place in places.items():
        told = [
            (_word(one, claim), claim.short or claim.text, one)
            for claim in ran
            for one in claim.found
            if one.where == where
        ]
        yield f"{place}: {_grouped(told)}."


def _of_two_methods(one: Line) -> bool:
    """Return whether two trained methods stand beside each other."""
    trained = [side[0].recipe.method for side in (one.a, one.b) if side and side[0].recipe.epochs]
    return len(set(trained)) == 2


def _word(one: Line, claim: Asked) -> str:
    return dict(zip(WORDS, claim.words, strict=False)).get(one.verdict, one.verdict)


def _grouped(told: Sequence[Told]) -> str:
    """Return names behind what is said of them: what holds first, what one seed ran last."""
    found: dict[str, list[str]] = {}
    for word, name, one in sorted(told, key=lambda each: WORDS.index(each[2].verdict)):
        found.setdefault(word, []).append(_named(name, one))
    return ". ".join(f"**{word}** {'; '.join(names)}" for word, names in found.items())


def _named(name: str, one: Line) -> str:
    """Return a name with the difference, its interval if that leaves it open, what else to know."""
    apart = interval(one.difference, one.half if one.verdict == OPEN else None)
    weak = "weakly" if one.hair else ""
    beside = ", ".join(filter(None, (f"{apart}{_mark(one)}", weak, one.beside, *sizes(one))))
    return f"{name} ({beside})"


def _mark(one: Line) -> str:
    behind = one.idle[1 if one.difference > 0 else 0]
    return NEITHER if all(one.idle) else BEHIND if behind else ""


def short(section: Section) -> list[str]:
    """Return the tables of a question: of its claims, and its own.

    Args:
        section: of the ledger.
    """
    lines = []
    if section.asked:
        lines += [*HEADER, *(row for claim in section.asked for row in _rows(claim))]
    return [*lines, *([""] if lines and section.notes else []), *section.notes]


def _rows(claim: Asked) -> Iterator[str]:
    """Yield a line for each comparison of a claim; the first alone names it."""
    if not claim.found:
        yield f"| {claim.text} | {_printed(claim)} |  |  |  |  |  |  | {ABSENT} |"
    for n, one in enumerate(claim.found):
        cells = ["" if n else claim.text, _printed(claim, one), at(one, claim.found), measured(one)]
        cells += [cent(value) for value in one.values]
        cells += [interval(one.difference, one.half), str(len(one.a))]
        cells.append("; ".join((outcome(one), *remarks(one))))
        yield f"| {' | '.join(cells)} |"


def _printed(claim: Asked, one: Line | None = None) -> str:
    """Return what papers printed for a claim; beside a comparison, of its own dataset alone."""
    if one is None:
        return ", ".join(f"{text} ({dataset})" for dataset, text in claim.printed.items())
    mine = (text for theirs, text in claim.printed.items() if stands_for(one.a[0], theirs))
    return next(mine, "")


def tally(kinds: Sequence[tuple[str, Sequence[Line]]]) -> list[str]:
    """Return a table of how many recipes hold what is said of them, each place for itself.

    Args:
        kinds: what is held of them, and the comparisons.
    """
    words = " | ".join(WORDS)
    lines = [
        f"|  | where | recipes (methods) | {words} |",
        "| :-- | :-- | --: | --: | --: | --: | --: |",
    ]
    for text, found in kinds:
        if not found:
            lines.append(f"| {text} |  | {ABSENT} |  |  |  |  |")
        for n, where in enumerate(dict.fromkeys(one.where for one in found)):
            some = [one for one in found if one.where == where]
            counts = Counter(one.verdict for one in some)
            methods = len({one.a[0].recipe.method for one in some})
            each = " | ".join(str(counts[word] or "") for word in WORDS)
            place = at(some[0], found)
            lines.append(f"| {'' if n else text} | {place} | {len(some)} ({methods}) | {each} |")
    return lines
