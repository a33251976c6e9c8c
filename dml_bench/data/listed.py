"""The listing of a dataset of one's own: a CSV file, checked line by line."""

import csv
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dml_bench.errors import DataError

NEEDED = ("path", "label", "split")
SPLITS = ("train", "test")
NUMBERED = "number the classes, and put their names in class_name"
NUMBER = re.compile(r"\s*[+-]?[0-9]{1,40}\s*")


@dataclass(frozen=True)
class Listed:
    """What a listing says: paths and labels by split, and the names of the classes."""

    paths: dict[str, list[str]]
    labels: dict[str, list[int]]
    names: dict[int, str]


def listed(path: Path) -> Listed:
    """Read a listing.

    Raises:
        DataError: it cannot be read, or a row is not as it should be; the message says its line.
    """
    paths: dict[str, list[str]] = {name: [] for name in SPLITS}
    labels: dict[str, list[int]] = {name: [] for name in SPLITS}
    names: dict[int, str] = {}
    for line, row in _rows(path):
        if row["split"] not in SPLITS:
            raise _row_error(path, line, "split train or test", row["split"])
        paths[row["split"]].append(row["path"])
        label = _label(path, line, row["label"])
        labels[row["split"]].append(label)
        name = row.get("class_name") or names.get(label, "")
        if names.setdefault(label, name) != name:
            raise _row_error(path, line, f"class_name '{names[label]}' as before", name)
    both = set(paths["train"]) & set(paths["test"])
    if both:
        raise DataError(
            f"{path}: expected each image in one split, found {len(both)} in both (first:"
            f" '{min(both)}'); list each image once"
        )
    _be_one_name_each(path, [*paths["train"], *paths["test"]])
    return Listed(paths, labels, {label: name for label, name in names.items() if name})


def _be_one_name_each(listing: Path, paths: Sequence[str]) -> None:
    """Refuse one file under two names: "a.png" and "./a.png"."""
    names: dict[str, str] = {}
    for path in paths:
        first = names.setdefault(posixpath.normpath(path), path)
        if first != path:
            raise DataError(
                f"{listing}: expected one name for each image, found '{first}' and '{path}'; list"
                " it once"
            )


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return (line, row) of a listing, its columns checked."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = [(reader.line_num, row) for row in reader]
            columns = list(reader.fieldnames or [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: expected a CSV file, found: {error}") from None
    if twice := sorted(name for name in set(columns) if columns.count(name) > 1):
        raise DataError(
            f"{path}, line 1: expected each column once, found '{twice[0]}' twice; rename one"
        )
    if missing := [name for name in NEEDED if name not in columns]:
        raise DataError(
            f"{path}, line 1: expected the columns {', '.join(NEEDED)}, found"
            f" {', '.join(columns) or 'none'}; add {', '.join(missing)}"
        )
    for line, row in rows:
        if None in row or any(row[name] is None for name in NEEDED):
            raise _row_error(path, line, f"{len(columns)} columns", "more or fewer")
    return rows


def _label(path: Path, line: int, text: str) -> int:
    if not NUMBER.fullmatch(text):  # int() would read "1_0" as 10
        raise _row_error(path, line, "a whole number as label", text, NUMBERED)
    label = int(text)
    if not -(2**63) < label < 2**63:
        raise _row_error(path, line, "a label that fits 64 bits", text)
    return label


def _row_error(
    path: Path, line: int, wanted: str, found: str, do: str = "correct the line"
) -> DataError:
    return DataError(f"{path}, line {line}: expected {wanted}, found '{found}'; {do}")
