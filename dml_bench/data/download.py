"""One archive, over a line that may break: resumed, counted, verified."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from dml_bench.data.causes import cause_of
from dml_bench.data.disk import MEGABYTE, be_room, writing
from dml_bench.data.origin import Archive
from dml_bench.errors import DataError
from dml_bench.progress import Bar

Say = Callable[[str], None]
WAITS = (1.0, 3.0, 10.0)
"""Seconds before each further try of an address."""
TIMEOUT = (10.0, 60.0)
"""Seconds for connecting, and for a silence in the middle."""
BLOCK = 1 << 16
"""Bytes written at a time; what a break costs at most."""


class _BrokenError(Exception):
    """An answer that is no use now; the next try may do better."""


class _RefusedError(Exception):
    """An answer that no further try of this address will better."""


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
    reasons = []
    for url in archive.urls:
        try:
            _fetch(url, archive, path, say)
        except (_BrokenError, _RefusedError) as error:
            reasons.append(f"{url}: {error}")
        else:
            return path
    raise DataError(
        f"expected to fetch {archive.file}, found: {'; '.join(reasons)}; {_kept(path)}"
        f" call again to go on, or put the archive {archive.file} into {folder} by hand"
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
    part = _part(path)
    return f"{part.stat().st_size:,} bytes are kept;" if part.exists() else "nothing is kept;"


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _fetch(url: str, archive: Archive, path: Path, say: Say) -> None:
    """Fetch from one address, with further tries where the line breaks, and verify."""
    say(f"{archive.file}: from {url}")
    said = ""
    for wait in (*WAITS, None):
        try:
            _go_on(url, archive, path)
            break
        except (requests.RequestException, _BrokenError) as error:
            cause = str(error) if isinstance(error, _BrokenError) else cause_of(error)
            if wait is None:
                raise _BrokenError(f"{cause} ({len(WAITS) + 1} tries)") from None
            why = "" if cause == said else f"{cause}; "
            say(f"{archive.file}: {why}again in {wait:g} s")
            said = cause
            time.sleep(wait)
    _accept(archive, path)


def _accept(archive: Archive, path: Path) -> None:
    part = _part(path)
    found = verify(part, archive.digest)
    if found:
        with part.open("rb") as file:
            page = file.read(256).lstrip().lower().startswith((b"<!doctype", b"<html"))
        _forget(path)
        what = "the server sent a web page; " if page else ""
        raise _RefusedError(f"{what}expected {archive.digest}, found {found}; thrown away")
    os.replace(part, path)
    _forget(path)


def _forget(path: Path) -> None:
    _part(path).unlink(missing_ok=True)
    _mark(path).unlink(missing_ok=True)


def _mark(path: Path) -> Path:
    return path.with_name(f"{path.name}.part.json")


def _go_on(url: str, archive: Archive, path: Path) -> None:
    """Fetch what is missing of the part; return when all that the server announced is there."""
    part = _part(path)
    start = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", **_if_range(path, url)}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == 416:  # nothing lies beyond what is there: whole, or another file
            _beyond(answer, path, start)
            return
        _be_well(answer)
        start = _start(answer, start)
        total = _total(answer, start)
        be_room(part.parent, total - start if total else 0)
        _note_tag(path, url, answer)
        _write(answer, part, start, total, archive)


def _be_well(answer: requests.Response) -> None:
    code = answer.status_code
    if code in (200, 206):
        return
    if code in (408, 429) or code >= 500:
        raise _BrokenError(f"the server answered {code} {answer.reason}")
    raise _RefusedError(f"the server answered {code} {answer.reason}")


def _beyond(answer: requests.Response, path: Path, start: int) -> None:
    if answer.headers.get("Content-Range", "") != f"bytes */{start}":
        _forget(path)
        raise _BrokenError("the file has changed on the server; beginning anew")


def _start(answer: requests.Response, asked: int) -> int:
    """Return at which byte the answer begins: where it was asked to, or at the first."""
    if answer.status_code == 200:
        return 0
    said = answer.headers.get("Content-Range", "")
    if not said.startswith(f"bytes {asked}-"):
        raise _BrokenError(f"asked for bytes from {asked}, the server sent '{said}'")
    return asked


def _total(answer: requests.Response, start: int) -> int:
    """Return how long the whole file is, 0 if the server does not say."""
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise _RefusedError("the server sent the file in another encoding")
    length = answer.headers.get("Content-Length", "")
    return start + int(length) if length.isdecimal() else 0


def _if_range(path: Path, url: str) -> dict[str, str]:
    """Ask for the rest only of the file that the part is of, where this address named it."""
    try:
        said = json.loads(_mark(path).read_text(encoding="utf-8"))
        same = said["url"] == url and said["tag"]
        return {"If-Range": str(said["tag"])} if same else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _note_tag(path: Path, url: str, answer: requests.Response) -> None:
    tag = answer.headers.get("ETag", "")
    if not tag or tag.startswith("W/"):  # a weak tag does not promise the same bytes
        tag = answer.headers.get("Last-Modified", "")
    _mark(path).write_text(json.dumps({"url": url, "tag": tag}), encoding="utf-8")


def _write(answer: requests.Response, part: Path, start: int, total: int, archive: Archive) -> None:
    size = total or archive.megabytes * MEGABYTE
    done = start
    with _from(part, start) as append, Bar(archive.file, size // MEGABYTE + 1) as bar:
        for block in answer.iter_content(BLOCK):
            append(block)
            shown, done = done // MEGABYTE, done + len(block)
            bar.advance(done // MEGABYTE - shown, note="MB")
    if total and done != total:
        raise _BrokenError(f"the line broke at {done:,} of {total:,} bytes")


@contextmanager
def _from(part: Path, start: int) -> Iterator[Callable[[bytes], int]]:
    """Open the part for writing from a byte on; what lay beyond it is cut off."""
    with part.open("r+b" if start else "wb") as file:
        file.seek(start)
        file.truncate()
        yield file.write
