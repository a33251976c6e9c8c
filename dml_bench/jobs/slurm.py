"""What Slurm's own commands say and do: whether it is here, what is in its queue, an end of it."""

import shutil
import subprocess
from collections.abc import Sequence

from dml_bench.errors import BenchError
from dml_bench.text import shown

NAME = "dml-bench"
"""What all our jobs are called: it finds them in the queue."""
SECONDS = 60
WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD")
REASON = "Slurm: "
Queue = dict[str, tuple[str, str]]


def require(option: str) -> None:
    """Do nothing where Slurm is.

    Args:
        option: what needs it.

    Raises:
        BenchError: it is not on this machine.
    """
    if absent := [name for name in ("sbatch", "squeue", "scancel") if not shutil.which(name)]:
        raise BenchError(
            f"{option}: expected Slurm's commands here, found no {absent[0]}; call this on a"
            " machine of the cluster, or leave the option out"
        )


def queued() -> Queue | None:
    """Return our jobs that wait or run: their id -> "waiting" or "running", and Slurm's reason.

    It asks `squeue`, which every Slurm has, and not `sacct`, which needs a database; so a job that
    has ended is no longer there. None where Slurm does not answer.
    """
    try:
        said = _call("squeue", "--noheader", "--array", "--name", NAME, "--format", "%i|%T|%r")
    except (OSError, subprocess.SubprocessError):
        return None
    return {job: _state(*more) for job, *more in map(_fields, said.splitlines())}


def silent(option: str) -> BenchError:
    """Return the error that says that the queue cannot be known.

    Args:
        option: what has to know it.
    """
    return BenchError(
        f"{option}: expected squeue to say what is in the queue, found no answer; call this again"
        " when and where Slurm answers"
    )


def cancel(jobs: Sequence[str]) -> None:
    """End jobs: each gets SIGTERM, and some seconds to save its state.

    Raises:
        BenchError: Slurm did not.
    """
    try:
        _call("scancel", *jobs)
    except (OSError, subprocess.SubprocessError) as error:
        said = shown(getattr(error, "stderr", "") or error)
        raise BenchError(f"--cancel: expected scancel to end the jobs, found: {said}") from error


def _call(*words: str) -> str:
    done = subprocess.run(  # noqa: S603 - the words are ours, and numbers that Slurm gave
        words, capture_output=True, text=True, timeout=SECONDS, check=True
    )
    return done.stdout


def _fields(line: str) -> tuple[str, str, str]:
    job, _, more = line.strip().partition("|")
    state, _, reason = more.partition("|")
    return job, state, reason


def _state(state: str, reason: str) -> tuple[str, str]:
    if state not in WAITING:
        return "running", ""
    return "waiting", "" if reason == "None" else f"{REASON}{shown(reason)}"
