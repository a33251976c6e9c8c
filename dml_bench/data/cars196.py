"""Cars196 (Stanford Cars): 16,185 photographs of 196 models of cars.

Classes 1 to 98 train, 99 to 196 are asked for; the archive's own train and test folders, which
share their classes, are put together first. Three forms are in circulation, and each is read:

- `car_ims/` with `cars_annos.mat`;
- `cars_train/` and `cars_test/` with the development kit and `cars_test_annos_withlabels.mat`;
- folders by class, `car_data/train/<class>/` and `car_data/test/<class>/`, with `names.csv`.

The last two have the same ids, so the same protocol fingerprint. The first numbers its files anew:
its results are not mixed with theirs in one table.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dml_bench.data import matlab, places, splits
from dml_bench.data.images import Files
from dml_bench.data.origin import Origin
from dml_bench.errors import DataError
from dml_bench.types import Dataset

WHOLE = ("car_ims", "cars_annos.mat")
KIT = ("cars_train", "cars_test")
CLASS_FOLDERS = ("names.csv", "car_data")
KIT_FILES = {"cars_train": "cars_train_annos.mat", "cars_test": "cars_test_annos_withlabels.mat"}
ORIGIN = Origin(
    title="Cars196: 196 models of cars",
    licence="non-commercial research use",
    source="Krause, Stark, Deng, Fei-Fei: 3D Object Representations for Fine-Grained"
    " Categorization. 3dRR workshop at ICCV 2013",
    homepage="https://pytorch.org/vision/stable/generated/torchvision.datasets.StanfordCars.html",
    needs=(WHOLE, KIT, CLASS_FOLDERS),
    steps=(
        "The original address of Cars196 has been dead since 2023; its makers name no other.",
        "Get a copy from a colleague or from a public mirror whose terms you accept, in any of:",
        "  car_ims.tgz and cars_annos.mat",
        "  cars_train.tgz, cars_test.tgz, car_devkit.tgz and cars_test_annos_withlabels.mat",
        "  the archive with a folder for each class (car_data/, names.csv)",
        "Put the files, packed or unpacked, into the folder named below, and call this again.",
    ),
    known=(
        "car_ims.tgz",
        "cars_train.tgz",
        "cars_test.tgz",
        "car_devkit.tgz",
        "stanford-car-dataset-by-classes-folder.zip",
        "stanford-cars-dataset.zip",
        "archive.zip",
    ),
)
EXPECT = {"train_images": 8_054, "train_classes": 98, "test_images": 8_131, "test_classes": 98}

Listing = tuple[list[str], list[str], list[int], Mapping[int, str]]
"""Paths below the folder, ids, class ids, class names."""


def load(root: Path) -> Dataset:
    """Read the dataset under `root`/cars196, in whichever form it is there.

    Returns:
        Class ids are the development kit's, 1 to 196.

    Raises:
        DataError: it is not there, or not whole.

    Source:
        Song et al. (CVPR 2016), section 6, for the split.
    """
    forms: tuple[tuple[tuple[str, ...], Callable[[Path], Listing]], ...] = (
        (WHOLE, _whole),
        (KIT, _kit),
        (CLASS_FOLDERS, _class_folders),
    )
    for needs, read in forms:
        if folder := places.look(root / "cars196", needs):
            return _dataset(folder, read(folder))
    raise places.absent("cars196", root, ORIGIN)


def _dataset(folder: Path, listing: Listing) -> Dataset:
    paths, ids, labels, names = listing
    train, test = splits.class_disjoint(
        Files(folder, paths), np.array(labels), ids, n_train_classes=98, class_names=names
    )
    return splits.dataset("cars196", ORIGIN, train, test, protocol="unseen", expect=EXPECT)


def _whole(folder: Path) -> Listing:
    said = matlab.read(folder / "cars_annos.mat", "annotations")
    paths = [str(one["relative_im_path"]) for one in said["annotations"]]
    labels = [int(one["class"]) for one in said["annotations"]]
    return paths, paths, labels, _numbered(said.get("class_names", ()))


def _kit(folder: Path) -> Listing:
    paths, ids, labels = [], [], []
    for part in KIT:
        inner = f"{part}/{part}" if (folder / part / part).is_dir() else part  # as Kaggle packs it
        listed = np.atleast_1d(
            matlab.read(_kit_file(folder, KIT_FILES[part]), "annotations")["annotations"]
        )
        if "class" not in (listed.dtype.names or ()):
            raise DataError(
                f"cars196: expected classes in {KIT_FILES[part]}, found none; bring the file with"
                " labels under this name"
            )
        for one in listed:
            paths.append(f"{inner}/{one['fname']}")
            ids.append(f"{part}/{one['fname']}")
            labels.append(int(one["class"]))
    return paths, ids, labels, _kit_names(folder)


def _kit_file(folder: Path, name: str) -> Path:
    found = sorted(folder.glob(name)) or sorted(folder.rglob(name))
    if not found:
        raise DataError(
            f"cars196: expected {name} in {folder} or in its devkit folder, found none; bring it,"
            " or the archive with a folder for each class"
        )
    return found[0]


def _kit_names(folder: Path) -> Mapping[int, str]:
    found = sorted(folder.rglob("cars_meta.mat"))
    return _numbered(matlab.read(found[0], "class_names")["class_names"]) if found else {}


def _class_folders(folder: Path) -> Listing:
    lines = (folder / "names.csv").read_text(encoding="utf-8").splitlines()
    names = _numbered([line.strip().strip('"') for line in lines if line.strip()])
    number = {name.replace("/", "-"): label for label, name in names.items()}
    home = folder / "car_data"
    home = home / "car_data" if (home / "car_data").is_dir() else home
    paths, ids, labels = [], [], []
    for path in sorted(p for part in ("train", "test") for p in (home / part).glob("*/*.jpg")):
        if path.parent.name not in number:
            raise DataError(
                f"cars196: expected a folder for each line of names.csv, found"
                f" '{path.parent.name}'; unpack the archive anew"
            )
        paths.append(path.relative_to(folder).as_posix())
        ids.append(f"cars_{path.parts[-3]}/{path.name}")
        labels.append(number[path.parent.name])
    return paths, ids, labels, names


def _numbered(names: Any) -> Mapping[int, str]:
    return {n: str(name) for n, name in enumerate(names, 1)}
