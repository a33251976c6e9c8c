"""Truth in three ways: drawn by eye, by the definition in slow loops, by an independent library."""

from fractions import Fraction

import faiss
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from sklearn import metrics as sklearn_metrics

from dml_bench.agreement import Agreement
from dml_bench.clusters import kmeans
from dml_bench.errors import DataError, MetricError, UnknownNameError
from dml_bench.metric_table import METRICS, metric
from dml_bench.metrics import (
    ami,
    map_at_r,
    nmi,
    nmi_chance,
    nmi_geometric,
    r_precision,
    recall_at_k,
    unanswerable,
)
from dml_bench.neighbours import rank
from dml_bench.scoring import evaluate
from dml_bench.types import Clustering, Embeddings, Ranking

EVERY = [
    "recall@1",
    "recall@3",
    "r_precision",
    "map@r",
    "nmi",
    "nmi_geometric",
    "nmi_chance",
    "ami",
]


def ranking_of(*rows, n_relevant):
    """A ranking drawn as text: one row per query, 'x' a hit, '.' a miss, nearest first."""
    depth = len(rows[0])
    drawn = [[q if mark == "x" else -1 for mark in row] for q, row in enumerate(rows)]
    beyond = [[q] * (n_relevant - row.count("x")) for q, row in enumerate(rows)]
    ids = np.arange(len(rows) * depth).reshape(len(rows), depth)
    return Ranking(
        ids=ids,
        scores=np.ones(ids.shape, np.float32),
        query_labels=np.arange(len(rows)),
        gallery_labels=np.array(sum(drawn + beyond, []), np.int64),  # noqa: RUF017
        leave_one_out=False,
    )


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("xx.", 1.0),  # both relevant items first
        ("x.x", 1 / 2),  # the second lies beyond R = 2
        (".xx", 1 / 4),  # precision 1/2 at place 2, over R = 2
        ("...", 0.0),
    ],
)
def test_map_at_r_of_one_query(row, expected):
    assert map_at_r(ranking_of(row, n_relevant=2)) == expected


@pytest.mark.parametrize(("row", "expected"), [("xx.", 1.0), (".xx", 0.5), ("..x", 0.0)])
def test_r_precision_of_one_query(row, expected):
    assert r_precision(ranking_of(row, n_relevant=2)) == expected


def test_recall_counts_queries_not_items():
    ranking = ranking_of("x..", ".x.", "...", ".xx", n_relevant=2)
    assert recall_at_k(ranking, k=1) == 1 / 4
    assert recall_at_k(ranking, k=2) == 3 / 4


def test_recall_beyond_the_gallery_asks_for_all_of_it():
    items = Embeddings(np.eye(4), np.array([1, 1, 2, 2]))
    ranking = rank(items, items, 3)
    assert recall_at_k(ranking, 1000) == recall_at_k(ranking, 3) == 1.0


def test_a_ranking_too_shallow_is_refused_with_the_depth_it_needs():
    with pytest.raises(MetricError, match="needs 5 neighbours, the ranking has 3; rank with k=5"):
        map_at_r(ranking_of("xxx", n_relevant=5))
    with pytest.raises(MetricError, match=r"recall@4 needs 4 neighbours, the ranking has 3"):
        recall_at_k(ranking_of("xxx", n_relevant=5), 4)


def test_queries_without_an_answer_are_counted_and_left_out():
    items = Embeddings(np.array([[1.0, 0], [1, 0.1], [0, 1]]), np.array([5, 5, 9]))
    ranking = rank(items, items, 2)
    assert unanswerable(ranking) == 1
    assert recall_at_k(ranking, 1) == r_precision(ranking) == map_at_r(ranking) == 1.0


def test_no_query_with_an_answer_is_refused():
    items = Embeddings(np.eye(3), np.array([1, 2, 3]))
    for function in (r_precision, map_at_r, lambda r: recall_at_k(r, 1)):
        with pytest.raises(MetricError, match="found none in 3"):
            function(rank(items, items, 2))


def by_definition(query, gallery, alone, k):
    """Recall@k, R-precision and MAP@R in exact fractions, from a sort in float64."""
    recalls, precisions, averages = [], [], []
    for q, asked in enumerate(query.vectors.astype(np.float64).tolist()):
        scored = []
        for g, found in enumerate(gallery.vectors.astype(np.float64).tolist()):
            total = 0.0
            for a, b in zip(asked, found, strict=True):
                total += a * b
            if not (alone and g == q):
                scored.append((-total, g))
        right = [gallery.labels[g] == query.labels[q] for _, g in sorted(scored)]
        relevant = sum(right)
        if relevant:
            places = [place for place in range(relevant) if right[place]]
            recalls.append(any(right[:k]))
            precisions.append(Fraction(len(places), relevant))
            above = sum(Fraction(n, place + 1) for n, place in enumerate(places, start=1))
            averages.append(above / relevant)
    return [float(Fraction(sum(v)) / len(v)) for v in (recalls, precisions, averages) if v]


LABELS = st.sampled_from([-(2**63), -7, 0, 1, 2**24, 2**24 + 1, 2**53, 2**53 + 1, 2**63 - 1])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_agree_with_brute_force(data):
    dim, alone = data.draw(st.integers(1, 4)), data.draw(st.booleans())
    dtype = data.draw(st.sampled_from([np.float16, np.float32, np.float64]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))

    def side():
        labels = data.draw(st.lists(LABELS, min_size=2, max_size=20))
        rows = rng.choice([-1.0, 1.0, 0.25], size=(len(labels), dim))
        noise = data.draw(st.sampled_from([0.0, 1e-7, 0.5]))
        wide = np.repeat(rows + noise * rng.normal(size=rows.shape), 2, axis=1).astype(dtype)
        return Embeddings(wide[:, ::2], np.array(labels))

    query = side()
    gallery = query if alone else side()
    k = data.draw(st.integers(1, 25))
    expected = by_definition(query, gallery, alone, k)
    assume(expected)
    found, _ = evaluate(query, gallery, [f"recall@{k}", "r_precision", "map@r"])
    assert list(found.values()) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_agree_with_pytorch_metric_learning(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 30, 400)
    items = Embeddings(rng.normal(size=(30, 16))[labels] + rng.normal(size=(400, 16)), labels)
    clustering = kmeans(items, 30, seeds=[0])
    given_clusters = torch.from_numpy(clustering.assignments[0])
    theirs = AccuracyCalculator(
        include=("precision_at_1", "r_precision", "mean_average_precision_at_r", "NMI", "AMI"),
        k="max_bin_count",
        kmeans_func=lambda *_: given_clusters,
        device=torch.device("cpu"),
    ).get_accuracy(torch.from_numpy(items.vectors), torch.from_numpy(labels))
    ours, _ = evaluate(items, items, ["recall@1", "r_precision", "map@r"])
    ours |= {"nmi": nmi(clustering), "ami": ami(clustering)}
    names = ("precision_at_1", "r_precision", "mean_average_precision_at_r", "NMI", "AMI")
    assert list(ours.values()) == pytest.approx([theirs[n] for n in names], abs=1e-6)


def test_pytorch_metric_learning_agrees_on_a_gallery_apart():
    rng = np.random.default_rng(4)
    centres = rng.normal(size=(9, 6))
    asked, known = rng.integers(0, 9, 80), rng.integers(0, 9, 150)
    query = Embeddings(centres[asked] + rng.normal(size=(80, 6)), asked)
    gallery = Embeddings(centres[known] + rng.normal(size=(150, 6)), known)
    names = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
    theirs = AccuracyCalculator(include=names, k="max_bin_count").get_accuracy(
        *map(torch.from_numpy, (query.vectors, asked, gallery.vectors, known))
    )
    ours, _ = evaluate(query, gallery, ["recall@1", "r_precision", "map@r"])
    assert list(ours.values()) == pytest.approx([theirs[n] for n in names], abs=1e-6)


def test_exclusion_by_id_differs_from_exclusion_by_rank_where_duplicates_cross_classes():
    """D4, D7: dropping the first answer lets an image that a duplicate displaced find itself."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(200), 5)
    rows = rng.normal(size=(200, 32))[labels] + 1.2 * rng.normal(size=(1000, 32))
    twins = rng.permutation(1000)[:20]  # 2 %
    rows[twins] = rows[(twins + 500) % 1000]
    items = Embeddings(rows, labels)
    by_id = recall_at_k(rank(items, items, 1), 1)
    first_dropped = rank(items, items, 2, leave_one_out=False).ids[:, 1]
    by_rank = float((labels[first_dropped] == labels).mean())
    itself = first_dropped == np.arange(1000)
    assert by_rank - by_id == pytest.approx(itself.mean(), abs=0.004)
    assert by_rank > by_id + 0.01


def test_labels_beyond_float32_are_not_merged():
    """D1: labels cast to float32 merge from 2^24 on."""
    rows = np.random.default_rng(0).normal(size=(400, 8))
    small = np.arange(400) // 2
    plain, _ = evaluate(*[Embeddings(rows, small)] * 2, EVERY)
    for large in (small + 2**24, small + 2**53, small - 2**62):
        assert evaluate(*[Embeddings(rows, large)] * 2, EVERY)[0] == plain


def test_perfect_vectors_score_one_and_random_ones_their_floor():
    labels = np.repeat(np.arange(40), 10)
    perfect = Embeddings(np.eye(40)[labels], labels)
    found, _ = evaluate(perfect, perfect, ["recall@1", "r_precision", "map@r"])
    assert set(found.values()) == {1.0}
    exact = Clustering(labels[None] + 3, labels)
    assert nmi(exact) == nmi_geometric(exact) == ami(exact) == 1.0

    rng = np.random.default_rng(0)
    noise = Embeddings(rng.normal(size=(400, 64)), labels)
    found, _ = evaluate(noise, noise, [*EVERY])
    assert found["recall@1"] == pytest.approx(9 / 399, abs=0.03)
    assert found["r_precision"] == pytest.approx(9 / 399, abs=0.01)
    assert found["nmi"] == pytest.approx(found["nmi_chance"], abs=0.02)
    assert found["ami"] == pytest.approx(0, abs=0.02)
    assert found["nmi_chance"] > 0.4  # what makes NMI mislead where classes are many and small


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_threads_labels_names_and_row_order_change_no_bit_of_any_metric(seed):
    """D12: with ties in any order, the metric depends on the order of the rows."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 12, 90)
    rows = rng.normal(size=(25, 7))[rng.integers(0, 25, 90)] + rng.choice([0, 1e-8]) * rng.normal(
        size=(90, 7)
    )
    rows[0] += 1e-3
    rows = Embeddings(rows, labels).vectors
    ids, order, renamed = rng.permutation(90), rng.permutation(90), rng.permutation(12) * 2**50
    labels[:2] = 3
    names = [*EVERY, "knn@10"]
    before, answers = faiss.omp_get_max_threads(), []
    for threads, take, classes in [
        (1, slice(None), labels),
        (2, slice(None), labels),
        (1, order, labels),
        (2, order, renamed[labels]),
    ]:
        faiss.omp_set_num_threads(threads)
        items = Embeddings(rows[take], classes[take], ids[take])
        answers.append(evaluate(items, items, names)[0])
    faiss.omp_set_num_threads(before)
    assert answers == [answers[0]] * 4


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60))
def test_cluster_metrics_agree_with_scikit_learn(pairs):
    classes, clusters = np.array(pairs).T
    both = Clustering(clusters[None], classes)
    theirs = sklearn_metrics.normalized_mutual_info_score
    assert nmi(both) == pytest.approx(theirs(classes, clusters), abs=1e-9)
    geometric = theirs(classes, clusters, average_method="geometric")
    assert nmi_geometric(both) == pytest.approx(geometric, abs=1e-9)
    adjusted = sklearn_metrics.adjusted_mutual_info_score(classes, clusters)
    if len(set(classes)) < len(classes) or len(set(clusters)) < len(clusters):
        assert ami(both) == pytest.approx(adjusted, abs=1e-6)


def test_cluster_metrics_are_means_over_the_seeds():
    rng = np.random.default_rng(0)
    labels, runs = rng.integers(0, 5, 60), rng.integers(0, 5, (3, 60))
    for function in (nmi, nmi_geometric, nmi_chance, ami):
        single = [function(Clustering(row[None], labels)) for row in runs]
        assert function(Clustering(runs, labels)) == pytest.approx(np.mean(single), abs=1e-15)


def test_nmi_chance_is_the_mean_over_permutations():
    rng = np.random.default_rng(0)
    classes, clusters = np.repeat(np.arange(40), 5), rng.integers(0, 40, 200)
    drawn = [
        sklearn_metrics.normalized_mutual_info_score(classes, rng.permutation(clusters))
        for _ in range(200)
    ]
    error = np.std(drawn) / len(drawn) ** 0.5
    assert Agreement(classes, clusters).by_chance == pytest.approx(np.mean(drawn), abs=4 * error)


def test_chance_and_agreement_of_thousands_of_small_classes():
    """11,316 classes of five: random clusters reach an NMI of 0.82 and an AMI of 0."""
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(11_316), 5)
    found = Clustering(rng.permutation(classes)[None], classes)
    assert nmi_chance(found) == pytest.approx(0.82, abs=0.01)
    assert nmi(found) == pytest.approx(nmi_chance(found), abs=0.001)
    assert ami(found) == pytest.approx(0, abs=0.005)


@pytest.mark.parametrize("function", [nmi, nmi_geometric, nmi_chance, ami])
def test_one_class_in_one_cluster_is_agreement(function):
    assert function(Clustering(np.zeros((2, 4), int), np.full(4, 9))) == 1.0


def test_a_metric_is_found_by_its_name_and_bound_to_its_depth():
    assert metric("recall@8").depth(8, 3) == 8
    assert metric("map@r").depth(0, 5) == 5
    assert metric("recall@2").compute(ranking_of(".x", n_relevant=1)) == 1.0
    assert metric("ami") is METRICS["ami"]


def test_an_unknown_metric_lists_the_known():
    with pytest.raises(UnknownNameError, match="no metric 'recal@1'; did you mean 'recall@k'"):
        metric("recal@1")
    with pytest.raises(UnknownNameError, match="recall@k, r_precision, map@r, nmi"):
        metric("accuracy")
    with pytest.raises(UnknownNameError, match="no metric 'map@5'"):
        metric("map@5")


@pytest.mark.parametrize("k", ["0", "-1", "", "k", "1.5", "01", "²", "9" * 30, " 1"])
def test_a_depth_that_is_no_whole_number_is_refused(k):
    with pytest.raises(MetricError, match="expected a whole number from 1 after 'recall@'"):
        metric(f"recall@{k}")


OWN = """
def precision(ranking, k):
    return ranking.hits.mean()

def seen(ranking):
    return ranking.ids.shape[1] + (ranking.firsts is not None)
"""


@pytest.fixture
def own(tmp_path):
    """A file of a user's own metrics."""
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


@pytest.mark.parametrize("others", [[], ["recall@1"], ["recall@20"], ["recall@500", "map@r"]])
def test_other_metrics_change_nothing_of_a_users_own(own, others):
    rng = np.random.default_rng(0)
    photos = Embeddings(rng.normal(size=(240, 4)), np.repeat(np.arange(60), 4))
    names = [f"{own}:precision@3", f"{own}:seen"]
    found, _ = evaluate(photos, photos, [*others, *names])
    assert found[names[0]] == rank(photos, photos, k=3).hits.mean()
    assert found[names[1]] == 3  # R: another three of each class


@pytest.mark.parametrize("name", ["seen", "precision@2"])
def test_a_folder_of_a_users_file_may_have_an_at_in_its_name(tmp_path, name):
    folder = tmp_path / "ada@home"
    folder.mkdir()
    (folder / "own.py").write_text(OWN)
    asked = f"{folder}/own.py:{name}"
    assert metric(asked).name == asked
    assert metric(asked).k == (2 if "@" in name else 0)


def test_a_users_metric_is_given_what_its_arguments_are_called_in_any_order(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(
        "def turned(k, ranking):\n    return ranking.hits[:, :k].any(axis=1).mean()\n"
        "def ratio(query, gallery):\n    return len(gallery) / len(query)\n"
        "def single(clustering):\n    return len(clustering.labels)\n"
        "def other(vectors):\n    return 0\n"
    )
    draw = np.random.default_rng(0)
    query, gallery = (
        Embeddings(draw.normal(size=(n, 4)), np.repeat(np.arange(5), n // 5)) for n in (10, 30)
    )
    names = [f"{path}:{name}" for name in ("turned@3", "ratio", "single")]
    found, _ = evaluate(query, gallery, ["recall@3", *names])
    assert list(found.values()) == [found["recall@3"], found["recall@3"], 3.0, 10.0]
    with pytest.raises(DataError, match=r"expected the arguments .* found \(vectors\); ren"):
        metric(f"{path}:other")


def test_a_users_file_that_would_end_the_program_is_told_of_in_one_line(tmp_path):
    path = tmp_path / "own.py"
    path.write_text("import sys\nsys.exit(5)\n")
    with pytest.raises(DataError, match=r"own.py: expected code that runs, found SystemExit: 5"):
        metric(f"{path}:far")
    path.write_text("def far(ranking):\n    raise SystemExit\n")
    photos = Embeddings(np.eye(4), np.array([0, 0, 1, 1]))
    with pytest.raises(DataError, match=r"own.py:far: expected code that runs, found SystemExit"):
        evaluate(photos, photos, [f"{path}:far"])
