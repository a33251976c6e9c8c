"""Memory that is given back by a tensor, kept for the next one."""

import ctypes
from contextlib import suppress
from functools import cache

TRIM, MAPPED = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of malloc.h
KEPT = 2**31 - 1  # bytes: as many as an int says


@cache
def recycle() -> None:
    """Let this process keep what its tensors give back, instead of asking the system anew.

    A step makes and drops the same tensors again and again. The C library gives large ones back to
    the system at once, and each new one arrives a page at a time, which on a virtual machine takes
    longer than to fill it (`python -m benchmarks step-recycled` measures it). An accelerator's
    memory is kept by torch; where the C library is another than GNU's, this does nothing.

    Source:
        The GNU C Library Reference Manual, "Malloc Tunable Parameters".
    """
    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(TRIM, KEPT)
        library.mallopt(MAPPED, 0)
