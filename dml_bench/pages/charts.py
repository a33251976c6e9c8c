"""What there is to plot, without a plot: entries, curves, ablations and costs of one table."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from dml_bench.rows import (
    HERE,
    HIGH,
    LOW,
    OVER_SEEDS,
    RECORD,
    Row,
    groups,
    labels_of,
    order,
    row_of,
)
from dml_bench.types import RunResult

NO_CURVE = {"epoch", "loss", "lr", "seconds", "images_per_second"}
"""Columns of a curve that are no metric."""
Curve = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Entry:
    """A recipe with its seeds: one line of a table.

    Args:
        label: as the table names it; unique among the entries of a table.
        origin: here, or a published run.
        row: as the table shows it.
        runs: one a seed.
    """

    label: str
    origin: str
    row: Row
    runs: tuple[RunResult, ...]

    def spread(self, metric: str) -> tuple[float, float, float]:
        """Return a metric and the two ends of its interval; thrice the metric where there is none.

        The interval is over the seeds, or one run's over its classes.
        """
        value = self.row[metric]
        half = self.row.get(f"{metric} ({OVER_SEEDS})", 0.0)
        low, high = (self.row.get(f"{metric} ({end})") for end in (LOW, HIGH))
        return value, value - half if low is None else low, value + half if high is None else high


@dataclass(frozen=True)
class Change:
    """A run that differs from another in one thing.

    Args:
        name: of that thing: "dim".
        said: it, and what it is of the run: "dim 32".
        entry: the run.
    """

    name: str
    said: str
    entry: Entry


@dataclass(frozen=True)
class Ablation:
    """A base run and those that differ from it in one thing each."""

    base: Entry
    changes: tuple[Change, ...]


def entries(results: Sequence[RunResult], records: Sequence[RunResult] = ()) -> list[Entry]:
    """Return the lines of a table that are runs, in its order.

    Args:
        results: of the runs made here; of one dataset and protocol.
        records: of the runs that the project publishes; of the same.
    """
    found = [(HERE, group) for group in groups(results)]
    found += [(RECORD, group) for group in groups(records)]
    labels = labels_of([group[0].recipe for _, group in found])
    rows = [row_of(*both, label) for both, label in zip(found, labels, strict=True)]
    told = _told_apart(rows)
    made = [
        Entry(name, origin, row, tuple(group))
        for name, row, (origin, group) in zip(told, rows, found, strict=True)
    ]
    return sorted(made, key=lambda entry: (order(entry.row), entry.runs[0].recipe.key))


def _told_apart(rows: Sequence[Row]) -> list[str]:
    """Return a name for each row; what a table says in columns is said in it where need be."""
    names = [row["method"] for row in rows]
    for column in ("backbone", "weights", "dim", "crop", "batch", "epochs", "origin"):
        same = Counter(names)
        values = {name: {r[column] for r, n in zip(rows, names, strict=True) if n == name}
                  for name in same}  # fmt: skip
        names = [
            f"{name}, {_said(column, row[column])}" if len(values[name]) > 1 else name
            for name, row in zip(names, rows, strict=True)
        ]
    return names


def _said(column: str, value: Any) -> str:
    return str(value) if isinstance(value, str) else f"{column} {value}"


def main_metric(found: Sequence[Entry]) -> str:
    """Return the metric that stands first in the most entries, and so decides what is best."""
    firsts = Counter(next(iter(entry.runs[0].metrics), "") for entry in found)
    return min(firsts, key=lambda name: (-firsts[name], name)) if firsts else ""


def with_metric(found: Sequence[Entry], metric: str) -> list[Entry]:
    """Return the entries all of whose seeds have a metric."""
    return [entry for entry in found if metric in entry.row]


def monitored(found: Sequence[Entry]) -> list[str]:
    """Return the metrics that curves show by epoch."""
    names = {name for e in found for run in e.runs for point in run.curve for name in point}
    return sorted(names - NO_CURVE)


def curves(entry: Entry, name: str) -> list[Curve]:
    """Return (epoch, value) of each seed that has a curve of that name; one epoch is none."""
    lines = (
        tuple((float(point["epoch"]), float(point[name])) for point in run.curve if name in point)
        for run in entry.runs
    )
    return [line for line in lines if len(line) > 1]


def ablations(found: Sequence[Entry]) -> list[Ablation]:
    """Return for each method the run that the most others differ from in one thing, with them.

    Runs of two origins are never compared; of equals the base is the one that was made first. What
    differs in its precision alone has no figure.
    """
    made = []
    for place in dict.fromkeys((entry.origin, entry.runs[0].recipe.method) for entry in found):
        alike = [e for e in found if (e.origin, e.runs[0].recipe.method) == place]
        tries = [Ablation(base, _changes(base, alike)) for base in alike]
        best = min(tries, key=lambda one: (-len(one.changes), one.base.runs[0].finished))
        if any(change.name != "precision" for change in best.changes):
            made.append(best)
    return made


def _changes(base: Entry, others: Sequence[Entry]) -> tuple[Change, ...]:
    mine = _things(base)
    found = []
    for other in others:
        theirs = _things(other)
        told = [name for name in theirs | mine if mine.get(name) != theirs.get(name)]
        if len(told) == 1:
            found.append(Change(told[0], f"{told[0]} {_plain(theirs.get(told[0]))}", other))
    return tuple(sorted(found, key=lambda change: _natural(change.said)))


def _things(entry: Entry) -> dict[str, Any]:
    """Return what decides an entry's numbers, options beside fields, seeds left out."""
    values: Mapping[str, Any] = entry.runs[0].recipe.decisive()
    options: dict[str, Any] = values["options"]
    hidden = {"seed", "options", "dataset"} | ({"weights"} if values["weights_digest"] else set())
    return {k: v for k, v in values.items() if k not in hidden} | options


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _natural(said: str) -> tuple[str, float, str]:
    name, _, value = said.partition(" ")
    try:
        return name, float(value), value
    except ValueError:
        return name, 0.0, value


def cost(entry: Entry) -> dict[str, float]:
    """Return what an entry's training cost, the mean over its seeds; zeros left out.

    Returns:
        seconds of training, images seen (those of every epoch together), and parameters; of what
        was not trained the parameters alone.
    """
    costs: dict[str, list[float]] = {}
    for run in entry.runs:
        seen = run.counts.get("train_images", 0) * run.recipe.epochs
        for name, value in {
            "seconds of training": run.seconds.get("train", 0.0) if run.recipe.epochs else 0.0,
            "images seen in training": seen,
            "parameters": run.counts.get("parameters", 0),
        }.items():
            costs.setdefault(name, []).append(float(value))
    means = {name: fmean(values) for name, values in costs.items()}
    return {name: value for name, value in means.items() if value > 0}
