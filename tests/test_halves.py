"""Products in bfloat16 choose candidates, and no bit of an answer: those left out are worse."""

import faiss
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dml_bench import halves, search
from dml_bench.clusters import kmeans
from dml_bench.halves import GROUP, Found, Halves, able
from dml_bench.neighbours import rank
from dml_bench.search import Search
from dml_bench.types import Embeddings

needs_bf16 = pytest.mark.skipif(not able(), reason="this processor has no instructions for it")


@pytest.fixture
def forced(monkeypatch):
    """Halves for any search that is deep enough; what they were asked, and who was unsure."""
    seen = []
    real = Halves.best

    def best(self, query, k, most):
        found = real(self, query, k, most)
        seen.append(float(np.isinf(found[0]).mean()))
        return found

    monkeypatch.setattr(search, "WORTH", 0)
    monkeypatch.setattr(search, "able", lambda: True)
    monkeypatch.setattr(Halves, "best", best)
    return seen


def rows_of(kind, size=1500, dim=24):
    rng = np.random.default_rng(7)
    classes = rng.normal(size=(size // 5, dim))[np.arange(size) // 5]
    return {
        "classes": classes + 0.4 * rng.normal(size=(size, dim)),
        "codes": rng.normal(size=(200, dim))[rng.integers(0, 200, size)],
        "near": rng.normal(size=(1, dim)) + 1e-7 * rng.normal(size=(size, dim)),
        "line": rng.choice([-1.0, 1.0], size=(size, 1)),
        "opposed": np.concatenate([np.abs(rng.normal(size=(20, dim))), -np.ones((size - 20, dim))]),
    }[kind]


@needs_bf16
@pytest.mark.parametrize("blocks", [(1 << 23, 1 << 16), (20_000, 1 << 16), (1 << 23, 800)])
@pytest.mark.parametrize("kind", ["classes", "codes", "near", "line", "opposed"])
def test_the_answer_is_that_of_float32_to_the_last_bit(kind, blocks, forced, monkeypatch):
    rows = rows_of(kind)
    items = Embeddings(rows, np.arange(len(rows)), np.random.default_rng(0).permutation(len(rows)))
    monkeypatch.setattr(search, "WORTH", 1 << 60)
    plain = rank(items, items, 4)
    assert not forced
    monkeypatch.setattr(search, "WORTH", 0)
    monkeypatch.setattr(halves, "NUMBERS", blocks[0])
    monkeypatch.setattr(halves, "PLACES", blocks[1])
    found = rank(items, items, 4)
    assert forced
    if kind == "classes":
        assert max(forced) < 0.05  # it is of use
    assert found.ids.tobytes() == plain.ids.tobytes()
    assert found.scores.tobytes() == plain.scores.tobytes()


@needs_bf16
def test_clusters_are_those_of_float32(forced, monkeypatch):
    rows = rows_of("classes", 2000)
    items = Embeddings(rows, np.arange(2000) // 5)
    found = kmeans(items, 500, seeds=[0, 1]).assignments
    assert forced
    assert np.mean(forced) < 0.1
    monkeypatch.setattr(search, "WORTH", 1 << 60)
    assert found.tobytes() == kmeans(items, 500, seeds=[0, 1]).assignments.tobytes()


@needs_bf16
def test_rows_of_any_length_are_searched(forced):
    rng = np.random.default_rng(1)
    rows = (rng.normal(size=(1200, 16)) * rng.uniform(0.1, 30, (1200, 1))).astype(np.float32)
    query = (100 * rng.normal(size=(50, 16))).astype(np.float32)
    places, scores = Search(rows).nearest(query, 5)
    assert forced
    exact = query.astype(np.float64) @ rows.T.astype(np.float64)
    assert np.array_equal(places, np.argsort(-exact, axis=1, kind="stable")[:, :5])
    assert scores == pytest.approx(-np.sort(-exact, axis=1)[:, :5])


def conspiring(side):
    """A row that is best, and seems worse than 100 others once numbers of one side are rounded."""
    down, up = 1 + 2.0**-8 - 2.0**-16, 1 + 2.0**-8 + 2.0**-16
    sign = np.repeat([1.0, -1.0], [36, 28])
    moved, none = np.repeat([down, up], [36, 28]), np.zeros(64)
    query, best = (np.ones(128), sign * moved) if side == "rows" else (np.r_[moved, none + 1], sign)
    rows = np.tile(np.r_[none, sign], (700, 1))
    rows[np.arange(700), 64 + np.arange(700) % 36] += 2.0**-7
    rows[:600] /= 2  # far from the best
    rows[300] = np.r_[best, none]
    return query[None].astype(np.float32), rows.astype(np.float32)


@needs_bf16
@pytest.mark.parametrize("side", ["rows", "query"])
def test_roundings_that_conspire_against_the_best_do_not_hide_it(side, forced):
    query, rows = conspiring(side)
    made = torch.from_numpy(query).bfloat16().float() @ torch.from_numpy(rows).bfloat16().float().T
    assert made[0, 300] < made[0, 600:].min()
    places, _ = Search(rows, margin=64).nearest(query, 1)
    assert forced
    assert places.tolist() == [[300]]


@needs_bf16
def test_the_number_of_threads_changes_no_bit(forced):
    rows = rows_of("classes")
    items = Embeddings(rows, np.arange(len(rows)))
    before, answers = faiss.omp_get_max_threads(), set()
    for threads in (1, 2, 5):
        faiss.omp_set_num_threads(threads)
        answers.add(rank(items, items, 7).ids.tobytes())
    faiss.omp_set_num_threads(before)
    assert len(answers) == 1


def bits(products):
    """(Q, G) products as the bits of bfloat16, laid out as groups."""
    half = torch.from_numpy(products.astype(np.float32)).bfloat16()
    return half.view(torch.int16).numpy().reshape(len(products), GROUP, -1)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.001, 0.02]), st.integers(1, 6))
def test_who_is_left_out_is_worse_whatever_a_product_is_wrong_by(seed, wrong, k):
    """No processor is asked: products are wrong by as much as they may be, whichever way."""
    rng = np.random.default_rng(seed)
    many = [GROUP * rng.integers(1, 9) for _ in range(rng.integers(1, 4))]
    kinds = rng.choice([0.3, 0.6, 1.0]) * rng.random((5, sum(many))) + rng.choice([-0.4, 0.0, 0.2])
    exact = np.round(kinds, rng.integers(1, 5))
    made = exact + wrong * rng.choice([-1, 1], exact.shape)
    found, part = Found(np.zeros(5), np.full(5, wrong), k, most=GROUP * 8), slice(0, 5)
    for start, size in zip(np.cumsum([0, *many[:-1]]), many, strict=True):
        found.add(part, bits(made[:, start : start + size]), int(start))
    near, bounds = found.rows([part]), found.bounds
    best = -np.sort(-exact, axis=1)[:, :k]
    for query in range(5):
        kept = near[query][near[query] >= 0]
        assert len(set(kept.tolist())) == len(kept)
        others = np.delete(exact[query], kept)
        if np.isfinite(bounds[query]):
            assert others.max(initial=-1) <= bounds[query]
            assert best[query, -1] >= bounds[query] - 1e-7
            assert np.sort(exact[query][kept])[-k:][::-1] == pytest.approx(best[query])
        else:
            assert not len(kept)


def test_a_query_with_too_many_candidates_is_unsure():
    found = Found(np.zeros(2), np.full(2, 0.01), k=1, most=20)
    table = np.full((2, GROUP * 4), 0.5)
    table[1, :-1] = 0.1
    found.add(slice(0, 2), bits(table), 0)
    assert np.isinf(found.bounds).tolist() == [True, False]
    assert found.rows([slice(0, 2)])[1].max() == GROUP * 4 - 1


def test_a_small_search_and_one_with_little_room_leave_bfloat16_alone(forced, monkeypatch):
    rows = Embeddings(rows_of("classes"), np.arange(1500)).vectors
    Search(rows, room=1 << 27).nearest(rows, 3)
    Search(rows).nearest(rows, 12)
    assert not forced
    monkeypatch.setattr(search, "WORTH", 1500 * 1500 + 1)
    Search(rows).nearest(rows, 3)
    assert not forced
