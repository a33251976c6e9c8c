"""A suite handed to others: to processes of their own, or to Slurm (here a stand-in of it)."""

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scheduler import states, with_scheduler, write_suite
from test_faults import leave, small_disk
from threadpoolctl import threadpool_limits
from torch import nn

from dml_bench.atomic import atomic_write
from dml_bench.checkpoint import save_state, save_weights
from dml_bench.cli import main
from dml_bench.data.addresses import unreadable
from dml_bench.data.disk import be_room, writing
from dml_bench.data.images import Array
from dml_bench.data.pack import pack
from dml_bench.entries import Entry
from dml_bench.errors import RecipeError, RunError, StoreError
from dml_bench.jobs.executors import Local
from dml_bench.jobs.job import AGAIN, Job
from dml_bench.jobs.notes import Note
from dml_bench.jobs.processes import born, is_alive
from dml_bench.results import finished_runs
from dml_bench.types import Split

pytest.importorskip("submitit", reason="needs the extra cluster")
FIELDS = {"dataset": "shapes_unseen", "method": "random", "seed": 0}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("cluster")
    write_suite(root)
    return root


@pytest.fixture
def slurm(monkeypatch, tmp_path):
    return with_scheduler(monkeypatch, tmp_path / "slurm")


@pytest.fixture
def one_thread(monkeypatch):
    """One thread here as in the processes that are begun: the sums of two differ in last bits."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with threadpool_limits(1):
        yield


@pytest.fixture
def command(place, tmp_path, monkeypatch, one_thread):
    """A command about the suite, with results of this test; returns the exit status."""
    monkeypatch.chdir(place)

    def call(*words):
        return main([*words_of(place, tmp_path / "results"), *words])

    return call


def words_of(place, results):
    words = ["run", place / "shapes.toml", "--data-root", place / "data", "--results", results]
    return [str(word) for word in words]


def numbers(results):
    """What a table is made of, and the vectors behind it, by key."""
    found = {}
    for result in finished_runs(results):
        with np.load(results / "runs" / result.recipe.key / "embeddings.npz") as saved:
            vectors = saved["vectors"].tobytes()
        found[result.recipe.key] = dict(result.metrics), vectors
    return found


# --- processes of their own ------------------------------------------------------------------


def table(text):
    """The lines of a suite's table."""
    return [line for line in text.splitlines() if re.match(r"\w+ +\w+ +\d", line)]


@pytest.mark.slow
def test_processes_of_their_own_end_in_the_same_table(command, place, tmp_path, capfd):
    assert command("--executor", "local") == 0
    apart = capfd.readouterr()
    assert "3 of 3 runs handed to local" in apart.err
    assert main(words_of(place, tmp_path / "here")) == 0
    assert table(capfd.readouterr().out) == table(apart.out) != []
    assert numbers(tmp_path / "results") == numbers(tmp_path / "here")
    assert command("--executor", "local") == 0
    assert "0 of 3 runs handed to local" in capfd.readouterr().err


LONG = '[[run]]\nmethod = "invaspread"\nepochs = 80\n'


def defaults(place):
    return (place / "shapes.toml").read_text().partition("[[run]]")[0]


def elsewhere(place, tmp_path, runs, *, in_background=False):
    """A process that waits for runs in processes of their own.

    A script begins what it leaves in the background deaf to SIGINT, and so is all that this begins.
    """
    path = tmp_path / "long.toml"
    path.write_text(defaults(place) + runs)
    words = [sys.executable, "-m", "dml_bench", "run", str(path), "--executor", "local"]
    words += ["--data-root", str(place / "data"), "--results", str(tmp_path / "results")]
    if in_background:
        words = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *words]
    with (tmp_path / "log.txt").open("w") as log:
        return subprocess.Popen(words, stdout=log, stderr=log)


@pytest.fixture
def long_suite(place, tmp_path, one_thread):
    """One run that takes a while; in a process that waits for it."""
    process = elsewhere(place, tmp_path, LONG)
    yield process
    process.kill()
    process.wait()


def wait_for(what, seconds=400):
    """Wait until something is true, and return it."""
    for _ in range(10 * seconds):
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError("it never came")


def training(results):
    """The run that has ended an epoch, if one has: its note."""
    (state,) = [*states(results).values()] or [{}]
    curves = [path for path in results.glob("runs/*/curve.jsonl") if path.read_text()]
    return state if curves and state.get("state") == "running" else None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "said"),
    [(signal.SIGUSR1, "put back in the queue by SIGUSR1"), (signal.SIGKILL, "1 of 3: killed")],
)
def test_a_run_that_is_signalled_goes_on_and_ends_in_the_same_bits(
    long_suite, place, tmp_path, number, said
):
    results = tmp_path / "results"
    os.kill(wait_for(lambda: training(results))["pid"], number)
    assert long_suite.wait(timeout=400) == 0, (tmp_path / "log.txt").read_text()
    words = "".join(path.read_text() for path in results.glob("jobs/*/*_log.out"))
    assert said in words
    if number == signal.SIGUSR1:
        assert "going on at epoch" in words
    (made,) = finished_runs(results)
    assert main([*words_of(place, tmp_path / "here"), "--set", "epochs=80"]) == 0
    assert numbers(results)[made.recipe.key] == numbers(tmp_path / "here")[made.recipe.key]


@pytest.mark.slow
@pytest.mark.parametrize("in_background", [False, True])
def test_a_suite_in_processes_is_seen_left_alone_and_ended_from_another_terminal(
    in_background, place, tmp_path, one_thread, capfd, monkeypatch
):
    endless = LONG.replace("80", "8000") + '[[run]]\nmethod = "random"\n'
    waits = elsewhere(place, tmp_path, endless, in_background=in_background)
    monkeypatch.setenv("PATH", str(tmp_path))  # no Slurm is asked
    results = tmp_path / "results"
    words = ["run", str(tmp_path / "long.toml"), "--data-root", str(place / "data")]
    words += ["--results", str(results)]
    job = {}
    try:
        job = said_of(wait_for(lambda: training(results))["pid"])
        assert main([*words, "--status"]) == 0
        assert [state for state, *_ in standings(capfd).values()] == ["running", "waiting"]
        before = {path: path.read_text() for path in results.glob("jobs/*/submitted.json")}
        assert main([*words, "--executor", "local"]) == 2
        said = capfd.readouterr().err.splitlines()[-1]
        assert f"expected runs that nobody makes, found 2 with process {waits.pid} on" in said
        assert {path: path.read_text() for path in before} == before
        assert main([*words, "--cancel"]) == 0
        assert "2 jobs cancelled: local-" in capfd.readouterr().err
        assert waits.wait(timeout=60) == 130
        assert not is_alive(job)
    finally:
        waits.kill()
        waits.wait()
        if is_alive(job):
            os.kill(job["pid"], signal.SIGKILL)
    assert main([*words, "--status"]) == 0
    assert [found[0] for found in standings(capfd).values()] == ["failed", "failed"]


def said_of(pid):
    """What a note says of a process that began now."""
    return {"host": socket.gethostname(), "pid": pid, "born": born(pid)}


class Asleep:
    """Stands in for a job's process: it never ends, unless it is told to."""

    told = False

    def done(self):
        return self.told

    def cancel(self):
        self.told = True


def test_each_suite_of_a_call_that_was_interrupted_is_handed_over_again(
    command, place, tmp_path, monkeypatch, capfd
):
    def interrupted(_seconds):
        raise KeyboardInterrupt

    other = tmp_path / "other.toml"
    other.write_text(defaults(place) + '[[run]]\nmethod = "pixels"\n')
    monkeypatch.setattr(Local, "_begin", lambda *_: Asleep())
    monkeypatch.setattr("dml_bench.jobs.handover.time", SimpleNamespace(sleep=interrupted))
    words = [*words_of(place, tmp_path / "results")[1:], "--executor", "local"]
    for _ in range(2):
        assert main(["run", str(other), *words]) == 130
        said = capfd.readouterr().err
        assert "3 of 3 runs handed to local" in said
        assert "1 of 1 runs handed to local" in said


def test_a_job_of_this_machine_sees_the_accelerators_of_who_hands_it_over(tmp_path, monkeypatch):
    class Looks:
        note = "a"

        def __call__(self):
            return os.environ.get("CUDA_VISIBLE_DEVICES")

    for seen in ("0,1", None):
        if seen is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
        assert Local(tmp_path)._begin(Looks()).result() == seen


# --- what a job says of itself ---------------------------------------------------------------


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A job whose run does what it is told; returns how it stands, and its exit status."""
    kept = {number: signal.getsignal(number) for number in signal.valid_signals() - {9, 19}}
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "local")
    entry = Entry({**FIELDS}, "", 0, 1)
    made = Job(entry, "a", tmp_path, tmp_path, "cpu", "none", retries=2, waits=False)

    def call(error=None, first=lambda: None):
        def does(_attempt):
            first()
            if error is not None:
                raise error
            return "the-key"

        monkeypatch.setattr("dml_bench.jobs.job._Attempt._run", does)
        status = 0
        try:
            made()
        except SystemExit as left:
            status = left.code
        return Note(tmp_path, "a").state, status

    yield call
    for number, handler in kept.items():
        if handler is not None:
            signal.signal(number, handler)


def test_a_fault_is_tried_again_as_often_as_was_said_and_no_more(job):
    for failures in (1, 2):
        state, status = job(OSError("the disk is away"))
        assert (state["state"], state["failures"], status) == ("waiting", failures, AGAIN)
        assert f"to be tried again, {failures} of 2: shapes_unseen random: OSError" in state["line"]
    state, status = job(OSError("the disk is away"))
    assert (state["state"], status) == ("failed", 1)
    assert "the disk is away" in state["line"]
    assert state["line"].endswith("(tried 3 times)")


def saves_a_state(folder):
    weights = {"weight": torch.zeros(1 << 16)}
    save_state(folder, {"model": weights, "key": "a", "epoch": 0, "step": 1})


def packs(folder):
    images = Array(np.zeros((9, 64, 64, 3), np.uint8))
    split = Split("train", images, np.arange(9), tuple("abcdefghi"))
    pack(split, folder, "a", fit="squash", resize=0)


def fetches(folder):
    with writing(folder):
        (folder / "part").write_bytes(bytes(1 << 16))


ANY_RECIPE = SimpleNamespace(as_dict=lambda **_: {})
WRITES = {
    "a note or a result": lambda folder: atomic_write(folder / "a", bytes(1 << 16)),
    "a checkpoint": saves_a_state,
    "weights": lambda folder: save_weights(folder, nn.Linear(256, 256), ANY_RECIPE),
    "a pack": packs,
    "an archive": fetches,
    "room that is asked for": lambda folder: be_room(folder, 1 << 16),
}


@pytest.mark.parametrize("what", WRITES)
def test_what_a_full_disk_refuses_is_tried_again(job, tmp_path, what):
    with small_disk(tmp_path / "disk", kib=256) as disk:
        leave(disk, 0)
        state, status = job(first=lambda: WRITES[what](disk))
        assert (state["state"], state["failures"], status) == ("waiting", 1, AGAIN), state
        assert re.search("No space left on device|MB of free space", state["line"]), state
        (disk / "ballast").unlink()
        state, status = job(first=lambda: (disk / "made").touch())
    assert (state["state"], status) == ("done", 0)


def test_a_job_whose_disk_has_no_room_for_a_note_waits_for_it(job, tmp_path, monkeypatch):
    waited = []

    def wait(seconds):
        waited.append(seconds)
        if len(waited) == 2:
            ballast.unlink()

    monkeypatch.setattr("dml_bench.jobs.job.time", SimpleNamespace(sleep=wait))
    with small_disk(tmp_path / "jobs", kib=256) as disk:
        ballast = disk / "ballast"
        state, status = job(first=lambda: (leave(disk, 0), saves_a_state(disk)))
    assert waited == [1.0, 10.0]
    assert (state["state"], state["failures"], status) == ("waiting", 1, AGAIN)


def test_a_job_whose_disk_stays_full_ends_and_is_not_begun_for_ever(job, tmp_path, monkeypatch):
    monkeypatch.setattr("dml_bench.jobs.job.PAUSES", ())
    with (
        small_disk(tmp_path / "jobs", kib=256) as disk,
        pytest.raises(StoreError, match="No space left"),
    ):
        job(first=lambda: (leave(disk, 0), saves_a_state(disk)))


@pytest.mark.parametrize(
    ("address", "error", "passes"),
    [
        ("https://host/a.tar", RuntimeError("503, Service Unavailable"), True),
        ("https://host/a.tar", ConnectionResetError(), True),
        ("https://host/a.tar", FileNotFoundError(), False),
        ("/data/a.tar", OSError(errno.ESTALE, "Stale file handle"), True),
        ("/data/a.tar", ValueError("no tar"), False),
    ],
)
def test_a_shard_is_tried_again_where_its_server_may_come_back(job, address, error, passes):
    def reads():
        try:
            raise error
        except Exception as found:
            raise unreadable(address, found) from found

    state, status = job(first=reads)
    expected = ("waiting", AGAIN) if passes else ("failed", 2)
    assert (state["state"], status) == expected


@pytest.mark.parametrize(
    ("error", "expected"), [(RecipeError("expected more"), 2), (RunError("no longer finite"), 1)]
)
def test_what_would_fail_again_is_not_tried_again(job, error, expected):
    state, status = job(error)
    assert (state["state"], state["status"], status) == ("failed", expected, expected)
    assert str(error) in state["line"]


def test_a_run_that_is_killed_each_time_fails_in_the_end(job, tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("epoch 1\nout of memory\n\n")
    Note(tmp_path, "a").hand_over("a run", "slurm", "7_0", log)
    Note(tmp_path, "a").write("running", failures=2)
    state, status = job()
    assert (state["state"], status) == ("failed", 1)
    assert state["line"] == "killed: out of memory (tried 3 times)"


def test_a_run_that_was_put_back_did_not_fail(job, tmp_path):
    Note(tmp_path, "a").write("waiting", failures=1)
    state, status = job()
    assert (state["state"], state["key"], status) == ("done", "the-key", 0)


# --- Slurm, as far as it can be had without ----------------------------------------------------


def test_slurm_gets_an_array_with_what_was_asked_for(command, slurm):
    asked = ["partition=gpu", "time=1-12", "cpus=4", "gpus=1", "memory=32G", "at_once=2"]
    words = [word for each in asked for word in ("--slurm", each)]
    assert command("--executor", "slurm", "--detach", *words, "--slurm", "setup=module load x") == 0
    script = slurm.script()
    for line in (
        *("--array=0-2%2", "--partition=gpu", "--time=2160", "--cpus-per-task=4", "--requeue"),
        *("--gpus-per-node=1", "--mem=32GB", "--job-name=dml-bench", "--open-mode=append"),
    ):
        assert f"#SBATCH {line}" in script
    (srun,) = [line for line in script if line.startswith("srun ")]
    assert "--cpus-per-task=4" in srun
    assert script.index("module load x") < script.index(srun)
    assert script[script.index(srun) :][-3:] == [
        "status=$?",
        'case $status in 75|134|135|137|139|138|140) scontrol requeue "$SLURM_JOB_ID" ;; esac',
        "exit $status",
    ]


def standings(capfd):
    """The table of --status: {run: (state, the rest)}."""
    lines = capfd.readouterr().out.partition("why")[2].splitlines()
    found = [re.split(r" {2,}", line.strip(), maxsplit=2) for line in lines]
    return {run: (state, *more) for run, state, *more in (f for f in found if len(f) > 1)}


def test_the_table_says_where_each_run_stands(command, slurm, tmp_path, capfd):
    assert command("--executor", "slurm", "--detach") == 0
    slurm.queue("7_0|PENDING|Priority", "7_1|RUNNING|None")
    log = tmp_path / "results/jobs/logs/7_2_0_log.out"
    log.write_text("begun\nslurmstepd: error: Detected 1 oom-kill event\n")
    capfd.readouterr()
    assert command("--status") == 0
    found = standings(capfd)
    assert found["shapes_unseen chance"] == ("waiting", "7_0  Slurm: Priority")
    assert found["shapes_unseen invaspread, seed 0"] == ("running", "7_1")
    state, why = found["shapes_unseen invaspread, seed 1"]
    assert state == "failed"
    assert why == "7_2  ended without a word: slurmstepd: error: Detected 1 oom-kill event"
    assert main(["run", "--status", "--results", str(tmp_path / "results")]) == 0
    assert standings(capfd) == found


def test_a_run_that_nobody_was_asked_to_make_is_missing(command, capfd):
    assert command("--status") == 0
    assert standings(capfd)["shapes_unseen chance"] == ("missing",)


def test_a_run_that_is_refused_stands_there_by_its_name_and_with_why(command, tmp_path, capfd):
    assert command("--status", "--set", "epohs=5") == 2
    found = standings(capfd)
    state, why = found.pop("shapes_unseen invaspread, seed 1")
    assert state == "failed"
    assert "epohs" in why
    assert set(found) == {"shapes_unseen chance", "shapes_unseen invaspread, seed 0"}


def test_only_what_is_not_in_the_queue_is_handed_over_again(command, slurm, capfd):
    assert command("--executor", "slurm", "--detach") == 0
    slurm.queue("7_0|PENDING|Priority", "7_2|RUNNING|None")
    assert command("--executor", "slurm", "--detach") == 0
    assert "1 of 3 runs handed to slurm" in capfd.readouterr().err
    assert not [line for line in slurm.script() if "--array" in line]


def test_what_is_expected_of_a_finished_run_is_noted_though_nobody_waits(
    place, slurm, tmp_path, one_thread
):
    path, results = tmp_path / "one.toml", tmp_path / "results"
    words = ["run", path, "--data-root", place / "data", "--results", results]
    for expects in ("", "expect = { nmi = 0.25 }\n"):
        path.write_text(defaults(place) + '[[run]]\nmethod = "random"\n' + expects)
        more = ["--executor", "slurm", "--detach"] if expects else []
        assert main([*map(str, words), *more]) == 0
    (result,) = finished_runs(results)
    assert result.recipe.expect == {"nmi": 0.25}


def test_nothing_is_handed_over_where_the_queue_does_not_answer(command, slurm, capfd):
    slurm.silence()
    assert command("--executor", "slurm", "--detach") == 2
    assert "expected squeue to say what is in the queue" in capfd.readouterr().err
    assert not (slurm.home / "script.sh").exists()


def test_cancelling_ends_the_jobs_of_the_suite_and_no_others(command, slurm, capfd):
    assert command("--executor", "slurm", "--detach") == 0
    slurm.queue("7_0|PENDING|Priority", "7_1|RUNNING|None", "8|RUNNING|None")
    assert command("--cancel") == 0
    assert slurm.cancelled() == ["7_0", "7_1"]
    slurm.queue()
    capfd.readouterr()
    assert command("--status") == 0
    why = standings(capfd)["shapes_unseen chance"][1]
    assert why == "7_0  cancelled; the same command goes on where it was"


def test_cancelling_where_the_queue_does_not_answer_is_refused(
    command, slurm, tmp_path, monkeypatch, capfd
):
    assert command("--executor", "slurm", "--detach") == 0
    slurm.silence()
    capfd.readouterr()
    assert command("--cancel") == 2
    assert capfd.readouterr().err == (
        "error: --cancel: expected squeue to say what is in the queue, found no answer; call this"
        " again when and where Slurm answers\n"
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command("--cancel") == 2
    said = capfd.readouterr().err
    assert said.startswith("error: --cancel: expected Slurm's commands here, found no sbatch;")


def test_runs_that_wait_in_slurm_are_left_to_it_by_another_executor(
    command, slurm, tmp_path, capfd
):
    assert command("--executor", "slurm", "--detach") == 0
    slurm.queue("7_1|PENDING|Priority")
    notes = {path: path.read_text() for path in tmp_path.glob("results/jobs/*/submitted.json")}
    capfd.readouterr()
    assert command("--executor", "local") == 2
    assert capfd.readouterr().err == (
        "error: --executor local: expected runs that nobody makes, found 1 with Slurm (job 7_1);"
        " wait for them there, or end them (--cancel)\n"
    )
    slurm.silence()
    assert command("--executor", "local") == 2
    assert "expected squeue to say what is in the queue" in capfd.readouterr().err
    assert {path: path.read_text() for path in notes} == notes != {}


@pytest.fixture
def other_call(command, slurm, tmp_path, monkeypatch):
    """Another process, living, that seems to have handed over the suite; it is of this machine."""
    process = subprocess.Popen(["sleep", "600"])

    def seems(**more):
        said = {**said_of(process.pid), **more}
        for path in tmp_path.glob("results/jobs/*/submitted.json"):
            path.write_text(json.dumps({**json.loads(path.read_text()), **said}))
        return process

    def interrupted(_seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(Local, "_begin", lambda *_: Asleep())
    monkeypatch.setattr(Local, "leave", lambda _: "")
    monkeypatch.setattr("dml_bench.jobs.handover.time", SimpleNamespace(sleep=interrupted))
    assert command("--executor", "local") == 130
    slurm.silence()
    yield seems
    process.kill()
    process.wait()


def test_a_last_word_that_is_said_while_it_is_looked_at_counts(tmp_path, monkeypatch):
    """A process that is seen to be gone had said its last word before."""
    note = Note(tmp_path, "a")
    note.hand_over("a run", "local", "local-1", tmp_path / "log")
    note.write("running")

    def ends(_said):
        note.write("done", key="a-key")
        return False

    monkeypatch.setattr("dml_bench.jobs.notes.is_alive", ends)
    assert note.known().standing("a run", {}).state == "done"


@pytest.mark.parametrize("executor", ["local", "slurm"])
def test_runs_of_another_call_are_left_to_it(command, slurm, other_call, executor, capfd):
    process = other_call()
    (slurm.home / "silent").unlink()
    capfd.readouterr()
    assert command("--executor", executor) == 2
    assert f"found 3 with process {process.pid} on " in capfd.readouterr().err


def test_a_waiting_run_is_told_from_one_whose_waiter_is_gone(command, other_call, capfd):
    process = other_call()
    capfd.readouterr()
    assert command("--status") == 0
    assert {state for state, *_ in standings(capfd).values()} == {"waiting"}
    process.kill()  # not yet waited for: it still has its number
    wait_for(lambda: born(process.pid) == "ended")
    assert command("--status") == 0
    assert {state for state, *_ in standings(capfd).values()} == {"failed"}


def test_a_later_process_with_the_number_of_a_waiter_is_not_taken_for_it(
    command, other_call, capfd
):
    other_call(born="1")
    assert command("--status") == 0
    assert {state for state, *_ in standings(capfd).values()} == {"failed"}
    assert command("--cancel") == 0
    assert "0 jobs cancelled" in capfd.readouterr().err


def test_what_another_machine_makes_is_said_to_be_out_of_sight(command, other_call, capfd):
    other_call(host="node7")
    assert command("--status") == 0
    state, why = standings(capfd)["shapes_unseen chance"]
    assert (state, why.partition("  ")[2]) == ("waiting", "on node7, out of sight from here")
    assert command("--executor", "local") == 2
    assert "on node7 (is it gone? delete " in capfd.readouterr().err
    assert command("--cancel") == 2
    said = capfd.readouterr().err.splitlines()
    assert said[0] == "0 jobs cancelled"
    assert "expected jobs of Slurm or of this machine, found 3 with process" in said[1]


def test_a_cancelled_call_of_this_machine_is_ended_by_its_number(command, other_call, capfd):
    process = other_call()
    capfd.readouterr()
    assert command("--cancel") == 0
    assert "3 jobs cancelled: local-" in capfd.readouterr().err
    assert process.wait(timeout=10) == -signal.SIGTERM
    assert command("--status") == 0
    why = standings(capfd)["shapes_unseen chance"][1]
    assert why.endswith("cancelled; the same command goes on where it was")


def test_a_machine_to_log_in_on_needs_no_accelerator_to_say_where_runs_stand(
    command, slurm, monkeypatch, capfd
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command("--executor", "slurm", "--detach", "--device", "cuda") == 0
    slurm.queue("7_0|PENDING|Priority")
    capfd.readouterr()
    assert command("--status", "--device", "cuda") == 0
    assert standings(capfd)["shapes_unseen chance"][0] == "waiting"
    assert command("--cancel", "--device", "cuda") == 0
    assert slurm.cancelled() == ["7_0"]


def test_what_sbatch_refuses_is_one_line_and_leaves_nothing(command, slurm, tmp_path, capfd):
    slurm.refuse("sbatch: error: invalid partition specified: nowhere\nsbatch: error: Batch job")
    assert command("--executor", "slurm", "--slurm", "partition=nowhere") == 2
    line = capfd.readouterr().err.splitlines()[-1]
    assert line.startswith("error: --executor slurm: expected sbatch to take the runs, found: ")
    assert "invalid partition specified: nowhere" in line
    assert not (tmp_path / "results").exists()


def test_without_slurm_one_line_says_where_to_go(command, monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command("--executor", "slurm") == 2
    said = capfd.readouterr().err
    assert said.startswith("error: --executor slurm: expected Slurm's commands here, found no sba")
    assert said.count("\n") == 1
    assert not (tmp_path / "results").exists()
    assert command("--cancel") == 0
    assert capfd.readouterr().err == "0 jobs cancelled\n"


def test_without_submitit_one_line_says_what_brings_it(command, slurm, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "submitit", None)
    for executor in ("slurm", "local"):
        assert command("--executor", executor) == 2
        assert capfd.readouterr().err == (
            "error: expected the package submitit, found none; pip install 'dml_bench[cluster]'\n"
        )


# --- a signal in this process ------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_training_that_is_asked_to_stop_saves_its_state_at_the_next_step(
    place, tmp_path, monkeypatch, capfd, number
):
    from dml_bench.engine import Training

    took = []
    step = Training._take_step

    def asked_in_the_sixth(self, batch):
        took.append(batch)
        step(self, batch)
        if len(took) == 6:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Training, "_take_step", asked_in_the_sixth)
    before = signal.getsignal(number)
    one = ["--set", "epochs=3"]
    assert main([*words_of(place, tmp_path / "results"), *one]) == 130
    name = signal.Signals(number).name
    said = capfd.readouterr().err
    assert said.splitlines()[-1] == f"stopped by {name}; the same command goes on where it was"
    assert signal.getsignal(number) is before
    assert len(took) == 6
    assert main([*words_of(place, tmp_path / "results"), *one]) == 0
    assert "going on at epoch 2, step 2" in capfd.readouterr().err
    assert main([*words_of(place, tmp_path / "whole"), *one]) == 0
    assert numbers(tmp_path / "results") == numbers(tmp_path / "whole")
