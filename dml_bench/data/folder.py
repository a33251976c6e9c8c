"""Any folder with a `dataset.toml`: a dataset of one's own, without a line of code."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from dml_bench.data.images import Files
from dml_bench.data.listed import SPLITS, Listed, listed
from dml_bench.data.shards import read_split
from dml_bench.data.splits import check_counts
from dml_bench.errors import DataError, MetricError
from dml_bench.memory import size_of
from dml_bench.metric_table import metric
from dml_bench.registry import unknown
from dml_bench.types import Dataset, Split

COUNTS = ("images", "train_images", "train_classes", "test_images", "test_classes")
KINDS: Mapping[str, type] = {"recall_at": list, "expect": dict}


@dataclass(frozen=True)
class Said:
    """What a `dataset.toml` says.

    Args:
        name: of the dataset; the folder's own.
        protocol: "unseen" or "seen".
        listing: a CSV file beside it, with the columns path, label and split, and class_name if
            classes have names that a person reads; of what lies in no shards.
        shards: where the training images lie, if in shards (`data.shards`).
        test_shards: the same of the test images.
        read_ahead: how much of the training shards is held in memory at most ("4GB"), where they
            are trained on without a pack; decides no number.
        title: as in a heading; the name if it is left out.
        recall_at: the Ks of Recall@K that tables print.
        expect: counts to check: any of images, train_images, train_classes, test_images and
            test_classes.
        source: who made it, where, when.
        licence: what the pictures may be used for.
        note: anything that a reader of its figures should know.
    """

    name: str
    protocol: str
    listing: str = ""
    shards: str = ""
    test_shards: str = ""
    read_ahead: str = ""
    title: str = ""
    recall_at: tuple[int, ...] = (1, 2, 4, 8)
    expect: Mapping[str, int] | None = None
    source: str = ""
    licence: str = ""
    note: str = ""


def load(folder: Path) -> Dataset:
    """Read the dataset of a folder.

    Args:
        folder: holds a `dataset.toml`, and the listing or the shards that it names.

    Returns:
        The splits in the listing's order. With the protocol "unseen" the test images are searched
        among themselves, with "seen" among the training images.

    Raises:
        DataError: a file that cannot be read, a field or a row that is not of the form above, a
            listed image that is not there, a count that differs from `expect`, or classes on the
            wrong side; the message of a row names its line, others the first file or class.
    """
    said = _named(folder)
    train, test = _splits(folder, said)
    do = f"correct {said.listing or 'the shards'}, or expect in dataset.toml"
    check_counts(said.name, train, test, said.expect or {}, do)
    if said.protocol == "unseen" and len(test.classes) == len(test):
        raise DataError(
            f"{said.name}: expected a test class with two images or more, found none among"
            f" {len(test):,} test images: no query has a right answer; give more"
        )
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
        said = _named(folder)
        if said.listing:
            listed(folder / said.listing)
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
    in_shards = {"shards", "test_shards"} <= set(table)
    for name in ("name", "protocol", *(() if in_shards else ("listing",))):
        if name not in table:
            raise DataError(f"{path}: expected '{name}', found no such field; add it")
    for name, value in table.items():
        _check_kind(path, name, value)
    _check_numbers(path, table)
    _check_places(path, table, in_shards=in_shards)
    return Said(**{**table, "recall_at": tuple(table.get("recall_at", Said.recall_at))})


def _check_places(path: Path, table: Mapping[str, Any], *, in_shards: bool) -> None:
    """Refuse a listing elsewhere, or of nothing; and shards without a name."""
    listing = table.get("listing", "")
    if not in_shards and (not listing or Path(listing).name != listing):
        raise DataError(
            f"{path}: expected listing to name a file beside it, found '{listing}'; move it there"
        )
    if in_shards and "listing" in table:
        raise DataError(
            f"{path}: expected no listing beside shards and test_shards, found '{listing}'; leave"
            " one out"
        )
    if "read_ahead" in table and "shards" not in table:
        raise DataError(f"{path}: expected shards beside read_ahead, found none; leave it out")
    for name in ("shards", "test_shards"):
        if not table.get(name, "x"):
            raise DataError(f"{path}: expected {name} to name files, found ''; leave it out")


def _check_kind(path: Path, name: str, value: Any) -> None:
    kind = KINDS.get(name, str)
    if not isinstance(value, kind):
        raise DataError(f"{path}: expected {name} to be a {kind.__name__}, found {value!r}")


def _check_numbers(path: Path, table: Mapping[str, Any]) -> None:
    ks, expect = table.get("recall_at", [1]), table.get("expect", {})
    if not ks or not all(type(k) is int and k > 0 for k in ks):
        raise DataError(f"{path}: expected recall_at to list whole numbers from 1, found {ks}")
    try:
        for k in ks:
            metric(f"recall@{k}")
    except MetricError as error:
        raise DataError(f"{path}: recall_at: {error}") from None
    for name, count in expect.items():
        if name not in COUNTS:
            raise DataError(f"{path}: expect: {unknown('count', name, COUNTS)}")
        if type(count) is not int:
            raise DataError(
                f"{path}: expect: expected {name} to be a whole number, found {count!r}; write one"
            )


def _splits(folder: Path, said: Said) -> tuple[Split, Split]:
    """Return the training and the test split, each from its shards or from the listing."""
    shards = {"train": said.shards, "test": said.test_shards}
    rows = _rows(folder, said, shards)
    train, test = (
        read_split(name, shards[name], folder, _cap(folder, said.read_ahead))
        if shards[name] or not rows
        else Split(
            name,
            Files(folder, rows.paths[name]),
            np.array(rows.labels[name], np.int64),
            tuple(rows.paths[name]),
            rows.names,
        )
        for name in SPLITS
    )
    if any(shards.values()) and (both := set(train.ids) & set(test.ids)):
        raise DataError(
            f"{folder / 'dataset.toml'}: expected each image in one split, found {len(both)} in"
            f" both (first: '{min(both)}'); rename one"
        )
    return train, test


def _cap(folder: Path, said: str) -> int | None:
    try:
        return size_of(said) if said else None
    except MetricError as error:
        raise DataError(f"{folder / 'dataset.toml'}: read_ahead: {error}") from None


def _rows(folder: Path, said: Said, shards: Mapping[str, str]) -> Listed | None:
    """Return what is listed, of splits that lie in no shards; None where all do."""
    if not said.listing:
        return None
    rows = listed(folder / said.listing)
    for name in SPLITS:
        if shards[name] and rows.paths[name]:
            raise DataError(
                f"{folder / said.listing}: expected no row of split {name}, which lies in shards,"
                f" found {len(rows.paths[name])} (first: '{rows.paths[name][0]}'); leave them out"
            )
    return rows
