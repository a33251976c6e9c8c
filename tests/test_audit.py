"""An audit of embeddings: each defect is planted, found, counted and said."""

import json

import numpy as np
import pytest
from scipy.stats import skew

from dml_bench.audit import audit
from dml_bench.cli import main
from dml_bench.data import cifar10, cub200
from dml_bench.errors import EmbeddingsError, MetricError
from dml_bench.geometry import (
    duplicates,
    effective_rank,
    hubness,
    near_duplicates,
    rows_in_both,
)
from dml_bench.neighbours import rank
from dml_bench.types import Embeddings, Ranking


def blobs(classes=20, size=10, dim=16, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), size)
    rows = rng.normal(size=(classes, dim))[labels] + rng.normal(size=(len(labels), dim))
    return rows.astype(np.float32), labels


@pytest.fixture
def page(tmp_path):
    """Write arrays to a file and audit it: the page as JSON has it."""

    def looked_at(near=0.999, **arrays):
        np.savez(tmp_path / "mine.npz", **arrays)
        return audit(tmp_path / "mine.npz", near=near).as_dict()

    return looked_at


def test_a_sound_file_of_unknown_counts_has_no_obstacle_and_no_verdict(page):
    rows, labels = blobs()
    found = page(vectors=rows, labels=labels)
    assert (found["verdict"], found["because"]) == (
        "unknown",
        "no known test split has 200 images in 20 classes",
    )
    counts = found["findings"]["counts"]
    assert (counts["images"], counts["classes"], counts["dimensions"]) == (200, 20, 16)
    assert (counts["smallest_class"], counts["largest_class"]) == (10, 10)
    assert counts["dtype"] == "float32"


def test_counts_of_a_test_split_of_the_literature_are_recognised(page):
    n, classes = cub200.EXPECT["test_images"], cub200.EXPECT["test_classes"]
    rows = np.random.default_rng(0).normal(size=(n, 4))
    found = page(vectors=rows, labels=np.arange(n) % classes)
    assert found["verdict"] == "comparable"
    assert found["findings"]["known split"]["datasets"] == ["cub200"]


def test_a_seen_class_split_is_recognised_with_its_gallery_only(page):
    n, known = cifar10.EXPECT["test_images"], cifar10.EXPECT["train_images"]
    rng = np.random.default_rng(0)
    sides = {
        "vectors": rng.normal(size=(n, 2)),
        "labels": np.arange(n) % 10,
        "gallery_vectors": rng.normal(size=(known, 2)),
        "gallery_labels": np.arange(known) % 10,
    }
    half = {name: values[:500] for name, values in sides.items()}
    assert page(**half)["findings"]["known split"] == {
        "says": "no known test split has 500 images in 10 classes"
    }
    from dml_bench.findings import known_split

    assert known_split(sides).values == {"datasets": ["cifar10"]}
    del sides["gallery_vectors"], sides["gallery_labels"]
    assert not known_split(sides).values


def test_the_classification_half_of_a_dataset_is_told_apart(page):
    rows = np.random.default_rng(0).normal(size=(5_794, 3))
    found = page(vectors=rows, labels=np.arange(5_794) % 200)
    assert found["verdict"] == "not comparable"
    assert "classification test half of CUB-200-2011" in found["because"]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_broken_rows_are_counted_and_left_out(page, dtype):
    rows, labels = blobs()
    whole = page(vectors=rows[4:].astype(dtype), labels=labels[4:])
    rows[0, 3], rows[1, 0], rows[2, 1], rows[3] = np.nan, np.inf, -np.inf, 0
    found = page(vectors=rows.astype(dtype), labels=labels)
    broken = found["findings"]["broken rows"]
    assert (broken["non_finite"], broken["zero"]) == (3, 1)
    assert found["verdict"] == "not comparable"
    assert "3 non-finite and 1 zero rows" in found["because"]
    for name in ("recall@1", "hubness", "norms", "effective rank"):
        assert found["findings"][name] == whole["findings"][name]


def test_a_file_of_nothing_but_broken_rows_is_audited_too(page):
    found = page(vectors=np.full((5, 3), np.nan), labels=np.arange(5))
    assert found["findings"]["broken rows"]["non_finite"] == 5
    assert "recall@1" not in found["findings"]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_smallest_files_are_audited(page, size):
    found = page(vectors=np.eye(4)[:size], labels=np.zeros(size, int))
    assert ("recall@1" in found["findings"]) == (size > 1)


def test_norms_are_those_of_the_file_not_of_the_unit_rows(page):
    rows = np.array([[3.0, 4.0], [0.0, 2.0], [1e200, 0.0], [1.0, 0.0]])
    found = page(vectors=rows, labels=[0, 0, 1, 1])["findings"]["norms"]
    assert (found["min"], found["max"], found["unit"]) == (1.0, 1e200, False)
    unit = page(vectors=rows / np.abs(rows).max(1, keepdims=True), labels=[0, 0, 1, 1])
    assert not unit["findings"]["norms"]["unit"]
    half = (rows[[0, 1]] / [[5.0], [2.0]]).astype(np.float16)
    assert page(vectors=half, labels=[0, 0])["findings"]["norms"]["unit"]


def test_twins_across_classes_make_self_exclusion_by_rank_differ(page):
    rows, labels = blobs(classes=50)
    twins = np.arange(0, 250, 25)
    rows[twins] = rows[(twins + 250) % 500]
    found = page(vectors=rows, labels=labels)["findings"]
    twin = found["duplicates"]
    assert (twin["images"], twin["groups"], twin["across"]) == (20, 10, 10)
    assert found["recall@1"]["by_rank"] > found["recall@1"]["by_id"]
    items = Embeddings(rows, labels)
    order = np.argsort(-(items.vectors @ items.vectors.T), axis=1, kind="stable")[:, 1]
    dropped = float((labels[order] == labels).mean())
    assert found["recall@1"]["by_rank"] == pytest.approx(dropped, abs=0.041)
    assert "is off by +" in found["recall@1"]["says"]


def test_a_twin_in_a_gallery_apart_is_a_twin(page):
    rows, labels = blobs()
    sides = {"gallery_vectors": rows[100:].copy(), "gallery_labels": labels[100:]}
    sides["gallery_vectors"][[3, 4]] = rows[[0, 1]]
    twins = page(vectors=rows[:100], labels=labels[:100], **sides)["findings"]["duplicates"]
    assert (twins["images"], twins["groups"], twins["across"]) == (4, 2, 2)


def test_queries_without_a_right_answer_are_left_out_by_rank_as_they_are_by_id(page):
    rows, labels = blobs()
    labels[:50] = np.arange(100, 150)
    found = page(vectors=rows, labels=labels)["findings"]["recall@1"]
    assert found["by_rank"] == found["by_id"] > 0


def test_string_ids_do_not_stand_in_the_way_of_exclusion_by_rank(page):
    rows, labels = blobs()
    names = np.array([f"{n:03}.jpg" for n in range(200)])
    found = page(vectors=rows, labels=labels, ids=names)["findings"]
    assert found["recall@1"]["by_rank"] == found["recall@1"]["by_id"]
    assert found["ids"]["says"] == "ties go by id, whatever the order of the rows"


def test_ids_twice_are_counted(page):
    rows, labels = blobs()
    found = page(vectors=rows, labels=labels, ids=np.arange(200) // 2)
    assert found["findings"]["ids"]["doubled"] == 100
    assert "100 ids twice" in found["because"]


@pytest.mark.parametrize("kind", [int, str])
def test_ids_on_both_sides_are_an_obstacle(page, kind):
    rows, labels = blobs()
    names = np.arange(200).astype(kind)
    sides = {"vectors": rows[:100], "labels": labels[:100], "ids": names[:100]}
    sides |= {"gallery_vectors": rows[80:], "gallery_labels": labels[80:]}
    found = page(**sides, gallery_ids=names[80:])
    assert found["verdict"] == "not comparable"
    assert "20 queries are in the gallery" in found["because"]
    assert found["findings"]["ids"]["on_both_sides"] == 20


def test_a_query_that_may_find_itself_in_a_gallery_apart_is_an_obstacle(page):
    rows, labels = blobs(classes=40)
    sides = {"vectors": rows[:200], "labels": labels[:200]}
    sides |= {"gallery_vectors": rows[199:], "gallery_labels": labels[199:]}
    found = page(**sides)
    assert "1 queries have the vector of a row of the gallery" in found["because"]
    assert found["findings"]["recall@1"]["in_gallery"] == 1
    assert "they may find themselves" in found["findings"]["recall@1"]["says"]
    named = page(**sides, ids=np.arange(200), gallery_ids=np.arange(200, 401))
    assert named["findings"]["recall@1"]["says"].endswith("no image can find itself")


def test_rows_in_both_are_what_slow_loops_count():
    rows = np.random.default_rng(0).integers(-1, 2, size=(60, 3)) + np.float32([0, 0, 3])
    query = Embeddings(rows[:30], np.arange(30))
    gallery = Embeddings(np.concatenate([rows[30:], -rows[:2]]), np.arange(32))
    slow = sum(any((one == other).all() for other in gallery.vectors) for one in query.vectors)
    assert 0 < rows_in_both(query, gallery) == slow < 30


def test_few_codes_are_told_as_tie_mass(page):
    rows, labels = blobs()
    found = page(vectors=np.sign(rows[:, :3]), labels=labels)
    ties = found["findings"]["tie mass"]
    assert ties["mass"] > 0.5
    assert ties["against"] < ties["expected"] < ties["in_favour"]
    assert found["verdict"] == "not comparable"
    assert "ties decide" in found["because"]


def test_labels_that_float32_merges_are_counted(page):
    rows, labels = blobs()
    found = page(vectors=rows, labels=labels + 2**24)["findings"]["labels"]
    assert found["merged_by_float32"] == 20 - len(np.unique((labels + 2**24).astype(np.float32)))
    assert found["merged_by_float32"] > 0
    assert page(vectors=rows, labels=labels)["findings"]["labels"]["merged_by_float32"] == 0


def test_lone_queries_are_counted(page):
    rows, labels = blobs()
    labels[:7] = np.arange(100, 107)
    found = page(vectors=rows, labels=labels)["findings"]["lone queries"]
    assert (found["queries"], found["share"]) == (7, 7 / 200)


def birds():
    """Vectors and labels with the counts of the test split of birds."""
    n, classes = cub200.EXPECT["test_images"], cub200.EXPECT["test_classes"]
    return np.random.default_rng(0).normal(size=(n, 4)), np.arange(n) % classes, classes


def test_counts_alone_make_no_file_of_twins_comparable(page):
    rows, labels, _ = birds()
    half = len(rows) // 2
    found = page(vectors=np.tile(rows[:half], (2, 1)), labels=np.tile(labels[:half], 2))
    assert found["findings"]["known split"]["datasets"] == ["cub200"]
    assert (found["verdict"], found["because"]) == (
        "not comparable",
        "100.0 % of the images have an exact twin",
    )


def test_counts_alone_make_no_file_of_lone_images_comparable(page):
    rows, labels, classes = birds()
    lone = np.zeros_like(labels)
    lone[:classes] = np.arange(classes)
    found = page(vectors=rows, labels=lone)
    assert found["findings"]["known split"]["datasets"] == ["cub200"]
    assert (found["verdict"], found["because"]) == (
        "not comparable",
        f"{classes - 1} queries have no right answer",
    )


@pytest.mark.parametrize(("twins", "verdict"), [(29, "comparable"), (30, "not comparable")])
def test_a_few_exact_doubles_stand_in_nobodys_way(page, twins, verdict):
    rows, labels, classes = birds()
    rows[classes : classes + twins] = rows[:twins]  # of their own class
    found = page(vectors=rows, labels=labels)
    assert found["findings"]["duplicates"]["images"] == 2 * twins
    assert found["verdict"] == verdict


@pytest.mark.parametrize(("few", "verdict"), [(25, "comparable"), (60, "not comparable")])
def test_a_few_ties_stand_in_nobodys_way(page, few, verdict):
    rows, labels, classes = birds()
    rows[:few] += 9 * np.eye(4)[0]  # far from all others
    right = np.arange(few) + classes  # a twin of the class, and one of the next
    rows[right] = rows[right + classes + 1] = rows[:few] + 1e-3
    found = page(vectors=rows, labels=labels)
    assert 0 < found["findings"]["tie mass"]["mass"] < 2 * few / len(rows)
    assert found["verdict"] == verdict
    assert ("ties decide" in found["because"]) is (verdict != "comparable")


def test_near_duplicates_are_what_slow_loops_count(page):
    rows, labels = blobs(classes=6, size=8, dim=5)
    rows[10] = rows[2] + 1e-4
    rows[20] = rows[21] * 1.001
    items = Embeddings(rows, labels)
    cosine = items.vectors.astype(np.float64) @ items.vectors.T.astype(np.float64)
    np.fill_diagonal(cosine, -1)
    near, same = cosine > 0.95, labels[:, None] == labels
    found = near_duplicates(items, items, rank(items, items, 1), 0.95)
    assert found.queries == near.any(1).sum() > 4
    assert found.within == (near & same).any(1).sum() > 0
    assert found.across == (near & ~same).any(1).sum() > 0
    told = page(near=0.95, vectors=rows, labels=labels)["findings"]["near-duplicates"]
    assert told["queries"] == found.queries


def test_a_query_with_a_near_duplicate_in_its_class_and_one_in_another_counts_for_both():
    turns = np.radians([0.0, 1.0, 2.0, 90.0, 91.0, 180.0, 200.0])  # neighbours: cosine 0.99985
    rows = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    items = Embeddings(rows, np.array([1, 1, 2, 3, 4, 5, 5]))
    found = near_duplicates(items, items, rank(items, items, 1), np.cos(np.radians(1.5)))
    # the middle one of the first three has both; the first only within, the third only across
    assert (found.queries, found.within, found.across) == (5, 2, 4)


def test_near_is_a_cosine_of_0_999_unless_said():
    turns = np.radians([0.0, 2.0, 90.0, 93.0])  # cosines 0.9994 and 0.9986
    items = Embeddings(np.stack([np.cos(turns), np.sin(turns)], axis=1), np.array([1, 1, 2, 2]))
    found = near_duplicates(items, items, rank(items, items, 1))
    assert (found.threshold, found.queries) == (0.999, 2)


def test_near_duplicates_in_a_gallery_apart():
    query = Embeddings(np.eye(3), np.array([1, 2, 3]))
    gallery = Embeddings(np.array([[1.0, 1e-3, 0], [0, 1, 1e-3]]), np.array([1, 9]))
    found = near_duplicates(query, gallery, rank(query, gallery, 1))
    assert (found.queries, found.within, found.across) == (2, 1, 1)


def test_duplicates_by_eye():
    rows = np.float32([[1, 0], [1, 0], [0.0, 1], [-0.0, 1], [0, 1], [0.6, 0.8]])
    found = duplicates(rows, np.array([1, 1, 2, 3, 2, 4]))
    assert (found.images, found.groups, found.across) == (5, 2, 1)


def test_effective_rank_is_that_of_the_singular_values():
    rng = np.random.default_rng(0)
    assert effective_rank(np.eye(7, dtype=np.float32)) == pytest.approx(7)
    assert effective_rank(np.ones((9, 5), np.float32)) == pytest.approx(1, abs=1e-6)
    bases = [np.linalg.qr(rng.normal(size=(40, 3)))[0], np.linalg.qr(rng.normal(size=(6, 3)))[0]]
    rows = bases[0] * [3.0, 1.0, 1.0] @ bases[1].T
    shares = np.array([0.6, 0.2, 0.2])
    expected = np.exp(-(shares * np.log(shares)).sum())
    assert effective_rank(rows) == pytest.approx(expected, abs=1e-6)


def test_a_direction_that_few_images_use_a_little_counts_a_little():
    values = np.array([1.0, 1e-4, 1e-5])
    shares = values / values.sum()
    expected = np.exp(-(shares * np.log(shares)).sum())
    assert effective_rank(np.diag(values)) == pytest.approx(expected, rel=1e-9)


def test_images_that_nobody_finds_count_wherever_they_stand():
    """Three queries find the first two of five: the last three are nobody's neighbour."""
    ids = np.array([[0], [0], [1]])
    scores = np.ones((3, 1), np.float32)
    found = hubness(Ranking(ids, scores, np.arange(3), np.arange(5), False), k=1)
    assert (found.anti_hubs, found.largest) == (0.6, 2)
    assert found.skewness == pytest.approx(skew([2, 1, 0, 0, 0]))


def test_hubness_is_the_skewness_of_how_often_an_item_is_found():
    rows, labels = blobs(classes=30)
    items = Embeddings(rows, labels)
    ranking = rank(items, items, 12)
    counts = np.zeros(300)
    for row in ranking.ids[:, :10]:
        counts[row] += 1
    found = hubness(ranking)
    assert found.skewness == pytest.approx(skew(counts))
    assert (found.anti_hubs, found.largest) == ((counts == 0).mean(), counts.max())
    even = Ranking(ranking.ids[:, :1] * 0 + np.arange(300)[:, None], ranking.scores[:, :1],
                   labels, labels, True)  # fmt: skip
    assert hubness(even).skewness == 0.0


@pytest.mark.parametrize("form", ["table", "md", "json"])
def test_the_command_prints_one_page(tmp_path, capsys, form):
    rows, labels = blobs()
    np.savez(tmp_path / "mine.npz", vectors=rows, labels=labels)
    assert main(["audit", str(tmp_path / "mine.npz"), "--format", form]) == 0
    shown = capsys.readouterr().out
    assert "unknown" in shown
    assert len(shown.splitlines()) < 130
    for name in ("counts", "norms", "tie mass", "hubness", "recall@1", "lone queries"):
        assert name in shown
    if form == "json":
        assert json.loads(shown)["findings"]["recall@1"]["by_id"] > 0.1


def test_what_cannot_be_audited_is_refused_in_one_line(tmp_path, capsys):
    file = tmp_path / "mine.npz"
    assert main(["audit", str(file)]) == 2
    np.savez(file, vectors=np.eye(3), labels=[1, 2])
    assert main(["audit", str(file)]) == 2
    np.savez(file, vectors=np.array([["a"]]), labels=[1])
    assert main(["audit", str(file)]) == 2
    np.savez(file, labels=[1])
    assert main(["audit", str(file)]) == 2
    (tmp_path / "mine.txt").touch()
    assert main(["audit", str(tmp_path / "mine.txt")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert all("expected" in line and "found" in line and "mine." in line for line in lines)
    np.savez(file, vectors=np.eye(3), labels=[1, 2, 2])
    with pytest.raises(MetricError, match=r"a cosine between 0 and 1, found 1\.5"):
        audit(file, near=1.5)
    with pytest.raises(EmbeddingsError, match="expected a file, found none"):
        audit(tmp_path / "none.npz")
