"""On one machine the same recipe gives the same bits, in whatever process and order of loading.

What is computed of vectors (search, clusters, probes, intervals) does not depend on the number of
threads either. A training does: sums of gradients in another order end in other last bits, so a
result notes its threads, and `rerun` works with as many.
"""

import json
import os
import subprocess
import sys

import pytest
from test_whole_path import SMALL, write_dataset

EVALUATE = """
import json
import numpy as np
from dml_bench import outcomes, scoring
from dml_bench.types import Embeddings

draw = np.random.default_rng(0)
labels = np.repeat(np.arange(30), 20)
vectors = draw.standard_normal((30, 64))[labels] + 2.5 * draw.standard_normal((600, 64))
vectors[::7] = np.round(vectors[::7])  # some ties
test, train = (Embeddings(vectors[n::2], labels[n::2]) for n in (0, 1))
found = {}
for protocol, gallery in (("unseen", test), ("seen", train)):
    names = scoring.default_metrics(protocol, (1, 4))
    values, _, each = scoring.answered(test, gallery, names)
    found[protocol] = [values, outcomes.intervals(each, test.labels)]
print(json.dumps(found))
"""


def child(words, threads):
    limits = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    env = {**os.environ, **dict.fromkeys(limits, str(threads))}
    done = subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, check=True, env=env
    )
    return done.stdout


def test_the_number_of_threads_changes_no_bit_of_any_metric_or_interval():
    one, two = (json.loads(child(["-c", EVALUATE], threads)) for threads in (1, 2))
    assert set(one["seen"][1]) == {"knn@200", "linear", "recall@1", "recall@4"}
    assert 0.1 < one["unseen"][0]["recall@1"] < 0.9
    assert one == two


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("place")
    write_dataset(root)
    return root


def trained(place, threads, results):
    words = ["-m", "dml_bench.train", "--dataset", "shapes_unseen", "--method", "simclr", *SMALL]
    words += ["--set", "epochs=2", "--data-root", place, "--results", place / results]
    child(words, threads)
    (path,) = (place / results / "runs").glob("*/result.json")
    return json.loads(path.read_text())


def test_two_processes_train_to_the_same_bits_and_note_their_threads(place):
    first, again = (trained(place, 2, name) for name in ("first", "again"))
    assert first["environment"]["threads"] == again["environment"]["threads"] == 2
    for part in ("metrics", "intervals", "end"):
        assert first[part] == again[part], part
    losses = [[row["loss"] for row in one["curve"]] for one in (first, again)]
    assert losses[0] == losses[1]


def test_another_number_of_threads_trains_to_nearly_the_same(place):
    one, two = (trained(place, threads, f"threads{threads}") for threads in (1, 2))
    losses = [[row["loss"] for row in each["curve"]] for each in (one, two)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
