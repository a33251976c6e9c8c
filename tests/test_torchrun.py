"""The commands under torchrun: one result, one voice, and what becomes of a process that dies."""

import json
import signal
import subprocess
import sys
from itertools import count

import numpy as np
import pytest
import torch
from children import numbers
from test_whole_path import SMALL, write_dataset
from torchruns import PATIENCE, meeting, torchrun
from toys import instead

from dml_bench import cli
from dml_bench.arguments import parser
from dml_bench.cli import main

DYING = """
import os
import signal
from pathlib import Path

from dml_bench.methods.moco import Method as MoCo


class Method(MoCo):
    def after_step(self, vectors, batch):
        super().after_step(vectors, batch)
        self.taken = getattr(self, "taken", 0) + 1
        mark = Path(os.environ["MARK"])
        if self.taken == {step} and os.environ.get("RANK") == "{rank}" and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
"""
SUITE = """
title = "Two that can be made, and one that cannot"

[defaults]
dataset = "shapes_unseen"
backbone = "conv4"
weights = "none"
resize = 16
crop = 16
batch = 16
dim = 16
augmentation = "affine"
epochs = 1
precision = "fp32"

[[run]]
method = "simclr"

[[run]]
method = "simclr"
batch = 15

[[run]]
method = "random"
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("place")
    write_dataset(root / "data")
    return root


@pytest.fixture
def ran(place, number=count()):  # noqa: B008 - one folder of logs a call
    """Run a command in several processes."""

    def run(*words, results="results", **more):
        roots = ["--data-root", place / "data", "--results", place / results]
        logs = place / "logs" / str(next(number))
        return torchrun(logs, "-m", "dml_bench", *words, *roots, **more)

    return run


def train(*more, method="moco"):
    words = ["train", "--dataset", "shapes_unseen", "--method", method, *SMALL]
    return [*words, "--set", "epochs=3", *more]


def only(place, results):
    (folder,) = (place / results / "runs").iterdir()
    return folder, json.loads((folder / "result.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize(("rank", "step"), [(1, 7), (0, 6)], ids=["a follower", "the leader"])
def test_a_process_that_is_killed_comes_back_and_all_end_in_the_same_bits(place, ran, rank, step):
    method = place / f"dying_{rank}.py"
    method.write_text(DYING.format(rank=rank, step=step))
    words = train("--set", "queue=32", "--set", "monitor=recall@1", method=method)
    mark = place / f"mark {rank}"
    mark.touch()
    whole = ran(*words, results=f"whole {rank}", MARK=str(mark))
    assert whole.status == 0, whole.err
    mark.unlink()
    ended = ran(*words, results=f"cut {rank}", restarts=1, MARK=str(mark))
    assert ended.status == 0, ended.err
    assert mark.exists()
    assert "going on at epoch 2" in ended.err[0]
    assert numbers(place / f"cut {rank}") == numbers(place / f"whole {rank}")


@pytest.mark.slow
def test_who_is_left_alone_says_that_another_process_has_ended(place):
    """Without torchrun over them, which stops the others as soon as it sees that one is dead."""
    method = place / "left.py"
    method.write_text(DYING.format(rank=1, step=3))
    words = [*train(method=method), "--data-root", place / "data", "--results", place / "left"]
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "dml_bench", *map(str, words)],
            env={**environment, "MARK": str(place / "mark left")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for environment in meeting()
    ]
    said = [process.communicate(timeout=PATIENCE)[1] for process in both]
    assert [process.returncode for process in both] == [1, -signal.SIGKILL], said
    assert "failed: another process of this work has ended; start them again" in said[0]


@pytest.mark.slow
def test_what_two_processes_make_is_stored_printed_and_found_as_that_of_one(place, ran, capsys):
    ended = ran(*train(), results="shared")
    assert ended.status == 0, ended.err
    assert "moco" in ended.out[0]
    assert (ended.out[1], ended.err[1]) == ("", "")
    folder, result = only(place, "shared")
    assert result["environment"]["processes"] == 2
    roots = ["--data-root", str(place / "data"), "--results", str(place / "shared")]
    assert main([*map(str, train()), *roots]) == 0
    assert "stored already" in capsys.readouterr().err
    assert not list(folder.glob("state*")), "a training that has ended leaves no state"


@pytest.mark.slow
def test_a_file_that_two_processes_score_is_told_once_and_as_by_one(place, ran, capsys):
    draw = np.random.default_rng(0)
    labels = np.repeat(np.arange(40), 5)
    vectors = np.eye(40)[labels] + draw.normal(0, 0.4, (200, 40))
    file = place / "own.npz"
    np.savez(file, vectors=vectors.astype(np.float32), labels=labels)
    words = ["evaluate", "--embeddings", str(file), "--format", "json"]
    ended = torchrun(place / "logs" / "file", "-m", "dml_bench", *words, "--results", place / "two")
    assert ended.status == 0, ended.err
    assert (ended.out[1], ended.err[1]) == ("", "")
    assert main([*words, "--results", str(place / "one")]) == 0
    assert json.loads(ended.out[0]) == json.loads(capsys.readouterr().out)
    (two,), (one,) = ((place / name).glob("evaluations/*.json") for name in ("two", "one"))
    assert two.read_bytes() == one.read_bytes()


@pytest.fixture(scope="module")
def trained(place):
    """The results of a training by one process."""
    roots = ["--data-root", str(place / "data"), "--results", str(place / "trained")]
    assert main([*map(str, train()), *roots]) == 0
    return only(place, "trained")[0]


@pytest.fixture
def one_thread():
    """As many threads as each process of torchrun has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["checkpoint", "dataset"])
def test_what_two_processes_evaluate_is_told_once_and_as_by_one(
    place, ran, trained, capsys, source, one_thread
):
    name = {"checkpoint": trained / "checkpoint.safetensors", "dataset": "shapes_unseen"}[source]
    words = ["evaluate", f"--{source}", str(name), "--k", "1", "3", "--format", "json"]
    ended = ran(*words, results="trained")
    assert ended.status == 0, ended.err
    assert (ended.out[1], ended.err[1]) == ("", "")
    roots = ["--data-root", str(place / "data"), "--results", str(place / "trained")]
    assert main([*words, *roots]) == 0
    (two,), (one,) = (json.loads(text) for text in (ended.out[0], capsys.readouterr().out))
    assert {"recall@3", "nmi"} < set(one["metrics"])
    assert two["metrics"] == one["metrics"]


@pytest.mark.parametrize(
    ("words", "shared"),
    [
        ("evaluate --dataset glyphs", True),
        ("evaluate --checkpoint some.safetensors", True),
        ("evaluate --embeddings some.npz", True),
        ("evaluate --embeddings some.npz --index ivf", True),
        ("run quick", True),
        ("run quick --executor slurm", False),
        ("report", False),
    ],
)
def test_processes_share_what_takes_long(words, shared):
    assert cli._is_shared(parser().parse_args(words.split())) == shared


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (train(method="moko"), "error: no method 'moko'; did you mean 'moco'?"),
        (instead(train(), "batch=15"), "error: expected a batch that 2 processes share alike"),
        (["train", "--datset", "glyphs"], "error: no option '--datset'"),
        (train("--set", "batch_norm=local:4"), "error: batch_norm local:4: expected 4 processes"),
    ],
    ids=["a name", "a batch", "an option", "processes"],
)
def test_what_a_user_can_mend_is_said_once_and_every_process_ends_with_2(place, ran, words, line):
    ended = ran(*words, results="refused")
    said = [each for err in ended.err for each in err.splitlines() if "error" in each]
    assert len(said) == 1
    assert said[0].startswith(line)
    assert line in ended.err[0]
    assert ended.statuses() == [2, 2]
    assert not list((place / "refused").glob("runs/*/result.json"))


@pytest.mark.slow
def test_a_suite_goes_on_after_a_run_that_cannot_be_made_in_all_processes(place, ran):
    suite = place / "suite.toml"
    suite.write_text(SUITE)
    ended = ran("run", suite, results="suite")
    assert "not run: " in ended.err[0]
    assert "1 of 3 runs were not made" in ended.err[0]
    assert len(list((place / "suite").glob("runs/*/result.json"))) == 2
    assert len(list((place / "suite").glob("report.html"))) == 1
    assert ended.err[1] == ""


@pytest.mark.slow
def test_a_command_that_has_no_work_to_share_is_the_leaders(ran, place):
    ended = ran("report", results="nothing")
    assert ended.err[0].startswith("error: expected finished runs")
    assert ended.err[1] == ""
