"""Each method learns: on a small part of glyphs it ends above its own untrained start.

A band is a margin in MAP@R over the same network before training, about half of what was measured
when the band was set, and no epoch's loss is below zero. `-m nightly` runs the other side: with the
sign of its loss flipped, no method passes. (One with a weight for each class or image may still
learn, for it can turn its weights round; its loss then runs below zero.)
"""

import pytest
from letters import letters

from dml_bench import bench, recipes, scoring
from dml_bench.errors import RunError
from dml_bench.methods import METHODS
from dml_bench.store import Run

COMMON = {"dataset": "glyphs", "batch": 64, "epochs": 4, "dim": 64, "precision": "fp32"}
# of 40 classes: a memory needs small steps and many visits
FEW = {"lr": 0.003, "batch": 16, "epochs": 40}
BANDS = {  # margin in MAP@R, what the recipe says, training classes
    "exemplar": (0.04, {"lr": 0.003}, 160),
    "npsoftmax": (0.018, {**FEW, "options": {"temperature": 0.5}}, 40),
    "nce": (
        0.012,
        {**FEW, "options": {"temperature": 0.5, "constant": "average", "negatives": 128}},
        40,
    ),
    "deepcluster": (0.08, {}, 160),
    "mom": (0.08, {}, 160),
    "cyclic": (0.045, {}, 160),
    "triplet": (0.025, {}, 160),
    "triplet_hard": (0.025, {}, 160),
    "invaspread": (0.07, {}, 160),
    "simclr": (0.02, {}, 160),
    "moco": (0.02, {}, 160),
    "byol": (0.04, {}, 160),
    "stml": (0.03, {}, 160),
    "sprint": (0.1, {}, 160),
    "triplet_semihard": (0.18, {}, 160),
    "contrastive": (0.2, {}, 160),
    "lifted": (0.03, {}, 160),
    "n_pair": (0.15, {}, 160),
    "angular": (0.2, {}, 160),
    "margin": (0.19, {}, 160),
    "multi_similarity": (0.2, {}, 160),
    "norm_softmax": (0.06, {"lr": 0.001}, 160),
    "proxy_nca": (0.08, {"lr": 0.001}, 160),
    "proxy_anchor": (0.04, {"lr": 0.001}, 160),
    "soft_triple": (0.03, {"lr": 0.001, "epochs": 6}, 160),
    "arcface": (0.04, {"lr": 0.001}, 160),
    "supcon": (0.2, {}, 160),
}
TRAINED = [name for name in METHODS if METHODS[name].Method.supervision != "none"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("learning")


def reached(folder, name, n_train=160, **said):
    """MAP@R on the test letters after the training that is said, and each epoch's loss."""
    dataset = letters(n_train)
    recipe = recipes.resolve({**COMMON, "method": name, **said}, dataset)
    stored = Run(folder / str(n_train), recipe)
    stored.folder.mkdir(parents=True, exist_ok=True)
    packs = bench.Packs(dataset, recipe, folder / str(n_train) / "packs")
    model, curve = bench.train(recipe, dataset, packs, stored, device="cpu", say=lambda _: None)
    query, gallery = bench.embeddings(model, recipe, dataset, packs)
    found = scoring.evaluate(query, gallery, ["map@r"])[0]["map@r"]
    return found, [row["loss"] for row in curve]


@pytest.fixture(scope="module")
def start(folder):
    """MAP@R of the network that every method begins with."""
    return reached(folder, "random", epochs=0)[0]


def learns(folder, start, name):
    """Whether a method ends beyond its band over the same network, untrained."""
    margin, said, n_train = BANDS[name]
    end, losses = reached(folder, name, n_train, **said)
    return end >= start + margin and min(losses) >= 0


def test_every_method_that_is_trained_has_a_band():
    assert set(BANDS) == set(TRAINED)
    assert all(margin > 0 for margin, *_ in BANDS.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", BANDS)
def test_a_method_ends_above_its_untrained_start(name, folder, start):
    assert learns(folder, start, name)


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize("name", BANDS)
def test_with_the_sign_of_its_loss_flipped_no_method_passes(name, folder, start, monkeypatch):
    method = METHODS[name].Method
    loss = method.loss
    monkeypatch.setattr(method, "loss", lambda *args: -loss(*args))
    try:
        passed = learns(folder / "flipped", start, name)
    except RunError:  # its loss became no number
        passed = False
    assert not passed
