"""The cells of a table as print, and what is said below it: pure functions of rows and names."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from dml_bench.rows import COUNTS, HIGH, LONE, LOW, OVER_SEEDS, TEXTS
from dml_bench.selection import BEST, OVER_LAST, OVER_SELECTED
from dml_bench.spread import DISTANCES, is_fraction
from dml_bench.typeset import Grid

OWN = "own"
NOTES = {
    OVER_SEEDS: "With several seeds the mean ± half its 95 % interval over them (Student's t).",
    LOW: "[low, high] is one run's 95 % interval over its test classes (bootstrap), whatever other"
    " seeds would give.",
    OVER_LAST: "Each metric is the last epoch's; (selected) is that of the epoch which held-out"
    " training images chose, (best on test) that of the epoch which the answers chose, (inflation)"
    " what looking at them gave.",
    LONE: "Unanswerable queries have no other image of their class: what is ranked leaves them out,"
    " weighted kNN and the linear probe ask them all.",
    "alignment": "Alignment is a squared distance, as it is; lower is better.",
    "uniformity": "Uniformity is a logarithm, as it is; lower is better.",
    OWN: "A metric of the user's own is shown as it is, not in per cent.",
}
"""What is said below a table that has such columns."""
SIGNED = ("difference", OVER_LAST, OVER_SELECTED)
UNCONTESTED = (*SIGNED, BEST)
"""What nobody wins at."""
Record = Mapping[Any, Any]


def note(names: Iterable[str]) -> str:
    """Return what a reader of a table with such columns should know."""
    names = list(names)
    kinds = {name.rpartition(" (")[2][:-1] for name in names}
    kinds |= {LONE, *DISTANCES} & set(names)
    metrics = [name for name in names if name not in (*TEXTS, *COUNTS, LONE, "source")]
    others = [name for name in metrics if not is_fraction(name)]
    kinds |= {OWN for name in others if name.partition(" (")[0] not in DISTANCES}
    cent = [] if others and others == metrics else ["Metrics in per cent."]
    return " ".join([*cent, *(NOTES[kind] for kind in NOTES if kind in kinds)])


def grid(columns: Sequence[str], records: Sequence[Record]) -> Grid:
    """Return a table as text: per cent with one decimal, and the interval behind it.

    Args:
        columns: all names.
        records: a row each; None where there is nothing.
    """
    beside = tuple(f" ({kind})" for kind in (OVER_SEEDS, LOW, HIGH))
    names = [name for name in columns if not name.endswith(beside)]
    numeric = {at for at, name in enumerate(names) if name not in (*TEXTS, "source")}
    marks: dict[tuple[int, int], Literal["best", "second"]] = {}
    for column in sorted(numeric):
        if _contested(names[column]):
            marks |= _marks(names[column], column, records)
    rows = [[_cell(name, record) for name in names] for record in records]
    return Grid(names, rows, frozenset(numeric), marks)


def _contested(name: str) -> bool:
    """Return whether the highest number of a column is the best."""
    looked = any(name.endswith(f" ({kind})") for kind in UNCONTESTED)
    likely = is_fraction(name) and "chance" not in name  # of a distance the lowest would be
    return name not in (*COUNTS, LONE) and not looked and likely


def _marks(
    name: str, column: int, records: Sequence[Record]
) -> dict[tuple[int, int], Literal["best", "second"]]:
    """Mark the best and the second of a column; what looks the same in print shares the mark."""
    seen = {at: round(100 * r[name], 1) for at, r in enumerate(records) if r[name] is not None}
    best = sorted(set(seen.values()), reverse=True)
    if len(best) < 2:
        return {}
    return {
        (at, column): "best" if value == best[0] else "second"
        for at, value in seen.items()
        if value in best[:2]
    }


def _cell(name: str, record: Record) -> str:
    value = record[name]
    if value is None:
        return ""
    if name in (*TEXTS, *COUNTS, LONE, "source"):
        return str(value)
    if not is_fraction(name):
        return _number(value, record.get(f"{name} ({OVER_SEEDS})"))
    if any(name.endswith(f" ({kind})") for kind in SIGNED):
        return f"{round(100 * value, 1) + 0.0:+.1f}"
    half, low, high = (record.get(f"{name} ({kind})") for kind in (OVER_SEEDS, LOW, HIGH))
    if half is not None:
        return f"{100 * value:.1f} ± {100 * half:.1f}"
    if low is None or high is None:
        return f"{100 * value:.1f}"
    return f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _number(value: float, half: float | None) -> str:
    """Return what is no fraction as it is."""
    return f"{value:.3f}" if half is None else f"{value:.3f} ± {half:.3f}"
