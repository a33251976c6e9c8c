"""Several processes that share a gallery find what one process finds, to the last bit."""

import os
import subprocess
import sys
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from torchruns import meeting
from worlds import together

from dml_bench import answering, sharded
from dml_bench.errors import MetricError
from dml_bench.neighbours import rank, searching_room
from dml_bench.types import Embeddings

CHILD = """
import sys
import numpy as np
import test_sharded
from dml_bench import dist

dist.join()
dist.begin("cpu")
np.savez(sys.argv[1], **test_sharded.answers(int(sys.argv[2])))
dist.end()
"""


def sides(kind):
    """Leave one out with ties and ids; a gallery apart; galleries of a row or two for each."""
    rng = np.random.default_rng(kind)
    rows = rng.normal(size=(700, 12))
    rows[200:260] = rows[0]
    rows[260:300] = rows[1] + 1e-7 * rng.normal(size=(40, 12))
    labels = rng.integers(0, 60, 700)
    if kind == 0:
        items = Embeddings(rows, labels, rng.permutation(700))
        return items, items
    size = {1: 500, 2: 1, 3: 3}[kind]
    return Embeddings(rows[:200], labels[:200] % 2), Embeddings(rows[-size:], labels[-size:] % 2)


def answers(kind):
    """All that an evaluation finds, as arrays."""
    query, gallery = sides(kind)
    names = ["recall@1", "recall@2", "recall@300", "r_precision", "nmi"]
    values, ranking, _ = answering.answered(query, gallery, names)
    firsts = vars(ranking.firsts) if ranking.firsts else {}
    return {"ids": ranking.ids, "scores": ranking.scores, **firsts, "values": [*values.values()]}


@pytest.mark.parametrize("kind", range(4))
def test_two_processes_find_what_one_does_to_the_last_bit(kind, tmp_path):
    path = os.pathsep.join(sys.path)
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path / f"{n}.npz"), str(kind)],
            env={**environment, "PYTHONPATH": path},
        )
        for n, environment in enumerate(meeting())
    ]
    assert [child.wait(timeout=120) for child in children] == [0, 0]
    expected = {name: np.asarray(values) for name, values in answers(kind).items()}
    for n in range(2):
        with np.load(tmp_path / f"{n}.npz") as found:
            assert set(found.files) == set(expected)
            for name, values in expected.items():
                assert found[name].tobytes() == values.tobytes(), name
                assert found[name].dtype == values.dtype


@pytest.mark.parametrize("world", [2, 5])
@pytest.mark.parametrize("kind", range(4))
def test_any_number_of_processes_finds_what_one_does(kind, world, monkeypatch):
    query, gallery = sides(kind)
    monkeypatch.setattr(sharded, "EXCHANGED", 1 << 16)  # several rounds, the last of a few
    for k in {1, min(7, len(gallery)), len(gallery) - (query is gallery)}:
        one = rank(query, gallery, k)
        for found in together(monkeypatch, world, lambda k=k: sharded.rank(query, gallery, k)):
            assert found.ids.tobytes() == one.ids.tobytes()
            assert found.scores.tobytes() == one.scores.tobytes()


@pytest.mark.parametrize("world", [2, 6])
def test_each_process_keeps_within_its_memory_however_many_they_are(world, monkeypatch):
    draw = np.random.default_rng(0)
    items = Embeddings(draw.normal(size=(3600, 8)), np.arange(3600) // 2)
    memory, k = 120 << 20, 550
    together(monkeypatch, world, lambda: sharded.rank(items, items, 5))  # what is imported once
    tracemalloc.start()
    together(monkeypatch, world, lambda: sharded.rank(items, items, k, memory=memory))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < world * memory


def test_what_is_exchanged_counts_as_memory_that_is_taken(monkeypatch):
    items, _ = sides(0)
    enough = searching_least(items, 5)
    rank(items, items, 5, memory=enough)
    with pytest.raises(MetricError, match="memory: expected"):
        sharded.rank(items, items, 5, memory=enough)
    sharded.rank(items, items, 5, memory=enough + sharded.EXCHANGED)


def searching_least(items, k):
    """The least bytes that one process searches in."""
    taken = 0
    while True:
        taken += 1 << 20
        with suppress(MetricError):
            searching_room(items, items, k, taken)
            return taken


@pytest.mark.parametrize("k", [1, 9, 100])
def test_one_share_is_the_search_itself(k):
    for kind in (0, 1):
        query, gallery = sides(kind)
        one, other = rank(query, gallery, k), sharded.rank(query, gallery, k)
        assert one.ids.tobytes() == other.ids.tobytes()
        assert one.scores.tobytes() == other.scores.tobytes()


def test_blocks_change_no_bit(monkeypatch):
    query, gallery = sides(0)
    expected = sharded.rank(query, gallery, 5).ids
    monkeypatch.setattr(sharded, "EXCHANGED", 10_000)
    assert np.array_equal(sharded.rank(query, gallery, 5).ids, expected)


def test_more_neighbours_than_there_are_is_refused():
    query, gallery = sides(3)
    with pytest.raises(MetricError, match="from 1 to 3 neighbours"):
        sharded.rank(query, gallery, 4)
