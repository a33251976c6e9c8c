"""How much memory evaluation may take: what a size in words is, and what is left to work in."""

import re

import numpy as np

from dml_bench.errors import MetricError
from dml_bench.types import Embeddings

ROOM = 1 << 29  # bytes that work is done in where nobody set a cap; more makes nothing faster
LEAST = 1 << 26  # bytes that work is done in at least
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def size_of(text: str | int) -> int:
    """Return the bytes that a size means.

    Args:
        text: such as "4GB", "512 MB", "1.5GiB" (all of 1,024), or a number of bytes.

    Raises:
        MetricError: it is no size above zero.

    Example:
        >>> size_of("1.5GB") == 3 * 2**29
        True
    """
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?) ?([KMGT]?)(?:I?B)?", str(text).strip().upper())
    size = int(float(found[1]) * UNITS[found[2]]) if found and str(text).isascii() else 0
    if not size:
        raise MetricError(
            f"memory: expected a size such as 4GB or 512MB, found {str(text)[:40]!r}; write 4GB"
        )
    return size


def in_words(size: int) -> str:
    """Return a number of bytes as a person writes it, rounded up.

    Example:
        >>> in_words(3 << 29), in_words(100)
        ('1536 MB', '1 MB')
    """
    return f"{-(-size >> 20)} MB" if size < 10 << 30 else f"{-(-size >> 30)} GB"


def resident(*sides: Embeddings) -> int:
    """Return the bytes of memory that embeddings take; vectors that stay in a file take none.

    Args:
        sides: one that is there twice counts once.

    Example:
        >>> resident(Embeddings(np.eye(3), np.arange(3)))
        60
    """
    once = {id(side): side for side in sides}.values()
    arrays = [array for side in once for array in (side.vectors, side.labels, side.ids)]
    return sum(array.nbytes for array in arrays if array is not None and not mapped(array))


def mapped(array: object) -> bool:
    """Return whether an array is a view of a file."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False


def room(memory: int | None, taken: int, least: int, work: str) -> int:
    """Return the bytes that are left to work in.

    Args:
        memory: bytes that may be used in all; None where nobody set a cap.
        taken: bytes that are used otherwise: vectors and answers.
        least: bytes that the work needs at least.
        work: what is to be done, for the message.

    Raises:
        MetricError: less is left than that.

    Example:
        >>> room(None, taken=0, least=0, work="searching") == ROOM
        True
    """
    if memory is None:
        return max(ROOM, least)
    if memory - taken < least:
        raise MetricError(
            f"memory: expected {in_words(taken + least)} at least for {work}, found"
            f" {in_words(memory)}; give it more"
        )
    return min(memory - taken, max(ROOM, least))
