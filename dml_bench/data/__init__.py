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


def available(root: Path) -> dict[str, str]:
    """Return each dataset's name and whether it is present: the built-in ones, then the folders.

    Args:
        root: the data root; every folder in it with a `dataset.toml` is a dataset.
    """
    folders = sorted(path.parent.name for path in root.glob("*/dataset.toml"))
    return dict.fromkeys([*DATASETS, *folders], "present")
