"""Archives that mean well, and archives that do not."""

import errno
import io
import os
import stat
import tarfile
import zipfile

import pytest

from dml_bench.data import unpack as module
from dml_bench.data.unpack import unpack
from dml_bench.errors import DataError

FILES = {"birds/a.txt": b"one", "birds/deep/b.txt": b"two", "list.csv": b"three"}


def member(name, content=b"x", kind=tarfile.REGTYPE, **fields):
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def tar(path, *members, mode="w:gz"):
    with tarfile.open(path, mode) as file:
        for info, content in members:
            file.addfile(info, io.BytesIO(content))
    return path


def zipped(path, *members):
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def plain(place):
    return {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def place(tmp_path):
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


def refusal(path, place):
    with pytest.raises(DataError) as caught:
        unpack(path, place, say=lambda line: None)
    assert "\n" not in str(caught.value)
    assert os.listdir(place) == []
    return str(caught.value)


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"])
def test_a_tar_is_unpacked(tmp_path, place, ending):
    mode = {"tar": "w", "tgz": "w:gz"}.get(ending, f"w:{ending.rpartition('.')[2]}")
    members = [member("birds", b"", tarfile.DIRTYPE), *(member(*f) for f in FILES.items())]
    path = tar(tmp_path / f"it.{ending}", *members, mode=mode)
    unpack(path, place, say=lambda line: None)
    assert plain(place) == FILES
    assert sorted(os.listdir(place)) == ["birds", "list.csv"]


def test_a_zip_is_unpacked(tmp_path, place):
    path = zipped(tmp_path / "it.zip", ("birds/", b""), *FILES.items())
    unpack(path, place, say=lambda line: None)
    assert plain(place) == FILES


def test_what_is_there_is_added_to_and_replaced(tmp_path, place):
    (place / "birds" / "deep").mkdir(parents=True)
    (place / "birds" / "mine.txt").write_bytes(b"kept")
    (place / "birds" / "deep" / "b.txt").write_bytes(b"old")
    unpack(tar(tmp_path / "it.tgz", *(member(*f) for f in FILES.items())), place, say=print)
    assert plain(place) == {**FILES, "birds/mine.txt": b"kept"}


def test_nothing_that_is_unpacked_may_be_run(tmp_path, place):
    path = tar(tmp_path / "it.tgz", member("run.sh", mode=0o6777))
    unpack(path, place, say=lambda line: None)
    assert not (place / "run.sh").stat().st_mode & (stat.S_ISUID | stat.S_ISGID | 0o111)


GOOD = member("good.txt")
HOSTILE = {
    "upwards": (member("../out.txt"), "which leaves the folder"),
    "upwards, inside": (member("a/../../out.txt"), "which leaves the folder"),
    "from the root": (member("/tmp/out.txt"), "which leaves the folder"),
    "drive": (member("C:/out.txt"), "which is no plain path"),
    "backslash": (member("..\\out.txt"), "which is no plain path"),
    "symbolic link": (member("a", b"", tarfile.SYMTYPE, linkname="/etc"), "a link"),
    "hard link": (member("a", b"", tarfile.LNKTYPE, linkname="good.txt"), "a link"),
    "pipe": (member("a", b"", tarfile.FIFOTYPE), "a device"),
    "device": (member("a", b"", tarfile.CHRTYPE), "a device"),
    "file and folder": (member("good.txt/inner"), "which is both a file and a folder"),
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_tar_is_refused_before_anything_is_written(tmp_path, place, attack):
    hostile, why = HOSTILE[attack]
    message = refusal(tar(tmp_path / "it.tgz", GOOD, hostile), place)
    assert f"{why}; nothing was unpacked" in message
    assert sorted(os.listdir(tmp_path)) == ["it.tgz", "place"]


def test_a_file_behind_a_link_is_refused(tmp_path, place):
    link = member("a", b"", tarfile.SYMTYPE, linkname=str(tmp_path))
    refusal(tar(tmp_path / "it.tgz", link, member("a/out.txt")), place)
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out.txt", "..\\out.txt"])
def test_a_zip_that_leaves_the_folder_is_refused(tmp_path, place, name):
    refusal(zipped(tmp_path / "it.zip", ("good.txt", b"x"), (name, b"x")), place)


def test_a_link_in_a_zip_is_refused(tmp_path, place):
    info = zipfile.ZipInfo("a")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    message = refusal(zipped(tmp_path / "it.zip", (info, "/etc")), place)
    assert "a link or a device; nothing was unpacked" in message


def test_an_encrypted_zip_is_refused(tmp_path, place):
    path = zipped(tmp_path / "it.zip", ("a.txt", b"secret"))
    raw = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(mark) + offset] |= 1
    path.write_bytes(raw)
    assert "an encrypted file" in refusal(path, place)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_an_archive_cut_short_leaves_nothing(tmp_path, place, share):
    path = tar(tmp_path / "it.tgz", *(member(f"{n}", os.urandom(9_000)) for n in range(9)))
    os.truncate(path, int(path.stat().st_size * share))
    assert "expected a whole tar or zip file" in refusal(path, place)


def test_a_damaged_zip_member_leaves_nothing(tmp_path, place):
    path = zipped(tmp_path / "it.zip", ("a.txt", b"a" * 1_000))
    raw = bytearray(path.read_bytes())
    raw[100] ^= 0xFF
    path.write_bytes(raw)
    assert "expected a whole tar or zip file" in refusal(path, place)


def test_an_unpacking_that_stops_half_way_leaves_nothing_and_is_done_again(
    tmp_path, place, monkeypatch
):
    path = tar(tmp_path / "it.tgz", *(member(*f) for f in FILES.items()))
    copied = []

    def copy(blocks, target):
        if len(copied) == 2:
            raise KeyboardInterrupt
        copied.append(target)
        target.write_bytes(b"".join(blocks))

    with monkeypatch.context() as patch:
        patch.setattr(module, "_copy", copy)
        with pytest.raises(KeyboardInterrupt):
            unpack(path, place, say=lambda line: None)
    assert os.listdir(place) == []
    unpack(path, place, say=lambda line: None)
    assert plain(place) == FILES


def test_what_a_killed_unpacking_left_is_cleared_away(tmp_path, place):
    left = place / ".it.tgz.unpacking"
    left.mkdir()
    (left / "rest.txt").write_bytes(b"old")
    unpack(tar(tmp_path / "it.tgz", *(member(*f) for f in FILES.items())), place, say=print)
    assert plain(place) == FILES


def test_an_unpacking_that_cannot_write_blames_the_disk_not_the_archive(
    tmp_path, place, monkeypatch
):
    """The archive stays, and nobody is told to bring it anew."""
    path = tar(tmp_path / "it.tgz", *(member(*f) for f in FILES.items()))

    def full(blocks, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    monkeypatch.setattr(module, "_copy", full)
    message = refusal(path, place)
    assert message.startswith(f"{place}: expected a folder that can be written")
    assert "No space left on device" in message
    assert "anew" not in message


def test_an_unpacking_into_a_file_is_refused_in_one_line(tmp_path):
    path = tar(tmp_path / "it.tgz", *(member(*f) for f in FILES.items()))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="expected a folder that can be written, found: Not a"):
        unpack(path, tmp_path / "file", say=lambda line: None)


@pytest.mark.parametrize("make", [tar, zipped])
def test_what_the_disk_has_no_room_for_is_not_begun(tmp_path, place, monkeypatch, make):
    large = b"x" * 3_000_000
    item = member("a.txt", large) if make is tar else ("a.txt", large)
    path = make(tmp_path / "it", item)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: type("", (), {"free": 2_000_000}))
    assert "expected 3 MB of free space, found 2 MB; make room" in refusal(path, place)


def test_a_disk_that_cannot_be_read_is_still_said_of_the_archive(tmp_path, place, monkeypatch):
    path = tar(tmp_path / "it.tgz", *(member(*f) for f in FILES.items()))

    def torn(tar):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
        yield

    monkeypatch.setattr(module, "_tar_contents", torn)
    assert "expected a whole tar or zip file, found: [Errno 5]" in refusal(path, place)


def test_a_zip_packed_in_a_way_that_python_lacks_is_refused(tmp_path, place):
    path = zipped(tmp_path / "it.zip", ("a.txt", b"a" * 1_000))
    raw = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        raw[raw.index(mark) + offset] = 97
    path.write_bytes(raw)
    assert "expected a whole tar or zip file" in refusal(path, place)
