"""How one of several processes ends: it is said once why, and nobody waits for the dead."""

import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import count

from dml_bench import dist

PATIENCE = timedelta(seconds=5)  # for the others to come where this process has come
EXCHANGES = "distributed_c10d.py"  # of torch: where an exchange is begun and waited for
_meetings = count(1)


def together() -> bool:
    """Return whether every process makes this call too, within a few seconds."""
    if dist.world() == 1:
        return True
    name = f"meeting {next(_meetings)}"
    try:
        if dist.store().add(name, 1) == dist.world():
            dist.store().set(f"{name}: all are here", "")
        dist.store().wait([f"{name}: all are here"], PATIENCE)
    except Exception:  # of torch: somebody did not come, or who kept the store is gone
        return False
    return True


def farewell(tell: Callable[[], None]) -> None:
    """Say why this process ends, once for all, and wait a little for the others to end too.

    torchrun stops all processes as soon as one has failed: why must have been said by then. Where
    all end alike the leader says it, else the first; what the others meet is only a consequence.

    Args:
        tell: says it.
    """
    if dist.world() == 1:
        tell()
        return
    if _first():
        tell()
        with suppress(Exception):  # of torch: who kept the store is gone
            dist.store().set("told", "")
    together()


def leave(status: int) -> None:
    """End this process now, if it is one of several: torchrun stops who takes its time over it.

    Args:
        status: with which it ends.
    """
    if dist.world() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def lost(error: BaseException) -> bool:
    """Return whether an error says no more than that another process has ended."""
    frames = traceback.extract_tb(error.__traceback__)
    return dist.world() > 1 and bool(frames) and frames[-1].filename.endswith(EXCHANGES)


def _first() -> bool:
    """Return whether this process is to tell; one that does not lead lets the leader go first."""
    try:
        if not dist.leader():
            with suppress(Exception):  # of torch: nobody has said anything
                dist.store().wait(["told"], PATIENCE)
        return dist.store().add("tellers", 1) == 1
    except Exception:  # of torch: who kept the store is gone, or there never was one
        return True
