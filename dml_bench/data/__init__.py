"""Datasets: one file each, all ending in the same `Dataset`."""

from pathlib import Path

from dml_bench.data import folder, places
from dml_bench.errors import DataError, UnknownNameError
from dml_bench.registry import Catalogue, unknown
from dml_bench.types import Dataset

DATASETS = Catalogue(
    "dataset",
    "dml_bench.data",
    "glyphs",
    "cub200",
    "sop",
    "cars196",
    "cifar10",
    "stl10",
    "stl10_105k",
    "cifar100",
    "flowers102",
)


def load(name: str, root: Path) -> Dataset:
    """Return a dataset by name.

    Args:
        name: one of `DATASETS`, or a folder in `root` that holds a `dataset.toml`.
        root: the data root.

    Raises:
        UnknownNameError: no such dataset; the message lists what there is.
        DataError: it is not there, or not what it says it is.
    """
    try:
        return _load(name, root)
    except OSError as error:
        raise DataError(
            f"{name}: expected files that can be read in {root}, found: {error}; mend their"
            " permissions, or bring them anew"
        ) from error


def _load(name: str, root: Path) -> Dataset:
    if name in DATASETS:
        dataset: Dataset = DATASETS[name].load(root)
        return dataset
    if name not in folders(root):
        raise _unknown(name, root)
    return folder.load(root / name)


def _unknown(name: str, root: Path) -> UnknownNameError:
    """Return the error for a dataset that is not there, which says where it was looked for."""
    said = unknown("dataset", name, [*DATASETS, *folders(root)])
    what = f"in {root}" if root.is_dir() else f"{root} is no folder"
    return UnknownNameError(f"{said} ({what}; --data-root says where they are)")


def folders(root: Path) -> list[str]:
    """Return the names of the folders in the data root that hold a `dataset.toml`.

    Raises:
        DataError: one of them has the name of a built-in dataset.
    """
    found = sorted(path.parent.name for path in root.glob("*/dataset.toml"))
    for name in found:
        if name in DATASETS:
            raise DataError(
                f"{root / name}: expected a name that is not taken, found '{name}', which is built"
                " in; rename the folder"
            )
    return found


def available(root: Path) -> dict[str, str]:
    """Return each dataset's name and whether it is there: the built-in ones, then the folders.

    Args:
        root: the data root; every folder in it with a `dataset.toml` is a dataset.

    Returns:
        "present"; "present, not readable: " and why, as far as the lists of its files say;
        "absent: " and how to get it.
    """
    return {name: state(name, root) for name in (*DATASETS, *folders(root))}


def state(name: str, root: Path) -> str:
    """Return whether a dataset is there, and can be read; no image is looked at."""
    if name not in DATASETS:
        return _readable(folder.trouble(root / name))
    part = DATASETS[name]
    if not places.present(getattr(part, "FOLDER", name), root, part.ORIGIN):
        do = f"dml-bench fetch {name}" if part.ORIGIN.archives else "see datasets/README.md"
        return f"absent: {do}"
    return _readable(_trouble(name, root) if part.ORIGIN.needs else "")


def _readable(trouble: str) -> str:
    return f"present, not readable: {trouble}" if trouble else "present"


def _trouble(name: str, root: Path) -> str:
    try:
        load(name, root)
    except DataError as error:
        return str(error)
    return ""
