"""What the data root can take: its room, and the line that says why nothing can be written."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dml_bench.errors import DataError

MEGABYTE = 1_000_000


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what the system says against writing into a line; reading has errors of its own.

    Args:
        folder: where is written.

    Raises:
        DataError: an OSError in the block.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{folder}: expected a folder that can be written, found:"
            f" {error.strerror or error}; mend its permissions or make room, or name another"
            " --data-root"
        ) from error


def be_room(folder: Path, more: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Args:
        folder: where is written; it is there.
        more: bytes that are to come.

    Raises:
        DataError: there is less room than that.
    """
    free = shutil.disk_usage(folder).free
    if more > free:
        raise DataError(
            f"{folder}: expected {more / MEGABYTE:,.0f} MB of free space, found"
            f" {free / MEGABYTE:,.0f} MB; make room, or name another --data-root",
            passing=True,
        )
