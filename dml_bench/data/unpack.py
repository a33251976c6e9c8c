"""An archive -> files, with care: every member is looked at before the first is written."""

import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from lzma import LZMAError
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, TypeVar

from dml_bench.data.disk import be_room, writing
from dml_bench.errors import DataError
from dml_bench.progress import Bar

BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    LZMAError,
    EOFError,
    NotImplementedError,
    OSError,
)
"""What reading an archive raises where it is damaged; writing raises OSError too, elsewhere."""
BLOCK = 1 << 20


@dataclass(frozen=True)
class Member:
    """A file or a folder of an archive.

    Args:
        name: its path, as the archive says it.
        kind: "file", "folder", or what it is that is refused.
        size: bytes of a file, unpacked.
    """

    name: str
    kind: str
    size: int = 0


def unpack(path: Path, folder: Path, *, say: Callable[[str], None]) -> None:
    """Unpack a tar or zip file into a folder.

    Nothing is written outside the folder, no link and no device is made, no file may be run. The
    members are written beside their places and moved there at the end, so what is there under its
    own name is whole.

    Args:
        path: the archive: tar (plain, gzip, bzip2, xz) or zip.
        folder: where its top-level entries go.
        say: tells a person what happens.

    Raises:
        DataError: a member that is refused (nothing was unpacked then), an archive that is
            damaged or of another kind, or a folder that cannot be written or has no room.
    """
    draft = folder / f".{path.name}.unpacking"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        with _opened(path) as (members, contents), writing(folder):
            _check(path, members)
            be_room(folder, sum(member.size for member in members))
            say(f"unpacking {path.name}: {len(members):,} members")
            _write(path, contents(), draft, len(members))
            _move(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


Content = tuple[Member, IO[bytes] | None]
Contents = Callable[[], Iterator[Content]]
Item = TypeVar("Item")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Blame the archive for what goes wrong in reading it."""
    try:
        yield
    except BROKEN as error:
        found = " ".join(str(error).split())
        raise DataError(
            f"{path}: expected a whole tar or zip file, found: {found}; bring it anew"
        ) from error


def _read(path: Path, items: Iterator[Item]) -> Iterator[Item]:
    """Yield what is read of an archive; what is done with it is not the archive's fault."""
    while True:
        with _reading(path):
            item = next(items, None)
        if item is None:
            return
        yield item


@contextmanager
def _opened(path: Path) -> Iterator[tuple[list[Member], Contents]]:
    """Yield an archive's members, and a function that goes through them with their contents."""
    with ExitStack() as stack:
        with _reading(path):
            if zipfile.is_zipfile(path):
                zipped = stack.enter_context(zipfile.ZipFile(path))
                members = [_of_zip(info) for info in zipped.infolist()]
                contents = partial(_zip_contents, zipped)
            else:
                tar = stack.enter_context(tarfile.open(path))
                members = [_of_tar(info) for info in tar]
                contents = partial(_tar_contents, tar)
        yield members, contents


def _of_zip(info: zipfile.ZipInfo) -> Member:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.flag_bits & 1:
        return Member(info.orig_filename, "an encrypted file")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return Member(info.orig_filename, "a link or a device")
    return Member(info.orig_filename, "folder" if info.is_dir() else "file", info.file_size)


def _of_tar(info: tarfile.TarInfo) -> Member:
    if info.issym() or info.islnk():
        return Member(info.name, "a link")
    if info.isdir():
        return Member(info.name, "folder")
    return Member(info.name, "file" if info.isreg() else "a device", info.size)


def _zip_contents(zipped: zipfile.ZipFile) -> Iterator[Content]:
    for info in zipped.infolist():
        member = _of_zip(info)
        if member.kind == "folder":
            yield member, None
        else:
            with zipped.open(info) as file:
                yield member, file


def _tar_contents(tar: tarfile.TarFile) -> Iterator[Content]:
    for info in tar:
        yield _of_tar(info), tar.extractfile(info) if info.isreg() else None


def _check(path: Path, members: Iterable[Member]) -> None:
    """Refuse an archive with a member that has no business in a folder of images."""
    kinds: dict[PurePosixPath, str] = {}
    for member in members:
        why = _refused(member) or _clash(member, kinds)
        if why:
            raise DataError(
                f"{path}: expected files and folders below one folder, found '{member.name}',"
                f" {why}; nothing was unpacked; bring the archive from its makers"
            )


def _refused(member: Member) -> str:
    if member.kind not in ("file", "folder"):
        return member.kind
    pure = PurePosixPath(member.name)
    if pure.is_absolute() or ".." in pure.parts:
        return "which leaves the folder"
    if PureWindowsPath(member.name).drive or "\\" in member.name or "\0" in member.name:
        return "which is no plain path"
    return "" if pure.parts or member.kind == "folder" else "which has no name"


def _clash(member: Member, kinds: dict[PurePosixPath, str]) -> str:
    """Note what a path is, and its parents; say so if it was something else before."""
    pure = PurePosixPath(member.name)
    for place in (pure, *pure.parents):
        kind = member.kind if place == pure else "folder"
        if kinds.setdefault(place, kind) != kind:
            return "which is both a file and a folder"
    return ""


def _write(path: Path, contents: Iterator[Content], draft: Path, total: int) -> None:
    draft.mkdir(parents=True)
    with Bar(f"unpacking {path.name}", total) as bar:
        for member, file in _read(path, contents):
            place = draft / member.name
            if file is None:
                place.mkdir(parents=True, exist_ok=True)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                _copy(_read(path, iter(partial(file.read, BLOCK), b"")), place)
            bar.advance()


def _copy(blocks: Iterator[bytes], place: Path) -> None:
    with place.open("wb") as out:
        for block in blocks:
            out.write(block)


def _move(draft: Path, folder: Path) -> None:
    """Move what was unpacked to its place; folders that are there already are added to."""
    for entry in sorted(draft.iterdir()):
        place = folder / entry.name
        if entry.is_dir() and place.is_dir() and not place.is_symlink():
            _move(entry, place)
        else:
            os.replace(entry, place)
