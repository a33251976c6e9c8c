"""k-means gives the same bits on any number of threads, and finds what is plainly there."""

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dml_bench import clusters
from dml_bench.centres import Points
from dml_bench.clusters import kmeans
from dml_bench.errors import MetricError
from dml_bench.types import Embeddings


def blobs(classes=30, each=20, dim=24, spread=0.02, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    return Embeddings(rng.normal(size=(classes, dim))[labels] + spread, labels)


def lloyd_by_definition(points, n_clusters, seed, iterations):
    """Slow loops in float64; as the protocol says, without its empty clusters."""
    first = np.random.default_rng(seed).permutation(len(points))[:n_clusters]
    centres = points[np.sort(first)].astype(np.float64)
    for step in range(iterations + 1):
        apart = ((points[:, None].astype(np.float64) - centres) ** 2).sum(axis=2)
        assigned = apart.argmin(axis=1)
        if step < iterations:
            centres = np.array([points[assigned == c].mean(axis=0) for c in range(n_clusters)])
    return assigned


@pytest.mark.parametrize("seed", range(4))
def test_is_lloyds_algorithm(seed):
    rows = np.random.default_rng(seed).normal(size=(200, 6))
    items = Embeddings(rows, np.zeros(200, int))
    found = kmeans(items, 9, seeds=[seed], iterations=5).assignments[0]
    assert np.array_equal(found, lloyd_by_definition(items.vectors, 9, seed, 5))


def test_the_number_of_threads_changes_no_bit():
    rng = np.random.default_rng(1)
    items = Embeddings(rng.normal(size=(3000, 64)), np.zeros(3000, int))
    before, answers = faiss.omp_get_max_threads(), set()
    for threads in (1, 2, 3):
        faiss.omp_set_num_threads(threads)
        answers.add(kmeans(items, 200, seeds=[0, 1]).assignments.tobytes())
    faiss.omp_set_num_threads(before)
    assert len(answers) == 1


def test_shuffling_rows_with_their_ids_changes_nothing():
    plain = blobs(spread=0.5)
    order = np.random.default_rng(2).permutation(len(plain))
    names = np.array([f"{i:04}" for i in range(len(plain))])
    named = Embeddings(plain.vectors, plain.labels, names)
    mixed = Embeddings(plain.vectors[order], plain.labels[order], names[order])
    first, second = kmeans(named, 30).assignments, kmeans(mixed, 30).assignments
    assert np.array_equal(first[:, order], second)
    assert np.array_equal(first, kmeans(plain, 30).assignments)


def test_sums_of_some_columns_at_a_time_are_the_same_to_the_last_bit():
    rng = np.random.default_rng(5)
    points = Points(rng.normal(size=(3000, 20)).astype(np.float32), rng.permutation(3000))
    rows, starts = rng.permutation(3000), np.array([0, 41, 2900])
    whole, some, few = (
        clusters._sums(points, rows, starts, numbers) for numbers in (1 << 22, 9000, 50)
    )
    assert some.tobytes() == few.tobytes() == whole.tobytes()
    assert whole[1] == pytest.approx(points[rows[41:2900]].astype(np.float64).sum(axis=0))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 3), st.data())
def test_every_cluster_has_an_image_whatever_the_duplicates(size, codes, dim, data):
    n_clusters = data.draw(st.integers(1, size))
    rng = np.random.default_rng(size)
    rows = (rng.normal(size=(codes, dim)) + 2)[rng.integers(0, codes, size)]
    found = kmeans(Embeddings(rows, np.arange(size)), n_clusters, seeds=[0], iterations=3)
    assert found.assignments.shape == (1, size)
    assert set(found.assignments[0]) <= set(range(n_clusters))


def test_as_many_clusters_as_images_gives_each_its_own():
    items = Embeddings(np.random.default_rng(0).normal(size=(12, 5)), np.arange(12))
    assert sorted(kmeans(items, 12, seeds=[0]).assignments[0]) == list(range(12))


def test_seeds_differ_and_repeat():
    items = Embeddings(np.random.default_rng(0).normal(size=(300, 8)), np.zeros(300, int))
    found = kmeans(items, 20, seeds=[0, 1, 0]).assignments
    assert np.array_equal(found[0], found[2])
    assert not np.array_equal(found[0], found[1])


@pytest.mark.parametrize("n_clusters", [0, -1, 13])
def test_more_clusters_than_images_is_refused(n_clusters):
    items = Embeddings(np.eye(12), np.arange(12))
    with pytest.raises(MetricError, match="from 1 to 12 clusters"):
        kmeans(items, n_clusters)


def test_no_seed_and_no_round_are_refused():
    items = Embeddings(np.eye(3), np.arange(3))
    with pytest.raises(MetricError, match="a seed and a round"):
        kmeans(items, 2, seeds=[])
    with pytest.raises(MetricError, match="a seed and a round"):
        kmeans(items, 2, iterations=0)
