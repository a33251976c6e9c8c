"""Comparisons in words, each with links to the records that carry it."""

from collections.abc import Sequence

from dml_bench.environment import kind
from dml_bench.ledger import naming
from dml_bench.ledger.budgets import budget
from dml_bench.ledger.claims import ALIKE
from dml_bench.ledger.reckonings import Inflation
from dml_bench.ledger.verdicts import OPEN, Line
from dml_bench.parts import cent, signed
from dml_bench.types import RunResult


def sentence(one: Line, folder: str) -> str:
    """Return a comparison in words: budget, both sides, difference, verdict, runs.

    Args:
        one: the comparison.
        folder: where the records lie, seen from the page.
    """
    known = "; ".join(remarks(one))
    remark = f" Here {known}." if known else ""
    return f"{_beside(one)}: {outcome(one)}.{remark} Runs: {_runs(one, folder)}."


def undecided(one: Line, folder: str) -> str:
    """Return a comparison that decides nothing in words: budget, sides, difference, runs.

    Args:
        one: the comparison.
        folder: where the records lie, seen from the page.
    """
    alone = ", one seed" if one.half is None else ""
    return f"{_beside(one)}{alone}. Runs: {_runs(one, folder)}."


def _beside(one: Line) -> str:
    a, b = naming.pair(one.a[0].recipe, one.b[0].recipe)
    sides = f"{a} {cent(one.values[0])} against {b} {cent(one.values[1])}"
    return f"{one.where}: {one.name} of {sides}, {difference(one)}"


def _runs(one: Line, folder: str) -> str:
    on = processors(one)
    told = f", on {on}" if on else ""
    return f"{links(one.a, folder)} against {links(one.b, folder)}{told}"


def processors(one: Line) -> str:
    """Return which processors were paired, in words; empty where each pair ran on one kind."""
    each = [[kind(run.environment) for run in side] for side in (one.a, one.b) if side]
    pairs = list(zip(*each, strict=True))
    unlike = [pair for pair in pairs if None not in pair and len(set(pair)) > 1]
    some = "" if len(unlike) == len(pairs) else f" in {len(unlike)} of {len(pairs)} pairs"
    return f"two kinds of processor{some}" if unlike else ""


def remarks(one: Line) -> list[str]:
    """Return what is to be known of a comparison besides, in words."""
    return [*filter(None, [one.remark]), *sizes(one)]


def sizes(one: Line) -> list[str]:
    """Return in how many dimensions each side was asked, in words, where they are not as many."""
    sides = [side[0] for side in (one.a, one.b) if side]
    found = [scored(side) for side in sides]
    heads = {side.recipe.head for side in sides}
    if len(heads) < 2 or len(set(found)) < 2 or None in found:  # else both names say it
        return []
    return [f"asked in {' against '.join(f'{size:,}' for size in found)} dimensions"]


def scored(result: RunResult) -> int | None:
    """Return in how many dimensions a run was asked; None where its record does not say.

    A head that is thrown away leaves the network's.
    """
    recipe = result.recipe
    known = None if recipe.head == "projection" else recipe.dim
    return result.counts.get("dimensions", known)


def measured(one: Line) -> str:
    """Return what was measured, as a table says it."""
    return one.name.rstrip(",")


def alone(one: Line, folder: str, goal: str) -> str:
    """Return a recipe beside a number, in words.

    Args:
        one: the comparison.
        folder: where the records lie, seen from the page.
        goal: what the number is.
    """
    recipe = f"{one.a[0].recipe.method} ({naming.switches(one.a[0].recipe)})"
    return (
        f"{one.where}: {one.name} of {recipe}: {cent(one.values[0])} where {cent(one.values[1])} is"
        f" {goal}, {difference(one)}: {outcome(one)}. Runs: {links(one.a, folder)}."
    )


def outcome(one: Line) -> str:
    """Return the verdict of a comparison, and how sure it is."""
    word = f"**{one.verdict}**"
    if one.hair:
        return f"{word} weakly"
    if one.expected == ALIKE and one.verdict == OPEN and one.half is not None:
        most = cent(abs(one.difference) + one.half)
        unlike = abs(one.difference) > one.half
        return (
            f"{word}: they differ, by at most {most}" if unlike else f"{word}, at most {most} apart"
        )
    return word


def difference(one: Line) -> str:
    """Return a difference with its interval, and how many seeds it is over if it has one."""
    seeds = f" over {len(one.a)} seeds" if one.half is not None else ""
    return f"{interval(one.difference, one.half)}{seeds}"


def interval(value: float, half: float | None) -> str:
    """Return a difference in per cent with the ends of its interval, where it has one.

    Example:
        >>> interval(0.1, 0.025), interval(0.1, None), interval(0.05, 0.0498)
        ('+10.0 [+7.5, +12.5]', '+10.0', '+5.0 [+0.02, +10.0]')
    """
    if half is None:
        return signed(value)
    ends = ", ".join(_end(end) for end in (value - half, value + half))
    return f"{signed(value)} [{ends}]"


def _end(value: float) -> str:
    """Return an end of an interval: one that a decimal would put on zero has two."""
    return signed(value) if abs(value) >= 0.0005 else f"{100 * value:+.2f}"


def inflated(one: Inflation, name: str, folder: str) -> str:
    """Return what the best epoch adds, in words, with its runs.

    Args:
        one: of a recipe.
        name: what that is called.
        folder: where the records lie, seen from the page.
    """
    each = ", ".join(signed(added) for added in one.added)
    return (
        f"{budget(one.runs[0])}, {name}: {one.name} {cent(one.best)} in the best epoch,"
        f" {cent(one.last)} in the last: {each}. Runs: {links(one.runs, folder)}."
    )


def links(group: Sequence[RunResult], folder: str) -> str:
    """Return links to the records of a recipe, one a seed.

    Args:
        group: its runs.
        folder: where the records lie, seen from the page.
    """
    unlike = {result.recipe.key: result.recipe.seed for result in group}
    return " ".join(f"[s{seed}]({folder}/{key}/result.json)" for key, seed in unlike.items())


def anchor(title: str) -> str:
    """Return what a heading is linked by on a page of Markdown.

    Example:
        >>> anchor("Each augmentation's share")
        'each-augmentations-share'
    """
    return "".join(c for c in title.lower() if c.isalnum() or c in " -").replace(" ", "-")
