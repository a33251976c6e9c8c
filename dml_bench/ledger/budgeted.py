"""The ledger's tables of runs: one budget a table, seeds together, switches and links beside."""

from collections.abc import Sequence
from itertools import groupby
from statistics import fmean

from dml_bench.ledger.budgets import Group, budget, primary
from dml_bench.ledger.naming import labels, switches
from dml_bench.ledger.sentences import difference, links, outcome
from dml_bench.ledger.starts import Gain
from dml_bench.ledger.verdicts import Line
from dml_bench.parts import cent
from dml_bench.rows import place
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
    budgets = sorted({(place(group[0]), str(budget(group[0]))) for group in groups})
    for at, words in budgets:
        alike = [g for g in groups if (place(g[0]), str(budget(g[0]))) == (at, words)]
        lines += [f"### {words}", "", f"Protocol {at[1]}.", "", *_table(alike, folder), ""]
    return lines


def _table(groups: Sequence[Group], folder: str) -> list[str]:
    metric = primary(groups[0][0])
    lines = [
        f"| recipe | {metric} | alignment | uniformity | steps | training, s | switches | runs |",
        "| :-- | --: | --: | --: | --: | --: | :-- | :-- |",
    ]
    names = labels([group[0].recipe for group in groups])
    named = sorted(zip(groups, names, strict=True), key=lambda pair: (-_mean(pair[0]), pair[1]))
    for group, name in named:
        lie = " | ".join(distance(group, which) for which in DISTANCES)
        cost = f"{steps(group[0])} | {_seconds(group)}"
        about = f"{cost} | {switches(group[0].recipe)} | {links(group, folder)}"
        lines.append(f"| {name} | {value(group)} | {lie} | {about} |")
    return lines


def steps(result: RunResult) -> str:
    """Return how many steps a training took, in words; empty where it had none."""
    rows = [row for row in result.curve if "images_per_second" in row]
    images = sum(row["images_per_second"] * row["seconds"] for row in rows)
    return f"{round(images / result.recipe.batch):,}" if rows else ""


def _seconds(group: Group) -> str:
    """Return how long the trainings of a recipe took, from the shortest to the longest."""
    known = [result.seconds["train"] for result in group if "train" in result.seconds]
    if not known or not group[0].recipe.epochs:
        return ""
    return " to ".join(dict.fromkeys(f"{each:,.0f}" for each in (min(known), max(known))))


def _mean(group: Group) -> float:
    return over_seeds([result.metrics[primary(result)] for result in group])[0]


def value(group: Group, metric: str = "") -> str:
    """Return a metric of a recipe: over its seeds, else one run's, over its classes.

    Classes that training shows are no draw of others: there one run stands without an interval.

    Args:
        group: the runs of a recipe, one a seed.
        metric: its name; the primary one without.
    """
    name = metric or primary(group[0])
    mean, half = over_seeds([result.metrics[name] for result in group])
    if half is not None:
        return f"{cent(mean)} ± {cent(half)}"
    unseen = primary(group[0]) == "recall@1"
    ends = group[0].intervals.get(name) if unseen else None
    return cent(mean) + (f" [{cent(ends[0])}, {cent(ends[1])}]" if ends else "")


def distance(group: Sequence[RunResult], name: str) -> str:
    """Return the mean of what is no fraction, over the seeds that say it; empty where none does."""
    known = [result.spread[name] for result in group if name in result.spread]
    some = f" ({len(known)} of {len(group)})" if len(known) < len(group) else ""
    return f"{fmean(known):.3f}{some}" if known else ""


def gains(found: Sequence[Gain], folder: str) -> list[str]:
    """Return trained recipes beside what they started from, a table a budget.

    Args:
        found: strongest start first, those of one budget together.
        folder: where the records lie, seen from the page.
    """
    lines = []
    for where, some in groupby(found, key=lambda gain: gain.start.where):
        lines += [f"### {where}: what training gains", "", *_gains(list(some), folder), ""]
    return lines


def _gains(found: Sequence[Gain], folder: str) -> list[str]:
    lines = [
        "| recipe | start | after | over the start | it rises | over the frozen features |"
        " alignment | uniformity | switches | runs |",
        "| :-- | --: | --: | :-- | :-- | :-- | :-- | :-- | :-- | :-- |",
    ]
    for gain, name in zip(found, labels([one.start.a[0].recipe for one in found]), strict=True):
        one = gain.start
        cells = [name, cent(one.values[1]), cent(one.values[0]), difference(one)]
        cells += [outcome(one).replace("**", "")]
        cells.append(difference(gain.features) if gain.features else "")
        cells += [_to(one, which) for which in DISTANCES]
        cells += [switches(one.a[0].recipe), f"{links(one.a, folder)} from {links(one.b, folder)}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def became(one: Line) -> str:
    """Return how alignment and uniformity changed, in words; empty where neither is known."""
    told = [(name, _to(one, name)) for name in DISTANCES]
    return ", ".join(f"{name} {change}" for name, change in told if " to " in change)


def _to(one: Line, name: str) -> str:
    """Return a distance before and after, of the seeds that know both; else what it came to."""
    pairs = [both for both in zip(one.b, one.a, strict=True) if all(name in r.spread for r in both)]
    if not pairs:
        after = distance(one.a, name)
        return after and f"after {after}"
    began, ended = (fmean(both[n].spread[name] for both in pairs) for n in (0, 1))
    some = f" ({len(pairs)} of {len(one.a)})" if len(pairs) < len(one.a) else ""
    return f"{began:.3f} to {ended:.3f}{some}"
