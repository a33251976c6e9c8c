"""The adapters, on look-alikes with the official layout and counts, and on real lists."""

import csv
import os
import pickle
import re
import shutil
from pathlib import Path

import lookalikes
import numpy as np
import pytest

from dml_bench import data
from dml_bench.data import DATASETS, cub200, folder, stl10
from dml_bench.errors import DataError, UnknownNameError
from dml_bench.types import NO_LABEL

SHARED = Path(__file__).parents[2] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")


def counts(dataset):
    splits = (dataset.train, dataset.query)
    return tuple((len(split), len(split.classes)) for split in splits)


def test_cub_has_its_counts_and_joins_labels_by_image_number(tmp_path):
    lookalikes.cub200(tmp_path)
    found = data.load("cub200", tmp_path)
    assert counts(found) == ((5_864, 100), (5_924, 100))
    assert found.leave_one_out
    assert found.train.classes.tolist() == list(range(1, 101))
    said = [int(path.split(".")[0]) for path in found.query.ids]
    assert found.query.labels.tolist() == said
    assert found.query.class_names[200] == "200.Bird_200"
    assert found.query.images[0].size == (8, 6)


def test_cub_is_found_without_the_folder_that_its_archive_makes(tmp_path):
    inner = lookalikes.cub200(tmp_path, sizes=(200, 200))
    flat = tmp_path / "flat" / "cub200"
    flat.parent.mkdir()
    inner.rename(flat)
    with pytest.raises(DataError, match="found 200, 200; fetch it anew: dml-bench fetch cub200"):
        data.load("cub200", tmp_path / "flat")


def test_a_wrong_count_says_expected_found_and_what_to_do(tmp_path):
    lookalikes.cub200(tmp_path, sizes=(5_863, 5_924))
    with pytest.raises(DataError) as caught:
        data.load("cub200", tmp_path)
    assert str(caught.value) == (
        "cub200: expected 5,864 train images, found 5,863; fetch it anew: dml-bench fetch cub200"
    )


def test_a_class_on_both_sides_is_refused(tmp_path):
    home = lookalikes.sop(tmp_path, sizes=(40, 40), classes=(10, 10))
    listing = home / "Ebay_test.txt"
    listing.write_text(listing.read_text().replace(" 11 1 ", " 10 1 "))
    DATASETS["sop"].EXPECT, kept = {}, DATASETS["sop"].EXPECT
    try:
        with pytest.raises(DataError, match=r"no class in both train and test, found 1 \(first: 1"):
            data.load("sop", tmp_path)
    finally:
        DATASETS["sop"].EXPECT = kept


def test_a_listed_file_that_is_missing_is_named(tmp_path):
    home = lookalikes.cub200(tmp_path)
    (home / "images/100.Bird_100/Bird_5863.jpg").unlink()
    with pytest.raises(DataError, match=r"11788 listed images, found 1 missing .*Bird_5863.jpg"):
        data.load("cub200", tmp_path)


def test_a_line_that_is_cut_is_named(tmp_path):
    home = lookalikes.cub200(tmp_path, sizes=(100, 100))
    with (home / "images.txt").open("a") as file:
        file.write("201\n")
    with pytest.raises(DataError, match=r"images.txt, line 201: expected 'number value'"):
        cub200.load(tmp_path)


def test_sop_has_its_counts_and_the_authors_split(tmp_path):
    lookalikes.sop(tmp_path)
    found = data.load("sop", tmp_path)
    assert counts(found) == ((59_551, 11_318), (60_502, 11_316))
    assert found.recall_at == (1, 10, 100, 1000)
    assert all("train" in path for path in found.train.ids[:100])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1 1 1 a.JPG extra", "line 2"),
        ("1 x 1 a.JPG", "line 2"),
    ],
)
def test_a_line_of_sop_that_cannot_be_read_is_named(tmp_path, line, said):
    home = lookalikes.sop(tmp_path, sizes=(4, 4), classes=(2, 2))
    header = "image_id class_id super_class_id path"
    (home / "Ebay_train.txt").write_text(f"{header}\n{line}\n")
    with pytest.raises(DataError, match=f"Ebay_train.txt, {said}: expected 'image_id"):
        data.load("sop", tmp_path)


CARS = {
    "car_ims": lookalikes.cars_whole,
    "kit": lookalikes.cars_kit,
    "kit, nested": lambda root: lookalikes.cars_kit(root, nested=True),
    "class folders": lookalikes.cars_class_folders,
}


@pytest.mark.parametrize("form", CARS)
def test_cars_has_its_counts_in_each_form(tmp_path, form):
    CARS[form](tmp_path)
    found = data.load("cars196", tmp_path)
    assert counts(found) == ((8_054, 98), (8_131, 98))
    assert found.train.classes.tolist() == list(range(1, 99))
    assert found.train.class_names[5] == "Ram C/V Cargo"


def test_cars_from_the_kit_and_from_class_folders_have_one_fingerprint(tmp_path):
    lookalikes.cars_kit(tmp_path / "a")
    lookalikes.cars_class_folders(tmp_path / "b")
    one, two = (data.load("cars196", tmp_path / place) for place in "ab")
    assert one.fingerprint == two.fingerprint


def test_cars_without_test_labels_says_which_file_is_missing(tmp_path):
    home = lookalikes.cars_kit(tmp_path, sizes=(98, 98))
    rows = [{"fname": "00001.jpg"}]
    lookalikes.annotations(home / lookalikes.WITH_LABELS, rows)
    with pytest.raises(DataError, match=r"expected classes in cars_test_annos_withlabels.mat"):
        data.load("cars196", tmp_path)
    (home / lookalikes.WITH_LABELS).unlink()
    with pytest.raises(DataError, match=r"expected cars_test_annos_withlabels.mat in"):
        data.load("cars196", tmp_path)


@needs_shared
def test_cars_reads_the_real_lists_as_the_literature_counts_them(tmp_path):
    """The kit is written anew from the real file names and classes; the pictures are links."""
    real = SHARED / "cars196_crops"
    home = tmp_path / "cars196"
    home.mkdir()
    rows = {"cars_train": [], "cars_test": []}
    with (real / "labels.csv").open() as file:
        for row in csv.DictReader(file):
            part, name = row["path"].split("/")
            rows[part].append({"class": int(row["label"]), "fname": name})
    for part, listed in rows.items():
        os.symlink(real / part, home / part)
        lookalikes.annotations(home / DATASETS["cars196"].KIT_FILES[part], listed)
    found = data.load("cars196", tmp_path)
    assert counts(found) == ((8_054, 98), (8_131, 98))
    assert found.fingerprint == folder.load(real).fingerprint


@needs_shared
@pytest.mark.parametrize("name", ["cars196_crops", "cub100_crops", "omniglot"])
def test_the_shared_datasets_are_read_and_decode(name):
    found = folder.load(SHARED / name)
    assert found.train.images[0].mode == "RGB"
    assert len(found.query.class_names) >= len(found.query.classes)


@needs_shared
def test_a_dataset_that_is_still_packed_says_what_to_unpack():
    with pytest.raises(
        DataError, match=r"50000 missing .*; unpack images.tar in .* first"
    ) as found:
        folder.load(SHARED / "cifar10_jpeg")
    assert "\n" not in str(found.value)


def test_cifar10_has_its_counts_and_its_pixels_in_order(tmp_path):
    home = lookalikes.cifar10(tmp_path)
    found = data.load("cifar10", tmp_path)
    assert counts(found) == ((50_000, 10), (10_000, 10))
    assert found.gallery is found.train
    raw = pickle.loads((home / "data_batch_2").read_bytes())[b"data"][3]
    picture = np.asarray(found.train.images[10_003])
    assert (picture == raw.reshape(3, 32, 32).transpose(1, 2, 0)).all()
    assert found.train.class_names[9] == "truck"


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    home = lookalikes.cifar10(tmp_path, train=50, test=10)
    (home / "test_batch").write_bytes(pickle.dumps({b"data": Bomb()}))
    with pytest.raises(
        DataError, match=r"test_batch: expected a batch of CIFAR, found: posix.mkdir"
    ):
        data.load("cifar10", tmp_path)
    assert not (tmp_path / "exploded").exists()


def test_cifar100_is_cut_into_halves_by_class(tmp_path):
    lookalikes.cifar100(tmp_path)
    found = data.load("cifar100", tmp_path)
    assert counts(found) == ((30_000, 50), (30_000, 50))
    assert found.query.classes.tolist() == list(range(50, 100))
    first = {name.split("/")[0] for name in found.query.ids}
    assert first == {"train", "test"}


def test_stl10_turns_its_columns_into_rows(tmp_path):
    lookalikes.stl10(tmp_path)
    found = data.load("stl10", tmp_path)
    assert counts(found) == ((5_000, 10), (8_000, 10))
    picture = np.asarray(found.train.images[0])
    assert picture[7, 5].tolist() == [255, 0, 0]
    assert int(picture.sum()) == 255


def test_stl10_trains_on_its_unlabelled_images_when_asked(tmp_path):
    lookalikes.stl10(tmp_path)
    found = data.load("stl10_105k", tmp_path)
    assert counts(found) == ((105_000, 10), (8_000, 10))
    assert len(found.gallery) == 5_000
    assert not found.train.labelled
    assert (found.train.labels == NO_LABEL).sum() == 100_000
    assert np.asarray(found.train.images[5_000])[7, 5, 0] == 255
    assert np.asarray(found.train.images[5_001])[7, 5, 0] == 0
    assert found.train.images.signature() != found.gallery.images.signature()


def test_stl10_cut_short_is_refused(tmp_path):
    home = lookalikes.stl10(tmp_path, unlabelled=99_999)
    with pytest.raises(
        DataError, match=r"expected 100,000 images in unlabeled_X.bin, found 99,999"
    ):
        data.load("stl10_105k", tmp_path)
    os.truncate(home / "test_X.bin", 1_000)
    with pytest.raises(DataError, match=r"expected whole images of 27,648 bytes, found 1,000"):
        stl10.load(tmp_path)


def test_flowers_are_cut_into_halves_by_class(tmp_path):
    lookalikes.flowers102(tmp_path)
    found = data.load("flowers102", tmp_path)
    assert len(found.train) + len(found.query) == 8_189
    assert found.train.classes.tolist() == list(range(1, 52))


@pytest.mark.parametrize("name", [name for name in DATASETS if name != "glyphs"])
def test_a_dataset_that_is_absent_says_how_to_get_it(tmp_path, name):
    with pytest.raises(DataError, match=r"found no such layout; .*dml-bench fetch ") as caught:
        data.load(name, tmp_path)
    assert "\n" not in str(caught.value)
    do = "see datasets/README.md" if name == "cars196" else f"dml-bench fetch {name}"
    assert data.available(tmp_path)[name] == f"absent: {do}"


def test_what_is_there_is_listed_as_present(tmp_path):
    lookalikes.cars_kit(tmp_path)
    lookalikes.stl10(tmp_path)
    lookalikes.cub200(tmp_path, sizes=(200, 200))
    said = data.available(tmp_path)
    assert said["cub200"].startswith("present, not readable: cub200: expected 5,864 train images")
    assert {name for name, state in said.items() if state == "present"} == {
        "glyphs",
        "cars196",
        "stl10",
        "stl10_105k",
    }


@pytest.mark.parametrize("name", list(DATASETS))
def test_every_built_in_dataset_says_where_it_comes_from(name):
    origin = DATASETS[name].ORIGIN
    assert origin.title
    assert origin.licence
    assert origin.source
    assert origin.homepage.startswith("https://")
    assert origin.archives or origin.steps or not origin.needs
    assert all(archive.digest.startswith(("md5:", "sha256:")) for archive in origin.archives)


FOLDER_FAULTS = {
    "no TOML": ("dataset.toml", "name", "expected TOML, found"),
    "another name": ("dataset.toml", 'name = "his"', "expected the folder's name"),
    "no listing": ("dataset.toml", 'name = "mine"\nlisting = "x.csv"', "expected a CSV file"),
    "no column": ("labels.csv", "path,label\n", "expected the columns path, label, split"),
}


@pytest.mark.parametrize("fault", [None, *FOLDER_FAULTS])
def test_a_folder_is_present_only_if_its_two_text_files_can_be_read(tmp_path, fault):
    home = tmp_path / "mine"
    home.mkdir()
    rest = '\nlisting = "labels.csv"\nprotocol = "unseen"'
    (home / "dataset.toml").write_text('name = "mine"' + rest)
    (home / "labels.csv").write_text("path,label,split\na.png,1,train\n")  # no image is looked for
    if fault is None:
        assert data.available(tmp_path)["mine"] == "present"
        return
    file, text, said = FOLDER_FAULTS[fault]
    if "his" in text or "x.csv" in text:
        text += rest if "listing" not in text else '\nprotocol = "unseen"'
    (home / file).write_text(text)
    state = data.available(tmp_path)["mine"]
    assert state.startswith("present, not readable: ")
    assert said in state
    assert "\n" not in state


def test_a_file_that_cannot_be_read_is_one_line(tmp_path, monkeypatch):
    def refused(root):
        raise PermissionError(13, "Permission denied", "images.txt")

    monkeypatch.setattr(cub200, "load", refused)
    with pytest.raises(DataError, match=r"cub200: expected files that can be read in .*denied"):
        data.load("cub200", tmp_path)


def test_a_folder_with_a_built_in_name_is_refused(tmp_path):
    (tmp_path / "sop").mkdir()
    (tmp_path / "sop" / "dataset.toml").write_text("")
    with pytest.raises(DataError, match="'sop', which is built in; rename the folder"):
        data.available(tmp_path)


def test_an_unknown_dataset_lists_the_folders_too(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "dataset.toml").write_text("")
    with pytest.raises(UnknownNameError, match="no dataset 'min'; did you mean 'mine'"):
        data.load("min", tmp_path)


def test_an_unknown_dataset_is_named_with_where_it_was_looked_for(tmp_path):
    said = f"(in {tmp_path}; --data-root says where they are)"
    with pytest.raises(UnknownNameError, match=re.escape(said)):
        data.load("mine", tmp_path)
    said = f"({tmp_path / 'no'} is no folder; --data-root says where they are)"
    with pytest.raises(UnknownNameError, match=re.escape(said)):
        data.load("mine", tmp_path / "no")


def test_a_file_that_is_no_matlab_file_is_named(tmp_path):
    home = lookalikes.flowers102(tmp_path, n=204)
    (home / "imagelabels.mat").write_text("<html>")
    with pytest.raises(DataError, match=r"imagelabels.mat: expected a MATLAB file"):
        data.load("flowers102", tmp_path)
    shutil.rmtree(home / "jpg")
    with pytest.raises(DataError, match="found no such layout"):
        data.load("flowers102", tmp_path)
