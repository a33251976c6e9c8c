"""What a ranking gets wrong, on rankings drawn by eye and by slow loops."""

from collections import Counter

import numpy as np
import pytest

from dml_bench.neighbours import rank
from dml_bench.pages import gallery
from dml_bench.types import Embeddings, Ranking


def ranking_of(*rows, labels):
    """A ranking of named images: a row a query, nearest first; scores fall from left to right."""
    ids = np.array([[int(name) for name in row] for row in rows])
    scores = np.linspace(0.9, 0.1, ids.shape[1], dtype=np.float32) * np.ones(ids.shape, np.float32)
    return Ranking(ids, scores, np.array(labels), np.array(labels), True)


@pytest.fixture(scope="module")
def ranking():
    draw = np.random.default_rng(3)
    labels = np.repeat(np.arange(9), 7)
    vectors = draw.normal(size=(9, 6))[labels] + 1.2 * draw.normal(size=(63, 6))
    embeddings = Embeddings(vectors, labels)
    return rank(embeddings, embeddings, 12)


def test_the_worst_query_is_the_one_whose_right_answer_comes_last():
    ranking = ranking_of("123", "023", "301", "210", labels=[0, 0, 1, 1])
    assert [a.query for a in gallery.worst(ranking, 9, 3)] == []
    ranking = ranking_of("213", "230", "301", "012", labels=[0, 0, 1, 1])
    found = gallery.worst(ranking, 9, 2)
    assert [(a.query, a.rank) for a in found] == [(1, 3), (3, 3), (0, 2)]
    assert found[0].found == (2, 3)
    assert found[0].hits == (False, False)


def test_a_query_that_finds_nothing_right_is_worse_than_all_others():
    ranking = ranking_of("23", "20", "30", "20", labels=[0, 0, 1, 1])
    assert gallery.worst(ranking, 2, 1)[0].rank is None


def test_a_query_without_a_right_answer_is_not_the_worst():
    ranking = ranking_of("12", "02", "01", labels=[0, 0, 5])
    assert gallery.worst(ranking, 9, 2) == []


def test_hubs_are_counted_as_slow_loops_count_them(ranking):
    near = ranking.ids[:, : gallery.HUB_DEPTH]
    counts = Counter(near.ravel().tolist())
    for hub in gallery.hubs(ranking, 5, 3):
        assert hub.count == counts[hub.row]
        same = ranking.query_labels == ranking.gallery_labels[hub.row]
        holds = (near == hub.row).any(axis=1)
        assert hub.right == (same & holds).sum()
        assert all(holds[q] and not same[q] for q in hub.drawn)
    assert gallery.hubs(ranking, 1, 0)[0].count == max(counts.values())


def test_confused_classes_are_counted_as_slow_loops_count_them(ranking):
    labels, nearest = ranking.query_labels, ranking.gallery_labels[ranking.ids[:, 0]]
    pairs = Counter(
        tuple(sorted(pair)) for pair in zip(labels.tolist(), nearest.tolist(), strict=True)
        if pair[0] != pair[1]
    )  # fmt: skip
    found = gallery.confused(ranking, 99, 2)
    assert {pair.classes: pair.count for pair in found} == pairs
    assert [pair.count for pair in found] == sorted(pairs.values(), reverse=True)
    for pair in found:
        for query, other in pair.examples:
            assert {labels[query], ranking.gallery_labels[other]} == set(pair.classes)


def test_class_scores_are_the_share_of_each_class(ranking):
    for score in gallery.class_scores(ranking):
        mine = ranking.query_labels == score.label
        assert score.value == pytest.approx(ranking.hits[mine, 0].mean())
        assert score.queries == mine.sum()
    values = [score.value for score in gallery.class_scores(ranking)]
    assert values == sorted(values, reverse=True)


def test_what_one_run_answers_and_the_other_does_not():
    first = ranking_of("12", "02", "31", "20", labels=[0, 0, 1, 1])
    second = ranking_of("21", "20", "31", "02", labels=[0, 0, 1, 1])
    assert set(gallery.won(first, second)) == {0, 1, 3}
    assert list(gallery.won(second, first)) == []
