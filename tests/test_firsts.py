"""A recall that is counted is the recall of a deep ranking, to the last bit, ties among it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dml_bench import answering, codes, levels
from dml_bench.codes import Codes
from dml_bench.errors import MetricError
from dml_bench.firsts import firsts
from dml_bench.metrics import recall_at_k
from dml_bench.neighbours import most, rank
from dml_bench.scoring import report, tied
from dml_bench.ties import may_decide, recall_ties
from dml_bench.types import Embeddings


@st.composite
def sides(draw, most_rows=24):
    """A query and a gallery of few codes, duplicates and near-duplicates; perhaps one object."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dim, noise = draw(st.sampled_from([1, 2, 17])), draw(st.sampled_from([0.0, 1e-8, 1e-6, 0.3]))
    kept = rng.choice([-1.0, 0.5, 1.0], size=(draw(st.integers(1, 5)), dim))

    def side(begin=0):
        rows = kept[rng.integers(0, len(kept), draw(st.integers(2, most_rows)))]
        rows = rows + noise * rng.normal(size=rows.shape)
        ids = begin + rng.permutation(len(rows)) if draw(st.booleans()) else None
        return Embeddings(rows, rng.integers(0, draw(st.integers(1, 6)), len(rows)), ids)

    query = side()
    return query, query if draw(st.booleans()) else side(most_rows)


@settings(max_examples=300, deadline=None)
@given(sides(), st.data())
def test_the_first_right_item_stands_where_the_whole_ranking_has_it(both, data):
    query, gallery = both
    deep = rank(query, gallery, len(gallery) - (query is gallery))
    shallow = rank(query, gallery, data.draw(st.integers(1, deep.depth)))
    found = firsts(query, gallery, shallow)
    expected = np.where(deep.hits.any(axis=1), deep.hits.argmax(axis=1) + 1, 0)
    assert found.places.tolist() == expected.tolist()


@settings(max_examples=300, deadline=None)
@given(sides(), st.data())
def test_recalls_and_ties_beyond_the_ranking_are_those_of_a_deep_one(both, data):
    query, gallery = both
    deep = rank(query, gallery, len(gallery) - (query is gallery))
    if not deep.n_relevant.any():
        return
    shallow = rank(query, gallery, data.draw(st.integers(1, deep.depth)))
    shallow = replace(shallow, firsts=firsts(query, gallery, shallow))
    for k in range(1, deep.depth + 2):
        assert recall_at_k(shallow, k) == recall_at_k(deep, k)
        ours, theirs = (recall_ties(query, gallery, one, k) for one in (shallow, deep))
        assert ours == theirs
        assert may_decide(shallow, k) or not theirs.mass
    names = [f"recall@{k}" for k in range(1, deep.depth + 2)]
    assert tied(query, gallery, shallow, names) == tied(query, gallery, deep, names)


def test_a_report_is_the_same_however_deep_it_ranks(monkeypatch):
    rng = np.random.default_rng(4)
    rows = np.round(rng.normal(size=(400, 3)) * 2) + 0.5
    items = Embeddings(rows, rng.integers(0, 90, 400), rng.permutation(400))
    names = ["recall@1", "recall@3", "recall@40", "recall@90", "recall@399", "map@r"]
    monkeypatch.setattr(answering, "RANKED", 400)
    deep = report(items, items, names)
    monkeypatch.setattr(answering, "RANKED", 2)
    monkeypatch.setattr(answering, "rank", lambda *a, **kw: ranks.append(a[2]) or rank(*a, **kw))
    ranks: list[int] = []
    assert report(items, items, names) == deep
    assert ranks[0] < 20  # as deep as R
    assert {"recall@3", "recall@40"} <= set(deep["ties"])


def test_a_recall_alone_is_ranked_no_deeper_than_it_pays():
    items = Embeddings(np.random.default_rng(0).normal(size=(500, 8)), np.arange(500) // 2)
    _, ranking, each = answering.answered(items, items, ["recall@400"])
    assert ranking.depth == answering.RANKED
    deep = rank(items, items, 400)
    assert np.array_equal(each["recall@400"].values, deep.hits.any(axis=1))


def test_the_number_of_blocks_changes_no_place():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(3000, 16))
    rows[::3] = rows[0]
    items = Embeddings(rows, rng.integers(0, 300, 3000))
    ranking = rank(items, items, 1)
    one, other = (firsts(items, items, ranking, room=room) for room in (1 << 28, 1 << 16))
    for name in ("places", "above", "level", "right"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    assert one.places.max() > 200


@settings(max_examples=60, deadline=None)
@given(sides())
def test_products_of_an_accelerator_count_the_same(both):
    """The way of torch is taken for any device but "cpu"; here it is the processor by a number."""
    query, gallery = both
    ranking = rank(query, gallery, 1)
    plain, other = (firsts(query, gallery, ranking, device=d) for d in ("cpu", "cpu:0"))
    for name in ("places", "above", "level", "right"):
        assert np.array_equal(getattr(plain, name), getattr(other, name))


def test_without_places_a_recall_beyond_the_ranking_is_refused():
    items = Embeddings(np.eye(4), np.array([1, 1, 2, 2]))
    with pytest.raises(MetricError, match=r"recall@2 needs 2 neighbours, the ranking has 1"):
        recall_at_k(rank(items, items, 1), 2)
    with pytest.raises(MetricError, match="expected a ranking 3 deep"):
        may_decide(rank(items, items, 1), 2)
    assert most(rank(items, items, 1)) == 3


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_codes_are_the_different_rows_whatever_the_marks_say(seed, worst):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 3, (rng.integers(1, 40), 2)).astype(np.float32)
    real = codes._marks
    codes._marks = (lambda rows: np.zeros(len(rows), np.int64)) if worst else real
    try:
        found = Codes(rows)
    finally:
        codes._marks = real
    assert np.array_equal(rows[found.first][found.which], rows)
    assert np.array_equal(found.block(slice(0, len(found))), rows[found.first])
    assert found.many.tolist() == np.bincount(found.which).tolist()
    if not worst:
        assert len(found) == len(np.unique(rows, axis=0))


def test_rows_that_nearly_agree_are_counted_in_float64_to_the_bit():
    rng = np.random.default_rng(2)
    rows = Embeddings(1 + 1e-7 * rng.normal(size=(200, 24)), np.zeros(200, int)).vectors
    at = levels.cosines(rows, np.roll(rows, 7, axis=0))
    found = levels.Counting(rows).stand(rows, at, np.arange(200))
    every = np.array([levels.cosines(np.broadcast_to(one, rows.shape), rows) for one in rows])
    assert np.array_equal(found.above, (every > at[:, None]).sum(axis=1))
    assert np.array_equal(found.level, (every == at[:, None]).sum(axis=1))
    earlier = (every == at[:, None]) & (np.arange(200) < np.arange(200)[:, None])
    assert np.array_equal(found.earlier, earlier.sum(axis=1))
    assert found.earlier.any()
