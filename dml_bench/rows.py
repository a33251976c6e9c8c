"""The lines of a table: seeds put together, names that tell them apart, what papers printed."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import PurePath
from statistics import fmean
from typing import Any

from dml_bench import selection as ledger
from dml_bench.errors import StoreError
from dml_bench.published import Published
from dml_bench.statistics import over_seeds
from dml_bench.types import Recipe, RunResult

HERE, RECORD, PAPER = ORIGINS = ("here", "published run", "paper")
SUPERVISION = ("none", "unsupervised", "supervised")
TEXTS = ("origin", "method", "supervision", "backbone", "weights")
COUNTS = ("dim", "crop", "batch", "epochs", "seeds")
LONE = "unanswerable"
"""How many queries have no relevant item; a column where there are some."""
IN_COLUMNS = {"dataset", "method", "backbone", "weights", "dim", "crop", "batch", "epochs", "seed"}
HIDDEN = [
    field.name
    for field in fields(Recipe)
    if field.name not in IN_COLUMNS | {"options", "expect", "source"}
]

OVER_SEEDS, LOW, HIGH = "95 %", "low", "high"
"""Half the width of the interval over seeds; the ends of one run's, over its classes."""
KINDS = (OVER_SEEDS, LOW, HIGH, *ledger.KINDS, "published", "difference")
"""What stands in brackets behind a metric's name, in the order of the columns."""

Row = dict[str, Any]


def place(result: RunResult) -> tuple[str, str]:
    """Return the dataset, without any folder, and what tells one way of asking from another.

    That is the protocol's fingerprint; and the conventions of the metrics, where they are not the
    first.
    """
    later = "" if result.conventions == "1" else f", metrics {result.conventions}"
    return PurePath(result.recipe.dataset).name, f"{result.fingerprint}{later}"


def headings(results: Sequence[RunResult]) -> dict[tuple[str, str], str]:
    """Return what each place is called, the places in order.

    That is its dataset, with the fingerprint where the dataset was asked in more than one way.
    """
    places = sorted({place(result) for result in results})
    names = [dataset for dataset, _ in places]
    return {
        (name, mark): name if names.count(name) == 1 else f"{name} (protocol {mark})"
        for name, mark in places
    }


def one_place(results: Sequence[RunResult]) -> tuple[str, str]:
    """Return the dataset and the fingerprint that all have.

    Raises:
        StoreError: there are two, or none.
    """
    places = sorted({place(result) for result in results})
    if len(places) != 1:
        found = ", ".join(f"{dataset} {mark}" for dataset, mark in places) or "no run"
        raise StoreError(
            f"a table: expected runs of one dataset and protocol, found {found}; make one of each"
        )
    return places[0]


def groups(results: Sequence[RunResult]) -> list[list[RunResult]]:
    """Put the seeds of a recipe together.

    Raises:
        StoreError: a run is there twice.
    """
    found: dict[str, list[RunResult]] = {}
    keys: set[str] = set()
    for result in sorted(results, key=lambda result: result.recipe.key):
        if result.recipe.key in keys:
            raise StoreError(f"a table: expected each run once, found {result.recipe.key} twice")
        keys.add(result.recipe.key)
        values = {**result.recipe.decisive(), "seed": None}
        found.setdefault(json.dumps(values, sort_keys=True), []).append(result)
    return list(found.values())


def row_of(origin: str, group: Sequence[RunResult], label: str) -> Row:
    """Return one line: the mean of each metric that every seed has, and what papers printed."""
    recipe = group[0].recipe
    row: Row = {"origin": origin, "method": label, "supervision": group[0].supervision}
    row |= {name: getattr(recipe, name) for name in ("backbone", *COUNTS[:-1])}
    row |= {"weights": PurePath(recipe.weights).name, "seeds": len(group)}
    row["dim"] = group[0].counts.get("dimensions", recipe.dim)  # of what is asked
    if lone := group[0].counts.get(LONE):
        row[LONE] = lone
    for metric in group[0].metrics:
        values = [result.metrics[metric] for result in group if metric in result.metrics]
        if len(values) == len(group):
            row |= _with_interval(metric, values, group[0])
    row = _ledger(group) | row
    for metric, expected in recipe.expect.items():
        row[f"{metric} (published)"] = expected
        if metric in row:
            row[f"{metric} (difference)"] = row[metric] - expected
    return row | ({"source": recipe.source} if recipe.source else {})


def _with_interval(metric: str, values: Sequence[float], first: RunResult) -> Row:
    mean, half = over_seeds(values)
    if half is not None:
        return {metric: mean, f"{metric} ({OVER_SEEDS})": half}
    ends = zip((LOW, HIGH), first.intervals.get(metric, ()), strict=False)
    return {metric: mean, **{f"{metric} ({end})": value for end, value in ends}}


def _ledger(group: Sequence[RunResult]) -> Row:
    """Return the mean of what each seed's selection ledger says."""
    found = [ledger.ledger(result) for result in group]
    names = [name for name in found[0] if all(name in one for one in found)]
    return {name: fmean(one[name] for one in found) for name in names}


def labels_of(recipes: Sequence[Recipe]) -> list[str]:
    """Name each row by its method, and by what else tells it from that method's other rows."""
    labels = []
    for recipe in recipes:
        same = [other for other in recipes if other.method == recipe.method]
        seen = [other for other in same if _columns_of(other) == _columns_of(recipe)]
        told = {
            name: value
            for name, value in recipe.options.items()
            if any(other.options.get(name) != value for other in same)
        }
        for name in HIDDEN:
            value = getattr(recipe, name)
            if any(getattr(other, name) != value for other in seen):
                told[name] = value[:8] if name.endswith("_digest") else value
        if recipe.head == "none" and recipe.backbone != "pixels":  # features, not an embedding
            told["head"] = "none"
        inside = ", ".join(f"{name}={_said(value)}" for name, value in told.items())
        labels.append(f"{recipe.method} ({inside})" if inside else recipe.method)
    return labels


def _columns_of(recipe: Recipe) -> tuple[Any, ...]:
    """Return what a row shows anyway, and its options: rows alike in these need more words."""
    shown = [getattr(recipe, name) for name in sorted(IN_COLUMNS - {"seed", "dataset"})]
    return (*shown, dict(recipe.options))


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def printed_rows(printed: Iterable[Published]) -> list[Row]:
    """Return a line for each that papers printed; its numbers stand in columns of their own."""
    rows: dict[tuple[str, str], Row] = {}
    for cell in printed:
        about: Row = {"origin": PAPER, "method": cell.label, "source": cell.source}
        about |= {"supervision": cell.supervision, "backbone": cell.backbone, "dim": cell.dim}
        row = rows.setdefault((cell.source_key, cell.label), about)
        row[f"{cell.metric} (published)"] = cell.value
    return list(rows.values())


def order(row: Row) -> tuple[Any, ...]:
    """Return where a line stands: ours first, then by what training was given."""
    ranks = dict(zip(SUPERVISION, range(3), strict=True))
    rank = ranks.get(row["supervision"], 3)
    return ORIGINS.index(row["origin"]), rank, row["method"], row["backbone"], row.get("epochs", 0)


def columns(names: Sequence[str]) -> list[str]:
    """Return the columns in reading order: set-up, our metrics, then what papers printed.

    What selection gives stands behind the metrics of the last epoch.
    """
    metrics = [n for n in names if n not in (*TEXTS, *COUNTS, LONE, "source")]
    families = [re.split(r"[@ ]", name)[0] for name in metrics]

    def position(name: str) -> tuple[int, int, int, str, int]:
        metric, _, kind = name.partition(" (")
        number = re.search(r"@(\d+)$", metric)
        family = families.index(re.split(r"[@ ]", metric)[0])
        rank = KINDS.index(kind[:-1]) + 1 if kind[:-1] in KINDS else 0
        part = (kind[:-1] in ledger.KINDS) + 2 * (kind[:-1] in KINDS[-2:])
        return part, family, int(number[1]) if number else 0, metric, rank

    ordered = sorted(metrics, key=position)
    lone = [LONE] if LONE in names else []
    return [*TEXTS, *COUNTS, *lone, *ordered, *(["source"] if "source" in names else [])]
