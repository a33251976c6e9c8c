"""From labelled images to a checked `Dataset`: class-disjoint halves, and counts that must hold."""

from collections.abc import Mapping, Sequence

import numpy as np

from dml_bench.data.images import Chosen
from dml_bench.data.origin import Origin
from dml_bench.errors import DataError
from dml_bench.types import Dataset, Images, Ints, Split

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
