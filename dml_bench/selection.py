"""The selection ledger: what choosing an epoch gives, and what choosing it on the test set would.

The result of a run is its last epoch, whatever the curve shows. What selection on held-out training
images gives, and what a paper may print that takes the best epoch of the test set, are other
numbers with names of their own; the inflation is how much of the last is looking at the answers.
"""

from collections.abc import Mapping

from dml_bench.spread import DISTANCES
from dml_bench.types import RunResult

VALIDATION = "validation "
"""What stands before a metric's name in the curve, where held-out images were asked."""
SELECTED, BEST = "selected", "best on test"
OVER_SELECTED, OVER_LAST = "inflation over selected", "inflation over last"
KINDS = (SELECTED, BEST, OVER_SELECTED, OVER_LAST)


def ledger(result: RunResult) -> dict[str, float]:
    """Return what a monitored run's curve says of selection, by names as in a table.

    Args:
        result: of any run.

    Returns:
        Nothing for a run without a monitor. Else, of its metric m: "m" as it was after the last
        epoch; "m (best on test)", and "m (inflation over last)", the best less the last; with
        held-out images "m (selected)" too, the test set's m after the epoch that they chose (the
        first of equals), and "m (inflation over selected)".

    Source:
        Musgrave et al., "A Metric Learning Reality Check" (ECCV 2020), section 2.3: training with
        test set feedback.
    """
    name = result.recipe.monitor
    rows = [row for row in result.curve if name in row]
    if not rows:
        return {}
    last, best = rows[-1][name], _best(rows, name)[name]
    found = {name: last, f"{name} ({BEST})": best, f"{name} ({OVER_LAST})": best - last}
    if chosen := _selected(rows, name):
        found[f"{name} ({SELECTED})"] = chosen[name]
        found[f"{name} ({OVER_SELECTED})"] = best - chosen[name]
    return found


def _selected(rows: list[Mapping[str, float]], name: str) -> Mapping[str, float] | None:
    """Return the row of the epoch that is best on the held-out images."""
    held = f"{VALIDATION}{name}"
    if not all(held in row for row in rows):
        return None
    return _best(rows, held)


def _best(rows: list[Mapping[str, float]], name: str) -> Mapping[str, float]:
    """Return the first row with the best of a metric: of a distance the lowest."""
    lower = name.removeprefix(VALIDATION) in DISTANCES
    return (min if lower else max)(rows, key=lambda row: row[name])
