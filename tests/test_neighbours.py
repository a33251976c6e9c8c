"""The search is the definition: sort by (float64 cosine, id), the own image left out by its row."""

from functools import partial

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dml_bench import products, search
from dml_bench.errors import MetricError
from dml_bench.neighbours import by_id, rank
from dml_bench.products import OnDevice
from dml_bench.search import Search
from dml_bench.types import Embeddings

ON_DEVICE = partial(products._compared_there, device="cpu")


def by_definition(query, gallery, k, alone):
    """Slow loops in float64, summed in order of the dimensions."""
    names = range(len(gallery)) if gallery.ids is None else gallery.ids.tolist()
    rows = []
    for q, asked in enumerate(query.vectors.astype(np.float64).tolist()):
        scored = []
        for g, found in enumerate(gallery.vectors.astype(np.float64).tolist()):
            total = 0.0
            for a, b in zip(asked, found, strict=True):
                total += a * b
            if not (alone and g == q):
                scored.append((-total, names[g], g))
        rows.append(sorted(scored)[:k])
    ids = np.array([[g for _, _, g in row] for row in rows])
    return ids, np.array([[-s for s, _, _ in row] for row in rows]).astype(np.float32)


@st.composite
def vectors(draw, dim, most=24):
    """Few distinct codes, exact duplicates and near-duplicates, at any row."""
    codes = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows = rng.choice([-1.0, 0.5, 1.0], size=(codes, dim))
    picked = rows[rng.integers(0, codes, draw(st.integers(2, most)))]
    noise = draw(st.sampled_from([0.0, 1e-8, 1e-6, 0.3]))
    return picked + noise * rng.normal(size=picked.shape)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_agrees_with_brute_force_to_the_last_bit(data):
    dim = data.draw(st.sampled_from([1, 2, 3, 17]))
    dtype = data.draw(st.sampled_from([np.float16, np.float32, np.float64]))
    alone = data.draw(st.booleans())
    query = labelled(data.draw(vectors(dim)).astype(dtype), data.draw(st.booleans()))
    gallery = query if alone else labelled(data.draw(vectors(dim)).astype(dtype))
    k = data.draw(st.integers(1, len(gallery) - alone))
    found = rank(query, gallery, k)
    ids, scores = by_definition(query, gallery, k, alone)
    assert np.array_equal(found.ids, ids)
    assert found.scores.tobytes() == scores.tobytes()


def labelled(rows, named=False):
    ids = np.random.default_rng(1).permutation(len(rows)) if named else None
    return Embeddings(rows, np.zeros(len(rows), int), ids)


@pytest.mark.parametrize("kind", ["random", "codes", "near", "equal", "line"])
def test_narrow_candidates_are_widened_until_they_are_sure(kind, monkeypatch):
    monkeypatch.setattr(search, "WIDER", 3)
    rng = np.random.default_rng(3)
    rows = {
        "random": rng.normal(size=(300, 8)),
        "codes": rng.normal(size=(5, 8))[rng.integers(0, 5, 300)],
        "near": rng.normal(size=(1, 8)) + 1e-7 * rng.normal(size=(300, 8)),
        "equal": np.ones((300, 8)),
        "line": rng.choice([-1.0, 1.0], size=(300, 1)),
    }[kind]
    items = labelled(rows)
    order = Search(items.vectors, margin=1)
    places, scores = order.nearest(items.vectors, 7, np.arange(300))
    ids, best = by_definition(items, items, 7, alone=True)
    assert np.array_equal(places, ids)
    assert np.array_equal(scores.astype(np.float32), best)


def test_products_of_an_accelerator_give_the_same_bits(monkeypatch):
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(1500, 32))
    rows[700:900] = rows[:200] + 1e-7 * rng.normal(size=(200, 32))
    items = Embeddings(rows, rng.integers(0, 400, 1500))
    plain = rank(items, items, 25)
    used = []

    def on_device(rows, device):
        used.append(device)
        return OnDevice(rows, "cpu")

    monkeypatch.setattr(search, "products", on_device)
    found = rank(items, items, 25, device="cuda")
    assert used == ["cuda"]
    assert found.ids.tobytes() == plain.ids.tobytes()
    assert found.scores.tobytes() == plain.scores.tobytes()


@pytest.mark.parametrize("compare", [products._compared, ON_DEVICE], ids=["numpy", "torch"])
def test_what_is_counted_and_listed_comes_to_the_definition(compare, monkeypatch):
    monkeypatch.setattr(products, "_compared", compare)
    rng = np.random.default_rng(4)
    query, rows = (rng.normal(size=(n, 24)).astype(np.float32) for n in (40, 300))
    rows[200:] = rows[:100] * (1 + 1e-7 * rng.normal(size=(100, 1)))
    many = rng.integers(1, 4, 300)
    exact = query.astype(np.float64) @ rows.T.astype(np.float64)
    at, wrong = exact[:, 7], products.slack(query, products.longest(rows))
    counts, who, what = products.sift(query, rows, at - wrong, at + wrong, many)
    above = exact > at[:, None]
    unsure = np.zeros_like(above)
    unsure[who, what] = True
    assert 0 < len(who) < above.size / 20
    assert counts.tolist() == ((above & ~unsure) @ many).tolist()


def test_products_that_are_exact_are_compared_alike_on_an_accelerator():
    rng = np.random.default_rng(5)
    query, rows = (rng.integers(-8, 9, size=(n, 24)).astype(np.float32) for n in (40, 300))
    below, over = np.sort(rng.integers(-300, 300, size=(2, 40)), axis=0).astype(np.float32)
    for found, there in zip(
        products._compared(query, rows, below, over),
        ON_DEVICE(query, rows, below, over),
        strict=True,
    ):
        assert found.any()
        assert np.array_equal(found, there)


@pytest.mark.parametrize("size", [400, 3000])
def test_the_number_of_threads_and_the_blocks_change_no_bit(size, monkeypatch):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(size, 48))
    rows[size // 2 :] = rows[: size - size // 2] + 1e-7 * rng.normal(size=(size - size // 2, 48))
    items = labelled(rows)
    answers, before = set(), faiss.omp_get_max_threads()
    for threads, block in [(1, 4096), (2, 4096), (3, 50), (1, 7)]:
        faiss.omp_set_num_threads(threads)
        monkeypatch.setattr(search, "TOGETHER", block)
        found = rank(items, items, 20)
        answers.add((found.ids.tobytes(), found.scores.tobytes()))
    faiss.omp_set_num_threads(before)
    assert len(answers) == 1


@settings(max_examples=40, deadline=None)
@given(vectors(5), st.integers(0, 1000))
def test_shuffling_rows_with_their_ids_changes_no_bit(rows, seed):
    names = np.array([f"class/{i:03}" for i in range(len(rows))])
    order = np.random.default_rng(seed).permutation(len(rows))
    labels = np.arange(len(rows))
    plain = Embeddings(rows, labels, names)
    mixed = Embeddings(rows[order], labels[order], names[order])
    k = len(rows) - 1
    first, second = rank(plain, plain, k), rank(mixed, mixed, k)
    assert np.array_equal(names[first.ids][order], names[order][second.ids])
    assert first.scores[order].tobytes() == second.scores.tobytes()


def test_the_own_image_is_left_out_by_its_row_not_by_its_rank():
    items = Embeddings(np.ones((4, 3)), np.array([1, 2, 3, 4]))
    assert rank(items, items, 3).ids.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]
    assert rank(items, items, 2, leave_one_out=False).ids.tolist() == [[0, 1]] * 4


def test_ids_settle_ties_where_there_are_some():
    items = Embeddings(np.ones((3, 2)), np.arange(3), ids=np.array([30, 10, 20]))
    assert by_id(items).tolist() == [1, 2, 0]
    assert rank(items, items, 2).ids.tolist() == [[1, 2], [2, 0], [1, 0]]


def test_a_non_contiguous_view_is_the_same_as_its_copy():
    wide = np.random.default_rng(5).normal(size=(60, 32)).astype(np.float32)
    view, copy = labelled(wide[::2, ::3]), labelled(wide[::2, ::3].copy())
    assert np.array_equal(rank(view, view, 9).ids, rank(copy, copy, 9).ids)


def test_many_equal_vectors_stay_correct_in_little_memory():
    items = labelled(np.ones((6000, 4)))
    found = rank(items, items, 3)
    assert found.ids[:2].tolist() == [[1, 2, 3], [0, 2, 3]]
    assert (found.ids[4:] == [0, 1, 2]).all()


@pytest.mark.parametrize(
    ("k", "size", "said"),
    [
        (3, 3, "from 1 to 2 neighbours, for there are 2 other images to find, found k=3"),
        (0, 3, "from 1 to 2 neighbours"),
        (1, 1, "two images at least .* found one"),
    ],
)
def test_more_neighbours_than_there_are_is_refused_with_the_most(k, size, said):
    items = labelled(np.eye(size) + 1)
    with pytest.raises(MetricError, match=said):
        rank(items, items, k)


def test_sides_that_do_not_fit_are_refused():
    few, wide = labelled(np.eye(3)), labelled(np.eye(4))
    with pytest.raises(MetricError, match="one shape"):
        rank(few, wide, 1)
    with pytest.raises(MetricError, match="one shape"):
        rank(few, labelled(np.ones((2, 3))), 1, leave_one_out=True)


def test_an_image_on_both_sides_is_refused_by_its_name():
    first = Embeddings(np.eye(2), np.arange(2), np.array(["a.jpg", "b.jpg"]))
    second = Embeddings(np.eye(2), np.arange(2), np.array(["b.jpg", "c.jpg"]))
    with pytest.raises(MetricError, match=r"1 ids in both \(first: 'b.jpg'\)"):
        rank(first, second, 1)


@pytest.mark.parametrize(
    ("ids", "others"),
    [
        (np.array([7, 8]), np.array([8, 9])),
        (np.array([7, 8], np.uint64), np.array([8, 9])),
        (np.array([7, 8]), np.array(["8", "9"])),
        (np.array([b"7", b"8"]), np.array([8, 9])),
        (np.array(["é", "8"]), np.array([b"8", "ü".encode()])),
        (np.array(["7", "8"]), np.array([b"8", b"\xff"])),
    ],
)
def test_an_id_on_both_sides_is_refused_whatever_its_kind(ids, others):
    first, second = (Embeddings(np.eye(2), np.arange(2), some) for some in (ids, others))
    with pytest.raises(MetricError, match=r"1 ids in both \(first: '8'\)"):
        rank(first, second, 1)


def test_row_numbers_that_nobody_gave_are_no_ids():
    first = Embeddings(np.eye(2), np.arange(2), np.arange(2))
    assert rank(first, labelled(np.eye(2)), 1).ids.tolist() == [[0], [1]]
