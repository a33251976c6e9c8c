"""What papers printed, cell by cell, and our number of the same recipe, if there is.

A row of a suite says what the paper's recipe is; what it leaves open goes without saying
(`defaults`). A run stands beside it if it says just that.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from dml_bench.defaults import DATASETS, usual
from dml_bench.ledger.budgeted import value
from dml_bench.ledger.budgets import UNTRAINED, Group
from dml_bench.ledger.naming import switches
from dml_bench.ledger.orders import STANDS_FOR
from dml_bench.ledger.section import PRINTED_AT
from dml_bench.ledger.sentences import links
from dml_bench.methods import METHODS
from dml_bench.methods.base import options
from dml_bench.parts import cent, signed
from dml_bench.published import FILE, Published, read_published
from dml_bench.statistics import over_seeds
from dml_bench.suites import load
from dml_bench.types import Recipe

SUITES = (
    *("paper-cifar10", "paper-stl10", "paper-cub200", "paper-sop", "paper-cars196"),
    *("ablations", "cifar10-jpeg"),
)
HEADER = (
    "| row | budget | metric | printed | ours | difference | switches | runs |",
    "| :-- | :-- | :-- | --: | --: | --: | :-- | :-- |",
)
ABOUT = (
    "The paper's code keeps the epoch that is best on the test images; ours are of the last. Where"
    " a row has another dataset than the printed one no difference is given. Of rows that were not"
    " run the printed numbers stand in a line each budget."
)
SILENT = frozenset({"expect", "source", "monitor", "seed", "options", "precision"})
"""Of a row what makes no other recipe; a precision does where the row names one."""
Row = Mapping[str, Any]


def section(groups: Sequence[Group], folder: str) -> list[str]:
    """Return a table a printed table, as lines of Markdown.

    Args:
        groups: the runs of each recipe, one a seed.
        folder: where the records lie, seen from the page.
    """
    lines = [ABOUT, ""]
    for name in SUITES:
        suite = load(name)
        lines += [f"### {suite.title}", ""]
        rows = zip(suite.runs, suite.labels, strict=True)
        known = [(row, label, _runs(row, suite.runs, groups)) for row, label in rows]
        if cells := [cell for one in known for cell in _cells(*one, folder)]:
            lines += [*HEADER, *cells, ""]
        if absent := list(_absent(known)):
            lines += [*absent, ""]
    return [*lines, *_without(), ""]


def _runs(row: Row, rows: Sequence[Row], groups: Sequence[Group]) -> list[Group]:
    """Return the recipes that are a row's, but those of a precision that another row names."""
    if not row.get("expect"):
        return []
    named = [other for other in rows if "precision" in other and "precision" not in row]
    ours = [group for group in groups if is_row(group[0].recipe, row)]
    return [g for g in ours if not any(is_row(g[0].recipe, other) for other in named)]


def _cells(row: Row, label: str, ours: Sequence[Group], folder: str) -> Iterator[str]:
    """Yield a line for each number that was printed for a row of a suite, and each run of it."""
    for metric, printed in row.get("expect", {}).items():
        about = f"| {label} | {budget(row)} | {metric} | {cent(printed)}"
        for group in _with(metric, ours):
            mean, _ = over_seeds([result.metrics[metric] for result in group])
            apart = signed(mean - printed) if row["dataset"] not in _standing() else ""
            told = f"{switches(group[0].recipe)}; {group[0].recipe.precision}"
            yield f"{about} | {value(group, metric)} | {apart} | {told} | {links(group, folder)} |"


def _with(metric: str, groups: Sequence[Group]) -> list[Group]:
    return [group for group in groups if all(metric in result.metrics for result in group)]


def _absent(rows: Sequence[tuple[Row, str, Sequence[Group]]]) -> Iterator[str]:
    """Yield a line for each budget with the printed numbers of the rows that were not run."""
    found: dict[str, list[str]] = {}
    for row, label, ours in rows:
        some = row.get("expect", {}).items()
        cells = [f"{metric} {cent(v)}" for metric, v in some if not _with(metric, ours)]
        if cells:
            found.setdefault(budget(row), []).append(f"{label}: {', '.join(cells)}")
    for words, told in found.items():
        yield f"- Not run yet, {words}: {'; '.join(told)}."


def _standing() -> set[str]:
    """Return the datasets that stand for a printed one and are not it."""
    return {name for theirs, ours in STANDS_FOR.items() for name in ours if name != theirs}


def budget(row: Row) -> str:
    """Return the dataset and epochs of a row.

    Example:
        >>> budget({"dataset": "cifar10", "method": "nce", "expect": {"knn@200": 0.8}})
        'cifar10, 200 epochs'
    """
    epochs = _wanted(row)["epochs"]
    return f"{row['dataset']}, {f'{epochs} epochs' if epochs else 'untrained'}"


def is_row(recipe: Recipe, row: Row, protocol: str = "") -> bool:
    """Return whether a recipe is a row's: all that it says, and what goes without saying.

    Args:
        recipe: of a run.
        row: of a suite.
        protocol: "seen" or "unseen"; without, what the row's printed metric says.
    """
    wanted = _wanted(row, protocol)
    given = options(METHODS[row["method"]].Method, row.get("options", {}))
    return dict(recipe.options) == given and all(
        getattr(recipe, name) == said for name, said in wanted.items()
    )


def _wanted(row: Row, protocol: str = "") -> dict[str, Any]:
    """Return the fields that a run of a row has; without those that follow from the images."""
    printed = "seen" if {"knn@200", "linear"} & set(row.get("expect", {})) else "unseen"
    special = DATASETS.get(row["dataset"], {})
    unsaid = usual(row["method"], protocol or printed, special, row)
    wanted = {k: v for k, v in {**unsaid, **row}.items() if k not in SILENT}
    if row.get("precision", "auto") != "auto":
        wanted["precision"] = row["precision"]
    if wanted["head"] == "none":
        del wanted["dim"]  # it is the network's
    if not wanted.get("crop"):
        wanted.pop("crop", None)  # it is the images'
    if row["method"] in UNTRAINED:
        wanted["epochs"] = 0
    return wanted


def _without() -> Iterator[str]:
    """Yield a table of the printed numbers that no suite has a row for."""
    rows = [row for name in SUITES for row in load(name).runs]
    known = {(r["dataset"], m, v) for r in rows for m, v in r.get("expect", {}).items()}
    yield from ("### Printed, and no suite runs it", "")
    yield from (f"Each {PRINTED_AT}.", "")
    yield from ("| printed | row | dataset | numbers |", "| :-- | :-- | :-- | :-- |")
    alone = [cell for cell in _papers() if (cell.dataset, cell.metric, cell.value) not in known]
    for (source, label, dataset), some in groupby(
        alone, key=lambda cell: (cell.source, cell.label, cell.dataset)
    ):
        numbers = ", ".join(f"{cell.metric} {cent(cell.value)}" for cell in some)
        yield f"| {source} | {label} | {dataset} | {numbers} |"


def _papers() -> list[Published]:
    return [cell for cell in read_published(FILE) if cell.source_key.startswith("invaspread_t")]
