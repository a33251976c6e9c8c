"""STL-10, trained on all its images, the 100,000 without labels included; see `stl10`."""

from pathlib import Path

import numpy as np

from dml_bench.data import places, splits, stl10
from dml_bench.data.images import Joined
from dml_bench.types import Dataset, Split

ORIGIN = stl10.ORIGIN
FOLDER = "stl10"
"""It shares the files of `stl10`."""
EXPECT = {**stl10.EXPECT, "train_images": 105_000}


def load(root: Path) -> Dataset:
    """Read the dataset under `root`/stl10.

    Returns:
        Training images without a label carry `types.NO_LABEL`; the gallery is the 5,000 with one.

    Raises:
        DataError: it is not there, or not whole.

    Source:
        Ye et al. (CVPR 2019), section 4.1: "105K".
    """
    folder = places.find("stl10", root, stl10.NEEDS, ORIGIN)
    known, test, more = (
        stl10.labelled(folder, "train"),
        stl10.labelled(folder, "test"),
        stl10.unlabelled(folder),
    )
    train = Split(
        "train+unlabeled",
        Joined([known.images, more.images]),
        np.concatenate([known.labels, more.labels]),
        known.ids + more.ids,
        known.class_names,
    )
    return splits.dataset(
        "stl10_105k", ORIGIN, train, test, protocol="seen", expect=EXPECT, gallery=known
    )
