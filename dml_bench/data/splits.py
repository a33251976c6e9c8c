"""From labelled images to a checked `Dataset`: class-disjoint halves, and counts that must hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dml_bench import draws
from dml_bench.data.images import Chosen
from dml_bench.data.origin import Origin
from dml_bench.errors import DataError, RecipeError
from dml_bench.types import NO_LABEL, Dataset, Images, Ints, Split

Mask = npt.NDArray[np.bool_]

Expect = Mapping[str, int]
"""images (of both splits), train_images, train_classes, test_images, test_classes: any of them."""


def class_disjoint(
    images: Images,
    labels: Ints,
    ids: Sequence[str],
    *,
    n_train_classes: int,
    class_names: Mapping[int, str] | None = None,
) -> tuple[Split, Split]:
    """Cut labelled images into the classes that train and the classes that are asked for.

    Args:
        images: N images.
        labels: (N,) class ids.
        ids: N names.
        n_train_classes: how many classes train; the first ones, by ascending id.
        class_names: class id -> the name that a person reads.

    Returns:
        The splits "train" and "test".

    Source:
        Song et al., "Deep Metric Learning via Lifted Structured Feature Embedding" (CVPR 2016),
        section 6: the first half of the classes trains, the second is asked for.
    """
    first = np.unique(labels)[:n_train_classes]
    trains = np.isin(labels, first)

    def half(name: str, mine: Ints) -> Split:
        chosen = tuple(ids[row] for row in mine)
        return Split(name, Chosen(images, mine), labels[mine], chosen, class_names or {})

    return half("train", np.flatnonzero(trains)), half("test", np.flatnonzero(~trains))


def dataset(
    name: str,
    origin: Origin,
    train: Split,
    test: Split,
    *,
    protocol: str,
    expect: Expect,
    recall_at: tuple[int, ...] = (1, 2, 4, 8),
    gallery: Split | None = None,
) -> Dataset:
    """Return a built-in dataset, with its counts checked.

    Args:
        name: as on the command line.
        origin: its title, licence and source.
        train: what training may see.
        test: the queries.
        protocol: "unseen": the queries are searched among themselves; "seen": among `gallery`.
        expect: the counts of the literature.
        recall_at: the Ks that the literature prints.
        gallery: what is searched where the classes are seen; `train` if None.

    Raises:
        DataError: other counts, or classes on the wrong side.
    """
    check_counts(name, train, test, expect, f"fetch it anew: dml-bench fetch {name}")
    searched = test if protocol == "unseen" else gallery or train
    return Dataset(
        name=name,
        title=origin.title,
        train=train,
        query=test,
        gallery=searched,
        protocol=protocol,
        recall_at=recall_at,
        licence=origin.licence,
        source=origin.source,
    )


def check_counts(name: str, train: Split, test: Split, expect: Expect, do: str) -> None:
    """Compare the counts of two splits with the expected ones.

    Args:
        name: of the dataset.
        train: the training split.
        test: the test split.
        expect: what they must count.
        do: the end of the error message: what the user should do.

    Raises:
        DataError: a count that differs; all that differ are named.
    """
    found = {
        "images": len(train) + len(test),
        "train_images": len(train),
        "train_classes": len(train.classes),
        "test_images": len(test),
        "test_classes": len(test.classes),
    }
    wrong = [(key, n) for key, n in expect.items() if found[key] != n]
    if wrong:
        wanted = ", ".join(f"{n:,} {key.replace('_', ' ')}" for key, n in wrong)
        there = ", ".join(f"{found[key]:,}" for key, _ in wrong)
        raise DataError(f"{name}: expected {wanted}, found {there}; {do}")


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What is held out of training to select with.

    Args:
        asked: a dataset as the whole one, but asked the held-out images.
        whole: the training split before anything was held out.
        parts: each split that was cut from it, and its rows there.
    """

    asked: Dataset
    whole: Split
    parts: Sequence[tuple[Split, Ints]]


def hold_out(dataset: Dataset, share: float, seed: int) -> tuple[Dataset, HeldOut | None]:
    """Hold a part of the training images out, so that an epoch can be selected without the test.

    What is held out is asked as the test is. Where test classes are unseen, so are the held-out
    ones: whole classes leave training, and are searched among themselves. Where they are seen, a
    share of each class's images leaves, and is searched among those that stay; a held-out class
    would be one that the test asks for and training never showed.

    Args:
        dataset: as it was loaded.
        share: of the training classes, or of each class's images; 0 holds nothing out.
        seed: decides which, together with the order of the images; what the classes are called
            does not.

    Returns:
        The dataset with the rest as its training split, its test as it was; and what is held out.

    Raises:
        RecipeError: a share that leaves too little on either side, or no label to go by.
    """
    if not share:
        return dataset, None
    choose = _some_classes if dataset.protocol == "unseen" else _some_images
    whole = dataset.train
    held = choose(whole.labels, share, draws.generator(seed, 0, "validation"))
    rest, query = (_part(*named, whole) for named in (("train", ~held), ("validation", held)))
    known = ~held & (whole.labels != NO_LABEL)
    gallery = query
    if dataset.protocol == "seen":
        gallery = rest if known.sum() == len(rest) else _part("train, labelled", known, whole)
    chosen = ((rest, ~held), (query, held), (gallery, known if gallery is not query else held))
    asked = replace(dataset, train=rest, query=query, gallery=gallery)
    parts = tuple((split, np.flatnonzero(rows)) for split, rows in chosen)
    return replace(dataset, train=rest), HeldOut(asked, whole, parts)


def _part(name: str, chosen: Mask, whole: Split) -> Split:
    rows = np.flatnonzero(chosen)
    ids = tuple(whole.ids[row] for row in rows)
    images = Chosen(whole.images, rows)
    return Split(name, images, whole.labels[rows], ids, whole.class_names)


def _some_classes(labels: Ints, share: float, draw: np.random.Generator) -> Mask:
    """Return (N,) whether an image's class is held out; two classes at least on either side."""
    found, first, counts = np.unique(
        labels[labels != NO_LABEL], return_index=True, return_counts=True
    )
    n_held = round(share * len(found))
    chosen = draw.permutation(np.argsort(first))[:n_held]  # numbered by their first images
    if not 2 <= n_held <= len(found) - 2 or counts[chosen].max() < 2:
        raise RecipeError(
            f"validation {share:g}: expected two classes or more held out, one of them with two"
            f" images, and two or more left, found {n_held} of {len(found)} to hold out; set"
            " another share"
        )
    mask: Mask = np.isin(labels, found[chosen])
    return mask


def _some_images(labels: Ints, share: float, draw: np.random.Generator) -> Mask:
    """Return (N,) whether an image is held out: its share of each class, but never all of it."""
    held = np.zeros(len(labels), bool)
    for label in dict.fromkeys(labels[labels != NO_LABEL].tolist()):
        members = draw.permutation(np.flatnonzero(labels == label))
        held[members[: min(round(share * len(members)), len(members) - 1)]] = True
    if not held.any():
        raise RecipeError(
            f"validation {share:g}: expected an image or more of a class to hold out, found none"
            " (labelled images, and the share of each class, are too few); set a larger share"
        )
    return held
