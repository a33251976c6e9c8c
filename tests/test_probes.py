"""Classifiers on frozen vectors."""

import math

import numpy as np
import pytest

from dml_bench.errors import MetricError
from dml_bench.neighbours import rank
from dml_bench.probes import linear_probe, weighted_knn, weighted_vote
from dml_bench.types import Embeddings, Ranking


def blobs(seed, each, spread, classes=5, dim=8):
    labels = np.repeat(np.arange(classes), each)
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, dim))
    return Embeddings(centres[labels] + spread * rng.normal(size=(len(labels), dim)), labels)


def vote_by_definition(query, gallery, k, sigma):
    right = 0
    for asked, label in zip(query.vectors, query.labels, strict=True):
        cosines = gallery.vectors.astype(np.float64) @ asked.astype(np.float64)
        sums = {}
        for g in np.argsort(-cosines)[:k]:
            votes = sums.get(gallery.labels[g], 0.0)
            sums[gallery.labels[g]] = votes + math.exp(cosines[g] / sigma)
        right += max(sums, key=sums.get) == label
    return right / len(query)


@pytest.mark.parametrize("k", [1, 7, 200])
@pytest.mark.parametrize("sigma", [0.1, 1.0])
def test_weighted_knn_is_its_definition(k, sigma):
    query, gallery = blobs(0, 40, 1.5), blobs(1, 60, 1.5)
    expected = vote_by_definition(query, gallery, k, sigma)
    assert 0.3 < expected < 1
    assert weighted_knn(query, gallery, k=k, sigma=sigma) == expected


def voted(labels, scores, sigma=0.1):
    """Whether class 5 wins the vote of neighbours drawn by hand."""
    ranking = Ranking(
        ids=np.arange(len(labels))[None],
        scores=np.array([scores], np.float32),
        query_labels=np.array([5]),
        gallery_labels=np.array(labels),
        leave_one_out=False,
    )
    return weighted_vote(ranking, k=len(labels), sigma=sigma) == 1.0


def test_votes_are_weighed_and_then_counted():
    assert voted([5, 7, 7], [1.0, 0.5, 0.5])  # one near outweighs two far
    assert not voted([5, 7, 7], [1.0, 0.99, 0.99])
    assert voted([5, 7, 7], [1.0, 0.99, 0.99], sigma=1e-4)  # and stays finite


def test_equal_votes_go_to_the_class_that_is_nearest():
    assert voted([5, 7], [1.0, 1.0])
    assert not voted([7, 5], [1.0, 1.0])
    assert not voted([4, 5], [1.0, 1.0])


def test_a_k_beyond_the_gallery_lets_all_vote():
    query, gallery = blobs(0, 4, 1.0), blobs(1, 4, 1.0)
    assert weighted_knn(query, gallery, k=200) == weighted_knn(query, gallery, k=20)
    assert weighted_knn(query, query, k=200) == weighted_knn(query, query, k=19)


def test_a_ranking_too_shallow_for_the_vote_is_refused():
    items = blobs(0, 10, 1.0)
    with pytest.raises(MetricError, match="49 deep for knn@200, found 3"):
        weighted_vote(rank(items, items, 3))


def test_weighted_knn_refuses_what_it_cannot_search():
    items = blobs(0, 2, 1.0)
    with pytest.raises(MetricError, match="found k=0"):
        weighted_knn(items, items, k=0)
    alone = Embeddings(np.ones((1, 2)), np.array([1]))
    with pytest.raises(MetricError, match="two images at least"):
        weighted_knn(alone, alone)


def test_linear_probe_separates_what_a_line_separates():
    assert linear_probe(blobs(0, 30, 0.1), blobs(1, 30, 0.1)) == 1.0
    noise = Embeddings(np.random.default_rng(0).normal(size=(300, 8)), np.arange(300) % 5)
    assert linear_probe(noise, blobs(1, 60, 0.1)) < 0.6


def test_linear_probe_depends_on_neither_row_order_nor_label_names():
    train, test = blobs(0, 30, 1.5), blobs(1, 60, 1.5)
    names = np.array([f"{i:04}" for i in range(len(train))])
    order = np.random.default_rng(0).permutation(len(train))
    renamed = np.array([2**60, -4, 2**53 + 1, 2**53, 0])
    mixed = Embeddings(train.vectors[order], renamed[train.labels[order]], names[order])
    expected = linear_probe(train, test)
    assert linear_probe(mixed, Embeddings(test.vectors, renamed[test.labels])) == expected


def test_a_test_class_that_training_lacks_counts_as_wrong():
    train = blobs(0, 20, 0.01)
    test = Embeddings(train.vectors, np.where(train.labels == 4, 77, train.labels))
    assert linear_probe(train, test) == 0.8
    assert weighted_knn(test, train) == 0.8


def test_linear_probe_refuses_one_class_and_another_dimension():
    one = Embeddings(np.eye(3), np.array([1, 1, 1]))
    with pytest.raises(MetricError, match="found 1 classes"):
        linear_probe(one, one)
    with pytest.raises(MetricError, match="D = 8 and 3"):
        linear_probe(blobs(0, 3, 1.0), one)
