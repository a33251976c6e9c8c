"""Comparisons in words, each with links to the records that carry it."""

from collections.abc import Sequence

from dml_bench.ledger.budgets import said
from dml_bench.ledger.reckonings import Inflation
from dml_bench.ledger.verdicts import Line
from dml_bench.parts import cent, signed
from dml_bench.rows import labels_of
from dml_bench.types import Recipe, RunResult


def sentence(one: Line, folder: str) -> str:
    """Return a comparison in words: budget, both sides, difference, verdict, runs.

    Args:
        one: the comparison.
        folder: where the records lie, seen from the page.
    """
    a, b = _names(one.a[0].recipe, one.b[0].recipe)
    sides = f"{a} {cent(one.values[0])} against {b} {cent(one.values[1])}"
    return (
        f"{said(one.a[0])}: {one.name} of {sides}, {difference(one)}: **{one.verdict}**."
        f" Runs: {links(one.a, folder)} against {links(one.b, folder)}."
    )


def _names(a: Recipe, b: Recipe) -> tuple[str, str]:
    """Return what tells two recipes apart; two methods by their rates as well."""
    names = labels_of([a, b])
    if a.method == b.method or a.lr == b.lr:
        return names[0], names[1]
    return f"{names[0]} at rate {a.lr:g}", f"{names[1]} at rate {b.lr:g}"


def difference(one: Line) -> str:
    """Return a difference with its interval, and how many seeds it is over."""
    value = signed(one.difference)
    if one.half is None:
        return f"{value}, one seed"
    ends = f"[{signed(one.difference - one.half)}, {signed(one.difference + one.half)}]"
    return f"{value} {ends} over {len(one.a)} seeds"


def inflated(one: Inflation, folder: str) -> str:
    """Return what the best epoch adds, in words, with its runs."""
    ends = (
        f" ± {cent(one.half)} over {len(one.runs)} seeds" if one.half is not None else ", one seed"
    )
    return (
        f"{said(one.runs[0])}, {labels_of([one.runs[0].recipe])[0]}: {one.name} {cent(one.best)} in"
        f" the best epoch, {cent(one.last)} in the last: {signed(one.added)}{ends}."
        f" Runs: {links(one.runs, folder)}."
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
