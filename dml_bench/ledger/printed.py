"""What papers printed, cell by cell, and our number of the same dataset and budget, if there is."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dml_bench.ledger.budgets import Group, switches
from dml_bench.ledger.sentences import links
from dml_bench.parts import cent, signed
from dml_bench.statistics import over_seeds
from dml_bench.suites import load
from dml_bench.types import Recipe
from dml_bench.types.recipe import LATER

SUITES = (
    *("paper-cifar10", "paper-stl10", "paper-cub200", "paper-sop", "paper-cars196"),
    *("ablations", "cifar10-jpeg"),
)
EPOCHS = {"seen": 200, "unseen": 60}
"""Of a paper's recipe, where a suite's row says none: `recipes.PROTOCOLS`."""
HEADER = (
    "| row | budget | metric | printed | ours | difference | switches | runs |",
    "| :-- | :-- | :-- | --: | --: | --: | :-- | :-- |",
)
Row = Mapping[str, Any]


def section(groups: Sequence[Group], folder: str) -> list[str]:
    """Return a table a printed table, as lines of Markdown.

    Args:
        groups: the runs of each recipe, one a seed.
        folder: where the records lie, seen from the page.
    """
    lines = []
    for name in SUITES:
        suite = load(name)
        lines += [f"### {suite.title}", "", *HEADER]
        for row, label in zip(suite.runs, suite.labels, strict=True):
            lines += _cells(row, label, groups, folder)
        lines.append("")
    return lines


def _cells(row: Row, label: str, groups: Sequence[Group], folder: str) -> Iterator[str]:
    """Yield a line for each number that was printed for a row of a suite."""
    ours = next((group for group in groups if _is(group[0].recipe, row)), None)
    for metric, value in row.get("expect", {}).items():
        about = f"| {label} | {budget(row)} | {metric} | {cent(value)}"
        if ours is None or any(metric not in result.metrics for result in ours):
            yield f"{about} | not run yet | | | |"
            continue
        mean, half = over_seeds([result.metrics[metric] for result in ours])
        ends = ours[0].intervals.get(metric) if half is None else None
        told = cent(mean) + (f" ± {cent(half)}" if half is not None else "")
        told += f" [{cent(ends[0])}, {cent(ends[1])}]" if ends else ""
        apart = f"{signed(mean - value)} | {switches(ours[0].recipe)} | {links(ours, folder)} |"
        yield f"{about} | {told} | {apart}"


def budget(row: Row) -> str:
    """Return what a printed number took: its dataset and epochs.

    Example:
        >>> budget({"dataset": "cifar10", "method": "nce", "expect": {"knn@200": 0.8}})
        'cifar10, 200 epochs'
    """
    epochs = _epochs(row)
    return f"{row['dataset']}, {f'{epochs} epochs' if epochs else 'untrained'}"


def _epochs(row: Row) -> int:
    if row["method"] in ("random", "init", "pixels"):
        return 0
    protocol = "seen" if "knn@200" in row.get("expect", {}) else "unseen"
    return int(row.get("epochs", EPOCHS[protocol]))


def _is(recipe: Recipe, row: Row) -> bool:
    """Return whether a recipe is a row's: all that the row says, the printed budget, no more."""
    said = {k: v for k, v in row.items() if k not in ("expect", "source", "options", "monitor")}
    said |= {"epochs": _epochs(row)}
    young = {k: v for k, v in LATER.items() if k not in said}
    same = all(getattr(recipe, name) == value for name, value in {**young, **said}.items())
    options = row.get("options", {}).items()
    return same and all(recipe.options.get(name) == value for name, value in options)
