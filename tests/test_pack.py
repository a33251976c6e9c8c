"""Packs: whole or not there, and never of other images."""

import itertools
import os
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image
from torchvision import transforms
from toys import Squares, split

from dml_bench.data.pack import _made_from, fitting, pack
from dml_bench.errors import DataError, StoreError
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


SIDES = (17, 100, 225, 300, 333, 338, 375, 499, 500, 676)


@pytest.mark.parametrize("resize", [32, 224, 232, 256])
def test_centre_is_what_torchvision_s_resize_and_crop_give(resize):
    transform = transforms.Compose([transforms.Resize(resize), transforms.CenterCrop(resize)])
    for width, height in itertools.product(SIDES, SIDES):
        rng = np.random.default_rng(width * height)
        image = Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
        found, expected = (np.asarray(f(image)) for f in (fitting("centre", resize), transform))
        assert np.array_equal(found, expected), (width, height)


def test_a_pack_cut_by_the_rule_of_before_is_not_used(tmp_path):
    """It rounded the longer side otherwise; what nothing changed for keeps its name."""
    made = [_made_from(split("train", [0, 1]), fit, 8) for fit in ("centre", "squash")]
    assert ["rule" in one for one in made] == [True, False]


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    """It is seen before a picture is decoded, not after an hour."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("", (), {"free": 10}))
    with pytest.raises(StoreError, match=r"No space left on device; .* space") as caught:
        pack(split("train", [0, 1]), tmp_path, "toy", fit="squash", resize=0)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


class Interrupted(Squares):
    """Squares whose reading a person stops at image `stop`, once; counts which were read."""

    def __init__(self, labels, stop):
        super().__init__(labels)
        self.stop, self.read = stop, []

    def __getitem__(self, index):
        if index == self.stop:
            self.stop = None
            raise KeyboardInterrupt
        self.read.append(index)
        return super().__getitem__(index)


def test_a_pack_that_was_stopped_goes_on_where_it_was(tmp_path):
    labels = np.repeat([0, 1, 2, 3], 40)
    images = Interrupted(labels, stop=100)
    stopped = Split("train", images, labels, tuple(map(str, range(len(labels)))))
    with pytest.raises(KeyboardInterrupt):
        pack(stopped, tmp_path, "toy", fit="squash", resize=0)
    (draft,) = tmp_path.glob("*.part")
    with (draft / "pixels.npy").open("ab") as file:
        file.write(b"half an image")
    images.read.clear()
    pixels = pack(stopped, tmp_path, "toy", fit="squash", resize=0)
    assert min(set(images.read) - {0}) > 0  # the first tells the size
    assert np.array_equal(pixels, images.pixels.transpose(0, 3, 1, 2))
    assert not list(tmp_path.glob("*.part"))


def test_a_draft_of_less_than_its_header_is_begun_anew(tmp_path):
    whole = pack(split("train", [0, 1]), tmp_path, "toy", fit="squash", resize=0)
    (home,) = (path for path in tmp_path.iterdir() if path.is_dir())
    home.rename(home.with_name(f"{home.name}.part"))
    draft = tmp_path / f"{home.name}.part"
    (draft / "manifest.json").unlink()
    (draft / "pixels.npy").write_bytes(b"\x93NUMPY")
    again = pack(split("train", [0, 1]), tmp_path, "toy", fit="squash", resize=0)
    assert np.array_equal(again, whole)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount a small disk")
@pytest.mark.parametrize("seen", ["at first", "while writing"])
def test_a_disk_that_is_really_full_does_not_end_the_process(tmp_path, monkeypatch, seen):
    if seen == "while writing":  # somebody else fills it
        monkeypatch.setattr(shutil, "disk_usage", lambda path: type("", (), {"free": 10**12}))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path]).returncode:
        pytest.skip("no tmpfs may be mounted here")
    try:
        with pytest.raises(StoreError, match="No space left on device"):
            pack(split("train", [0, 1], each=64), tmp_path, "toy", fit="squash", resize=0)
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(
        StoreError, match=r"expected to write there, found: (Not a directory|File exists)"
    ):
        pack(split("train", [0, 1]), tmp_path / "file", "toy", fit="squash", resize=0)


@pytest.mark.parametrize("file", ["manifest.json", "pixels.npy"])
def test_a_torn_pack_says_which_folder_to_delete(tmp_path, file):
    train = split("train", [0, 1])
    pack(train, tmp_path, "toy", fit="squash", resize=0)
    (home,) = tmp_path.iterdir()
    (home / file).write_bytes(b"{}")
    with pytest.raises(StoreError, match=r"expected a whole pack, found: .*; delete this folder"):
        pack(train, tmp_path, "toy", fit="squash", resize=0)
