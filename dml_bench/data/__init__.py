"""Datasets: one file each, all ending in the same `Dataset`."""

from pathlib import Path

from dml_bench.data import folder
from dml_bench.registry import Catalogue, unknown
from dml_bench.types import Dataset

DATASETS = Catalogue("dataset", "dml_bench.data", "glyphs")


def load(name: str, root: Path) -> Dataset:
    """Return a dataset by name."""
    if name in DATASETS:
        dataset: Dataset = DATASETS[name].load(root)
        return dataset
    if (root / name / "dataset.toml").is_file():
        return folder.load(root / name)
    raise unknown("dataset", name, DATASETS)
