"""Each method learns: on a small part of glyphs it ends above its own untrained start.

A band is a margin in MAP@R over the same network before training, about half of what was measured
when the band was set. `-m nightly` runs the other side: with the sign of its loss flipped, no
method reaches its band.
"""

import pytest
from letters import letters

from dml_bench import bench, recipes, scoring
from dml_bench.errors import RunError
from dml_bench.methods import METHODS
from dml_bench.store import Run

COMMON = {"dataset": "glyphs", "batch": 64, "epochs": 4, "dim": 64, "precision": "fp32"}
BANDS = {}
TRAINED = [name for name in METHODS if METHODS[name].Method.supervision != "none"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("learning")


def reached(folder, name, **said):
    """MAP@R on the test letters after the training that is said."""
    recipe = recipes.resolve({**COMMON, "method": name, **said}, letters())
    stored = Run(folder, recipe)
    stored.folder.mkdir(parents=True, exist_ok=True)
    packs = bench.Packs(letters(), recipe, folder / "packs")
    model, _ = bench.train(recipe, letters(), packs, stored, device="cpu", say=lambda _: None)
    query, gallery = bench.embeddings(model, recipe, letters(), packs)
    return scoring.evaluate(query, gallery, ["map@r"])[0]["map@r"]


def gain(folder, name):
    """By how much a method ends above its own start: the same network, untrained."""
    margin, said = BANDS[name]
    start = reached(folder, "random", **{k: v for k, v in said.items() if k == "dim"}, epochs=0)
    return reached(folder, name, **said) - start - margin


def test_every_method_that_is_trained_has_a_band():
    assert set(BANDS) == set(TRAINED)
    assert all(margin > 0 for margin, _ in BANDS.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", BANDS)
def test_a_method_ends_above_its_untrained_start(name, folder):
    assert gain(folder, name) >= 0


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize("name", BANDS)
def test_with_the_sign_of_its_loss_flipped_no_method_reaches_its_band(name, folder, monkeypatch):
    method = METHODS[name].Method
    loss = method.loss
    monkeypatch.setattr(method, "loss", lambda *args: -loss(*args))
    with pytest.raises((AssertionError, RunError)):  # it stays below, or its loss becomes no number
        assert gain(folder / "flipped", name) >= 0
