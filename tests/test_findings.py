"""What a file shows before anything is searched: each count by eye, on rows that fit one line."""

import inspect

import numpy as np
import pytest

from dml_bench import findings
from dml_bench.data import DATASETS, cars196, cub200, sop


def arrays(n=6, **more):
    """Rows in two directions, three images a class."""
    rows = np.tile([[1.0, 0.0], [0.0, 1.0]], (n // 2, 1)).astype(np.float32)
    return {"vectors": rows, "labels": np.arange(n) // 3, **more}


def labelled(images, classes, gallery=0):
    """Labels alone: what a split is known by."""
    found = {"labels": np.arange(images) % classes}
    return found | ({"gallery_labels": np.arange(gallery)} if gallery else {})


def test_sizes_of_classes_by_eye():
    found = findings.counts(arrays(labels=np.array([1, 2, 2, 3, 3, 3]))).values
    sizes = [found[f"{which}_class"] for which in ("smallest", "median", "largest")]
    assert sizes == [1, 2.0, 3]
    found = findings.counts(arrays(labels=np.array([1, 1, 1, 1, 2, 3]))).values
    assert found["median_class"] == 1.0  # not the mean, which is 2


def test_broken_rows_are_counted_on_both_sides_and_a_row_with_a_zero_in_it_is_none():
    rows = np.array([[1.0, 0.0], [0.0, 0.0], [np.nan, 1.0]])
    found = findings.broken_rows({"vectors": rows, "gallery_vectors": rows[[1, 1, 2]]})
    assert found.values == {"non_finite": 2, "zero": 3}
    assert found.obstacle == "2 non-finite and 3 zero rows"
    assert not findings.broken_rows(arrays()).obstacle


def test_ids_twice_are_counted_on_both_sides():
    names = np.array(["a", "a", "b", "c", "d", "e"])
    twice = arrays(ids=names, gallery_ids=names)
    twice |= {"gallery_vectors": twice["vectors"], "gallery_labels": twice["labels"]}
    kept, doubled, both = findings.usable(twice)
    assert (doubled, both) == (2, ["a", "b", "c", "d", "e"])
    assert not {"ids", "gallery_ids"} & set(kept)
    assert findings.ids(kept, doubled).obstacle == "2 ids twice"
    assert findings.ids(kept, doubled, both).obstacle == "5 queries are in the gallery"
    alone = arrays(ids=names)
    assert findings.usable(alone)[1] == 1


@pytest.mark.parametrize(("size", "said"), findings.OTHER_SPLITS.items())
def test_a_split_that_is_not_of_unseen_classes_is_named_and_is_an_obstacle(size, said):
    found = findings.known_split(labelled(*size))
    assert (found.values, found.obstacle) == ({}, f"the counts are those of {said}")
    assert not findings.known_split(labelled(*size, gallery=9)).obstacle


def test_those_splits_are_what_is_left_of_the_datasets():
    """Whole ones are the sum of what the adapters expect; the halves are of the READMEs."""
    sizes = [part.EXPECT for part in (cub200, cars196, sop)]
    whole = {
        (one["train_images"] + one["test_images"], one["train_classes"] + one["test_classes"])
        for one in sizes
    }
    assert whole < set(findings.OTHER_SPLITS)
    assert {(5_794, 200), (8_041, 196)} == set(findings.OTHER_SPLITS) - whole


@pytest.mark.parametrize(
    ("size", "gallery", "names"),
    [
        ((10_000, 10), 50_000, ["cifar10"]),
        ((8_000, 10), 5_000, ["stl10", "stl10_105k"]),  # the other 100,000 have no label
        ((8_000, 10), 105_000, []),
        ((8_000, 10), 0, []),
        ((5_924, 100), 0, ["cub200"]),
        ((60_502, 11_316), 0, ["sop"]),
    ],
)
def test_a_split_is_known_by_its_counts_and_its_gallery(size, gallery, names):
    found = findings.known_split(labelled(*size, gallery)).values
    assert found.get("datasets", []) == names


def test_whose_classes_are_seen_is_what_the_adapters_say():
    seen = {name for name in DATASETS if 'protocol="seen"' in inspect.getsource(DATASETS[name])}
    assert seen == set(findings.SEEN)


@pytest.mark.parametrize(
    ("dtype", "length", "unit"),
    [
        (np.float16, 1.001, True),
        (np.float16, 1.01, False),
        (np.float32, 1.001, False),
        (np.float32, 1.00005, True),
        (np.float64, 1.001, False),
    ],
)
def test_a_row_is_of_length_1_as_far_as_its_numbers_can_say(dtype, length, unit):
    rows = np.array([[1.0, 0.0], [length, 0.0]], dtype)
    assert findings.norms({"vectors": rows}).values["unit"] is unit
