"""One archive, over a line that may break: resumed, counted, verified."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import requests

from dml_bench.data.causes import cause_of
from dml_bench.data.disk import MEGABYTE, writing
from dml_bench.data.origin import Archive
from dml_bench.data.transfer import BrokenError, RefusedError, forget, go_on, part_of
from dml_bench.errors import DataError
from dml_bench.progress import Bar

Say = Callable[[str], None]
WAITS = (1.0, 3.0, 10.0)
"""Seconds before each further try of an address."""


def download(archive: Archive, folder: Path, *, say: Say) -> Path:
    """Return the whole, verified file of an archive, fetching what is missing of it.

    What was fetched lies in `<file>.part` until the digest of the whole is verified, and is gone on
    with by the next call, or from the next address. A part that the server says it changed since is
    begun anew.

    Args:
        archive: which file, from where, with which digest.
        folder: where it is kept.
        say: tells a person what happens.

    Raises:
        DataError: the file that is there is another one; the folder cannot be written; or it could
            not be fetched from any address: the message says why, what is kept, and where to put it
            by hand.
    """
    with writing(folder):
        return _there(archive, folder, say) or _fetched(archive, folder, say)


def _there(archive: Archive, folder: Path, say: Say) -> Path | None:
    """Return the file that a person or an earlier call put there, under whatever name."""
    path = folder / archive.file
    if path.exists():
        _be_right(path, archive)
        say(f"{archive.file}: there already, its digest holds")
        return path
    for other in _alike(archive, folder):
        if not verify(other, archive.digest):
            say(f"{other.name}: is {archive.file} by its digest; renamed")
            other.rename(path)
            return path
    return None


def _alike(archive: Archive, folder: Path) -> list[Path]:
    """Return the files of a folder that are about as large as an archive."""
    size = archive.megabytes * MEGABYTE
    near = max(MEGABYTE, size // 20)
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return [
        path
        for path in files
        if not path.name.startswith(".")
        and path.suffix not in (".part", ".json")
        and path.is_file()
        and abs(path.stat().st_size - size) <= near
    ]


def _fetched(archive: Archive, folder: Path, say: Say) -> Path:
    path = folder / archive.file
    folder.mkdir(parents=True, exist_ok=True)
    reasons, broken = [], False
    for url in archive.urls:
        try:
            _fetch(url, archive, path, say)
        except (BrokenError, RefusedError) as error:
            reasons.append(f"{url}: {error}")
            broken |= isinstance(error, BrokenError)
        else:
            return path
    raise DataError(
        f"expected to fetch {archive.file}, found: {'; '.join(reasons)}; {_kept(path)}"
        f" call again to go on, or put the archive {archive.file} into {folder} by hand",
        passing=broken,
    )


def verify(path: Path, digest: str) -> str:
    """Return "" if a file has a digest, else the one that it has.

    Args:
        path: the file.
        digest: "md5:<hex>" or "sha256:<hex>".
    """
    kind = digest.partition(":")[0]
    hashed = hashlib.new(kind, usedforsecurity=False)
    total = path.stat().st_size // MEGABYTE + 1
    with path.open("rb") as file, Bar(f"verifying {path.name}", total, delay=2.0) as bar:
        while block := file.read(MEGABYTE):
            hashed.update(block)
            bar.advance(note="MB")
    found = f"{kind}:{hashed.hexdigest()}"
    return "" if found == digest else found


def _be_right(path: Path, archive: Archive) -> None:
    found = verify(path, archive.digest)
    if found:
        raise DataError(
            f"{path}: expected {archive.digest}, found {found}; delete it or move it away, and"
            " fetch again"
        )


def _kept(path: Path) -> str:
    part = part_of(path)
    return f"{part.stat().st_size:,} bytes are kept;" if part.exists() else "nothing is kept;"


def _fetch(url: str, archive: Archive, path: Path, say: Say) -> None:
    """Fetch from one address, with further tries where the line breaks, and verify."""
    say(f"{archive.file}: from {url}")
    said = ""
    for wait in (*WAITS, None):
        try:
            go_on(url, archive, path)
            break
        except (requests.RequestException, BrokenError) as error:
            cause = str(error) if isinstance(error, BrokenError) else cause_of(error)
            if wait is None:
                raise BrokenError(f"{cause} ({len(WAITS) + 1} tries)") from None
            why = "" if cause == said else f"{cause}; "
            say(f"{archive.file}: {why}again in {wait:g} s")
            said = cause
            time.sleep(wait)
    _accept(archive, path)


def _accept(archive: Archive, path: Path) -> None:
    part = part_of(path)
    found = verify(part, archive.digest)
    if found:
        with part.open("rb") as file:
            page = file.read(256).lstrip().lower().startswith((b"<!doctype", b"<html"))
        forget(path)
        what = "the server sent a web page; " if page else ""
        raise RefusedError(f"{what}expected {archive.digest}, found {found}; thrown away")
    os.replace(part, path)
    forget(path)
