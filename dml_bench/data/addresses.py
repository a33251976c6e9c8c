"""Files at an address: below a folder, or wherever fsspec reads (https://, s3://, memory://)."""

import math
import re
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from dml_bench.data.causes import cause_of
from dml_bench.errors import DataError
from dml_bench.text import in_short

T = TypeVar("T")

MARKS = (
    *("ETag", "etag", "Content-MD5", "md5Hash", "Last-Modified", "LastModified", "updated"),
    *("mtime", "created"),
)
"""What file systems say that changes with a file's content."""
MOST = 1_000_000
RANGE = re.compile(r"\{(-?[0-9]+)\.\.(-?[0-9]+)")
TRIES = 3
FINAL = (FileNotFoundError, PermissionError, ImportError)
"""What a file system says that it will say again."""
BLOCK = 4 << 20


class Place:
    """A file at an address.

    Args:
        address: a path, or what fsspec reads: "https://...", "s3://...", "memory://...".

    Raises:
        DataError: nothing here can read such an address.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        fsspec = needed("fsspec")
        self.fs, self.path = self._ask(lambda: fsspec.core.url_to_fs(address))

    def about(self) -> tuple[int, str]:
        """Return its size in bytes, and what changes when its content may have changed.

        Raises:
            DataError: it is not there, or does not say how long it is.
        """
        info = self._ask(lambda: self.fs.info(self.path), tries=TRIES)
        if info.get("type") != "file" or not isinstance(info.get("size"), int):
            raise DataError(
                f"{self.address}: expected a file of known length, found none; correct the"
                " address, or take a server that says it"
            )
        said = [f"{name} {info[name]}" for name in MARKS if info.get(name)]
        return info["size"], "; ".join([str(info["size"]), *said])

    def open(self) -> IO[bytes]:
        """Return the file to read from its beginning on, a block of bytes at a time."""
        opened = self._ask(lambda: self.fs.open(self.path, "rb", block_size=BLOCK))
        return cast(IO[bytes], opened)

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to before `stop`.

        Raises:
            DataError: it cannot be read, or gives more or fewer bytes.
        """
        found = self._ask(lambda: self.fs.cat_file(self.path, start, stop), tries=TRIES)
        if len(found) != stop - start:
            raise DataError(
                f"{self.address}: expected {stop - start} bytes from {start} on, found"
                f" {len(found)}; bring the file anew, or take a server that serves parts of it"
            )
        return bytes(found)

    def _ask(self, ask: Callable[[], T], tries: int = 1) -> T:
        """Return an answer of the file system's; a line that broke is tried again."""
        for left in reversed(range(tries)):
            try:
                return ask()
            except Exception as error:  # each file system has errors of its own
                final = isinstance(error, FINAL)
                if final or not left or not getattr(self.fs, "async_impl", False):
                    raise unreadable(self.address, error) from error
                time.sleep(0.5)
        raise AssertionError("unreachable")


def addresses(pattern: str, folder: Path) -> dict[str, str]:
    """Return what a pattern names: each name as it is written, and its address.

    Args:
        pattern: a path or an address, with braces as WebDataset has them: "a-{00..11}.tar",
            "{x,y}.tar".
        folder: where paths begin.

    Raises:
        DataError: braces that do not close, or more names than can be meant.
    """
    expand = needed("braceexpand").braceexpand
    count = math.prod(abs(int(last) - int(first)) + 1 for first, last in RANGE.findall(pattern))
    try:
        names = list(islice(expand(pattern), MOST + 1)) if count <= MOST else []
    except ValueError as error:
        raise DataError(f"shards '{pattern}': expected braces that close, found: {error}") from None
    if not 0 < len(names) <= MOST or len(set(names)) != len(names):
        found = "one twice" if 0 < len(names) <= MOST else f"more than {MOST:,}"
        raise DataError(f"shards '{pattern}': expected each shard once, found {found}; correct it")
    return {name: name if "://" in name else str(folder / name) for name in names}


def needed(module: str) -> Any:
    """Return a module of the extra that reads shards.

    Raises:
        DataError: it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DataError(
            f"shards: expected {module.partition('.')[0]} to read them, found: {error}; pip"
            " install 'dml_bench[shards]'"
        ) from None


def unreadable(address: str, error: Exception) -> DataError:
    """Return the error that says why a file cannot be read; a server may answer in a while."""
    return DataError(
        f"{address}: expected a file that can be read, found: {_why(error)}; correct the address,"
        " or bring the file",
        passing="://" in address and not isinstance(error, FINAL),
    )


def _why(error: BaseException) -> str:
    cause = cause_of(error)
    if cause != type(error).__name__:
        return cause
    while not isinstance(error, ImportError) and error.__cause__:
        error = error.__cause__
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return in_short(error)
