"""CUB-200-2011: 11,788 photographs of 200 species of birds.

Classes 1 to 100 train, 101 to 200 are asked for. Whole images, without the bounding boxes.
"""

from pathlib import Path

import numpy as np

from dml_bench.data import places, splits
from dml_bench.data.images import Files
from dml_bench.data.origin import Archive, Origin
from dml_bench.errors import DataError
from dml_bench.types import Dataset

NEEDS = ("images.txt", "image_class_labels.txt", "classes.txt", "images")
ORIGIN = Origin(
    title="CUB-200-2011: 200 species of birds",
    licence="non-commercial research and educational use; the images belong to their makers",
    source="Wah, Branson, Welinder, Perona, Belongie: The Caltech-UCSD Birds-200-2011 Dataset."
    " California Institute of Technology, CNS-TR-2011-001 (2011)",
    homepage="https://www.vision.caltech.edu/datasets/cub_200_2011/",
    archives=(
        Archive(
            "CUB_200_2011.tgz",
            ("https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",),
            "md5:97eceeb196236b17998738112f37df78",
            1_151,
        ),
    ),
    needs=(NEEDS,),
)
EXPECT = {
    "train_images": 5_864,
    "train_classes": 100,
    "test_images": 5_924,
    "test_classes": 100,
}


def load(root: Path) -> Dataset:
    """Read the dataset under `root`/cub200.

    Returns:
        Class ids are the archive's, 1 to 200; ids are paths below its `images`.

    Raises:
        DataError: it is not there, or not whole.

    Source:
        Song et al. (CVPR 2016), section 6, for the split.
    """
    folder = places.find("cub200", root, NEEDS, ORIGIN)
    files = rows(folder / "images.txt")
    classes = rows(folder / "image_class_labels.txt")
    if files.keys() != classes.keys():
        odd = sorted(files.keys() ^ classes.keys())
        raise DataError(
            f"cub200: expected the same image numbers in images.txt and image_class_labels.txt,"
            f" found {len(odd)} in only one (first: {odd[0]}); fetch it anew"
        )
    paths = list(files.values())
    train, test = splits.class_disjoint(
        Files(folder / "images", paths),
        np.array([int(classes[number]) for number in files]),
        paths,
        n_train_classes=100,
        class_names={int(n): name for n, name in rows(folder / "classes.txt").items()},
    )
    return splits.dataset("cub200", ORIGIN, train, test, protocol="unseen", expect=EXPECT)


def rows(path: Path) -> dict[str, str]:
    """Return number -> value of a file with a number and a value on each line.

    Raises:
        DataError: a line that is not of this form.
    """
    found = {}
    for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        number, space, value = line.strip().partition(" ")
        if line.strip() and not space:
            raise DataError(
                f"{path}, line {n}: expected 'number value', found '{line}'; fetch it anew"
            )
        if space:
            found[number] = value.strip()
    return found
