"""Oxford Flowers 102: 8,189 photographs of 102 kinds of flowers.

Classes 1 to 51 train, 52 to 102 are asked for; the archive's own splits, which share their
classes, are put together first.
"""

from pathlib import Path

import numpy as np

from dml_bench.data import matlab, places, splits
from dml_bench.data.images import Files
from dml_bench.data.origin import Archive, Origin
from dml_bench.types import Dataset

NEEDS = ("jpg", "imagelabels.mat")
HOME = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
ORIGIN = Origin(
    title="Oxford Flowers 102: 102 kinds of flowers",
    licence="not stated by its makers; the images belong to theirs",
    source="Nilsback, Zisserman: Automated Flower Classification over a Large Number of Classes."
    " ICVGIP 2008",
    homepage=HOME,
    archives=(
        Archive(
            "102flowers.tgz",
            (f"{HOME}102flowers.tgz",),
            "md5:52808999861908f626f3c1f4e79d11fa",
            345,
        ),
        Archive(
            "imagelabels.mat",
            (f"{HOME}imagelabels.mat",),
            "md5:e0620be6f572b9609742df49c70aed4d",
            1,
            unpack=False,
        ),
    ),
    needs=(NEEDS,),
)
EXPECT = {"images": 8_189, "train_classes": 51, "test_classes": 51}


def load(root: Path) -> Dataset:
    """Read the dataset under `root`/flowers102.

    Returns:
        Class ids are the archive's, 1 to 102; ids are its file names.

    Raises:
        DataError: it is not there, or not whole.
    """
    folder = places.find("flowers102", root, NEEDS, ORIGIN)
    labels = matlab.read(folder / "imagelabels.mat", "labels")["labels"].astype(np.int64)
    names = [f"image_{n:05}.jpg" for n in range(1, len(labels) + 1)]
    train, test = splits.class_disjoint(
        Files(folder / "jpg", names), labels, names, n_train_classes=51
    )
    return splits.dataset("flowers102", ORIGIN, train, test, protocol="unseen", expect=EXPECT)
