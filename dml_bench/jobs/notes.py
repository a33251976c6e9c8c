"""What is known of a run that was handed to another process: a folder of its own, two notes in it.

`submitted.json` is written by who hands it over, `state.json` by who makes it: each file has one
writer at a time, so nothing has to be locked, and each is replaced whole.
"""

import hashlib
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from dml_bench.atomic import atomic_write, to_json
from dml_bench.text import shown

TAIL = 4096
LONGEST = 200
BESIDE = ("expect", "source")
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


class Note:
    """The folder `results`/jobs/<name>/ of a run.

    Args:
        results: the root of all results.
        name: `name_of` it.
    """

    def __init__(self, results: Path, name: str) -> None:
        self.name = name
        self.folder = results / "jobs" / name

    @property
    def submitted(self) -> dict[str, Any]:
        """What who handed it over wrote; nothing if nobody did."""
        return _read(self.folder / "submitted.json")

    @property
    def state(self) -> dict[str, Any]:
        """What who makes it wrote last; nothing if it has not begun."""
        return _read(self.folder / "state.json")

    @property
    def ended(self) -> bool:
        """Whether who made it has nothing more to say."""
        return self.state.get("state") in LAST_WORDS

    def hand_over(self, run: str, executor: str, job: str, log: Path) -> None:
        """Note to whom it was handed and by which process, and where the words of its maker go."""
        said = {"run": run, "executor": executor, "job": job, "log": str(log), **_this_process()}
        atomic_write(self.folder / "submitted.json", to_json(said))

    def forget(self) -> None:
        """Forget what an earlier one who made it said: it is handed over anew."""
        (self.folder / "state.json").unlink(missing_ok=True)

    def withdraw(self) -> None:
        """Note that it was cancelled."""
        said = {**self.submitted, "cancelled": True}
        atomic_write(self.folder / "submitted.json", to_json(said))

    def write(
        self, state: str, *, line: str = "", key: str = "", failures: int = 0, status: int = 1
    ) -> None:
        """Note how it stands, as who makes it sees it.

        Args:
            state: "running"; "waiting" (put back in the queue); "stopped" (by a signal, its state
                saved); "done" or "failed".
            line: why.
            key: of its result.
            failures: how often it failed, or was killed, up to now.
            status: if it failed, the exit status that says so.
        """
        said: dict[str, Any] = {"state": state, "line": shown(line), "key": key}
        said |= {"failures": failures, "status": status, **_this_process()}
        atomic_write(self.folder / "state.json", to_json(said))

    def standing(self, run: str, queue: Mapping[str, tuple[str, str]] | None) -> Standing:
        """Return where it stands.

        Args:
            run: what a person calls it.
            queue: the jobs that wait or run, of Slurm or of this process; asked before this is
                called, for a job says its last word before it leaves the queue. None: Slurm does
                not answer.
        """
        handed, state = self.submitted, self.state
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
            return Standing(run, "running" if is_alive(state) else "waiting", line, job)
        return Standing(run, "failed", _gone(handed, line), job, silent=True)

    @property
    def in_slurm(self) -> bool:
        """Whether it was handed to Slurm, and has not said its last word."""
        return self.submitted.get("executor") == "slurm" and not self.ended

    @property
    def maker(self) -> str:
        """What a person calls who makes it."""
        handed = self.submitted
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
        handed = self.submitted
        if self.ended or handed.get("executor") != "local" or handed.get("cancelled"):
            return []
        pids = [int(said["pid"]) for said in (handed, self.state) if is_alive(said)]
        return [pid for pid in pids if pid != os.getpid()][:1]

    @property
    def out_of_sight(self) -> bool:
        """Whether a process of another machine was to make it: if it does, cannot be seen here."""
        handed = self.submitted
        on = handed.get("host", socket.gethostname())
        local = handed.get("executor") == "local" and not handed.get("cancelled")
        return local and not self.ended and on != socket.gethostname()


def _this_process() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "born": _born(os.getpid())}


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
    return _born(pid) in ("", said.get("born"))


def _born(pid: int) -> str:
    """Return when a process began: a later one may have its number. "" where nothing says it."""
    try:
        state, *more = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "ended" if state == "Z" else more[18]


def _gone(handed: Mapping[str, Any], line: str) -> str:
    """Return why a job is gone that did not say its last word."""
    if handed.get("cancelled"):
        return "cancelled; the same command goes on where it was"
    return line or f"ended without a word: {last_line(Path(handed.get('log', '')))}"


def name_of(wanted: Mapping[str, Any], device: str) -> str:
    """Return a folder's name for what is asked for, before a recipe is made of it.

    Args:
        wanted: recipe fields, as they were said.
        device: as it was said: what "auto" is, the machine of the run decides.

    Example:
        >>> name_of({"dataset": "glyphs", "method": "random", "seed": 3}, "auto")
        'glyphs-random-s3-ee423272'
    """
    said = {name: value for name, value in wanted.items() if name not in BESIDE}
    text = json.dumps([said, device], sort_keys=True, default=str)
    parts = (PurePath(wanted["dataset"]).name, wanted["method"], f"s{wanted.get('seed', 0)}")
    slug = "-".join(re.sub(r"[^\w.]", "_", str(part)) for part in parts)
    return f"{slug}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def all_notes(results: Path) -> Iterator[Note]:
    """Yield what is known of every run that was handed to another process."""
    for path in sorted((results / "jobs").glob("*/submitted.json")):
        yield Note(results, path.parent.name)


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


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
