"""CIFAR-10: 60,000 images of 32 x 32 in ten classes, the same ones in train and test.

Protocol of the paper: weighted kNN, each test image against the 50,000 training images.
"""

from pathlib import Path

from dml_bench.data import cifar, places, splits
from dml_bench.data.origin import Archive, Origin
from dml_bench.types import Dataset

FILES = tuple(f"data_batch_{n}" for n in range(1, 6))
NEEDS = (*FILES, "test_batch", "batches.meta")
ORIGIN = Origin(
    title="CIFAR-10: ten classes at 32 x 32",
    licence="not stated by its makers",
    source="Krizhevsky: Learning Multiple Layers of Features from Tiny Images (2009)",
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    archives=(
        Archive(
            "cifar-10-python.tar.gz",
            ("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
            "md5:c58f30108f718f92721af3b95e74349a",
            171,
        ),
    ),
    needs=(NEEDS,),
)
EXPECT = {"train_images": 50_000, "train_classes": 10, "test_images": 10_000, "test_classes": 10}


def load(root: Path) -> Dataset:
    """Read the dataset under `root`/cifar10.

    Raises:
        DataError: it is not there, or not whole.
    """
    folder = places.find("cifar10", root, NEEDS, ORIGIN)
    names = cifar.read(folder / "batches.meta")["label_names"]
    train = cifar.split("train", [folder / file for file in FILES], "labels", names)
    test = cifar.split("test", [folder / "test_batch"], "labels", names)
    return splits.dataset("cifar10", ORIGIN, train, test, protocol="seen", expect=EXPECT)
