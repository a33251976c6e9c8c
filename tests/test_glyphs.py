"""The embedded dataset: letters that no two classes share."""

from pathlib import Path

import numpy as np
import pytest

from dml_bench.data import glyphs


@pytest.fixture(scope="module")
def dataset():
    return glyphs.load(Path("unused"))


def pixels_of(split):
    return np.stack([np.asarray(split.images[i]) for i in range(len(split))])


def test_train_is_latin_and_test_is_greek_and_cyrillic(dataset):
    scripts = {name: {i.split("/")[0] for i in ids} for name, ids in ids_of(dataset).items()}
    assert scripts == {"train": {"latin"}, "test": {"greek", "cyrillic"}}
    assert not set(dataset.train.classes) & set(dataset.query.classes)
    assert dataset.leave_one_out
    assert dataset.protocol == "unseen"


def ids_of(dataset):
    return {"train": dataset.train.ids, "test": dataset.query.ids}


@pytest.mark.parametrize("name", ["train", "test"])
def test_there_are_about_as_many_as_the_module_says(dataset, name):
    split = dataset.train if name == "train" else dataset.query
    images, classes = glyphs.COUNTS[name]
    assert len(split) == pytest.approx(images, rel=0.05)
    assert len(split.classes) == pytest.approx(classes, rel=0.05)


def test_a_class_is_a_character_in_ten_or_more_typefaces(dataset):
    for split in (dataset.train, dataset.query):
        counts = np.unique(split.labels, return_counts=True)[1]
        assert glyphs.MIN_FACES <= counts.min() <= counts.max() <= len(glyphs.FACES)
    assert dataset.train.class_names[ord("A")] == "LATIN CAPITAL LETTER A"
    assert f"latin/U+0041/{glyphs.FACES[0]}" in dataset.train.ids
    assert "cyrillic/U+0416/cmr10" not in dataset.query.ids


def test_a_letter_that_looks_like_an_earlier_one_is_left_out(dataset):
    assert ord("Α") not in dataset.query.classes  # Greek Alpha
    assert ord("о") not in dataset.query.classes  # Cyrillic o
    assert ord("Ω") in dataset.query.classes


def test_no_drawing_of_a_typeface_is_in_two_classes(dataset):
    seen = {}
    for split in (dataset.train, dataset.query):
        for item, drawing in zip(split.ids, pixels_of(split), strict=True):
            key = (item.rpartition("/")[2], drawing.tobytes())
            assert key not in seen, f"{item} looks like {seen.get(key)}"
            seen[key] = item


def test_the_letters_are_white_on_black_gray_and_in_the_middle(dataset):
    pixels = pixels_of(dataset.query)
    assert pixels.shape[1:] == (32, 32, 3)
    assert (pixels == pixels[..., :1]).all()
    assert (pixels.reshape(len(pixels), -1).max(axis=1) > 200).all()
    assert 0.02 < (pixels > 127).mean() < 0.3
    for drawing in pixels[::50, :, :, 0]:
        for axis in (0, 1):
            inked = np.flatnonzero(drawing.any(axis=axis))
            assert abs(inked[0] + inked[-1] - 31) <= 3


def test_drawing_twice_gives_the_same(dataset):
    again = glyphs.load(Path("elsewhere"))
    assert again.fingerprint == dataset.fingerprint
    assert again.train.ids == dataset.train.ids
    assert again.train.images.signature() == dataset.train.images.signature()
    assert again.query.images.signature() == dataset.query.images.signature()
