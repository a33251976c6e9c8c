"""The types that travel refuse at the door what would go wrong later."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dml_bench.errors import DataError, EmbeddingsError, RecipeError, RunError
from dml_bench.types import Dataset, Embeddings, Ranking, Recipe, RunResult, Split


class Blank:
    """N images that nobody looks at."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        raise NotImplementedError

    def signature(self):
        return ""


def split(labels, ids=None, name="test"):
    names = [f"{name}/{n}" for n in range(len(labels))] if ids is None else ids
    return Split(name, Blank(len(labels)), np.array(labels), tuple(names))


def dataset(train, query, gallery=None, protocol="unseen"):
    return Dataset("toy", "Toy", train, query, gallery or query, protocol)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Split("a", Blank(2), np.zeros(3), ("x", "y")), "2 images, 3 labels, 2 ids"),
        (lambda: split([]), "expected images, found none"),
        (lambda: split([1, 1, 2], ["x", "y", "x"]), "'x' is listed twice"),
    ],
)
def test_a_split_that_contradicts_itself_is_refused(make, said):
    with pytest.raises(DataError, match=said):
        make()


def test_a_split_knows_its_size_and_classes():
    some = split([7, 3, 7])
    assert (len(some), some.classes.tolist(), some.labels.dtype) == (3, [3, 7], np.int64)


def test_a_class_on_both_sides_is_refused_where_classes_are_unseen():
    with pytest.raises(DataError, match=r"no class in both train and test, found 1 \(first: 2\)"):
        dataset(split([1, 2]), split([2, 3]))


def test_a_class_that_training_never_shows_is_refused_where_classes_are_seen():
    with pytest.raises(DataError, match=r"found 1 that are not \(first: 3\)"):
        dataset(split([1, 2]), split([2, 3]), protocol="seen")
    with pytest.raises(DataError, match="'seen' or 'unseen', found 'both'"):
        dataset(split([1]), split([2]), protocol="both")


def test_one_split_on_both_sides_means_leave_one_out():
    train, query = split([1]), split([2])
    assert dataset(train, query).leave_one_out
    assert not dataset(train, query, split([2])).leave_one_out


def test_a_fingerprint_knows_who_is_asked_and_what_is_right_and_no_more():
    train, ids = split([9], name="train"), ["a", "b", "c", "d"]

    def mark(labels, ids=ids, protocol_train=train):
        return dataset(protocol_train, split(labels, ids)).fingerprint

    plain = mark([1, 1, 2, 2])
    assert mark([5, 5, 3, 3]) == plain  # renumbered
    assert mark([2, 1, 2, 1], ["d", "b", "c", "a"]) == plain  # in another order
    assert mark([1, 1, 2, 2], protocol_train=split([8], name="train")) == plain
    others = [
        mark([1, 2, 2, 2]),
        mark([1, 2, 1, 2]),
        mark([1, 1, 2, 2], ["a", "b", "c", "e"]),
        mark([1, 1, 2], ["a", "b", "c"]),
        dataset(train, split([1, 1, 2, 2], ids), split([1, 2], ["e", "f"])).fingerprint,
    ]
    assert len({plain, *others}) == 6


def test_vectors_become_float32_rows_of_length_one():
    for dtype in (np.float16, np.float32, np.float64, np.int32):
        items = Embeddings(np.array([[3, 4], [0, -2]], dtype), np.array([1, 2]))
        assert items.vectors.dtype == np.float32
        assert items.vectors == pytest.approx(np.array([[0.6, 0.8], [0, -1]]), abs=1e-7)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([1e-320, 1e-200, 1e-30, 1.0, 1e30, 1e200, 1e308]), st.integers(1, 9))
def test_a_row_of_any_length_keeps_its_direction(size, dim):
    direction = np.random.default_rng(dim).choice([-1.0, 1.0], dim)
    with np.errstate(all="ignore"):
        items = Embeddings((direction * size)[None], np.array([0]))
    assert items.vectors[0] == pytest.approx(direction / dim**0.5, rel=1e-6)


def test_unit_rows_keep_their_bits_and_the_input_is_left_alone():
    rows = np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32)
    first = Embeddings(rows, np.arange(50)).vectors
    assert Embeddings(first, np.arange(50)).vectors.tobytes() == first.tobytes()
    assert np.array_equal(rows, np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32))


def test_shuffled_rows_become_unit_rows_of_the_same_bits():
    rows = np.random.default_rng(0).normal(size=(20, 4))
    order = np.random.default_rng(1).permutation(20)
    mixed = Embeddings(rows[order], np.arange(20)).vectors
    assert mixed.tobytes() == Embeddings(rows, np.arange(20)).vectors[order].tobytes()


ROWS, THREE = np.eye(3), np.arange(3)


@pytest.mark.parametrize(
    ("rows", "labels", "ids", "said"),
    [
        (np.ones(3), THREE, None, r"shape \(N, D\) in numbers, found \(3,\)"),
        (np.ones((3, 0)), THREE, None, r"found \(3, 0\)"),
        (np.ones((0, 3)), THREE[:0], None, r"found \(0, 3\)"),
        (np.ones((3, 2, 2)), THREE, None, r"found \(3, 2, 2\)"),
        (np.full((3, 2), "x"), THREE, None, "in numbers"),
        (np.ones((3, 2), complex), THREE, None, "complex128"),
        (np.full((3, 2), None), THREE, None, "object"),
        (np.array([[1, 0], [np.nan, 1], [0, np.inf]]), THREE, None, "in 2 rows .first: row 1"),
        (np.array([[1, 0], [0, 0], [0, 1]]), THREE, None, "1 zero rows .first: row 1"),
        (ROWS, THREE[:2], None, r"expected 3 labels, one a row, found shape \(2,\)"),
        (ROWS, THREE[:, None], None, r"found shape \(3, 1\)"),
        (ROWS, np.array([0.0, 1.0, 2.0]), None, "integers or text, found float64"),
        (ROWS, np.array([None, 1, 2]), None, "found object"),
        (ROWS, THREE, np.array([1, 2, 2]), "expected 3 different ids, found 2"),
        (ROWS, THREE, np.array([1, 2]), "expected 3 ids"),
        (ROWS, THREE, np.array([1.0, 2.0, 3.0]), "found float64"),
    ],
)
def test_embeddings_that_no_metric_can_be_computed_from_are_refused(rows, labels, ids, said):
    with pytest.raises(EmbeddingsError, match=said) as refused:
        Embeddings(rows, labels, ids)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.uint64, np.int64])
def test_whole_labels_keep_their_value(dtype):
    items = Embeddings(ROWS, np.array([5, 0, 100], dtype))
    assert (items.labels.tolist(), items.labels.dtype) == ([5, 0, 100], np.int64)


def test_other_labels_are_numbered_by_value():
    assert Embeddings(ROWS, np.array(["b", "a", "b"])).labels.tolist() == [1, 0, 1]
    large = np.array([2**64 - 1, 2**64 - 2, 2**63], np.uint64)
    assert Embeddings(ROWS, large).labels.tolist() == [2, 1, 0]


def test_a_ranking_counts_hits_and_relevant_items():
    ranking = Ranking(
        ids=np.array([[1, 2], [0, 2], [0, 1]]),
        scores=np.ones((3, 2), np.float32),
        query_labels=np.array([4, 4, 7]),
        gallery_labels=np.array([4, 4, 7]),
        leave_one_out=True,
    )
    assert ranking.depth == 2
    assert ranking.hits.tolist() == [[True, False], [True, False], [False, False]]
    assert ranking.n_relevant.tolist() == [1, 1, 0]
    apart = dataclasses.replace(ranking, query_labels=np.array([7, 9, -1]), leave_one_out=False)
    assert apart.n_relevant.tolist() == [1, 0, 0]


VALUES = {
    "dataset": "cub200",
    "method": "triplet",
    "backbone": "googlenet",
    "weights": "imagenet",
    "weights_digest": "",
    "head": "linear",
    "dim": 128,
    "fit": "squash",
    "resize": 256,
    "crop": 227,
    "mean": (0.5, 0.5, 0.5),
    "std": (0.2, 0.2, 0.2),
    "augmentation": "crop+flip",
    "batch": 64,
    "per_class": 0,
    "epochs": 60,
    "lr": 0.001,
    "optimiser": "sgd",
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "schedule": "steps:20=0.1,40=0.01",
    "precision": "fp32",
    "monitor": "none",
    "seed": 0,
}
RECIPE = Recipe(**VALUES)


def changed(**values):
    return dataclasses.replace(RECIPE, **values)


def test_keys_differ_wherever_a_value_does():
    options = [{}, {"m": 1}, {"m": -1}, {"m": 1.5}, {"m": [1, 5]}, {"m": "1.5"}, {"m": True}]
    keys = {changed(options=o).key for o in options}
    assert len(keys) == len(options)
    other = {"mean": (0.4, 0.5, 0.5), "std": (0.3, 0.2, 0.2)}
    for name, value in VALUES.items():
        new = other.get(name, f"{value}x" if isinstance(value, str) else None)
        new = value + 1 if new is None else new
        assert changed(**{name: new}).key != RECIPE.key, name


def test_key_ignores_what_does_not_decide_the_number():
    assert changed(expect={"recall@1": 0.5}, source="x").key == RECIPE.key
    digest = "ab" * 32
    here, there = (changed(weights=path, weights_digest=digest) for path in ("a.pt", "b/c.pt"))
    assert here.key == there.key


def test_a_key_is_a_file_name_that_a_person_reads():
    key = changed(dataset="my data/../x", backbone="timm/vit").key
    assert key.startswith("x-triplet-timm_vit-s0-")
    assert "/" not in key


def test_a_recipe_comes_back_from_its_own_words():
    recipe = changed(options={"m": [1, 5]}, expect={"recall@1": 0.5}, source="a table")
    again = Recipe.from_dict(recipe.as_dict(beside=True))
    assert (again, again.key) == (recipe, recipe.key)
    assert again.as_dict(beside=True) == recipe.as_dict(beside=True)


def test_a_recipe_with_strange_or_missing_fields_is_refused():
    with pytest.raises(RecipeError, match="unknown field 'learning_rate'"):
        Recipe.from_dict(RECIPE.as_dict() | {"learning_rate": 1})
    with pytest.raises(RecipeError, match="expected the field 'batch', found none"):
        Recipe.from_dict({k: v for k, v in VALUES.items() if k != "batch"})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_result_that_is_not_finite_is_refused(value):
    with pytest.raises(RunError, match=f"nmi is {value}, expected a finite number"):
        RunResult(RECIPE, {"nmi": value}, [], {}, "", "none", {}, {}, "")
