"""One conversation with a server: what is missing of a file, from the byte where it broke off."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from dml_bench.data.disk import MEGABYTE, be_room
from dml_bench.data.origin import Archive
from dml_bench.progress import Bar

TIMEOUT = (10.0, 60.0)
"""Seconds for connecting, and for a silence in the middle."""
BLOCK = 1 << 16
"""Bytes written at a time; what a break costs at most."""


class BrokenError(Exception):
    """An answer that is no use now; the next try may do better."""


class RefusedError(Exception):
    """An answer that no further try of this address will better."""


def go_on(url: str, archive: Archive, path: Path) -> None:
    """Fetch what is missing of the part; return when all that the server announced is there."""
    part = part_of(path)
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
        raise BrokenError(f"the server answered {code} {answer.reason}")
    raise RefusedError(f"the server answered {code} {answer.reason}")


def _beyond(answer: requests.Response, path: Path, start: int) -> None:
    if answer.headers.get("Content-Range", "") != f"bytes */{start}":
        forget(path)
        raise BrokenError("the file has changed on the server; beginning anew")


def _start(answer: requests.Response, asked: int) -> int:
    """Return at which byte the answer begins: where it was asked to, or at the first."""
    if answer.status_code == 200:
        return 0
    said = answer.headers.get("Content-Range", "")
    if not said.startswith(f"bytes {asked}-"):
        raise BrokenError(f"asked for bytes from {asked}, the server sent '{said}'")
    return asked


def _total(answer: requests.Response, start: int) -> int:
    """Return how long the whole file is, 0 if the server does not say."""
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise RefusedError("the server sent the file in another encoding")
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
        raise BrokenError(f"the line broke at {done:,} of {total:,} bytes")


@contextmanager
def _from(part: Path, start: int) -> Iterator[Callable[[bytes], int]]:
    """Open the part for writing from a byte on; what lay beyond it is cut off."""
    with part.open("r+b" if start else "wb") as file:
        file.seek(start)
        file.truncate()
        yield file.write


def part_of(path: Path) -> Path:
    """Return where the part of a file lies until it is whole."""
    return path.with_name(f"{path.name}.part")


def forget(path: Path) -> None:
    """Throw away the part of a file, and what is noted of it."""
    part_of(path).unlink(missing_ok=True)
    _mark(path).unlink(missing_ok=True)


def _mark(path: Path) -> Path:
    return path.with_name(f"{path.name}.part.json")
