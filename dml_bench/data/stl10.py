"""STL-10: 96 x 96 images in ten classes: 5,000 to train, 8,000 to test, 100,000 without labels.

`stl10` trains on the 5,000 labelled images, `stl10_105k` on the unlabelled ones as well. In both
the gallery of the weighted kNN is the 5,000 labelled images: what the paper calls 5K and 105K.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from dml_bench.data import places, splits
from dml_bench.data.images import Array
from dml_bench.data.origin import Archive, Origin
from dml_bench.errors import DataError
from dml_bench.types import NO_LABEL, Dataset, Ints, Split

NEEDS = ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin", "unlabeled_X.bin")
ORIGIN = Origin(
    title="STL-10: ten classes at 96 x 96",
    licence="not stated by its makers; the images come from ImageNet",
    source="Coates, Lee, Ng: An Analysis of Single Layer Networks in Unsupervised Feature"
    " Learning. AISTATS 2011",
    homepage="https://cs.stanford.edu/~acoates/stl10/",
    archives=(
        Archive(
            "stl10_binary.tar.gz",
            (
                "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
                "https://cs.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
            ),
            "md5:91f7769df0f17e558f3565bffb0c7dfb",
            2_640,
        ),
    ),
    needs=(NEEDS,),
)
EXPECT = {"train_images": 5_000, "train_classes": 10, "test_images": 8_000, "test_classes": 10}
UNLABELLED = 100_000
IMAGE = (3, 96, 96)


def load(root: Path) -> Dataset:
    """Read the dataset under `root`/stl10.

    Raises:
        DataError: it is not there, or not whole.
    """
    folder = places.find("stl10", root, NEEDS, ORIGIN)
    train, test = labelled(folder, "train"), labelled(folder, "test")
    return splits.dataset("stl10", ORIGIN, train, test, protocol="seen", expect=EXPECT)


def labelled(folder: Path, name: str) -> Split:
    """Return a split with labels; class ids are the archive's, 1 to 10."""
    labels = np.fromfile(folder / f"{name}_y.bin", np.uint8).astype(np.int64)
    return _split(folder, name, labels)


def unlabelled(folder: Path) -> Split:
    """Return the images without labels.

    Raises:
        DataError: there are more or fewer than 100,000.
    """
    n = (folder / "unlabeled_X.bin").stat().st_size // int(np.prod(IMAGE))
    if n != UNLABELLED:
        raise DataError(
            f"stl10: expected {UNLABELLED:,} images in unlabeled_X.bin, found {n:,}; fetch it anew:"
            " dml-bench fetch stl10"
        )
    return _split(folder, "unlabeled", np.full(n, NO_LABEL))


def pixels(path: Path) -> npt.NDArray[np.uint8]:
    """Return (N, 96, 96, 3) uint8, memory-mapped; the file holds columns, not rows.

    Raises:
        DataError: the file does not end with a whole image.
    """
    size = path.stat().st_size
    if not size or size % int(np.prod(IMAGE)):
        raise DataError(f"{path}: expected whole images of 27,648 bytes, found {size:,} bytes")
    columns = np.memmap(path, np.uint8, "r").reshape(-1, *IMAGE)
    return columns.transpose(0, 3, 2, 1)


def _split(folder: Path, name: str, labels: Ints) -> Split:
    path = folder / f"{name}_X.bin"
    about = path.stat()
    images = Array(pixels(path), mark=f"{path.name} {about.st_size} {about.st_mtime_ns}")
    ids = tuple(f"{name}/{n:06}" for n in range(len(images)))
    return Split(name, images, labels, ids, _names(folder))


def _names(folder: Path) -> dict[int, str]:
    path = folder / "class_names.txt"
    return dict(enumerate(path.read_text().split(), 1)) if path.is_file() else {}
