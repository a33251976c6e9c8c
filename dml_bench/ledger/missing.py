"""Rows of suites that have no record: what the ledger was to ask and has not."""

from collections.abc import Sequence
from pathlib import PurePath

from dml_bench.ledger.budgets import Group, primary
from dml_bench.ledger.printed import Row, is_row
from dml_bench.suites import load, names

ASKED = "ledger-"
"""How the names of the suites begin that are made for the ledger."""
ABOUT = (
    "The suites that the records are of, and their rows that have none, or not of each seed. What"
    " such a row was to answer is not decided by another."
)


def section(groups: Sequence[Group]) -> list[str]:
    """Return a table of the rows that were not run, as lines of Markdown.

    Args:
        groups: the runs of each recipe, one a seed.
    """
    lines = [ABOUT, "", "| suite | rows | with a record of each seed | without |"]
    lines.append("| :-- | --: | --: | :-- |")
    none = []
    for name in names():
        rows = _rows(name)
        told = [_told(label, some, groups) for label, some in rows.items()]
        left = [text for text in told if text]
        if left == list(rows) and not name.startswith(ASKED):
            none.append(name)
            continue
        lines.append(f"| {name} | {len(rows)} | {len(rows) - len(left)} | {'; '.join(left)} |")
    return [*lines, *(["", f"Of no row there is a record: {', '.join(none)}."] if none else [])]


def _rows(name: str) -> dict[str, list[Row]]:
    """Return the rows of a suite: label -> the row, once a seed."""
    suite = load(name)
    found: dict[str, list[Row]] = {}
    for row, label in zip(suite.runs, suite.labels, strict=True):
        found.setdefault(label, []).append(row)
    return found


def _told(label: str, rows: Sequence[Row], groups: Sequence[Group]) -> str:
    """Return what of a row was not run, in words; empty where all of it was."""
    ours = [run for group in groups if _is(group, rows[0]) for run in group]
    known = {run.recipe.seed for run in ours}
    left = [seed for row in rows if (seed := row.get("seed", 0)) not in known]
    if not left:
        return ""
    return label if len(left) == len(rows) else f"{label}: seed {' and '.join(map(str, left))}"


def _is(group: Group, row: Row) -> bool:
    recipe = group[0].recipe
    if (recipe.method, PurePath(recipe.dataset).name) != (row["method"], row["dataset"]):
        return False  # soon told
    seen = primary(group[0]) == "knn@200"
    return is_row(recipe, row, "seen" if seen else "unseen")
