"""No label reaches a method without supervision: with other labels its weights are the same bits.

Everything that a training leaves is compared: the network, the teacher's and the method's own
weights, memories and pseudo-labels, and the losses of the curve.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toys import LESS, SMALL, toy

from dml_bench import assembly, bench, checkpoint, recipes
from dml_bench.methods import METHODS
from dml_bench.methods.base import BaseMethod
from dml_bench.store import Run

UNSUPERVISED = [n for n in METHODS if METHODS[n].Method.supervision == "unsupervised"]
SUPERVISED = [n for n in METHODS if METHODS[n].Method.supervision == "supervised"]


def with_labels(labels):
    dataset = toy()
    train = replace(dataset.train, labels=labels)
    return replace(dataset, train=train)


def left_behind(folder, name, labels, monkeypatch):
    """All tensors that a training of two epochs leaves, and its losses."""
    states = []
    monkeypatch.setattr(checkpoint, "save_state", lambda _, state: states.append(state))
    dataset = with_labels(labels)
    said = {"dataset": "toy", "method": name, **SMALL, "options": LESS.get(name, {})}
    recipe = recipes.resolve(said, dataset)
    stored = Run(folder, recipe)
    stored.folder.mkdir(parents=True)
    packs = bench.Packs(dataset, recipe, folder / "packs")
    bench.train(recipe, dataset, packs, stored, device="cpu", say=lambda _: None)
    last = states[-1]
    tensors = {
        f"{part}.{key}": value.clone()
        for part in ("model", "teacher", "method")
        for key, value in last[part].items()
    }
    return tensors, [row["loss"] for row in last["curve"]]


def trained_twice(folder, name, monkeypatch):
    """What is left with the labels as they are, and with the images dealt to other classes."""
    labels = toy().train.labels
    dealt = np.random.default_rng(0).permutation(labels)
    assert not np.array_equal(labels, dealt)
    return [
        left_behind(folder / str(n), name, given, monkeypatch)
        for n, given in enumerate((labels, dealt))
    ]


@pytest.mark.parametrize("name", UNSUPERVISED)
def test_permuted_labels_leave_every_bit_of_an_unsupervised_training(name, tmp_path, monkeypatch):
    (plain, losses), (dealt, other_losses) = trained_twice(tmp_path, name, monkeypatch)
    assert losses == other_losses
    assert plain.keys() == dealt.keys()
    assert [key for key in plain if not torch.equal(plain[key], dealt[key])] == []


@pytest.mark.parametrize("name", UNSUPERVISED)
def test_the_training_that_is_compared_did_train(name, tmp_path, monkeypatch):
    trained, _ = left_behind(tmp_path, name, toy().train.labels, monkeypatch)
    recipe = recipes.resolve({"dataset": "toy", "method": name, **SMALL}, toy())
    start = assembly.build(recipe, "cpu").state_dict()
    weights = [key for key in start if key.endswith("weight")]
    assert all(not torch.equal(trained[f"model.{key}"], start[key]) for key in weights)


@pytest.mark.parametrize("name", SUPERVISED)
def test_permuted_labels_change_a_supervised_training(name, tmp_path, monkeypatch):
    (plain, _), (dealt, _) = trained_twice(tmp_path, name, monkeypatch)
    assert any(not torch.equal(plain[key], dealt[key]) for key in plain)


def test_a_method_without_labels_is_not_told_how_many_classes_there_are(monkeypatch):
    class Counting(BaseMethod):
        def __init__(self, n_classes: int) -> None:
            super().__init__()
            self.n_classes = n_classes

    monkeypatch.setattr(METHODS["triplet"], "Method", Counting)
    recipe = recipes.resolve({"dataset": "toy", "method": "triplet", **SMALL}, toy())
    with pytest.raises(TypeError, match="n_classes"):
        assembly.method_of(recipe, toy())
    monkeypatch.setattr(Counting, "supervision", "supervised")
    assert assembly.method_of(recipe, toy()).n_classes == 4
