"""A cap on memory is kept, and changes no bit; what it cannot be kept with is refused."""

import json
import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from dml_bench import answering, memory, scoring
from dml_bench.cli import main
from dml_bench.clusters import kmeans
from dml_bench.errors import MetricError
from dml_bench.memory import mapped, resident, size_of
from dml_bench.neighbours import rank
from dml_bench.types import Embeddings

CHILD = """
import hashlib, json, sys
import numpy as np
from dml_bench import clusters, scoring
from dml_bench.memory import size_of
from dml_bench.types import Embeddings

def now():
    lines = open("/proc/self/status").read().splitlines()
    found = dict(line.split(":") for line in lines if line.startswith(("VmHWM", "VmRSS")))
    return {name: int(size.split()[0]) << 10 for name, size in found.items()}

draw = np.random.default_rng(0)
few = draw.standard_normal((1000, 64), dtype=np.float32)
scoring.score(few, np.arange(1000) // 2, k=(1, 1000))  # what is loaded once is loaded now
before = now()["VmRSS"]
rows = draw.standard_normal((200_000, 64), dtype=np.float32)
rows /= np.sqrt(np.einsum("nd,nd->n", rows, rows))[:, None]
labels = draw.integers(0, 20_000, 200_000)
items = Embeddings(rows, labels)
query = Embeddings(rows[:1000] + 0.2 * draw.standard_normal((1000, 64)), labels[:1000])
open("/proc/self/clear_refs", "w").write("5")
cap = None if sys.argv[1] == "none" else size_of(sys.argv[1])
names = ["recall@1", "recall@10", "recall@1000", "map@r"]
found = scoring.report(query, items, names, memory=cap)
made = clusters.kmeans(items, 40, seeds=[0], iterations=2, memory=cap)
digest = hashlib.sha256(made.assignments.tobytes()).hexdigest()
print(json.dumps([now()["VmHWM"] - before, found, digest]))
"""


def child(cap):
    done = subprocess.run(
        [sys.executable, "-c", CHILD, cap],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="memory is read from /proc")
def test_200_000_vectors_are_searched_and_clustered_within_the_cap_to_the_same_bits():
    asked = {"180MB": 180 << 20, "400MB": 400 << 20, "none": 1 << 40}
    found = {cap: child(cap) for cap in asked}
    for cap, (grown, *_) in found.items():
        assert grown < asked[cap], cap
    assert found["180MB"][1:] == found["400MB"][1:] == found["none"][1:]
    assert 0 < found["none"][1]["metrics"]["recall@10"] < found["none"][1]["metrics"]["recall@1000"]


@pytest.mark.parametrize("room", [1 << 16, 29 << 20])
def test_the_room_to_work_in_changes_no_bit(room, monkeypatch):
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(350, 24)), np.ones((50, 24))])
    items = Embeddings(rows, rng.integers(0, 90, 400), rng.permutation(400))
    names = ["recall@1", "recall@200", "map@r"]
    expected = scoring.report(items, items, names)
    parts = kmeans(items, 30, seeds=[0], iterations=3).assignments
    monkeypatch.setattr(memory, "ROOM", room)
    for part in ("neighbours", "clusters"):
        monkeypatch.setattr(f"dml_bench.{part}.LEAST", 0)
    assert scoring.report(items, items, names) == expected
    found = kmeans(items, 30, seeds=[0], iterations=3).assignments
    assert found.tobytes() == parts.tobytes()


def test_a_cap_that_is_too_small_for_a_block_is_refused_with_the_least_that_would_do():
    items = Embeddings(np.random.default_rng(0).normal(size=(2000, 8)), np.arange(2000) // 2)
    with pytest.raises(MetricError, match=r"memory: expected (\d+) MB at least for 2000 queries"):
        rank(items, items, 10, memory=1 << 20)
    with pytest.raises(MetricError, match="for 50 clusters of 2000 images, found 2 MB; give it"):
        kmeans(items, 50, memory=2 << 20)
    with pytest.raises(MetricError, match=r"memory: expected (\d+) MB") as refused:
        scoring.report(items, items, ["recall@1", "nmi"], memory="3MB")
    least = str(refused.value).split("expected ")[1].split(" at")[0]
    assert scoring.report(items, items, ["recall@1"], memory=least)["metrics"]


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GB", 4 << 30), ("1.5 gib", 3 << 29), ("512m", 512 << 20), ("7", 7), (100, 100)],
)
def test_sizes_are_read_as_people_write_them(text, size):
    assert size_of(text) == size


@pytest.mark.parametrize(
    "text", ["", "GB", "4XB", "-1GB", "0", "1e9", "4 G B", "nan", "٤GB", "4.GB"]
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(MetricError, match="memory: expected a size such as 4GB or 512MB, found"):
        size_of(text)


def test_vectors_in_memory_count_once_and_those_in_a_file_do_not(tmp_path):
    np.save(tmp_path / "rows.npy", np.eye(8, dtype=np.float32))
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    held, kept = Embeddings(np.eye(8), np.arange(8)), Embeddings(rows, np.arange(8))
    assert mapped(kept.vectors)
    assert resident(kept) == 64
    assert resident(held, held) == resident(held) == 8 * 8 * 4 + 64


def test_vectors_that_are_queries_and_gallery_are_counted_once_for_search_and_clusters(monkeypatch):
    monkeypatch.setattr(answering, "kmeans", partial(kmeans, seeds=[0], iterations=1))
    rows = np.random.default_rng(0).normal(size=(8000, 1024)).astype(np.float32)
    items = Embeddings(rows, np.arange(8000) % 3)  # 31 MB
    names = ["recall@1", "nmi"]
    assert len(scoring.report(items, items, names, memory="110MB")["metrics"]) == 2
    with pytest.raises(MetricError, match="memory: expected"):
        scoring.report(items, items, names, memory="90MB")


def test_the_command_keeps_to_it_and_says_what_it_needs(tmp_path, capsys):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "mine.npz", vectors=rng.normal(size=(60, 5)), labels=np.arange(60) // 6)
    words = ["evaluate", "--embeddings", str(tmp_path / "mine.npz"), "--results", str(tmp_path)]
    assert main(words) == 0
    free = json.loads(capsys.readouterr().out)
    assert main([*words, "--memory", "1GB"]) == 0
    assert json.loads(capsys.readouterr().out) == free
    assert main([*words, "--memory", "1MB"]) == 2
    said = capsys.readouterr().err
    assert "memory: expected 65 MB at least for 60 queries in 60 images" in said
    assert said.count("\n") == 1
    assert main([*words, "--memory", "much"]) == 2
    assert "expected a size such as 4GB" in capsys.readouterr().err
