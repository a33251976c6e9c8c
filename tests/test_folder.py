"""A folder with a `dataset.toml`: read as it says, refused by file and line where it is wrong."""

import io
from pathlib import Path

import numpy as np
import pytest
from lookalikes import Pictures
from PIL import Image

from dml_bench import data
from dml_bench.data import folder, images
from dml_bench.data.images import Array, Chosen, Files, Joined, to_rgb
from dml_bench.data.images import _names as names
from dml_bench.errors import DataError

TOML = """
name = "mine"
title = "My images"
listing = "labels.csv"
protocol = "unseen"
recall_at = [1, 3]
expect = { train_images = 3, train_classes = 2, test_images = 2, test_classes = 1 }
licence = "mine"
source = "me"
note = "a note"
"""
LISTING = """path,label,class_name,split
a/1.png,-5,ant,train
a/2.png,-5,ant,train
b/1.png,7,bee,train
c/1.png,9007199254740993,cat,test
c/2.png,9007199254740993,cat,test
"""


@pytest.fixture
def mine(tmp_path):
    home = tmp_path / "mine"
    for name in ("a/1", "a/2", "b/1", "c/1", "c/2"):
        path = home / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path)
    (home / "dataset.toml").write_text(TOML)
    (home / "labels.csv").write_text(LISTING)
    return home


def rewrite(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_folder_is_read_as_its_files_say(mine):
    found = folder.load(mine)
    assert found.train.ids == ("a/1.png", "a/2.png", "b/1.png")
    assert found.train.labels.tolist() == [-5, -5, 7]
    assert found.query.labels.tolist() == [2**53 + 1] * 2
    assert found.query.class_names[2**53 + 1] == "cat"
    assert (found.title, found.licence, found.source) == ("My images", "mine", "me")
    assert found.recall_at == (1, 3)
    assert found.leave_one_out


def test_only_name_listing_and_protocol_are_needed(mine):
    (mine / "dataset.toml").write_text(
        'name = "mine"\nlisting = "labels.csv"\nprotocol = "unseen"\n'
    )
    rewrite(mine / "labels.csv", "path,label,class_name,split", "path,label,ignored,split")
    found = folder.load(mine)
    assert found.title == "mine"
    assert found.recall_at == (1, 2, 4, 8)
    assert found.train.class_names == {}


def test_with_seen_classes_the_gallery_is_the_training_images(mine):
    rewrite(mine / "dataset.toml", '"unseen"', '"seen"')
    rewrite(mine / "labels.csv", "9007199254740993,cat", "7,bee")
    found = folder.load(mine)
    assert found.gallery is found.train


def test_a_listing_that_a_spreadsheet_saved_with_a_mark_is_read(mine):
    path = mine / "labels.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(folder.load(mine).train) == 3


def test_a_folder_behind_a_link_has_the_name_that_it_is_reached_by(mine, tmp_path, monkeypatch):
    store = tmp_path / "store" / "birds-v2"
    store.parent.mkdir()
    mine.rename(store)
    mine.symlink_to(store)
    assert data.load("mine", tmp_path).name == "mine"
    with pytest.raises(DataError, match="folder's name, name = 'birds-v2', found 'mine'"):
        folder.load(store)
    monkeypatch.chdir(mine)
    (tmp_path / "store" / "birds-v2").rename(tmp_path / "store" / "mine")
    monkeypatch.chdir(tmp_path / "store" / "mine")
    assert folder.load(Path(".")).name == "mine"


TOML_FAULTS = {
    "a field left out": ('name = "mine"', "", "expected 'name', found no such field; add it"),
    "a field mistyped": ("licence", "license", r"no field 'license'; did you mean 'licence'\?"),
    "text for a list": ("[1, 3]", '"1"', "expected recall_at to be a list, found '1'"),
    "no K": ("[1, 3]", "[]", r"recall_at to list whole numbers from 1, found \[\]"),
    "a K of nought": ("[1, 3]", "[0]", r"recall_at to list whole numbers from 1, found \[0\]"),
    "a K that is true": ("[1, 3]", "[true]", "recall_at to list whole numbers from 1"),
    "a K beyond any gallery": (
        "[1, 3]",
        f"[{10**18}]",
        "recall_at: expected a whole number",
    ),
    "a number for text": ('"mine"\ntitle', "3\ntitle", "expected name to be a str, found 3"),
    "no TOML": ("name =", "name", "expected TOML, found: "),
    "another name": ('name = "mine"', 'name = "his"', "expected the folder's name, name = 'mine'"),
    "another protocol": ('"unseen"', '"zero-shot"', "protocol 'seen' or 'unseen', found 'zero-"),
    "a count mistyped": ("test_images", "test_image", "no count 'test_image'; did you mean"),
    "a count in words": (
        "train_images = 3",
        'train_images = "3"',
        "expected train_images to be a whole number, found '3'; write one",
    ),
    "a wrong count": (
        "train_images = 3",
        "train_images = 4",
        "mine: expected 4 train images, found 3; correct labels.csv, or expect in dataset.toml",
    ),
    "a listing that is not there": ("labels.csv", "list.csv", r"list.csv: expected a CSV file"),
}


@pytest.mark.parametrize("fault", TOML_FAULTS)
def test_a_faulty_toml_is_refused_in_one_line(mine, fault):
    old, new, said = TOML_FAULTS[fault]
    rewrite(mine / "dataset.toml", old, new)
    with pytest.raises(DataError, match=said) as caught:
        folder.load(mine)
    assert "\n" not in str(caught.value)


LISTING_FAULTS = {
    "a column missing": ("path,label,", "file,label,", "line 1: expected the columns path, label"),
    "another split": ("ant,train", "ant,val", "line 2: expected split train or test, found 'val'"),
    "a label in words": (
        "7,bee",
        "bee,bee",
        "line 4: expected a whole number as label, found 'bee'; number the classes, and put their"
        " names in class_name",
    ),
    "a label too large": ("7,bee", f"{2**63},bee", "line 4: expected a label that fits 64 bits"),
    "a short row": ("7,bee,train", "7", "line 4: expected 4 columns, found 'more or fewer'"),
    "a long row": ("bee,train", "bee,train,x", "line 4: expected 4 columns"),
    "an image twice": ("a/2.png", "a/1.png", "'a/1.png' is listed twice"),
    "an image in both splits": ("c/1.png", "a/1.png", r"found 1 in both \(first: 'a/1.png'\)"),
    "a file not there": ("b/1.png", "b/9.png", r"3 listed images, found 1 missing \(first: b/9"),
    "a folder not there": ("b/1.png", "z/9.png", r"found 1 missing \(first: z/9"),
    "a path upwards": ("b/1.png", "../1.png", r"inside the dataset's folder, found '../1.png'"),
    "a path from the root": ("b/1.png", "/etc/1.png", "inside the dataset's folder, found '/etc"),
    "no path": ("b/1.png", "", "inside the dataset's folder, found ''"),
    "a class on both sides": ("9007199254740993,cat", "7,bee", "no class in both train and test"),
}


@pytest.mark.parametrize("fault", LISTING_FAULTS)
def test_a_faulty_listing_is_refused_in_one_line(mine, fault):
    old, new, said = LISTING_FAULTS[fault]
    rewrite(mine / "dataset.toml", "expect", "# expect")
    rewrite(mine / "labels.csv", old, new)
    with pytest.raises(DataError, match=said) as caught:
        folder.load(mine)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("alone", ["c/2.png,9", "c/2.png,7,bee,train"])
def test_test_images_of_which_none_has_a_right_answer_are_refused_before_any_work(mine, alone):
    rewrite(mine / "dataset.toml", "expect", "# expect")
    row = "c/2.png,9007199254740993,cat,test"
    rewrite(mine / "labels.csv", row, alone if alone.endswith("train") else f"{alone},dog,test")
    with pytest.raises(DataError, match="mine: expected a test class with two images or more, fou"):
        folder.load(mine)


def test_a_listing_without_a_split_says_so(mine):
    (mine / "labels.csv").write_text("path,label,split\na/1.png,1,train\n")
    with pytest.raises(DataError, match="split 'test': expected images, found none"):
        folder.load(mine)


def test_each_folder_is_looked_into_once_however_many_files_it_holds(tmp_path, monkeypatch):
    paths = [f"{n % 3}/{n}.jpg" for n in range(60)]
    Pictures(tmp_path).write([tmp_path / path for path in paths])
    looked = []
    monkeypatch.setattr(images, "_names", lambda folder: looked.append(folder) or names(folder))
    assert len(Files(tmp_path, paths)) == 60
    assert sorted(folder.name for folder in looked) == ["0", "1", "2"]


def saved(image, form="PNG", **kwargs):
    buffer = io.BytesIO()
    image.save(buffer, form, **kwargs)
    return buffer.getvalue()


def palette():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    return image


MODES = {
    "gray": (saved(Image.new("L", (4, 4), 77)), (77, 77, 77)),
    "black and white": (saved(Image.new("1", (4, 4), 1)), (255, 255, 255)),
    "palette": (saved(palette()), (10, 20, 30)),
    "palette with transparency": (saved(palette(), transparency=b"\x00\x80"), (10, 20, 30)),
    "transparent": (saved(Image.new("RGBA", (4, 4), (1, 2, 3, 0))), (1, 2, 3)),
    "gray, transparent": (saved(Image.new("LA", (4, 4), (9, 0))), (9, 9, 9)),
    "16 bits": (
        saved(Image.fromarray(np.full((4, 4), 0x4D00, np.uint16))),
        (0x4D, 0x4D, 0x4D),
    ),
    "CMYK": (saved(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "TIFF"), (255, 0, 0)),
    "GIF": (saved(palette(), "GIF"), (10, 20, 30)),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.filterwarnings("error")
def test_every_mode_becomes_rgb(tmp_path, mode):
    content, colour = MODES[mode]
    (tmp_path / "one").write_bytes(content)
    image = Files(tmp_path, ["one"])[0]
    assert image.mode == "RGB"
    assert image.getpixel((2, 2)) == colour


def test_floating_point_pixels_are_refused():
    with pytest.raises(ValueError, match="floating-point pixels"):
        to_rgb(Image.new("F", (2, 2)))


def test_the_camera_s_orientation_is_respected(tmp_path):
    image = Image.new("RGB", (6, 4))
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter to the right
    image.save(tmp_path / "one.png", exif=exif)
    turned = Files(tmp_path, ["one.png"])[0]
    assert turned.size == (4, 6)
    assert turned.getpixel((3, 0)) == (255, 255, 255)


@pytest.mark.parametrize("content", [b"", b"<html>", saved(Image.new("RGB", (64, 64)))[:60]])
def test_a_file_that_is_no_whole_image_is_named(tmp_path, content):
    (tmp_path / "one.png").write_bytes(content)
    with pytest.raises(DataError, match=r"one.png: expected an image, found: .+; bring the file"):
        Files(tmp_path, ["one.png"])[0]


def squares(*values):
    return Array(np.stack([np.full((2, 2, 3), value, np.uint8) for value in values]))


def shown(images):
    return [images[n].getpixel((0, 0))[0] for n in range(len(images))]


def test_chosen_and_joined_images_keep_their_order():
    chosen = Chosen(squares(1, 2, 3), np.array([2, 0]))
    assert shown(chosen) == [3, 1]
    assert shown(Joined([chosen, squares(9)])) == [3, 1, 9]


def test_signatures_change_with_pixels_rows_and_order():
    one, two = squares(1, 2), squares(1, 3)
    signatures = [
        one.signature(),
        two.signature(),
        Chosen(one, np.array([0])).signature(),
        Chosen(one, np.array([1])).signature(),
        Joined([one, two]).signature(),
        Joined([two, one]).signature(),
    ]
    assert len(set(signatures)) == 6
    assert one.signature() == squares(1, 2).signature()


def test_a_changed_file_changes_the_signature(tmp_path):
    path = Path(tmp_path, "one.png")
    Image.new("RGB", (4, 4)).save(path)
    images = Files(tmp_path, ["one.png"])
    before = images.signature()
    Image.new("RGB", (5, 4)).save(path)
    assert images.signature() != before
