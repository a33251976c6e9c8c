"""An approximate search says how nearly it finds the exact answer, and its number stays apart."""

import json

import numpy as np
import pytest
from worlds import together

from dml_bench import approximate, products
from dml_bench.cli import main
from dml_bench.errors import MetricError
from dml_bench.neighbours import rank
from dml_bench.products import InvertedLists
from dml_bench.scoring import report, score
from dml_bench.search import Search
from dml_bench.types import Embeddings


def blobs(size=4000, each=8, dim=16, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(size) // each
    rows = rng.normal(size=(size // each, dim))[labels] + 0.5 * rng.normal(size=(size, dim))
    return Embeddings(rows, labels, rng.permutation(size))


@pytest.fixture
def small(monkeypatch):
    """Galleries of 1,000 are large here, and 300 queries are a sample."""
    monkeypatch.setattr(approximate, "LEAST", 1000)
    monkeypatch.setattr(approximate, "SAMPLE", 300)


@pytest.mark.parametrize("apart", [False, True])
def test_what_it_says_of_itself_is_what_the_exact_search_says_of_it(small, apart, monkeypatch):
    monkeypatch.setattr(approximate, "SAMPLE", 4000)  # all of them
    gallery = blobs()
    query = Embeddings(gallery.vectors[::3], gallery.labels[::3]) if apart else gallery
    found, exact = approximate.rank(query, gallery, 20), rank(query, gallery, 20)
    for k in (1, 10, 20):
        pairs = zip(found.ids[:, :k].tolist(), exact.ids[:, :k].tolist(), strict=True)
        share = sum(len(set(a) & set(b)) for a, b in pairs) / (k * len(query))
        assert found.index[f"recall_of_exact@{k}"] == pytest.approx(share)
    assert found.index["sample"] == len(query)
    assert 0.9 < share <= 1
    assert apart or (found.ids != np.arange(len(query))[:, None]).all()


@pytest.mark.parametrize("world", [2, 3])
def test_processes_that_search_a_part_of_the_queries_each_find_what_one_does(
    small, world, monkeypatch
):
    items, asked = blobs(), []
    nearest = Search.nearest

    def counted(self, query, *args, **kwargs):
        asked.append(len(query))
        return nearest(self, query, *args, **kwargs)

    monkeypatch.setattr(Search, "nearest", counted)
    for side in (items, Embeddings(items.vectors[:1500], items.labels[:1500])):
        asked.clear()
        one = approximate.rank(side, items, 7)
        alone = sum(asked)
        for found in together(
            monkeypatch, world, lambda side=side: approximate.rank(side, items, 7)
        ):
            assert found.ids.tobytes() == one.ids.tobytes()
            assert found.scores.tobytes() == one.scores.tobytes()
            assert found.index == one.index
        assert sum(asked) == 2 * alone  # all of them together searched as often as one


@pytest.mark.parametrize("world", [2, 5])
def test_lists_that_processes_sort_together_are_those_of_one(world, monkeypatch):
    rows = blobs().vectors
    monkeypatch.setattr(products, "COPIED", 600 * rows.shape[1])  # several steps
    searched = []
    one = InvertedLists(rows, 0).best(rows[:500], 9)
    middle = InvertedLists._centres
    monkeypatch.setattr(
        InvertedLists, "_centres", lambda *given: searched.append(1) or middle(*given)
    )
    for each in together(monkeypatch, world, lambda: InvertedLists(rows, 0).best(rows[:500], 9)):
        assert all(np.array_equal(*pair) for pair in zip(each, one, strict=True))
    assert searched == [1]


def test_what_is_found_is_scored_and_ordered_exactly(small):
    items = blobs()
    found, exact = approximate.rank(items, items, 5), rank(items, items, 5)
    same = (found.ids == exact.ids).all(axis=1)
    assert same.mean() > 0.9
    assert found.scores[same].tobytes() == exact.scores[same].tobytes()
    assert (np.diff(found.scores, axis=1) <= 0).all()


def test_lists_are_added_until_enough_is_found_but_never_most_of_them(small, monkeypatch):
    rng = np.random.default_rng(0)
    noise = Embeddings(rng.normal(size=(20_000, 32)), np.arange(20_000) // 2)
    few = approximate.rank(noise, noise, 10).index
    assert few["nprobe"] > 8
    assert few["nprobe"] < few["nlist"] / 4
    assert few["recall_of_exact@10"] < 0.99  # noise has no lists; it says so
    monkeypatch.setattr(approximate, "WANTED", 0.1)
    assert approximate.rank(noise, noise, 10).index["nprobe"] == 8


def test_a_query_whose_lists_hold_too_few_is_answered_all_the_same(small):
    rng = np.random.default_rng(1)
    far = np.eye(8)[0] * 10 + 0.01 * rng.normal(size=(3, 8))
    rows = np.concatenate([rng.normal(size=(3000, 8)) - 5 * np.eye(8)[0], far])
    items = Embeddings(rows, np.arange(3003) // 3)
    lists = InvertedLists(items.vectors, 0)
    lists.probes = 1
    ids, scores = Search(items.vectors).of(lists).nearest(items.vectors, 400, np.arange(3003))
    assert np.isfinite(scores).all()
    assert all(len(set(row)) == 400 for row in ids.tolist())


def test_a_small_gallery_is_refused():
    with pytest.raises(MetricError, match="gallery of 50,000 images at least, found 4,000"):
        score(blobs().vectors, blobs().labels, index="ivf")
    with pytest.raises(MetricError, match="expected index exact or ivf, found 'hnsw'"):
        score(blobs().vectors, blobs().labels, index="hnsw")


def test_a_report_carries_the_index_and_no_ties(small):
    items, names = blobs(), ["recall@1", "recall@20", "map@r"]
    found = report(items, items, names, index="ivf")
    assert "ties" not in found
    assert found["index"]["kind"] == "ivf"
    assert 0.9 < found["index"]["recall_of_exact@20"] <= 1
    exact = report(items, items, names)
    assert "index" not in exact
    for name in names:
        assert found["metrics"][name] == pytest.approx(exact["metrics"][name], abs=0.02)


def test_memory_counts_the_copy_that_the_lists_hold(small):
    items = blobs()
    rank(items, items, 5, memory=70 << 20)
    with pytest.raises(MetricError, match="memory: expected"):
        approximate.rank(items, items, 5, memory=65 << 20)


def test_the_command_marks_what_is_approximate_and_keeps_it_apart(small, tmp_path, capsys):
    items = blobs()
    np.savez(tmp_path / "mine.npz", vectors=items.vectors, labels=items.labels)
    words = ["evaluate", "--embeddings", str(tmp_path / "mine.npz"), "--metrics", "recall@1"]
    words += ["--results", str(tmp_path), "--format", "table,json"]
    assert main(words) == 0
    exact = capsys.readouterr()
    assert main([*words, "--index", "ivf"]) == 0
    found = capsys.readouterr()
    assert "mine.npz (ivf)" in found.out
    assert "(ivf)" not in exact.out
    assert "index ivf: approximate: of 300 queries' exact neighbours it finds" in found.err
    written = {path.stem for path in (tmp_path / "evaluations").glob("*.json")}
    assert len(written) == 2
    (name,) = (stem for stem in written if stem.endswith("-ivf"))
    text = (tmp_path / "evaluations" / f"{name}.json").read_text()
    assert json.loads(text)["index"]["sample"] == 300
    assert "(ivf)" in (tmp_path / "evaluations" / f"{name}.csv").read_text()


def test_tables_of_runs_are_never_approximate(capsys):
    assert main(["evaluate", "--dataset", "glyphs", "--index", "ivf"]) == 2
    said = capsys.readouterr().err
    assert "--index ivf: expected it with --embeddings only (tables of runs are exact)" in said
