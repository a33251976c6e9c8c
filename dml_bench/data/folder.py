"""Any folder with a `dataset.toml`."""

import csv
import tomllib
from pathlib import Path

import numpy as np

from dml_bench.data.images import Files
from dml_bench.types import Dataset, Split


def load(folder: Path) -> Dataset:
    """Read the dataset of a folder."""
    said = tomllib.loads((folder / "dataset.toml").read_text(encoding="utf-8"))
    with (folder / said["listing"]).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    splits = {}
    for name in ("train", "test"):
        mine = [row for row in rows if row["split"] == name]
        paths = tuple(row["path"] for row in mine)
        labels = np.array([int(row["label"]) for row in mine])
        splits[name] = Split(name, Files(folder, paths), labels, paths)
    gallery = splits["test" if said["protocol"] == "unseen" else "train"]
    return Dataset(
        said["name"],
        said["title"],
        splits["train"],
        splits["test"],
        gallery,
        said["protocol"],
        tuple(said.get("recall_at", (1, 2, 4, 8))),
        said.get("licence", ""),
        said.get("source", ""),
    )
