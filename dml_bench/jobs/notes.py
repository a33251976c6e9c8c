"""What is known of a run that was handed to another process: a folder of its own, two notes in it.

`submitted.json` is written by who hands it over, `state.json` by who makes it: each file has one
writer at a time, so nothing has to be locked, and each is replaced whole.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from dml_bench.atomic import atomic_write, to_json
from dml_bench.jobs.processes import is_alive, this_process
from dml_bench.jobs.standing import Known
from dml_bench.text import shown

BESIDE = ("expect", "source")


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

    def known(self) -> Known:
        """Return both notes as they are now, and which of their writers live.

        That is looked at before the last word is read: a process says it before it ends.
        """
        handed = self.submitted
        living = tuple(int(said["pid"]) for said in (handed, self.state) if is_alive(said))
        return Known(self.folder, handed, self.state, living)

    def hand_over(self, run: str, executor: str, job: str, log: Path) -> None:
        """Note to whom it was handed and by which process, and where the words of its maker go."""
        said = {"run": run, "executor": executor, "job": job, "log": str(log), **this_process()}
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
        said |= {"failures": failures, "status": status, **this_process()}
        atomic_write(self.folder / "state.json", to_json(said))


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


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
