"""Any folder with a `dataset.toml`: a dataset of one's own, without a line of code."""

import csv
import os
import posixpath
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from dml_bench.data.images import Files
from dml_bench.data.splits import check_counts
from dml_bench.errors import DataError
from dml_bench.registry import unknown
from dml_bench.types import Dataset, Split

NEEDED = ("path", "label", "split")
SPLITS = ("train", "test")
NUMBER = re.compile(r"\s*[+-]?[0-9]{1,40}\s*")
COUNTS = ("images", "train_images", "train_classes", "test_images", "test_classes")
KINDS: Mapping[str, type] = {"recall_at": list, "expect": dict}


@dataclass(frozen=True)
class Said:
    """What a `dataset.toml` says.

    Args:
        name: of the dataset; the folder's own.
        listing: a CSV file beside it, with the columns path, label and split, and class_name if
            classes have names that a person reads.
        protocol: "unseen" or "seen".
        title: as in a heading; the name if it is left out.
        recall_at: the Ks of Recall@K that tables print.
        expect: counts to check: any of images, train_images, train_classes, test_images and
            test_classes.
        source: who made it, where, when.
        licence: what the pictures may be used for.
        note: anything that a reader of its figures should know.
    """

    name: str
    listing: str
    protocol: str
    title: str = ""
    recall_at: tuple[int, ...] = (1, 2, 4, 8)
    expect: Mapping[str, int] | None = None
    source: str = ""
    licence: str = ""
    note: str = ""


def load(folder: Path) -> Dataset:
    """Read the dataset of a folder.

    Args:
        folder: holds a `dataset.toml` and the listing that it names.

    Returns:
        The splits in the listing's order. With the protocol "unseen" the test images are searched
        among themselves, with "seen" among the training images.

    Raises:
        DataError: a file that cannot be read, a field or a row that is not of the form above, a
            listed image that is not there, a count that differs from `expect`, or classes on the
            wrong side; the message names the file and the line.
    """
    said = _named(folder)
    train, test = _splits(folder, said.listing)
    do = f"correct {said.listing}, or expect in dataset.toml"
    check_counts(said.name, train, test, said.expect or {}, do)
    return Dataset(
        name=said.name,
        title=said.title or said.name,
        train=train,
        query=test,
        gallery=test if said.protocol == "unseen" else train,
        protocol=said.protocol,
        recall_at=said.recall_at,
        licence=said.licence,
        source=said.source,
    )


def trouble(folder: Path) -> str:
    """Return why a folder cannot be read, as its two text files say; "" if they are in order.

    Cheap: no image is looked for.
    """
    try:
        _listed(folder / _named(folder).listing)
    except DataError as error:
        return str(error)
    return ""


def _named(folder: Path) -> Said:
    """Read the `dataset.toml` of a folder, which has the name that the folder is reached by."""
    said, name = read(folder / "dataset.toml"), Path(os.path.abspath(folder)).name
    if said.name != name:
        raise DataError(
            f"{folder / 'dataset.toml'}: expected the folder's name, name = '{name}', found"
            f" '{said.name}'; rename one of them"
        )
    return said


def read(path: Path) -> Said:
    """Read a `dataset.toml`.

    Raises:
        DataError: it cannot be read, or a field is missing, unknown or of the wrong kind.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected TOML, found: {error}; correct the file") from None
    known = [f.name for f in fields(Said)]
    for name in table:
        if name not in known:
            raise DataError(f"{path}: {unknown('field', name, known)}")
    for name in ("name", "listing", "protocol"):
        if name not in table:
            raise DataError(f"{path}: expected '{name}', found no such field; add it")
    for name, value in table.items():
        _check_kind(path, name, value)
    _check_numbers(path, table)
    if Path(table["listing"]).name != table["listing"]:
        raise DataError(
            f"{path}: expected listing to name a file beside it, found '{table['listing']}'; move"
            " it there"
        )
    return Said(**{**table, "recall_at": tuple(table.get("recall_at", Said.recall_at))})


def _check_kind(path: Path, name: str, value: Any) -> None:
    kind = KINDS.get(name, str)
    if not isinstance(value, kind):
        raise DataError(f"{path}: expected {name} to be a {kind.__name__}, found {value!r}")


def _check_numbers(path: Path, table: Mapping[str, Any]) -> None:
    ks, expect = table.get("recall_at", [1]), table.get("expect", {})
    if not ks or not all(type(k) is int and k > 0 for k in ks):
        raise DataError(f"{path}: expected recall_at to list whole numbers from 1, found {ks}")
    for name, count in expect.items():
        if name not in COUNTS:
            raise DataError(f"{path}: expect: {unknown('count', name, COUNTS)}")
        if type(count) is not int:
            raise DataError(f"{path}: expect: expected {name} to be a whole number, found {count}")


@dataclass(frozen=True)
class _Listed:
    """What a listing says: paths and labels by split, and the names of the classes."""

    paths: dict[str, list[str]]
    labels: dict[str, list[int]]
    names: dict[int, str]


def _listed(path: Path) -> _Listed:
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
    return _Listed(paths, labels, {label: name for label, name in names.items() if name})


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


def _splits(folder: Path, listing: str) -> tuple[Split, Split]:
    said = _listed(folder / listing)
    train, test = (
        Split(
            name,
            Files(folder, said.paths[name]),
            np.array(said.labels[name], np.int64),
            tuple(said.paths[name]),
            said.names,
        )
        for name in SPLITS
    )
    return train, test


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
        raise _row_error(path, line, "a whole number as label", text)
    label = int(text)
    if not -(2**63) < label < 2**63:
        raise _row_error(path, line, "a label that fits 64 bits", text)
    return label


def _row_error(path: Path, line: int, wanted: str, found: str) -> DataError:
    return DataError(f"{path}, line {line}: expected {wanted}, found '{found}'; correct the line")
