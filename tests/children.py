"""Commands in processes of their own that may be ended at any moment; see `nursery`."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from test_whole_path import SMALL, write_dataset

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
NURSERY = Path(__file__).with_name("nursery.py")


@dataclass
class Ended:
    """What became of a command: its exit status (below zero a signal's number) and its words."""

    status: int
    said: str

    @property
    def lines(self):
        return self.said.splitlines()

    @property
    def stage(self):
        """How many lines and seconds the stage that was watched took."""
        return json.loads(self.lines[-1])


class Nursery:
    """Runs commands in children of one warmed process."""

    def __init__(self, logs):
        self.logs, self.number = logs, 0
        self.process = subprocess.Popen(
            [sys.executable, NURSERY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **THREADS},
        )
        assert self.process.stdout.readline() == "ready\n"

    def __call__(self, *words, **job):
        (ended,) = self.together(self.job(*words, **job))
        return ended

    def job(self, *words, **more):
        """A command, and what is to happen to it (`nursery.live`)."""
        self.number += 1
        log = str(self.logs / f"{self.number}.log")
        return {"words": [str(word) for word in words], "log": log, **more}

    def together(self, *jobs):
        """Run commands at the same time; return what became of each."""
        self.process.stdin.write(json.dumps(jobs) + "\n")
        self.process.stdin.flush()
        statuses = json.loads(self.process.stdout.readline())
        texts = [Path(job["log"]).read_text(errors="replace") for job in jobs]
        return [Ended(*both) for both in zip(statuses, texts, strict=True)]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


@contextmanager
def nursery(logs):
    if not hasattr(os, "fork"):
        pytest.skip("needs os.fork")
    logs.mkdir(parents=True, exist_ok=True)
    made = Nursery(logs)
    try:
        yield made
    finally:
        made.close()


def fixtures(name):
    """A module's `place`, a folder with images; `run`, commands in children; and `whole`, what a
    training that nobody disturbs ends in: it lies under `place`.
    """

    @pytest.fixture(scope="module")
    def place(tmp_path_factory):
        root = tmp_path_factory.mktemp(name)
        write_dataset(root / "data")
        return root

    @pytest.fixture(scope="module")
    def run(place):
        with nursery(place / "logs") as made:
            yield made

    @pytest.fixture(scope="module")
    def whole(place, run):
        ended = run(*train_words(place, place / "whole"))
        assert ended.status == 0, ended.said
        return numbers(place / "whole")

    return place, run, whole


def train_words(root, results, *more, method="invaspread", epochs=2):
    """A small training on `test_whole_path`'s images of unseen classes."""
    words = ["train", "--dataset", "shapes_unseen", "--method", method, *SMALL]
    words += ["--set", f"epochs={epochs}"] if epochs else []
    return [*words, "--data-root", root / "data", "--results", results, *more]


def numbers(results):
    """All that a finished training must end in, bit by bit: {what: value}."""
    (folder,) = (results / "runs").iterdir()
    result = json.loads((folder / "result.json").read_text())
    found = {"metrics": result["metrics"], "counts": result["counts"]}
    found["curve"] = [(row["epoch"], row["loss"], row["lr"]) for row in result["curve"]]
    rows = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    found["curve file"] = [(row["epoch"], row["loss"], row["lr"]) for row in rows]
    for name in ("embeddings.npz", "neighbours.npz"):
        with np.load(folder / name, allow_pickle=False) as saved:
            found[name] = {key: saved[key].tobytes() for key in saved.files}
    weights = load_file(folder / "checkpoint.safetensors")
    found["weights"] = {name: value.tobytes() for name, value in weights.items()}
    for pack in (results / "packs").iterdir():
        found[pack.name] = (pack / "pixels.npy").read_bytes()
    return found


def tree(root):
    """Every file below a folder with its bytes, and every folder: {path: bytes or None}."""
    return {
        path.relative_to(root).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in sorted(root.rglob("*"))
    }
