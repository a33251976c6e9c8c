"""CIFAR-100 as a retrieval set: 100 classes at 32 x 32, cut into class-disjoint halves.

Fine classes 0 to 49 train, 50 to 99 are asked for; the archive's own train and test images, which
share their classes, are put together first.
"""

from pathlib import Path

import numpy as np

from dml_bench.data import cifar, places, splits
from dml_bench.data.images import Joined
from dml_bench.data.origin import Archive, Origin
from dml_bench.types import Dataset

NEEDS = ("train", "test", "meta")
ORIGIN = Origin(
    title="CIFAR-100: 100 classes at 32 x 32, class-disjoint halves",
    licence="not stated by its makers",
    source="Krizhevsky: Learning Multiple Layers of Features from Tiny Images (2009)",
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    archives=(
        Archive(
            "cifar-100-python.tar.gz",
            ("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",),
            "md5:eb9058c3a382ffc7106e4002c42a8d85",
            169,
        ),
    ),
    needs=(NEEDS,),
)
EXPECT = {"train_images": 30_000, "train_classes": 50, "test_images": 30_000, "test_classes": 50}


def load(root: Path) -> Dataset:
    """Read the dataset under `root`/cifar100.

    Raises:
        DataError: it is not there, or not whole.
    """
    folder = places.find("cifar100", root, NEEDS, ORIGIN)
    names = cifar.read(folder / "meta")["fine_label_names"]
    parts = [cifar.split(part, [folder / part], "fine_labels", names) for part in ("train", "test")]
    train, test = splits.class_disjoint(
        Joined([part.images for part in parts]),
        np.concatenate([part.labels for part in parts]),
        [name for part in parts for name in part.ids],
        n_train_classes=50,
        class_names=parts[0].class_names,
    )
    return splits.dataset("cifar100", ORIGIN, train, test, protocol="unseen", expect=EXPECT)
