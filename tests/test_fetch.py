"""`dml-bench fetch`: from an address, or from what a person brought, to a checked dataset."""

import shutil
import tarfile
import zipfile
from dataclasses import replace

import lookalikes
import pytest
from PIL import Image
from server import Site, serving

from dml_bench.cli import main
from dml_bench.data import DATASETS, cub200, download
from dml_bench.data.origin import Archive

SMALL = {"train_images": 100, "train_classes": 100, "test_images": 100, "test_classes": 100}


def packed(folder, path):
    with tarfile.open(path, "w:gz") as file:
        file.add(folder, folder.name)
    return path


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A server with a small CUB-200-2011, which the adapter takes for the real one."""
    home = lookalikes.cub200(tmp_path / "made", sizes=(100, 100))
    for link in home.glob(".picture*"):
        link.unlink()
    path = unlinked(home, tmp_path / "birds.tgz")
    digest = download.verify(path, "md5:")
    monkeypatch.setattr(download, "WAITS", ())
    with serving(Site({"birds.tgz": path.read_bytes()})) as site:
        archive = Archive("birds.tgz", (f"{site.url}/birds.tgz",), digest, 1)
        monkeypatch.setattr(cub200, "ORIGIN", replace(cub200.ORIGIN, archives=(archive,)))
        monkeypatch.setattr(cub200, "EXPECT", SMALL)
        yield site


def unlinked(folder, path):
    """Pack a folder of linked pictures as plain files."""
    with tarfile.open(path, "w:gz", dereference=True) as file:
        for source in sorted(p for p in folder.rglob("*") if p.is_file()):
            info = file.gettarinfo(source, f"{folder.name}/{source.relative_to(folder)}")
            info.type, info.size = tarfile.REGTYPE, source.stat().st_size
            with source.open("rb") as content:
                file.addfile(info, content)
    return path


def call(capsys, *words):
    status = main([str(word) for word in words])
    return status, capsys.readouterr().err


def test_a_dataset_is_fetched_unpacked_and_checked(site, tmp_path, capsys):
    status, said = call(capsys, "fetch", "cub200", "--data-root", tmp_path / "root")
    assert status == 0
    licence, size = said.index("licence: non-commercial"), said.index("about 1 MB to fetch")
    assert licence < size < said.index("birds.tgz: from http")
    assert "cub200: train 100 images in 100 classes, test 100 in 100, fingerprint" in said


def test_a_second_call_fetches_nothing(site, tmp_path, capsys):
    for _ in range(2):
        status, said = call(capsys, "fetch", "cub200", "--data-root", tmp_path / "root")
        assert status == 0
    assert "there already" in said
    assert len(site.asked) == 1


def test_an_archive_that_a_person_put_there_is_unpacked(site, tmp_path, capsys):
    folder = tmp_path / "root" / "cub200"
    folder.mkdir(parents=True)
    (folder / "birds.tgz").write_bytes(site.files["birds.tgz"])
    assert call(capsys, "fetch", "cub200", "--data-root", tmp_path / "root")[0] == 0
    assert site.asked == []


def test_a_wrong_file_is_never_unpacked(site, tmp_path, capsys):
    site.files["birds.tgz"] = b"something else"
    status, said = call(capsys, "fetch", "cub200", "--data-root", tmp_path / "root")
    assert status == 2
    assert "expected md5:" in said.splitlines()[-1]
    assert list((tmp_path / "root" / "cub200").iterdir()) == []


def test_check_verifies_digest_counts_and_every_image(site, tmp_path, capsys):
    root = tmp_path / "root"
    words = ("fetch", "cub200", "--data-root", root)
    call(capsys, *words)
    status, said = call(capsys, *words, "--check")
    assert status == 0
    assert "birds.tgz: md5:" in said
    assert said.strip().endswith("every image decodes")

    victim = root / "cub200/CUB_200_2011/images/101.Bird_101/Bird_0100.jpg"
    kept = victim.read_bytes()
    victim.write_bytes(kept[:200])
    status, said = call(capsys, *words, "--check")
    assert status == 2
    assert "expected images that decode, found 1 broken" in said
    assert "Bird_0100.jpg" in said.splitlines()[-1]

    victim.unlink()
    status, said = call(capsys, *words, "--check")
    assert (status, "found 1 missing" in said) == (2, True)

    victim.write_bytes(kept)
    (root / "cub200" / "birds.tgz").write_bytes(b"torn")
    status, said = call(capsys, *words, "--check")
    assert status == 2
    assert "delete it, and fetch it anew" in said


def test_check_fetches_nothing(site, tmp_path, capsys):
    status, said = call(capsys, "fetch", "cub200", "--check", "--data-root", tmp_path / "root")
    assert (status, site.asked) == (2, [])
    assert "found no such layout; fetch it: dml-bench fetch cub200" in said


def test_cars_says_by_hand_how_to_get_it(tmp_path, capsys):
    status, said = call(capsys, "fetch", "cars196", "--data-root", tmp_path)
    assert status == 2
    assert said.startswith("Cars196: 196 models of cars\nlicence: non-commercial")
    assert "dead since 2023" in said
    last = said.splitlines()[-1]
    assert last.endswith("put it there as said above, and call this again")
    assert "dml-bench fetch" not in last  # that is what was called
    assert str(tmp_path / "cars196") in said.splitlines()[-1]


def test_cars_that_a_person_brought_packed_is_unpacked_and_checked(tmp_path, capsys):
    made = lookalikes.cars_class_folders(tmp_path / "made")
    folder = tmp_path / "root" / "cars196"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "archive.zip", "w") as file:
        for path in sorted(p for p in made.rglob("*") if p.is_file() and p.name[0] != "."):
            file.write(path, path.relative_to(made))
    shutil.rmtree(made)
    status, said = call(capsys, "fetch", "cars196", "--data-root", tmp_path / "root")
    assert status == 0
    assert "archive.zip: no digest is known; unpacking it with care" in said
    assert "train 8,054 images in 98 classes, test 8,131 in 98" in said


def test_cars_packed_by_a_name_of_one_s_own_is_unpacked_too(tmp_path, capsys):
    made = lookalikes.cars_kit(tmp_path / "made", sizes=(98, 98))
    folder = tmp_path / "root" / "cars196"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "my cars.zip", "w") as file:
        for path in sorted(p for p in made.rglob("*") if p.is_file() and p.name[0] != "."):
            file.write(path, path.relative_to(made))
    status, said = call(capsys, "fetch", "cars196", "--data-root", tmp_path / "root")
    assert "my cars.zip: no digest is known; unpacking it with care" in said
    assert (status, "expected 8,054 train images" in said.splitlines()[-1]) == (2, True)


@pytest.mark.parametrize("root", ["file", "/proc/nowhere", "/etc/passwd"])
def test_a_data_root_that_cannot_be_written_is_refused_in_one_line(site, tmp_path, capsys, root):
    (tmp_path / "file").write_bytes(b"")
    status, said = call(capsys, "fetch", "cub200", "--data-root", tmp_path / root)
    assert status == 2
    assert "Traceback" not in said
    assert (
        f"{tmp_path / root}/cub200: expected a folder that can be written"
        in (said.splitlines()[-1])
    )
    assert site.asked == []


def test_room_for_the_archive_and_for_its_files_is_asked_for_first(
    site, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("", (), {"free": 1_500_000}))
    status, said = call(capsys, "fetch", "cub200", "--data-root", tmp_path / "root")
    assert (status, site.asked) == (2, [])
    assert "expected 2 MB of free space, found 2 MB" in said.splitlines()[-1]


def test_an_archive_that_holds_something_else_names_no_circle(site, tmp_path, capsys, monkeypatch):
    made = tmp_path / "other"
    made.mkdir()
    (made / "README.txt").write_text("no birds")
    path = packed(made, tmp_path / "other.tgz")
    archive = replace(cub200.ORIGIN.archives[0], digest=download.verify(path, "md5:"))
    monkeypatch.setattr(cub200, "ORIGIN", replace(cub200.ORIGIN, archives=(archive,)))
    site.files["birds.tgz"] = path.read_bytes()
    status, said = call(capsys, "fetch", "cub200", "--data-root", tmp_path / "root")
    assert status == 2
    assert "found no such layout; delete what is in" in said.splitlines()[-1]


def test_cars_that_lacks_a_part_says_the_steps(tmp_path, capsys):
    folder = tmp_path / "cars196"
    folder.mkdir()
    inner = tmp_path / "devkit"
    inner.mkdir()
    (inner / "README.txt").write_text("no pictures")
    packed(inner, folder / "car_devkit.tgz")
    status, said = call(capsys, "fetch", "cars196", "--data-root", tmp_path)
    assert status == 2
    assert "cars_train.tgz, cars_test.tgz" in said


def test_what_is_drawn_needs_no_fetching(tmp_path, capsys):
    status, said = call(capsys, "fetch", "glyphs", "--data-root", tmp_path)
    assert status == 0
    assert said.startswith("glyphs: train ")


def test_a_folder_of_one_s_own_is_checked_too(tmp_path, capsys):
    home = tmp_path / "mine"
    home.mkdir()
    for n in range(4):
        Image.new("RGB", (4, 4)).save(home / f"{n}.png")
    rows = [f"{n}.png,{n // 2},{('train', 'test')[n // 2]}" for n in range(4)]
    (home / "labels.csv").write_text("\n".join(["path,label,split", *rows]))
    toml = 'name = "mine"\nlisting = "labels.csv"\nprotocol = "unseen"\n'
    (home / "dataset.toml").write_text(toml)
    status, said = call(capsys, "fetch", "mine", "--check", "--data-root", tmp_path)
    assert status == 0
    assert "every image decodes" in said


def test_a_mistyped_name_suggests_the_nearest(tmp_path, capsys):
    status, said = call(capsys, "fetch", "cub20", "--data-root", tmp_path)
    assert status == 2
    assert "did you mean 'cub200'?" in said


@pytest.mark.parametrize("name", list(DATASETS))
def test_every_built_in_dataset_that_has_an_address_has_it_over_http(name):
    urls = [url for archive in DATASETS[name].ORIGIN.archives for url in archive.urls]
    assert all(url.startswith(("https://", "http://")) for url in urls)
