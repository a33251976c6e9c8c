"""What a process does that a run was handed to: it makes the run, and says how it stands.

Three ends are no last word. A signal that wants the machine back (SIGUSR1, SIGUSR2): the state is
saved, and the run goes back into the queue. SIGTERM: the state is saved, and who sent it ends the
process. A fault that may not come again: the process ends with `AGAIN`, and is begun again.
"""

import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from dml_bench import bench
from dml_bench.entries import Entry
from dml_bench.environment import device_of
from dml_bench.errors import BenchError, RunError, Stopped, StoreError, may_pass
from dml_bench.jobs.notes import Note
from dml_bench.jobs.standing import last_line
from dml_bench.loggers import logger_of
from dml_bench.runner import Resolver, failure_of
from dml_bench.terminal import say

AGAIN = 75
"""The exit status of a process that is to be begun again."""
PATIENCE = 600.0
"""Seconds that a process which was told to end waits for its end: who puts a job that it ended
back in the queue does not do so with one that left by itself."""
PAUSES = (1.0, 10.0, 60.0, 240.0)
"""Seconds between tries to note how a run stands, where the disk is full or away."""


@dataclass(frozen=True)
class Job:
    """A run, and where it is made; called in the process that makes it.

    Args:
        entry: what is asked for.
        note: the name of its `Note`.
        data_root: where the datasets are.
        results: the root of all results.
        device: "auto", "cpu" or "cuda", on the machine where it is made.
        logger: who else is told of its epochs.
        retries: how often it may fail, or be killed, and is begun again.
        waits: whether who sends SIGTERM ends the process, and perhaps begins it again.
    """

    entry: Entry
    note: str
    data_root: Path
    results: Path
    device: str
    logger: str
    retries: int
    waits: bool

    def __call__(self) -> None:
        """Make the run, and note how it stands.

        Raises:
            SystemExit: it is not made; the status is `AGAIN` if it is to be tried again.
        """
        note = Note(self.results, self.note)
        before = note.state
        killed = before.get("state") == "running"
        attempt = _Attempt(self, note, int(before.get("failures", 0)) + killed)
        if killed:
            attempt.failed(f"killed: {last_line(Path(note.submitted.get('log', '')))}")
        attempt.make()

    def checkpoint(self, *_: Any, **__: Any) -> Any:
        """Return what submitit is to call when the job comes out of the queue again: the same."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class _Attempt:
    """One process's work on a job.

    Args:
        job: what is made.
        note: where it says how it stands.
        failures: of the attempts before, those that failed or were killed.
    """

    def __init__(self, job: Job, note: Note, failures: int) -> None:
        self.job, self.note, self.failures = job, note, failures
        self.requeue = _submitits()
        self.leaving = False  # it is back in the queue already, and this process ends

    def make(self) -> None:
        """Make the run; what stops it is noted."""
        for number in _wanting_back():
            signal.signal(number, self._give_way)
        signal.signal(signal.SIGTERM, self._told_to_end)
        self._say("running")
        try:
            key = self._run()
        except Stopped as stopped:
            self._stopped(stopped.number)
        except KeyboardInterrupt:
            self._say("stopped", "stopped; the same command goes on where it was")
            raise
        except Exception as error:
            failure = failure_of(self.job.entry, error)
            if isinstance(error, BenchError | RunError) and not may_pass(error):
                self._end(failure.line, failure.status)  # the next time, too
            self.failures += 1
            self.failed(failure.line)
            sys.exit(AGAIN)
        else:
            self._note("done", key=key)

    def failed(self, line: str) -> None:
        """Note that an attempt failed; end where it was the last."""
        if self.failures > self.job.retries:
            self._end(f"{line} (tried {self.failures} times)")
        self._say("waiting", f"to be tried again, {self.failures} of {self.job.retries}: {line}")

    def _run(self) -> str:
        device = device_of(self.job.device)
        recipe, dataset = Resolver(self.job.data_root, device)(self.job.entry)
        bench.run(
            *(recipe, dataset, self.job.results),
            device=device,
            say=say,
            title=self.job.entry.title,
            wait=-1.0,
            logger=logger_of(self.job.logger, self.job.results),
        )
        return recipe.key

    def _stopped(self, number: int) -> None:
        if number in _wanting_back():
            self._give_way(number, None)
        self._told_to_end(number, None)
        time.sleep(PATIENCE)
        sys.exit(128 + number)

    def _give_way(self, number: int, frame: FrameType | None) -> None:
        """Go back into the queue, as submitit does it; it counts how often the time was up."""
        from submitit.core.utils import UncompletedJobError

        self.leaving = True
        line = f"put back in the queue by {signal.Signals(number).name}"
        self._say_at_once("waiting", line)
        try:
            self.requeue(_submitits_signal(), frame)
        except UncompletedJobError:
            self._end(
                f"{self.job.entry.name}: its time was up {self.job.retries + 1} times; ask for more"
                " (--slurm time=...), or for more --retries"
            )

    def _told_to_end(self, number: int, _frame: FrameType | None) -> None:
        if self.leaving:
            return
        name = signal.Signals(number).name
        line = f"stopped by {name}; the same command goes on where it was"
        self._say_at_once("stopped", line)
        if not self.job.waits:
            sys.exit(128 + number)

    def _say(self, state: str, line: str = "") -> None:
        if line:
            _tell(line)
        self._note(state, line=line)

    def _say_at_once(self, state: str, line: str) -> None:
        _tell(line)
        with suppress(StoreError):  # who sent the signal does not wait for room on a disk
            self.note.write(state, line=line, failures=self.failures)

    def _end(self, line: str, status: int = 1) -> None:
        _tell(f"not run: {line}")
        self._note("failed", line=line, status=status)
        sys.exit(status)

    def _note(self, state: str, **said: Any) -> None:
        """Note how the run stands, as soon as the disk takes it."""
        for pause in (*PAUSES, None):
            try:
                self.note.write(state, failures=self.failures, **said)
                break
            except StoreError as error:
                if pause is None or not may_pass(error):
                    raise
                time.sleep(pause)


def _tell(line: str) -> None:
    with suppress(OSError):  # the log lies on the disk that is full
        say(line)


def _submitits_signal() -> int:
    from submitit import JobEnvironment

    return int(getattr(signal, f"SIG{JobEnvironment.USR_SIG}"))


def _submitits() -> Any:
    """Return what submitit set to be called when the machine is wanted back."""
    return signal.getsignal(_submitits_signal())


def _wanting_back() -> set[int]:
    return {signal.SIGUSR1, signal.SIGUSR2, _submitits_signal()}
