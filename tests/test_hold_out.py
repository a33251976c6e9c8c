"""What is held out of training: which classes or images, asked how, and what it leaves alone."""

import json
from dataclasses import replace

import numpy as np
import pytest
from toys import SMALL, split, toy, toy_seen

from dml_bench import bench, recipes
from dml_bench.data.splits import hold_out
from dml_bench.errors import RecipeError
from dml_bench.results import read_result
from dml_bench.selection import ledger
from dml_bench.types import NO_LABEL, Dataset

HELD = {**SMALL, "epochs": 3, "monitor": "recall@1", "validation": 0.5}


def many(n_classes=10, **kwargs):
    test = split("test", [20, 21, 22], seed=1)
    train = split("train", list(range(n_classes)), each=6, **kwargs)
    return Dataset("many", "Many", train, test, test, "unseen")


def ran(folder, dataset, **said):
    recipe = recipes.resolve(
        {**HELD, "dataset": dataset.name, "method": "invaspread", **said}, dataset
    )
    bench.run(recipe, dataset, folder, say=lambda _: None)
    return read_result(folder / "runs" / recipe.key / "result.json")


def test_a_share_of_nothing_changes_nothing():
    dataset = many()
    assert hold_out(dataset, 0.0, 0) == (dataset, None)


def test_whole_classes_are_held_out_where_the_tests_are_unseen():
    dataset, held = hold_out(many(), 0.3, 0)
    asked = held.asked
    assert len(asked.query.classes) == 3
    assert set(asked.query.classes) | set(dataset.train.classes) == set(range(10))
    assert not set(asked.query.classes) & set(dataset.train.classes)
    assert asked.leave_one_out
    assert (len(asked.query), len(dataset.train)) == (18, 42)
    assert sorted(asked.query.ids + dataset.train.ids) == sorted(many().train.ids)


def test_the_test_stays_as_it_was():
    whole = many()
    dataset, _ = hold_out(whole, 0.3, 0)
    assert (dataset.query, dataset.gallery) == (whole.query, whole.gallery)
    assert dataset.fingerprint == whole.fingerprint


def test_images_of_every_class_are_held_out_where_its_class_is_asked_for():
    whole = toy_seen()
    dataset, held = hold_out(whole, 0.25, 0)
    assert np.bincount(held.asked.query.labels).tolist() == [2, 2, 2, 2]
    assert np.bincount(dataset.train.labels).tolist() == [6, 6, 6, 6]
    assert held.asked.gallery is dataset.train
    assert dataset.gallery is whole.train  # the final result searches what the protocol says


def test_images_without_a_label_are_trained_on_and_neither_asked_nor_searched():
    whole = toy_seen()
    labels = np.where(np.arange(32) % 4 == 0, NO_LABEL, whole.train.labels)
    known = whole.gallery
    whole = replace(whole, train=replace(whole.train, labels=labels), gallery=known)
    dataset, held = hold_out(whole, 0.5, 0)
    assert (dataset.train.labels == NO_LABEL).sum() == 8
    assert held.asked.query.labelled
    assert held.asked.gallery.labelled


def test_the_seed_decides_which_and_the_names_of_classes_do_not():
    chosen = [hold_out(many(), 0.3, seed)[1].asked.query.ids for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]
    whole = many()
    renamed = replace(whole, train=replace(whole.train, labels=900 - 7 * whole.train.labels))
    assert hold_out(renamed, 0.3, 0)[1].asked.query.ids == chosen[0]


@pytest.mark.parametrize("share", [0.05, 0.95])
def test_a_share_that_leaves_too_little_is_refused(share):
    with pytest.raises(RecipeError, match="expected two classes or more held out"):
        hold_out(many(), share, 0)


def test_too_few_images_a_class_are_refused():
    with pytest.raises(RecipeError, match="expected an image or more of a class to hold out"):
        hold_out(toy_seen(), 0.01, 0)


def test_selection_needs_a_metric_and_a_training():
    with pytest.raises(RecipeError, match=r"validation 0.5: expected a metric.*monitor=recall@1"):
        recipes.resolve({**HELD, "monitor": "none", "dataset": "toy", "method": "simclr"}, toy())
    said = {"dataset": "toy", "method": "random", "monitor": "recall@1", "validation": 0.5}
    with pytest.raises(RecipeError, match=r"method random: expected validation 0.0, found 0.5"):
        recipes.resolve({**said, "backbone": "conv4"}, toy())


def test_without_it_the_key_is_that_of_a_recipe_that_never_heard_of_it():
    said = {**SMALL, "dataset": "toy", "method": "simclr"}
    plain = recipes.resolve(said, toy())
    assert recipes.resolve({**said, "validation": 0.0}, toy()).key == plain.key
    old = {name: value for name, value in plain.as_dict().items() if name != "validation"}
    assert type(plain).from_dict(old).key == plain.key
    assert replace(plain, monitor="recall@1", validation=0.5).key != plain.key


@pytest.mark.parametrize("dataset", [toy(), toy_seen()], ids=["unseen", "seen"])
def test_a_run_asks_both_after_each_epoch_and_ends_with_the_last(dataset, tmp_path):
    result = ran(tmp_path, dataset)
    assert all({"recall@1", "validation recall@1"} <= set(row) for row in result.curve)
    assert result.metrics["recall@1"] == result.curve[-1]["recall@1"]
    assert result.counts["train_images"] + result.counts["validation_images"] == len(dataset.train)
    assert result.counts["images_seen"] == 3 * 8 * (result.counts["train_images"] // 8)
    told = ledger(result)
    rows = result.curve
    best = max(range(3), key=lambda n: rows[n]["validation recall@1"])
    assert told["recall@1 (selected)"] == rows[best]["recall@1"]
    assert told["recall@1 (best on test)"] == max(row["recall@1"] for row in rows)


def test_a_run_is_that_of_a_dataset_without_the_held_out_images(tmp_path):
    """The same weights as where the held-out classes were never in the folder at all."""
    with_it = ran(tmp_path / "with", many())
    rest, _ = hold_out(many(), 0.5, 0)
    without = ran(tmp_path / "without", rest, validation=0.0)
    assert with_it.end == without.end
    assert with_it.metrics == without.metrics
    assert with_it.training == without.training


def test_labels_decide_which_images_train_and_nothing_else_of_an_unsupervised_run(tmp_path):
    """Other classes among the images that stay, the same ones held out: the same bits."""
    whole = many()
    rest, _ = hold_out(whole, 0.5, 0)
    stay = rest.train.classes
    one = next(c for c in stay if c + 1 in stay)  # neighbours: in the same order of first images
    labels = whole.train.labels.copy()
    labels[[6 * one + 5, 6 * one + 11]] = one + 1, one
    dealt = replace(whole, train=replace(whole.train, labels=labels))
    assert hold_out(dealt, 0.5, 0)[0].train.ids == rest.train.ids
    ends = [ran(tmp_path / str(n), one).end for n, one in enumerate((whole, dealt))]
    assert ends[0] == ends[1]


def test_a_stopped_run_goes_on_with_the_same_images_held_out(tmp_path, monkeypatch):
    whole = ran(tmp_path / "whole", many())
    written = []
    real = bench.Training._close_epoch

    def stop_after_one(self, lr):
        real(self, lr)
        written.append(self.epoch)
        if len(written) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(bench.Training, "_close_epoch", stop_after_one)
    with pytest.raises(KeyboardInterrupt):
        ran(tmp_path / "stopped", many())
    again = ran(tmp_path / "stopped", many())
    assert written == [1, 2, 3]
    assert (again.end, again.metrics) == (whole.end, whole.metrics)
    costs = ("seconds", "images_per_second")
    curves = [
        [{k: v for k, v in row.items() if k not in costs} for row in one.curve]
        for one in (again, whole)
    ]
    assert curves[0] == curves[1]


def test_a_result_holds_all_that_a_reader_needs_to_judge_it(tmp_path):
    result = ran(tmp_path, toy())
    (path,) = tmp_path.glob("runs/*/result.json")
    values = json.loads(path.read_text())
    told = values["environment"]
    assert {"commit", "dirty", "packages", "processor", "threads", "command"} <= set(told)
    assert {"torch", "numpy", "faiss-cpu", "timm", "scipy"} <= set(told["packages"])
    assert told["peak_memory_mib"] > 50
    assert values["recipe"]["seed"] == 0
    assert {"fit", "resize", "crop", "mean", "std"} <= set(values["recipe"])
    assert len(values["end"]) == 64
    assert values["fingerprint"]
    assert values["training"]
    assert {"pack", "train", "embed", "evaluate"} == set(values["seconds"])
    assert values["counts"]["images_seen"] > 0
    low, high = values["intervals"]["recall@1"]
    assert low <= result.metrics["recall@1"] <= high
    assert "nmi" not in values["intervals"]
