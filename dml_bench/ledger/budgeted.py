"""The ledger's tables of runs: one budget a table, seeds together, switches and links beside."""

from collections.abc import Sequence
from statistics import fmean

from dml_bench.ledger.budgets import Group, primary, said, switches
from dml_bench.ledger.sentences import difference, links
from dml_bench.ledger.verdicts import Line
from dml_bench.parts import cent
from dml_bench.rows import labels_of, place
from dml_bench.spread import DISTANCES
from dml_bench.statistics import over_seeds
from dml_bench.types import RunResult


def section(groups: Sequence[Group], folder: str) -> list[str]:
    """Return a table for each budget, as lines of Markdown.

    Args:
        groups: the runs of each recipe, one a seed.
        folder: where the records lie, seen from the page.
    """
    lines: list[str] = []
    budgets = sorted({(place(group[0]), said(group[0])) for group in groups})
    for at, words in budgets:
        alike = [group for group in groups if (place(group[0]), said(group[0])) == (at, words)]
        lines += [f"### {words}", "", f"Protocol {at[1]}.", "", *_table(alike, folder), ""]
    return lines


def _table(groups: Sequence[Group], folder: str) -> list[str]:
    metric = primary(groups[0][0])
    labels = labels_of([group[0].recipe for group in groups])
    lines = [
        f"| recipe | {metric} | alignment | uniformity | switches | runs |",
        "| :-- | --: | --: | --: | :-- | :-- |",
    ]
    named = sorted(zip(groups, labels, strict=True), key=lambda pair: (-_mean(pair[0]), pair[1]))
    for group, label in named:
        lie = " | ".join(distance(group, name) for name in DISTANCES)
        about = f"{switches(group[0].recipe)} | {links(group, folder)}"
        lines.append(f"| {label} | {value(group)} | {lie} | {about} |")
    return lines


def _mean(group: Group) -> float:
    return over_seeds([result.metrics[primary(result)] for result in group])[0]


def value(group: Group) -> str:
    """Return the primary metric of a recipe: over its seeds, else one run's, over its classes."""
    name = primary(group[0])
    mean, half = over_seeds([result.metrics[name] for result in group])
    if half is not None:
        return f"{cent(mean)} ± {cent(half)}"
    ends = group[0].intervals.get(name)
    return cent(mean) + (f" [{cent(ends[0])}, {cent(ends[1])}]" if ends else "")


def distance(group: Sequence[RunResult], name: str) -> str:
    """Return the mean of what is no fraction; empty where a run does not say it."""
    known = [result.spread[name] for result in group if name in result.spread]
    return f"{fmean(known):.3f}" if len(known) == len(group) else ""


def gains(found: Sequence[Line], folder: str) -> list[str]:
    """Return trained recipes beside what they started from, strongest start first.

    Args:
        found: trained against start.
        folder: where the records lie, seen from the page.
    """
    lines = [
        "| budget | recipe | switches | start | after | difference | it helps | alignment |"
        " uniformity | runs |",
        "| :-- | :-- | :-- | --: | --: | --: | :-- | :-- | :-- | :-- |",
    ]
    labels = labels_of([one.a[0].recipe for one in found])
    for one, label in zip(found, labels, strict=True):
        first = one.a[0]
        lie = [f"{_to(one, name)}" for name in DISTANCES]
        cells = [said(first), label, switches(first.recipe), cent(one.values[1])]
        cells += [cent(one.values[0]), difference(one), one.verdict, *lie]
        cells += [f"{links(one.a, folder)} from {links(one.b, folder)}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _to(one: Line, name: str) -> str:
    """Return a distance before and after, where both are known."""
    before, after = distance(one.b, name), distance(one.a, name)
    return f"{before} to {after}" if before and after else after
