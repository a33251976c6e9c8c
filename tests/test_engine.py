"""The loop: it learns, stops and goes on, and ends in the same bits."""

import math

import pytest
import torch
from toys import LESS, SMALL, toy

from dml_bench import bench, checkpoint, recipes
from dml_bench.engine import Training
from dml_bench.errors import DataError, RecipeError, RunError, UnknownNameError
from dml_bench.methods import METHODS
from dml_bench.methods.invaspread import Method
from dml_bench.optimisation import SCHEDULES, rate
from dml_bench.store import Run

TRAINED = [name for name in METHODS if METHODS[name].Method.supervision != "none"]


class StoppedError(Exception):
    """Stands for whatever ends a process."""


def prepared(folder, **said):
    """A toy training: its pieces, ready to run in `folder`."""
    dataset = toy()
    recipe = recipes.resolve({"dataset": "toy", "method": "invaspread", **SMALL, **said}, dataset)
    stored = Run(folder, recipe)
    stored.folder.mkdir(parents=True, exist_ok=True)
    return recipe, dataset, stored, bench.Packs(dataset, recipe, folder / "packs")


def trained(folder, **said):
    recipe, dataset, stored, packs = prepared(folder, **said)
    model, curve = bench.train(recipe, dataset, packs, stored, device="cpu", say=lambda _: None)
    return model.state_dict(), curve


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def stopped_and_resumed(folder, monkeypatch, stop_at, **said):
    """What a training leaves that is cut off after `stop_at` steps and then goes on."""
    monkeypatch.setattr("dml_bench.engine.SAVE_SECONDS", 0.0)
    taken = 0
    take = Training._take_step

    def take_or_stop(self, batch):
        nonlocal taken
        if taken == stop_at:
            raise StoppedError
        taken += 1
        take(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_take_step", take_or_stop)
        with pytest.raises(StoppedError):
            trained(folder, **said)
    return trained(folder, **said)


@pytest.mark.parametrize("stop_at", [1, 3, 4, 6])
@pytest.mark.parametrize("options", [{}, {"neighbour": True}], ids=["plain", "neighbour"])
def test_a_training_that_was_stopped_ends_in_the_same_bits(tmp_path, monkeypatch, stop_at, options):
    whole, curve = trained(tmp_path / "whole", options=options)
    again, curve_again = stopped_and_resumed(
        tmp_path / "cut", monkeypatch, stop_at, options=options
    )
    assert same(whole, again)
    assert [row["loss"] for row in curve_again] == [row["loss"] for row in curve]


@pytest.mark.parametrize("name", TRAINED)
def test_what_a_method_remembers_survives_a_stop(tmp_path, monkeypatch, name):
    said = {"method": name, "options": LESS.get(name, {})}
    whole, curve = trained(tmp_path / "whole", **said)
    again, curve_again = stopped_and_resumed(tmp_path / "cut", monkeypatch, 5, **said)
    assert same(whole, again)
    assert [row["loss"] for row in curve_again] == [row["loss"] for row in curve]


def test_a_damaged_state_gives_way_to_the_one_before_it(tmp_path, monkeypatch):
    whole, _ = trained(tmp_path / "whole")
    monkeypatch.setattr("dml_bench.engine.SAVE_SECONDS", 0.0)
    recipe, *_, stored, _ = prepared(tmp_path / "cut")
    trained(tmp_path / "cut")
    newest = stored.folder / checkpoint.STATE
    newest.write_bytes(newest.read_bytes()[:1000])
    state, note = checkpoint.load_state(stored.folder)
    assert state["key"] == recipe.key
    assert "damaged" in note
    again, _ = trained(tmp_path / "cut")
    assert same(whole, again)


def test_two_runs_of_one_recipe_give_the_same_bits_and_another_seed_others(tmp_path):
    first, _ = trained(tmp_path / "first")
    second, _ = trained(tmp_path / "second")
    third, _ = trained(tmp_path / "third", seed=1)
    assert same(first, second)
    assert not same(first, third)


def test_a_monitor_changes_no_weight(tmp_path):
    plain, _ = trained(tmp_path / "plain")
    watched, curve = trained(tmp_path / "watched", monitor="recall@1")
    assert same(plain, watched)
    assert all(0 <= row["recall@1"] <= 1 for row in curve)


def test_an_unsupervised_method_trains_alike_whatever_the_labels(tmp_path):
    dataset = toy()
    plain, _ = trained(tmp_path / "plain")
    recipe, _, stored, packs = prepared(tmp_path / "renamed")
    object.__setattr__(dataset.train, "labels", dataset.train.labels[::-1].copy())
    model, _ = bench.train(recipe, dataset, packs, stored, device="cpu", say=lambda _: None)
    assert same(plain, model.state_dict())


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_state_before_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("dml_bench.engine.SAVE_SECONDS", 0.0)
    steps = 0

    def loss(self, vectors, batch):
        nonlocal steps
        steps += 1
        return vectors.sum() * (math.nan if steps == 3 else 1.0)

    monkeypatch.setattr(Method, "loss", loss)
    recipe, dataset, stored, packs = prepared(tmp_path)
    with pytest.raises(RunError, match=r"loss became nan in epoch 1, at or before step 3"):
        bench.train(recipe, dataset, packs, stored, device="cpu", say=lambda _: None)
    state, _ = checkpoint.load_state(stored.folder)
    assert state["step"] == 2
    assert all(torch.isfinite(v).all() for v in state["model"].values())


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        ("vectors.sum(dim=2).flatten()", r"shape \(16,\); take its mean"),
        ("vectors.sum().reshape(1)", r"shape \(1,\); take its mean"),
        ("vectors.detach().sum()", "one without a gradient; compute it from vectors"),
        ("vectors.argmax()", "one without a gradient; compute it from vectors"),
        ("0.5", "a float; return a tensor"),
        ("None", "a NoneType; return a tensor"),
    ],
)
def test_a_loss_that_is_no_number_with_a_gradient_is_bad_input_in_one_line(tmp_path, loss, found):
    own = tmp_path / "own.py"
    own.write_text(
        "from dml_bench.methods.base import BaseMethod\n\nclass Method(BaseMethod):\n"
        f"    def loss(self, vectors, batch):\n        return {loss}\n"
    )
    said = f"^own.py: expected loss to return one number with a gradient, found {found}$"
    with pytest.raises(DataError, match=said):
        trained(tmp_path, method=str(own))


@pytest.mark.parametrize(
    ("schedule", "epoch", "factor"),
    [
        ("constant", 150, 1.0),
        ("paper-seen", 119, 1.0),
        ("paper-seen", 120, 0.1),
        ("paper-seen", 160, 0.01),
        ("code-seen", 160, 0.05),
        ("code-seen", 250, 0.01),
        ("code-unseen", 40, 0.01),
        ("steps:2=0.5,1=0.7", 1, 0.7),
        ("steps:2=0.5,1=0.7", 5, 0.5),
        ("cosine", 0, 1.0),
        ("cosine", 100, 0.5),
        ("warmup:0.1", 0, 0.0),
        ("warmup:0.1", 5, 0.25),
        ("warmup:0.1", 20, 1.0),
        ("warmup:0.1", 110, 0.5),
        ("warmup:0", 0, 1.0),
        ("warmup:0", 199.5, 1.5421e-5),
    ],
)
def test_a_schedule_gives_the_factor_of_its_epoch(schedule, epoch, factor):
    assert rate(schedule, epoch, epochs=200) == pytest.approx(factor, rel=1e-4)


def test_the_schedule_reaches_the_optimiser_and_the_curve(tmp_path):
    _, curve = trained(tmp_path, schedule="steps:1=0.1")
    assert [row["lr"] for row in curve] == pytest.approx([0.01, 0.001])


def test_a_schedule_by_step_reaches_every_step(tmp_path, monkeypatch):
    seen = []
    take = Training._take_step

    def noted(training, batch):
        seen.append([group["lr"] for group in training.optimiser.param_groups])
        take(training, batch)

    monkeypatch.setattr(Training, "_take_step", noted)
    _, curve = trained(tmp_path, schedule="warmup:0.25")  # of 2 epochs of 4 steps
    wanted = [0.01 * rate("warmup:0.25", step / 4, 2) for step in range(8)]
    assert [first for first, *_ in seen] == pytest.approx(wanted)
    assert wanted[0] == 0 < wanted[1] < wanted[2] > wanted[3]
    assert [row["lr"] for row in curve] == pytest.approx([wanted[3], wanted[7]])


@pytest.mark.parametrize("stop_at", [2, 4, 6])
def test_a_schedule_by_step_goes_on_where_it_was(tmp_path, monkeypatch, stop_at):
    said = {"schedule": "warmup:0.25"}
    whole, curve = trained(tmp_path / "whole", **said)
    again, curve_again = stopped_and_resumed(tmp_path / "cut", monkeypatch, stop_at, **said)
    assert same(whole, again)
    assert [row["lr"] for row in curve_again] == [row["lr"] for row in curve]


def test_an_unknown_schedule_lists_the_known():
    with pytest.raises(UnknownNameError, match=next(iter(SCHEDULES))):
        rate("linear", 0, 10)
    with pytest.raises(RecipeError, match=r"steps:120=0\.1,160=0\.01"):
        rate("steps:120", 0, 10)
    with pytest.raises(RecipeError, match=r"warmup:0\.1'.*found 'warmup:1'"):
        rate("warmup:1", 0, 10)
