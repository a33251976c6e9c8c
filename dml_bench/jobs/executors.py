"""Who makes the runs of a suite, if not this process: processes of their own, or Slurm's.

Both are submitit's, and are asked the same: to take jobs, which of them wait or run, where a job's
words go, and to leave off.
"""

import os
import shlex
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from dml_bench.errors import BenchError
from dml_bench.jobs import slurm
from dml_bench.jobs.job import AGAIN, Job
from dml_bench.jobs.notes import Note
from dml_bench.text import shown
from dml_bench.zoos import extra

EXECUTORS = ("process", "local", "slurm")
CRASHES = (AGAIN, 134, 135, 137, 139, 138, 140)
"""Exit statuses after which Slurm is asked to begin a job again: what it says itself, and what a
signal did to it: abort, bus error, kill, segmentation fault; SIGUSR1 and SIGUSR2 where they came
before the job could listen."""
YEAR = 365 * 24 * 60
EVERY = 2.0
"""Seconds after which a job of this machine that has not ended is asked again."""


class Executor(Protocol):
    """Who makes runs."""

    name: str

    def submit(self, jobs: Sequence[Job]) -> list[tuple[str, Path]]:
        """Take jobs; return of each its number, and where its words go."""

    def queue(self) -> slurm.Queue | None:
        """Return the jobs that wait or run; None where that is not known."""

    def leave(self) -> str:
        """Leave off waiting; return what becomes of the jobs."""


class Slurm:
    """Hands jobs to Slurm, all at once, as an array.

    Args:
        folder: where submitit keeps its files, and the logs are; all nodes see it.
        asked: of Slurm, as `allocation.read` returns it.
        retries: how often the time of a job may be up, and it goes on in the queue.

    Raises:
        BenchError: no Slurm here, or submitit is not installed.
    """

    name = "slurm"

    def __init__(self, folder: Path, asked: Mapping[str, Any], retries: int) -> None:
        slurm.require("--executor slurm")
        self.folder, self.asked, self.retries = folder, dict(asked), retries
        self.library = extra("submitit", "cluster")

    def submit(self, jobs: Sequence[Job]) -> list[tuple[str, Path]]:
        """Take jobs.

        Raises:
            BenchError: Slurm refuses them; what was written for them is removed.
        """
        from submitit.core.utils import FailedJobError

        before = _files(self.folder)
        executor = self.library.SlurmExecutor(self.folder, max_num_timeout=self.retries)
        executor.update_parameters(**self._parameters())
        try:
            made = executor.submit_array(jobs)
        except FailedJobError as error:
            for path in _files(self.folder) - before:
                path.unlink()
            with suppress(OSError):  # something lies in it
                self.folder.rmdir()
            raise BenchError(
                f"--executor slurm: expected sbatch to take the runs, found: {shown(error)};"
                " see dml-bench run --help"
            ) from error
        return [(job.job_id, job.paths.stdout) for job in made]

    def queue(self) -> slurm.Queue | None:
        """Return what Slurm's queue holds of ours."""
        return slurm.queued()

    def leave(self) -> str:
        """Return what becomes of the jobs: Slurm goes on."""
        return "the jobs go on: --status shows them, --cancel ends them, the same command waits"

    def _parameters(self) -> dict[str, Any]:
        """Return what submitit writes to the head of the script, and around the run."""
        found = {**self.asked, "job_name": slurm.NAME, "stderr_to_stdout": True}
        cores = found.get("cpus_per_task")
        if cores:  # srun does not take it over from sbatch
            found["srun_args"] = [f"--cpus-per-task={cores}"]
            own = f'export OMP_NUM_THREADS="${{OMP_NUM_THREADS:-{cores}}}"'
            found["setup"] = [*found.get("setup", []), own]
        crashes = "|".join(map(str, CRASHES))
        found["teardown"] = [
            "status=$?",
            f'case $status in {crashes}) scontrol requeue "$SLURM_JOB_ID" ;; esac',
            "exit $status",
        ]
        return {**found, "additional_parameters": {"requeue": True}}


class Local:
    """Makes jobs on this machine, one after the other, each in a process of its own.

    Args:
        folder: where submitit keeps its files, and the logs are.

    Raises:
        BenchError: submitit is not installed.
    """

    name = "local"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.library = extra("submitit", "cluster")
        self.left: list[tuple[str, Job]] = []
        self.running: tuple[str, Job, Any] | None = None

    def submit(self, jobs: Sequence[Job]) -> list[tuple[str, Path]]:
        """Take jobs; the first begins when the queue is asked for."""
        taken = [(f"local-{job.note.rpartition('-')[2]}", job) for job in jobs]
        self.left += taken
        return [(name, self.folder / job.note) for name, job in taken]

    def queue(self) -> slurm.Queue:
        """Return the jobs that wait or run; where none runs, begin the next."""
        if self.running and self.running[2].done():
            name, job, _ = self.running
            self.running = None
            if Note(job.results, job.note).state.get("state") in ("running", "waiting"):
                self.left.insert(0, (name, job))  # killed, or to be tried again: it counts that
        if not self.running and self.left:
            name, job = self.left.pop(0)
            self.running = name, job, self._begin(job)
        waiting = {name: ("waiting", "") for name, _ in self.left}
        return waiting | ({self.running[0]: ("running", "")} if self.running else {})

    def leave(self) -> str:
        """End what runs, and note that nobody makes the rest; return what becomes of the jobs."""
        if self.running:
            _end(self.running[2])
            self.left.append(self.running[:2])
        for _, job in self.left:
            Note(job.results, job.note).withdraw()
        return "the same command goes on where it was"

    def _begin(self, job: Job) -> Any:
        executor = self.library.LocalExecutor(self.folder / job.note, python=_python())
        executor.update_parameters(timeout_min=YEAR, stderr_to_stdout=True)
        return executor.submit(job)


def _end(process: Any) -> None:
    """End a job's process, and wait until it has ended.

    submitit sends SIGINT, which whatever a script begins in the background does not hear; after
    that it is SIGTERM, upon which a run saves its state.
    """
    process.cancel()
    asked = time.monotonic()
    while not process.done():
        if time.monotonic() - asked > EVERY:
            asked = time.monotonic()
            os.kill(int(process.job_id), signal.SIGTERM)  # it is ours: nobody else has the number
        time.sleep(0.1)


def _python() -> str:
    """Return the interpreter with the accelerators of this process: submitit would hide them."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    said = ["-u", "CUDA_VISIBLE_DEVICES"] if seen is None else [f"CUDA_VISIBLE_DEVICES={seen}"]
    return shlex.join(["env", *said, sys.executable])


def _files(folder: Path) -> set[Path]:
    return set(folder.iterdir()) if folder.is_dir() else set()
