"""A fixed share of the training images: the same for every seed, method and machine.

An image's place is the SHA-256 of its id, and the first places are taken: labels have no say, and a
smaller share lies within a larger one. The count is exact, round(share x N) with halves to the even
number, and at least 1; how many of each class there are is what chance makes of it.
"""

import hashlib
from dataclasses import replace

import numpy as np

from dml_bench.data.images import Chosen
from dml_bench.data.splits import HeldOut, hold_out
from dml_bench.types import Dataset, Ints, Recipe, Split


def as_trained(dataset: Dataset, recipe: Recipe) -> tuple[Dataset, HeldOut | None]:
    """Return a dataset with what a recipe trains on, and what it holds out of that.

    Args:
        dataset: as it was loaded.
        recipe: its `share` is taken first; of that `validation` holds out.

    Raises:
        RecipeError: as `hold_out`.
        DataError: a share without an image of a class that the test asks for.
    """
    return hold_out(some(dataset, recipe.share), recipe.validation, recipe.seed)


def some(dataset: Dataset, share: float) -> Dataset:
    """Return a dataset with a share of its training images; what is searched among them shrinks.

    Args:
        dataset: as it was loaded.
        share: above 0, at most 1.

    Raises:
        DataError: a share without an image of a class that the test asks for.
    """
    if share == 1:
        return dataset
    train = _part(dataset.train, chosen(dataset.train.ids, share))
    gallery = train if dataset.gallery is dataset.train else dataset.gallery
    return replace(dataset, train=train, gallery=gallery)


def chosen(ids: tuple[str, ...], share: float) -> Ints:
    """Return (M,) the rows of a share of the ids, in ascending order.

    Example:
        >>> chosen(("a", "b", "c", "d"), 0.5).tolist()
        [2, 3]
    """
    places = [hashlib.sha256(name.encode()).digest() for name in ids]
    first = sorted(range(len(ids)), key=lambda row: (places[row], row))
    return np.array(sorted(first[: max(1, round(share * len(ids)))]), np.int64)


def _part(whole: Split, rows: Ints) -> Split:
    ids = tuple(whole.ids[row] for row in rows)
    return Split(whole.name, Chosen(whole.images, rows), whole.labels[rows], ids, whole.class_names)
