"""Files that are whole or are not there, and the JSON in them."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import IO, Any

import numpy as np

from dml_bench.errors import RunError, StoreError


def atomic_write(path: Path, content: str | bytes, *, option: str = "--results") -> None:
    """Replace a file by one with this content, or leave it as it was.

    Args:
        path: the file.
        content: what it shall hold.
        option: of the command line, that says where; for the error.

    Raises:
        StoreError: the folder cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     atomic_write(Path(folder) / "a.txt", "new")
        ...     (Path(folder) / "a.txt").read_text()
        'new'
    """
    with atomic_file(path, option=option) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def atomic_file(
    path: Path, *, before: Path | None = None, option: str = "--results"
) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of `path` when the block ends, and only then.

    Args:
        path: the file.
        before: where the one that was there is kept, if it is.
        option: as for `atomic_write`.

    Raises:
        StoreError: the folder cannot be written.
    """
    with atomic_path(path, before=before, option=option) as beside, beside.open("wb") as file:
        yield file


@contextmanager
def atomic_path(
    path: Path, *, before: Path | None = None, option: str = "--results"
) -> Iterator[Path]:
    """Like `atomic_file`, for who wants a path to write to and not an open file.

    The draft has a name that no other process takes, on another machine of a cluster neither.
    """
    beside = path.with_name(f".{path.name[:40]}.{token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        _sync(beside)
        if before and path.exists():
            os.replace(path, before)
        os.replace(beside, path)
        _sync(path.parent)
    except OSError as error:
        raise unwritable(path, error, option) from error
    finally:
        with suppress(OSError):
            beside.unlink()


def sweep(folder: Path) -> None:
    """Remove the drafts that killed processes left; nobody else may be writing in the folder."""
    for draft in folder.glob(".*.tmp"):
        draft.unlink(missing_ok=True)


def to_json(values: Any, indent: int | None = 2) -> str:
    r"""Return JSON that a person can read, floats in full, one line end at the end.

    Raises:
        RunError: a number that is not finite, or a value that JSON does not know.

    Example:
        >>> to_json({"recall@1": np.float32(0.5)}, indent=None)
        '{"recall@1": 0.5}\n'
    """
    try:
        text = json.dumps(
            values, indent=indent, allow_nan=False, ensure_ascii=False, default=_value
        )
    except (TypeError, ValueError) as error:
        raise RunError(f"expected finite numbers to store, found: {error}") from error
    return text + "\n"


def unwritable(path: Path, error: OSError, option: str = "--results") -> StoreError:
    """Return the error that says that nothing can be written there, and why."""
    return StoreError(
        f"{path}: expected to write there, found: {error.strerror or error};"
        f" choose another folder ({option}), or mend its permissions or space"
    )


def _value(value: Any) -> Any:
    """Turn a number of numpy's into Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} {value!r}")


def _sync(path: Path) -> None:
    """Make a file, or a rename in a folder, last through a power cut; only Posix opens folders."""
    if os.name == "posix":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
