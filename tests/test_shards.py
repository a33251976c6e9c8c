"""A dataset in shards: what its tars hold, as WebDataset itself reads them, and what is refused."""

import gzip
import io
import json
import socket
import tarfile
from threading import get_ident

import fsspec
import numpy as np
import pytest
import tarballs
import webdataset
from server import Site, serving

from dml_bench import data
from dml_bench.cli import main
from dml_bench.data import addresses, folder, shards
from dml_bench.data.addresses import Place
from dml_bench.data.images import Chosen
from dml_bench.data.members import RUN, Members, shards_of
from dml_bench.errors import DataError
from dml_bench.types import NO_LABEL


@pytest.fixture
def mine(tmp_path):
    return tarballs.write_folder(tmp_path)


def shard(*files):
    """A tar of files: (name, bytes)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def test_the_samples_are_those_that_webdataset_itself_reads(mine):
    found = folder.load(mine).train
    urls = [str(mine / f"train-{n}.tar") for n in range(5)]
    read = list(webdataset.WebDataset(urls, shardshuffle=False).decode("pil"))
    assert list(found.ids) == [sample["__key__"] for sample in read]
    assert found.labels.tolist() == [sample["cls"] for sample in read]
    for row, sample in enumerate(read):
        assert np.array_equal(np.asarray(found.images[row]), np.asarray(sample["png"]))
    assert shards_of(found.images).tolist() == np.repeat(range(5), tarballs.COUNTS).tolist()


def test_a_shard_of_another_program_is_read_with_names_folders_and_more_files(mine):
    picture = tarballs.png(1, 1)
    said = json.dumps({"label": -5, "class_name": "ant", "caption": "x"}).encode()
    rows = [
        *(("./a/1.PNG", picture), ("./a/1.json", said), ("./a/1.txt", b"an ant")),
        *(("__meta__/x.png", b"no sample"), ("README", b"no dot")),
        *(("b/2.v1.cls", b"7"), ("a/3.cls", b" 9 \n"), ("a/3.json", b'{"class_name": "bee"}')),
        ("a/3.jpg", picture),
    ]
    (mine / "train-1.tar").write_bytes(shard(*[r for r in rows if r[0] != "b/2.v1.cls"]))
    found = folder.load(mine).train
    assert found.ids[7:9] == ("a/1", "a/3")
    assert found.labels[7:9].tolist() == [-5, 9]
    assert found.class_names == {-5: "ant", 9: "bee"}
    assert np.array_equal(np.asarray(found.images[7]), np.asarray(tarballs.picture(1, 1)))


def test_a_bare_number_of_json_is_a_label(mine):
    (mine / "train-3.tar").write_bytes(shard(("x.png", tarballs.png(0, 0)), ("x.json", b"3")))
    assert 3 in folder.load(mine).train.labels


@pytest.mark.parametrize("scheme", ["memory", "http"])
def test_an_address_gives_what_files_give(mine, tmp_path, scheme):
    wanted = folder.load(mine).train
    with serving(Site(tarballs.shards())) as site:
        where = site.url if scheme == "http" else "memory://shards"
        for name, content in tarballs.shards().items():
            fsspec.filesystem("memory").pipe(f"/shards/{name}", content)
        there = tarballs.write_folder(tmp_path / "there", f"{where}/train-{{0..4}}.tar")
        found = folder.load(there).train
        assert found.ids == wanted.ids
        assert found.labels.tolist() == wanted.labels.tolist()
        for row in (0, 20, 39):
            assert np.array_equal(np.asarray(found.images[row]), np.asarray(wanted.images[row]))


def test_test_images_may_be_listed_beside_training_shards(mine):
    text = (mine / "dataset.toml").read_text()
    (mine / "dataset.toml").write_text(
        text.replace('test_shards = "test.tar"', 'listing = "l.csv"')
    )
    (mine / "a.png").write_bytes(tarballs.png(9, 1))
    (mine / "b.png").write_bytes(tarballs.png(9, 2))
    (mine / "l.csv").write_text("path,label,split\na.png,9,test\nb.png,9,test\n")
    found = folder.load(mine)
    assert found.query.ids == ("a.png", "b.png")
    assert len(found.train) == 40


def looked_through(monkeypatch):
    """The addresses of the shards that are read through from now on."""
    seen = []
    inner = Place.open
    monkeypatch.setattr(Place, "open", lambda self: seen.append(self.address[-11:]) or inner(self))
    return seen


def test_a_shard_is_looked_through_once_and_again_when_it_changed(mine, monkeypatch):
    seen = looked_through(monkeypatch)
    first = folder.load(mine)
    assert len(seen) == 6
    assert folder.load(mine).train.ids == first.train.ids
    assert len(seen) == 6
    (mine / "train-3.tar").write_bytes(tarballs.tar([("other", 2, 99)]))
    assert "other" in folder.load(mine).train.ids
    assert seen[6:] == ["train-3.tar"]


def test_an_index_that_was_stopped_goes_on_with_the_shards_that_are_left(mine, monkeypatch):
    whole = (mine / "train-2.tar").read_bytes()
    (mine / "train-2.tar").write_bytes(whole[:700])
    monkeypatch.setattr(shards, "THREADS", 1)
    with pytest.raises(DataError, match="train-2"):
        folder.load(mine)
    (mine / "train-2.tar").write_bytes(whole)
    seen = looked_through(monkeypatch)
    assert len(folder.load(mine).train) == 40
    assert "train-0.tar" not in seen
    assert "train-2.tar" in seen


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no index"])
def test_a_damaged_index_is_made_anew(mine, content):
    wanted = folder.load(mine).train.ids
    for file in (mine / "index").glob("*.npz"):
        file.write_bytes(content)
    assert folder.load(mine).train.ids == wanted


def test_a_folder_that_takes_no_index_is_one_line(mine):
    (mine / "index").write_bytes(b"")
    with pytest.raises(DataError, match=r"expected to write there, found: .*--data-root"):
        folder.load(mine)


def test_no_cut_of_a_tar_is_taken_for_a_shorter_one(mine):
    """Else images would be missing, and nobody told."""
    whole = (mine / "train-3.tar").read_bytes()
    end = len(whole.rstrip(b"\0"))
    cuts = {*range(0, end + 512, 256), end - 1, end, 512, 1024}
    for cut in sorted(cut for cut in cuts if cut < len(whole) - 1024):
        (mine / "train-3.tar").write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r"expected a whole tar|expected samples") as caught:
            folder.load(mine)
        assert "\n" not in str(caught.value)


def test_an_index_is_read_in_one_thread(mine, monkeypatch):
    """Two threads that parse a header at a time bring CPython 3.11 to fall over."""
    folder.load(mine)
    (mine / "train-3.tar").write_bytes(tarballs.tar(tarballs.samples()[3], 1))
    threads = []
    load = np.load
    monkeypatch.setattr(
        shards.np, "load", lambda *a, **k: threads.append(get_ident()) or load(*a, **k)
    )
    folder.load(mine)
    assert len(threads) > len(tarballs.COUNTS)
    assert set(threads) == {get_ident()}


GOOD = (("k.png", tarballs.png(0, 0)), ("k.cls", b"0"))
TAR_FAULTS = {
    "compressed": (gzip.compress(shard(*GOOD)), "expected a whole tar that is not compressed"),
    "no tar": (b"<html>" * 1000, "expected a whole tar that is not compressed"),
    "nothing in it": (shard(), "expected samples of an image and a label"),
    "no label": (shard(GOOD[0]), r"sample 'k': expected a label \(.cls, or .label. in .json\)"),
    "no label in JSON": (shard(GOOD[0], ("k.json", b"{}")), "sample 'k': expected a label"),
    "no JSON": (shard(GOOD[0], ("k.json", b"{")), "expected a whole number of 64 bits as label"),
    "a label in words": (shard(GOOD[0], ("k.cls", b"ant")), "whole number of 64 bits as label"),
    "a label that is true": (shard(GOOD[0], ("k.json", b"true")), "found 'True'"),
    "a label too large": (shard(GOOD[0], ("k.cls", b"9" * 30)), "whole number of 64 bits"),
    "the label of none": (
        shard(GOOD[0], ("k.cls", str(NO_LABEL).encode())),
        "whole number of 64 bits",
    ),
    "no image": (shard(GOOD[1]), r"sample 'k': expected an image \(.jpg, .png, ...\), found none"),
    "two images": (shard(*GOOD, ("k.jpg", b"x")), "expected one whole image, found 'k.jpg'"),
    "two labels": (shard(*GOOD, ("k.cls", b"0")), "expected one label, found 'k.cls'"),
    "a key twice": (
        shard(*GOOD, ("l.png", GOOD[0][1]), ("l.cls", b"1"), *GOOD),
        "sample 'k': expected a key's files one after the other, found it twice",
    ),
    "a key of another shard": (tarballs.tar(tarballs.samples()[1]), "in one shard, found it in"),
}


@pytest.mark.parametrize("fault", TAR_FAULTS)
def test_a_faulty_shard_is_refused_in_one_line(mine, fault, capsys):
    content, said = TAR_FAULTS[fault]
    (mine / "train-3.tar").write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        folder.load(mine)
    assert "train-3.tar" in str(caught.value)
    status = main(["fetch", "mine", "--check", "--data-root", str(mine.parent)])
    assert status == 2
    assert capsys.readouterr().err.count("\n") == 1


def closed_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


ADDRESS_FAULTS = {
    "a missing shard": ("train-{0..5}.tar", "train-5.tar: expected a file .*found: no such file"),
    "a folder": (".", "expected a file of known length, found none"),
    "nobody answers": ("http://127.0.0.1:{port}/{{0..3}}.tar", "found: connection refused"),
    "an unknown scheme": ("ftpx://a/{{0..3}}.tar", "found: ValueError: Protocol not known: ftpx"),
    "a brace that stays open": ("train-{{0..5.tar", "expected braces that close"),
    "a shard twice": ("train-{{0,0}}.tar", "expected each shard once, found one twice"),
    "shards without end": ("{{0..99999999}}.tar", "found more than 1,000,000"),
    "no name": ("", "expected shards to name files, found ''"),
}


@pytest.mark.parametrize("fault", ADDRESS_FAULTS)
def test_a_faulty_address_is_refused_in_one_line(mine, fault, monkeypatch):
    monkeypatch.setattr("dml_bench.data.addresses.time.sleep", lambda _: None)
    where, said = ADDRESS_FAULTS[fault]
    where = where.format(port=closed_port()) if "{{" in where else where
    (mine / "dataset.toml").write_text(tarballs.TOML.format(shards=where))
    with pytest.raises(DataError, match=said) as caught:
        folder.load(mine)
    assert "\n" not in str(caught.value)


TOML_FAULTS = {
    "a listing too many": ('listing = "l.csv"\n', "expected no listing beside shards and test_sh"),
    "a number": ("", "expected shards to be a str"),
    "no test": ("", "expected 'listing', found no such field"),
    "training rows": ('listing = "l.csv"\n', "expected no row of split train, which lies in shar"),
    "no size": ('read_ahead = "much"\n', "read_ahead: memory: expected a size such as 4GB"),
    "a size of nothing": ('read_ahead = "4GB"\n', "expected shards beside read_ahead, found none"),
    "an image of both": ("", r"found 12 in both \(first: 's0007'\)"),
}


@pytest.mark.parametrize("fault", TOML_FAULTS)
def test_a_faulty_toml_is_refused_in_one_line(mine, fault):
    more, said = TOML_FAULTS[fault]
    text = (mine / "dataset.toml").read_text() + more
    changes = {
        "a number": ('"train-{0..4}.tar"', "3"),
        "no test": ('test_shards = "test.tar"', ""),
        "training rows": ('test_shards = "test.tar"', ""),
        "a size of nothing": ('shards = "train-{0..4}.tar"', 'listing = "l.csv"'),
        "an image of both": ("test.tar", "train-1.tar"),
    }
    old, new = changes.get(fault, ("", ""))
    (mine / "dataset.toml").write_text(text.replace(old, new) if old else text)
    (mine / "l.csv").write_text("path,label,split\na.png,9,train\n")
    if fault == "an image of both":
        rows = (mine / "dataset.toml").read_text().replace('"unseen"', '"seen"')
        (mine / "dataset.toml").write_text(rows)
    with pytest.raises(DataError, match=said):
        folder.load(mine)


def test_a_server_that_breaks_off_is_asked_again(tmp_path, monkeypatch):
    monkeypatch.setattr("dml_bench.data.addresses.time.sleep", lambda _: None)
    with serving(Site(tarballs.shards())) as site:
        found = folder.load(tarballs.write_folder(tmp_path, f"{site.url}/train-{{0..4}}.tar"))
        site.failures = 2
        assert found.train.images[3].size == (18, 18)
        site.failures = 3
        with pytest.raises(DataError, match="expected a file that can be read, found: "):
            found.train.images[4]


def test_a_server_of_whole_files_only_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("dml_bench.data.addresses.time.sleep", lambda _: None)
    with serving(Site(tarballs.shards())) as site:
        found = folder.load(tarballs.write_folder(tmp_path, f"{site.url}/train-{{0..4}}.tar"))
        site.ranges = False
        with pytest.raises(DataError, match=r"expected \d+ bytes from \d+ on, found \d+; .*parts"):
            found.train.images[4]


def test_an_image_that_is_none_is_named_by_shard_and_key(mine):
    (mine / "train-3.tar").write_bytes(shard(("k.png", b"<html>"), ("k.cls", b"0")))
    with pytest.raises(DataError, match=r"train-3.tar: k: expected an image, found: "):
        folder.load(mine).train.images[28]


def test_without_the_extra_it_says_what_to_install(mine, monkeypatch):
    def missing(name):
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(DataError, match=r"No module named .*pip install 'dml_bench\[shards\]'"):
        addresses.addresses("a.tar", mine)


def test_images_side_by_side_come_in_one_request_and_those_far_apart_do_not(mine):
    images = folder.load(mine).train.images
    assert isinstance(images, Members)
    runs = list(images.runs(np.arange(40)))
    assert [len(run) for run in runs] == list(tarballs.COUNTS)
    assert [images.image(row, images.bring(run)[row]).size for run in runs for row in run]
    assert list(images.runs(np.arange(0))) == []
    images.sizes = images.sizes + RUN // 3  # of the last two of three, one is beyond a request
    assert max(len(run) for run in images.runs(np.arange(7))) <= 3


def test_the_shards_of_chosen_images_are_theirs(mine):
    train = folder.load(mine).train
    rows = np.array([39, 0, 8])
    twice = Chosen(Chosen(train.images, rows), np.array([2, 0]))
    assert shards_of(twice).tolist() == [1, 4]
    assert shards_of(Chosen(object(), rows)) is None


def test_a_sharded_folder_is_listed_without_a_look_at_its_shards(mine, monkeypatch):
    monkeypatch.setattr(Place, "about", lambda self: pytest.fail("asked for a shard"))
    assert data.available(mine.parent)["mine"] == "present"


def test_every_image_of_shards_is_checked(mine, capsys):
    assert main(["fetch", "mine", "--check", "--data-root", str(mine.parent)]) == 0
    assert "train 40 images in 4 classes" in capsys.readouterr().err
