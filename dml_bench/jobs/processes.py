"""Which process wrote a note, and whether it still lives: seen on its own machine alone."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def this_process() -> dict[str, Any]:
    """Return what a note says of the process that writes it."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "born": born(os.getpid())}


def is_alive(said: Mapping[str, Any]) -> bool:
    """Return whether the process that wrote a note is on this machine, and alive."""
    pid = said.get("pid", 0)
    if said.get("host") != socket.gethostname() or not pid:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:  # it is, and somebody else's
        pass
    except OSError:
        return False
    return born(pid) in ("", said.get("born"))


def born(pid: int) -> str:
    """Return when a process began: a later one may have its number. "" where nothing says it."""
    try:
        state, *more = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "ended" if state == "Z" else more[18]
