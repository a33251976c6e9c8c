"""The memory of a process and of all that it started, while they run."""

import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PERIOD = 0.25  # seconds between two looks


@dataclass(frozen=True)
class Ended:
    """A program that has ended.

    Args:
        code: its exit status.
        out, err: what it wrote.
        peak_bytes: the most that it and its descendants were seen to hold at one time.
    """

    code: int
    out: str
    err: str
    peak_bytes: int


def run(command: Sequence[str]) -> Ended:
    """Run a program to its end, and look at its memory from outside meanwhile.

    A page that several processes share counts once (PSS). What lasts less than `PERIOD` is missed:
    for one process alone its own high-water mark says more.

    Args:
        command: the program and its arguments.
    """
    started = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    done, seen = threading.Event(), [0]

    def watch() -> None:
        while not done.wait(PERIOD):
            seen.append(sum(map(_proportional, family(started.pid))))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    out, err = started.communicate()
    done.set()
    watcher.join()
    return Ended(started.returncode, out, err, max(seen))


def family(pid: int) -> Iterator[int]:
    """Yield a process and its descendants, as far as they live."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _words(children):
            yield from family(int(child))


def _proportional(pid: int) -> int:
    """Return the bytes of a process, a shared page by its share; 0 for one that is gone."""
    words = _words(Path(f"/proc/{pid}/smaps_rollup"))
    return 1024 * int(words[words.index("Pss:") + 1]) if "Pss:" in words else 0


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:  # it has ended
        return []
