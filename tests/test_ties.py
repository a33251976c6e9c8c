"""What ties could make of Recall@K: every order of equal scores tried, against the formula."""

import csv
import json
import math
from dataclasses import asdict
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dml_bench import levels as levels_module
from dml_bench.cli import main
from dml_bench.errors import MetricError
from dml_bench.levels import cosines, levels
from dml_bench.metrics import recall_at_k
from dml_bench.neighbours import rank
from dml_bench.scoring import score
from dml_bench.ties import RecallTies, broken, recall_ties
from dml_bench.types import Embeddings


def summed(first, second):
    """An inner product in float64, one dimension after the other."""
    total = 0.0
    for a, b in zip(
        first.astype(np.float64).tolist(), second.astype(np.float64).tolist(), strict=True
    ):
        total += a * b
    return total


def in_every_order(query, gallery, k):
    """Against, expected and for, from all orders in which equal scores could stand."""
    found = []
    for q, asked in enumerate(query.vectors):
        others = [g for g in range(len(gallery)) if not (query is gallery and g == q)]
        scores = {g: summed(asked, gallery.vectors[g]) for g in others}
        right = {g: gallery.labels[g] == query.labels[q] for g in others}
        if any(right.values()):
            orders = [sorted(order, key=lambda g: -scores[g]) for order in permutations(others)]
            found.append([any(right[g] for g in order[:k]) for order in orders])
    assume(found)
    answers = [(min(one), Fraction(sum(one), len(one)), max(one)) for one in found]
    return [float(Fraction(sum(side)) / len(found)) for side in zip(*answers, strict=True)]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_ties_broken_for_against_and_at_random_are_what_all_orders_give(data):
    dim, alone = data.draw(st.integers(1, 3)), data.draw(st.booleans())
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))

    def side():
        size, codes = data.draw(st.integers(2, 6)), data.draw(st.integers(1, 4))
        rows = rng.choice([-1.0, 1.0], size=(codes, dim))[rng.integers(0, codes, size)]
        return Embeddings(rows, rng.integers(0, 3, size))

    query = side()
    gallery = query if alone else side()
    k = data.draw(st.integers(1, 5))
    there = len(gallery) - alone
    expected = in_every_order(query, gallery, k)
    found = recall_ties(query, gallery, rank(query, gallery, min(k + 1, there)), k)
    assert [found.against, found.expected, found.in_favour] == pytest.approx(expected, abs=1e-12)
    assert found.mass == pytest.approx(found.in_favour - found.against, abs=1e-12)
    assert found.mass <= found.tied


def test_the_formula_is_exact_where_a_tie_is_large():
    missed = Fraction(math.comb(39_000, 1000), math.comb(40_000, 1000))
    against, expected, in_favour = broken(1000, 0, 40_000, 0, 1000)
    assert (against, in_favour) == (0.0, 1.0)
    assert expected == float(1 - missed)


def test_a_network_that_has_collapsed_is_all_tie():
    labels = np.repeat(np.arange(10), 5)
    items = Embeddings(np.ones((50, 8)), labels)
    found = recall_ties(items, items, rank(items, items, 2), 1)
    assert found == RecallTies(1.0, 1.0, 0.0, pytest.approx(4 / 49), 1.0)


def test_a_tie_whose_end_lies_far_beyond_the_ranking_is_counted_to_its_end():
    labels = np.concatenate([[0], np.ones(2999, int), [0]])
    items = Embeddings(np.ones((3001, 2)), labels)
    found = recall_ties(items, items, rank(items, items, 3), 2)
    rare, common = Fraction(2, 3000), 1 - Fraction(2, 3000) * Fraction(1, 2999)
    assert found.expected == pytest.approx(float((2 * rare + 2999 * common) / 3001), abs=1e-12)
    assert (found.against, found.in_favour) == (0.0, 1.0)


@pytest.mark.parametrize("gap", [0.0, 1e-9])
def test_scores_that_only_float32_calls_equal_are_no_tie(gap):
    """The two neighbours of the query are equal in float32; in float64 only if the gap is 0."""
    query = Embeddings(np.array([[1.0, gap, 0.0]]), np.array([1]))
    gallery = Embeddings(np.array([[0.6, 0.8, 0.0], [0.6, 0.0, 0.8]]), np.array([1, 2]))
    ranking = rank(query, gallery, 2)
    assert ranking.scores[0, 0] == ranking.scores[0, 1]
    found = recall_ties(query, gallery, ranking, 1)
    assert (found.tied, found.mass) == ((1.0, 1.0) if gap == 0 else (0.0, 0.0))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_levels_are_what_slow_loops_count(data):
    dim = data.draw(st.sampled_from([1, 2, 17, 130]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    noise = rng.choice([0, 1e-7, 1.0])
    codes = rng.choice([-1.0, 0.0, 0.5, 1.0], size=(4, dim)) + noise * rng.normal(size=(4, dim))
    codes[~codes.any(axis=1)] = 1.0
    rows = Embeddings(codes[rng.integers(0, 4, 12)], np.zeros(12, int)).vectors
    asked = Embeddings(codes[rng.integers(0, 4, 5)], np.zeros(5, int)).vectors
    at = np.array([summed(one, rows[rng.integers(0, 12)]) for one in asked])
    above, level = levels(asked, rows, at)
    every = [[summed(one, row) for row in rows] for one in asked]
    assert above.tolist() == [sum(s > t for s in line) for line, t in zip(every, at, strict=True)]
    assert level.tolist() == [sum(s == t for s in line) for line, t in zip(every, at, strict=True)]


def test_blocks_change_no_count(monkeypatch):
    rng = np.random.default_rng(0)
    rows = Embeddings(rng.choice([-1.0, 1.0], size=(300, 6)), np.zeros(300, int)).vectors
    at = cosines(rows, np.roll(rows, 1, axis=0))
    whole = levels(rows, rows, at)
    monkeypatch.setattr(levels_module, "BLOCK", 50)
    for one, other in zip(whole, levels(rows, rows, at), strict=True):
        assert np.array_equal(one, other)
    assert whole[1].min() > 1


def test_cosines_are_the_scores_of_the_search_to_the_last_bit():
    rng = np.random.default_rng(0)
    items = Embeddings(rng.normal(size=(200, 33)), np.zeros(200, int))
    found = rank(items, items, 5)
    ours = cosines(np.repeat(items.vectors, 5, axis=0), items.vectors[found.ids.reshape(-1)])
    assert ours.astype(np.float32).tobytes() == found.scores.tobytes()


def test_a_ranking_that_ends_at_the_place_is_refused_with_the_depth_it_needs():
    items = Embeddings(np.eye(4), np.array([1, 1, 2, 2]))
    with pytest.raises(MetricError, match="expected a ranking 3 deep to see whether place 2"):
        recall_ties(items, items, rank(items, items, 2), 2)
    assert recall_ties(items, items, rank(items, items, 3), 3).mass == 0


def test_a_score_says_what_ties_could_make_of_it_and_nothing_where_they_could_not():
    assert score(np.random.default_rng(0).normal(size=(20, 4)), np.arange(20) // 2)["ties"] == {}
    found = score(np.ones((6, 2)), [1, 1, 1, 2, 2, 2], k=[1, 5])
    assert list(found["ties"]) == ["recall@1"]
    assert found["ties"]["recall@1"] == pytest.approx(
        {"tied": 1.0, "mass": 1.0, "against": 0.0, "expected": 2 / 5, "in_favour": 1.0}
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_recall_that_is_told_lies_between_its_ties(seed):
    rng = np.random.default_rng(seed)
    items = Embeddings(rng.choice([-1.0, 1.0], size=(200, 5)), rng.integers(0, 20, 200))
    ranking = rank(items, items, 9)
    for k in (1, 2, 4, 8):
        found = recall_ties(items, items, ranking, k)
        assert found.against < found.expected < found.in_favour
        assert found.against <= recall_at_k(ranking, k) <= found.in_favour
        assert all(0 <= value <= 1 for value in asdict(found).values())


def test_evaluate_warns_of_ties_in_a_line_and_writes_them_to_its_json(tmp_path, capsys):
    np.savez(tmp_path / "same.npz", vectors=np.ones((6, 2)), labels=[1, 1, 1, 2, 2, 2])
    command = ["evaluate", "--embeddings", str(tmp_path / "same.npz"), "--k", "1", "5"]
    assert main([*command, "--results", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["ties"]["recall@1"]["expected"] == pytest.approx(2 / 5)
    warned = [line for line in shown.err.splitlines() if line.startswith("ties:")]
    assert warned == [
        "ties: equal scores decide 100.00 % of the queries of recall@1: from 0.00 (broken against)"
        " to 100.00 (for), 40.00 expected"
    ]


def test_queries_without_an_answer_are_shown_beside_a_files_metrics(tmp_path, capsys):
    file = tmp_path / "lone.npz"
    np.savez(file, vectors=np.eye(5), labels=[0, 0, 1, 2, 3])
    command = ["evaluate", "--embeddings", str(file), "--metrics", "recall@1", "--format", "csv"]
    assert main([*command, "--results", str(tmp_path)]) == 0
    table = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert table[0]["unanswerable"] == "3"
    [page] = (tmp_path / "evaluations").glob("*.md")
    assert "| unanswerable |" in page.read_text()
    np.savez(file, vectors=np.eye(4), labels=[0, 0, 1, 1])
    assert main([*command, "--results", str(tmp_path)]) == 0
    assert "unanswerable" not in capsys.readouterr().out
