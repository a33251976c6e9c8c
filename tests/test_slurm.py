"""A real Slurm of one node, set up on the spot: a suite of six runs, two of them disturbed.

It needs Debian's packages slurm-wlm and munge; what can be tested without is in `test_cluster`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from test_cluster import numbers, table, wait_for

from dml_bench.jobs.notes import Note

ROOT = Path(__file__).parents[1]
CLUSTER = Path(__file__).parent / "slurm" / "cluster.sh"
DAEMONS = ("sbatch", "squeue", "munged", "slurmctld", "slurmd")
FOUND = {name: shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") for name in DAEMONS}
ABSENT = [name for name, path in FOUND.items() if not path]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(ABSENT), reason=f"needs slurm-wlm and munge: no {ABSENT}"),
]
LONG = 200
SUITE = f"""
title = "Six small runs"
[defaults]
dataset = "glyphs"
share = 0.02
backbone = "conv4"
weights = "none"
resize = 16
crop = 16
dim = 8
batch = 32
epochs = 2
lr = 0.01
precision = "fp32"
schedule = "constant"
augmentation = "affine"
monitor = "none"
[[run]]
label = "preempted"
method = "invaspread"
epochs = {LONG}
[[run]]
label = "killed"
method = "simclr"
epochs = {LONG}
[[run]]
label = "chance"
method = "random"
[[run]]
method = "invaspread"
[[run]]
method = "triplet_semihard"
seeds = [0, 1]
"""


@pytest.fixture(scope="module")
def slurm():
    """The environment of commands that use the cluster."""
    home = tempfile.mkdtemp(prefix="slurm-", dir="/tmp")  # a path short enough for a socket
    env = {**os.environ, "SLURM_CONF": f"{home}/slurm.conf", "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run([CLUSTER, "start", home], capture_output=True, text=True, check=False)
        logs = "".join(path.read_text() for path in Path(home).glob("*.log"))
        assert done.returncode == 0, done.stderr + logs
        yield env
    finally:
        subprocess.run([CLUSTER, "stop", home], capture_output=True, check=False)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("real")
    (root / "six.toml").write_text(SUITE)
    return root


@pytest.fixture
def command(place, slurm):
    """A command about the suite in a process of its own; its results lie in place/<name>."""

    def call(name, *more):
        words = [sys.executable, "-m", "dml_bench", "run", "six.toml", *more]
        words += ["--data-root", "data", "--results", name]
        done = subprocess.run(
            words, cwd=place, env=slurm, capture_output=True, text=True, check=False, timeout=800
        )
        assert done.returncode == 0, done.stderr
        return done

    return call


def note(results, label):
    """The note of the run that is called so."""
    for path in results.glob("jobs/*/submitted.json"):
        if json.loads(path.read_text())["run"] == f"glyphs {label}":
            return Note(results, path.parent.name)
    raise AssertionError(label)


def begun(results, label, method):
    """What a run says of itself once it has ended an epoch."""
    curves = results.glob(f"runs/glyphs-{method}-*/curve.jsonl")
    state = note(results, label).state
    assert state.get("state") != "failed", state
    trains = any(path.read_text() for path in curves)  # of one run: the others wait for its core
    return state if trains and state.get("state") == "running" else None


def test_a_suite_on_slurm_survives_preemption_and_a_kill_and_ends_in_the_local_table(
    command, place, slurm
):
    results = place / "cluster"
    handed = command("cluster", "--executor", "slurm", "--slurm", "time=60", "--detach")
    assert "six: 6 of 6 runs handed to slurm" in handed.stderr

    wait_for(lambda: begun(results, "preempted", "invaspread"))
    job = note(results, "preempted").submitted["job"]
    scancel = subprocess.Popen(["scancel", "--signal=USR1", job], env=slurm)
    log = Path(note(results, "preempted").submitted["log"])
    wait_for(lambda: "put back in the queue by SIGUSR1" in log.read_text())
    scancel.kill()  # it goes on as long as the job is between two nodes
    scancel.wait()
    os.kill(wait_for(lambda: begun(results, "killed", "simclr"))["pid"], signal.SIGKILL)

    waited = command("cluster", "--executor", "slurm", "--slurm", "time=60")
    assert "six: 0 of 6 runs handed to slurm" in waited.stderr
    logs = {
        label: Path(note(results, label).submitted["log"]).read_text()
        for label in ("preempted", "killed")
    }
    assert "put back in the queue by SIGUSR1" in logs["preempted"]
    assert "to be tried again, 1 of 3: killed" in logs["killed"]
    for label, log in logs.items():
        assert "going on at epoch" in log, label
        assert log.count("Starting with JobEnvironment") >= 2, label

    here = command("here")
    assert table(waited.stdout) == table(here.stdout) != []
    assert numbers(results) == numbers(place / "here")
    assert len(numbers(results)) == 6
    assert sorted(path.name for path in (results / "tables").iterdir()) == sorted(
        path.name for path in (place / "here/tables").iterdir()
    )


def test_jobs_that_are_cancelled_leave_the_queue_and_can_be_asked_for_again(command, place, slurm):
    more = ("--set", "seed=7")
    command("cancelled", "--executor", "slurm", "--detach", *more)
    assert "jobs cancelled" in command("cancelled", "--cancel", *more).stderr
    wait_for(lambda: not subprocess.check_output(["squeue", "-h"], env=slurm), seconds=60)
    shown = command("cancelled", "--status", *more).stdout
    assert shown.count("cancelled; the same command goes on where it was") >= 4
    assert "running" not in shown
