"""What papers printed for the datasets of the suites: `suites/published.csv`, checked.

A user's own table has the same columns, or fewer.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from dml_bench.errors import StoreError
from dml_bench.registry import unknown

FILE = Path(__file__).parent / "suites" / "published.csv"


@dataclass(frozen=True)
class Published:
    """One number that a paper printed.

    Args:
        source_key: groups the rows of one printed table.
        source: authors, venue, year, table.
        method: this project's name of the method; empty where it has none.
        label: the method as printed.
        supervision: "none" (untrained), "unsupervised" or "supervised".
        backbone: as printed.
        dim: D as printed; None where the paper does not say.
        dataset: this project's name of the dataset.
        metric: this project's name of the metric.
        value: a fraction.
    """

    source_key: str
    source: str
    method: str
    label: str
    supervision: str
    backbone: str
    dim: int | None
    dataset: str
    metric: str
    value: float


def published(dataset: str) -> list[Published]:
    """Return what was printed for a dataset, in the order of the papers; none for most.

    Raises:
        StoreError: the file is missing or damaged.

    Example:
        >>> [row.value for row in published("cars196") if row.method == "invaspread"]
        [0.413, 0.523, 0.636, 0.749, 0.358]
    """
    return [row for row in read_published(FILE) if row.dataset == dataset]


COLUMNS = [field.name for field in fields(Published)]
NEEDED = ("label", "dataset", "metric", "value")


@cache
def read_published(path: Path) -> tuple[Published, ...]:
    """Read and check a file of published numbers.

    Args:
        path: a CSV file with `COLUMNS`, or with those of `NEEDED` and any others of them; values
            as fractions.

    Raises:
        StoreError: no such file, other columns, or a value that is no fraction.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StoreError(
            f"{path.name}: expected a CSV of published numbers, found {type(error).__name__};"
            f" {'install dml_bench again' if path == FILE else 'correct the path, or the file'}"
        ) from error
    _check_columns(path.name, reader.fieldnames or [])
    usual = dict.fromkeys(COLUMNS, "") | {"source_key": path.stem, "source": path.name}
    return tuple(
        _row(path.name, number, {**usual, **row}) for number, row in enumerate(rows, start=2)
    )


def _check_columns(name: str, found: Sequence[str]) -> None:
    for column in found:
        if column not in COLUMNS:
            raise StoreError(f"{name} line 1: {unknown('column', column, COLUMNS)}")
    if missing := [column for column in NEEDED if column not in found]:
        raise StoreError(
            f"{name} line 1: expected the columns {', '.join(NEEDED)}, found"
            f" {', '.join(found) or 'none'}; add {', '.join(missing)}"
        )


def _row(name: str, number: int, row: dict[str, str]) -> Published:
    if None in row or None in row.values():
        raise StoreError(f"{name} line {number}: expected a value a column, found more or fewer")
    try:
        value = float(row["value"])
        dim = int(row["dim"]) if row["dim"] else None
    except (TypeError, ValueError):
        value, dim = -1.0, None
    if not 0 <= value <= 1:
        raise StoreError(
            f"{name} line {number}: expected a fraction in 0 to 1 and a whole dim, found"
            f" '{row['value']}' and '{row['dim']}'; correct the line"
        )
    return Published(**{**row, "dim": dim, "value": value})  # type: ignore[arg-type]
