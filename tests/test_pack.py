"""Packs: whole or not there, and never of other images."""

import numpy as np
import pytest
from PIL import Image
from toys import Squares, split

from dml_bench.data.pack import pack
from dml_bench.errors import DataError
from dml_bench.types import Split


class Given:
    """Images from a list."""

    def __init__(self, *pictures):
        self.pictures = pictures

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, index):
        return self.pictures[index]

    def signature(self):
        return str([np.asarray(p).sum() for p in self.pictures])


def of(*pictures):
    n = len(pictures)
    return Split("train", Given(*pictures), np.arange(n), tuple(f"{i}.png" for i in range(n)))


def test_pixels_are_those_of_the_images_channels_first(tmp_path):
    train = split("train", [0, 1])
    pixels = pack(train, tmp_path, "toy", fit="squash", resize=0)
    assert np.array_equal(pixels, train.images.pixels.transpose(0, 3, 1, 2))
    assert pixels.dtype == np.uint8


def test_a_second_call_decodes_nothing(tmp_path, monkeypatch):
    train = split("train", [0, 1])
    pack(train, tmp_path, "toy", fit="squash", resize=0)
    monkeypatch.setattr(Squares, "__getitem__", lambda *_: pytest.fail("decoded again"))
    pack(train, tmp_path, "toy", fit="squash", resize=0)


def test_images_that_changed_are_packed_anew(tmp_path):
    first, second = (
        pack(split("train", [0, 1], seed=s), tmp_path, "toy", fit="squash", resize=0)
        for s in (0, 1)
    )
    assert not np.array_equal(first, second)


def test_squash_loses_the_aspect_and_centre_cuts_the_middle(tmp_path):
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 255  # the middle third is white
    picture = Image.fromarray(wide)
    squashed = pack(of(picture), tmp_path, "a", fit="squash", resize=10)
    centre = pack(of(picture), tmp_path, "a", fit="centre", resize=10)
    assert squashed.shape == centre.shape == (1, 3, 10, 10)
    assert squashed[0, 0, 5].mean() < 128
    assert centre.min() == 255


def test_sizes_that_differ_need_a_resize(tmp_path):
    pictures = of(Image.new("RGB", (10, 10)), Image.new("RGB", (12, 10)))
    with pytest.raises(DataError, match=r"1.png: expected 10 x 10 .* found 12 x 10; set resize"):
        pack(pictures, tmp_path, "a", fit="squash", resize=0)
    assert list(tmp_path.iterdir()) == []  # nothing half made is left


def test_a_pack_without_its_manifest_is_no_pack(tmp_path):
    train = split("train", [0, 1])
    pack(train, tmp_path, "toy", fit="squash", resize=0)
    (home,) = tmp_path.iterdir()
    (home / "manifest.json").unlink()
    (home / "pixels.npy").write_bytes(b"half")
    again = pack(train, tmp_path, "toy", fit="squash", resize=0)
    assert np.array_equal(again, train.images.pixels.transpose(0, 3, 1, 2))
