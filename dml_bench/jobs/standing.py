"""Where a run stands that was handed to another process, from what both its notes say."""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dml_bench.text import shown

TAIL = 4096
LONGEST = 200
LAST_WORDS = ("done", "failed")
NOTHING_NEW = re.compile(r"\s*$|submitit INFO|srun: .*([Tt]erminat|Exited with exit code)")
"""Lines at the end of a log that say no more than that something ended."""


@dataclass(frozen=True)
class Standing:
    """Where a run stands.

    Args:
        run: what a person calls it.
        state: "done", "running", "waiting", "failed" or "missing" (nobody was asked to make it).
        why: the last line of why it is not done.
        job: the scheduler's number.
        key: of its result; empty where it is not known yet.
        status: if it failed, the exit status that says so.
        silent: it is gone without a last word, or its last word is not to be seen here yet.
    """

    run: str
    state: str
    why: str = ""
    job: str = ""
    key: str = ""
    status: int = 1
    silent: bool = False


@dataclass(frozen=True)
class Known:
    """What was known of a run at one moment.

    Args:
        folder: where they lie.
        handed: what who handed it over wrote; nothing if nobody did.
        state: what who makes it wrote last; nothing if it has not begun.
        living: the processes of this machine that wrote them, as far as they lived.
    """

    folder: Path
    handed: Mapping[str, Any]
    state: Mapping[str, Any]
    living: tuple[int, ...] = ()

    def standing(self, run: str, queue: Mapping[str, tuple[str, str]] | None) -> Standing:
        """Return where it stands.

        Args:
            run: what a person calls it.
            queue: the jobs that wait or run, of Slurm or of this process; asked before this is
                called, for a job says its last word before it leaves the queue. None: Slurm does
                not answer.
        """
        handed, state = self.handed, self.state
        job, now = str(handed.get("job", "")), str(state.get("state", ""))
        line, key = str(state.get("line", "")), str(state.get("key", ""))
        if now in LAST_WORDS:
            return Standing(run, now, line, job, key, status=2 if state.get("status") == 2 else 1)
        if not handed:
            return Standing(run, "missing")
        if queue and job in queue:
            where, reason = queue[job]
            return Standing(run, where, "; ".join(filter(None, (line, reason))), job)
        last = "running" if now == "running" else "waiting"
        if handed["executor"] == "slurm" and queue is None:
            return Standing(run, last, "the queue does not answer", job)
        if self.out_of_sight:
            return Standing(run, last, f"on {handed['host']}, out of sight from here", job)
        if self.processes:
            begun = "running" if state.get("pid") in self.living else "waiting"
            return Standing(run, begun, line, job)
        return Standing(run, "failed", _gone(handed, line), job, silent=True)

    @property
    def ended(self) -> bool:
        """Whether who made it has nothing more to say."""
        return self.state.get("state") in LAST_WORDS

    @property
    def in_slurm(self) -> bool:
        """Whether it was handed to Slurm, and has not said its last word."""
        return self.handed.get("executor") == "slurm" and not self.ended

    @property
    def maker(self) -> str:
        """What a person calls who makes it."""
        handed = self.handed
        if handed.get("executor") == "slurm":
            return f"Slurm (job {handed['job']})"
        pid = next(iter(self.processes), handed.get("pid"))
        gone = f" (is it gone? delete {self.folder})" if self.out_of_sight else ""
        return f"process {pid} on {handed.get('host')}{gone}"

    @property
    def processes(self) -> list[int]:
        """The processes of this machine that make it: who waits with it, else who makes it.

        This process is none of them: it knows by itself what it does.
        """
        handed = self.handed
        if self.ended or handed.get("executor") != "local" or handed.get("cancelled"):
            return []
        return [pid for pid in self.living if pid != os.getpid()][:1]

    @property
    def out_of_sight(self) -> bool:
        """Whether a process of another machine was to make it: if it does, cannot be seen here."""
        handed = self.handed
        on = handed.get("host", socket.gethostname())
        local = handed.get("executor") == "local" and not handed.get("cancelled")
        return local and not self.ended and on != socket.gethostname()


def _gone(handed: Mapping[str, Any], line: str) -> str:
    """Return why a job is gone that did not say its last word."""
    if handed.get("cancelled"):
        return "cancelled; the same command goes on where it was"
    return line or f"ended without a word: {last_line(Path(handed.get('log', '')))}"


def last_line(log: Path) -> str:
    """Return the last line of a log that says something.

    Args:
        log: a file, or a folder of `*_log.out`, of which the newest counts.
    """
    found = sorted(log.glob("*_log.out"), key=lambda path: path.stat().st_mtime)
    try:
        with (found[-1] if found else log).open("rb") as file:
            file.seek(max(file.seek(0, 2) - TAIL, 0))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return f"no log {log}"
    said = (line for line in reversed(lines) if not NOTHING_NEW.match(line))
    return next((shown(line)[:LONGEST] for line in said), f"see {log}")
