"""Stanford Online Products: 120,053 photographs of 22,634 products on sale.

The split is the authors': 11,318 products train, 11,316 others are asked for.
"""

from pathlib import Path

import numpy as np

from dml_bench.data import places, splits
from dml_bench.data.images import Files
from dml_bench.data.origin import Archive, Origin
from dml_bench.errors import DataError
from dml_bench.types import Dataset, Split

NEEDS = ("Ebay_train.txt", "Ebay_test.txt")
ORIGIN = Origin(
    title="Stanford Online Products: 22,634 products",
    licence="MIT for the lists; the images belong to their makers",
    source="Song, Xiang, Jegelka, Savarese: Deep Metric Learning via Lifted Structured Feature"
    " Embedding. CVPR 2016",
    homepage="https://cvgl.stanford.edu/projects/lifted_struct/",
    archives=(
        Archive(
            "Stanford_Online_Products.zip",
            (
                "https://drive.usercontent.google.com/download"
                "?id=1TclrpQOF_ullUP99wk_gjGN8pKvtErG8&export=download&authuser=0&confirm=t",
            ),
            "md5:7f73d41a2f44250d4779881525aea32e",
            3_080,
        ),
    ),
    needs=(NEEDS,),
)
EXPECT = {
    "train_images": 59_551,
    "train_classes": 11_318,
    "test_images": 60_502,
    "test_classes": 11_316,
}
HEADER = ["image_id", "class_id", "super_class_id", "path"]


def load(root: Path) -> Dataset:
    """Read the dataset under `root`/sop.

    Returns:
        Class ids are the archive's; ids are paths below its folder.

    Raises:
        DataError: it is not there, or not whole.

    Source:
        Song et al. (CVPR 2016), section 6.
    """
    folder = places.find("sop", root, NEEDS, ORIGIN)
    train, test = (_split(folder, name) for name in ("train", "test"))
    return splits.dataset(
        "sop",
        ORIGIN,
        train,
        test,
        protocol="unseen",
        expect=EXPECT,
        recall_at=(1, 10, 100, 1000),
    )


def _split(folder: Path, name: str) -> Split:
    listing = folder / f"Ebay_{name}.txt"
    header, *lines = listing.read_text(encoding="utf-8").split("\n")
    if header.split() != HEADER:
        raise DataError(
            f"{listing}, line 1: expected '{' '.join(HEADER)}', found '{header}'; fetch it anew"
        )
    labels, paths = [], []
    for n, line in enumerate(lines, 2):
        match line.split():
            case [_, label, _, path] if label.isdecimal():
                labels.append(int(label))
                paths.append(path)
            case []:
                continue
            case _:
                raise DataError(
                    f"{listing}, line {n}: expected '{' '.join(HEADER)}', found '{line}';"
                    " fetch it anew"
                )
    return Split(name, Files(folder, paths), np.array(labels), tuple(paths))
