"""From what a user says to a recipe with nothing left open; its key names its folder."""

import pytest
from toys import SMALL, toy, toy_seen

from dml_bench import recipes
from dml_bench.errors import BenchError
from dml_bench.types import Recipe

SAID = {"dataset": "toy", "method": "invaspread", **SMALL}


def resolved(**said):
    return recipes.resolve({**SAID, **said}, toy())


def test_keys_differ_wherever_a_value_does():
    changes = [
        {},
        {"seed": 1},
        {"lr": 0.02},
        {"epochs": 3},
        {"dim": 8},
        {"options": {"form": "paper"}},
        {"options": {"temperature": 0.2}},
        {"schedule": "cosine"},
        {"augmentation": "none"},
    ]
    assert len({resolved(**change).key for change in changes}) == len(changes)


def test_a_key_ignores_what_does_not_decide_the_number():
    beside = resolved(expect={"recall@1": 0.5}, source="Table 3")
    assert beside.key == resolved().key
    assert beside.source == "Table 3"


def test_a_key_does_not_hang_on_whether_a_default_was_said():
    said = resolved(options={"temperature": 0.1, "form": "code"}, head="linear")
    assert said.key == resolved().key


def test_a_number_is_the_same_number_however_it_is_written():
    assert resolved(lr=1).key == resolved(lr=1.0).key
    assert resolved(options={"temperature": 1}).key == resolved(options={"temperature": 1.0}).key


def test_a_recipe_comes_back_from_its_dictionary():
    recipe = resolved(expect={"recall@1": 0.5}, source="Table 3")
    assert Recipe.from_dict(recipe.as_dict(beside=True)) == recipe
    assert Recipe.from_dict(recipe.as_dict()).key == recipe.key


def test_what_the_user_says_comes_before_the_method_the_dataset_and_the_protocol():
    assert recipes.resolve({"method": "invaspread"}, toy_seen()).lr == 0.03
    triplet = recipes.resolve({**SAID, "method": "triplet_semihard"}, toy())
    assert triplet.per_class == 4
    assert (
        recipes.resolve({**SAID, "method": "triplet_semihard", "per_class": 2}, toy()).per_class
        == 2
    )
    assert resolved(lr=0.5).lr == 0.5


def test_the_seen_protocol_is_the_papers():
    recipe = recipes.resolve({"method": "invaspread"}, toy_seen())
    found = (recipe.backbone, recipe.batch, recipe.epochs, recipe.augmentation, recipe.crop)
    assert found == ("resnet18_cifar", 128, 200, "R+C+G+F", 16)
    assert (recipe.momentum, recipe.weight_decay, recipe.schedule) == (0.9, 5e-4, "paper-seen")


def test_features_without_a_head_are_as_wide_as_the_backbone():
    assert resolved(method="pixels", **PLAIN).dim == 16 * 16 * 3


PLAIN = {"backbone": "pixels", "augmentation": "none", "epochs": 0, "head": "none"}
REFUSED = {
    "field": ({"learning_rate": 1}, "no recipe field 'learning_rate'"),
    "method": ({"method": "invasprd"}, "did you mean 'invaspread'"),
    "backbone": ({"backbone": "resnt50"}, "resnet50"),
    "augmentation": ({"augmentation": "R+Q"}, "no augmentation 'Q'"),
    "option": ({"options": {"temprature": 1.0}}, "did you mean 'temperature'"),
    "kind of an option": (
        {"options": {"temperature": "hot"}},
        "temperature: expected a value like 0.1",
    ),
    "value of an option": (
        {"options": {"temperature": -1.0}},
        "temperature: expected a number above 0",
    ),
    "word of an option": ({"options": {"form": "both"}}, "there is code, paper"),
    "schedule": ({"schedule": "linear"}, "no schedule 'linear'"),
    "head": ({"head": "mlp"}, "there is linear, none"),
    "fit": ({"fit": "pad"}, "there is squash, centre"),
    "precision": ({"precision": "fp8"}, "there is fp32, bf16"),
    "kind of a field": ({"epochs": "two"}, "epochs: expected int, found 'two'"),
    "truth for a number": ({"epochs": True}, "epochs: expected int, found True"),
    "too small": ({"batch": 1}, "batch: expected 2 or more, found 1"),
    "not a number": ({"lr": float("nan")}, "lr: expected a finite number"),
    "negative rate": ({"lr": -0.1}, "lr: expected 0 or more"),
    "no training": ({"epochs": 0}, "expected 1 epoch or more"),
    "training of the untrained": (
        {"method": "random", "augmentation": "none"},
        "expected epochs 0, found 2",
    ),
    "init without weights": (
        {"method": "init", **{k: v for k, v in PLAIN.items() if k != "backbone"}},
        "expected pretrained weights",
    ),
    "missing weights": ({"weights": "nowhere.safetensors"}, "nowhere.safetensors"),
    "monitor": ({"monitor": "recal@1"}, "no metric 'recal@1'"),
    "three means": ({"mean": [0.5, 0.5]}, "mean: expected 3 numbers"),
}


@pytest.mark.parametrize(("said", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_means_nothing_is_refused_in_one_line(said, message):
    with pytest.raises(BenchError) as error:
        resolved(**said)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_recipe_without_a_method_lists_the_methods():
    with pytest.raises(BenchError, match="expected a method, found none; there is pixels"):
        recipes.resolve({"dataset": "toy"}, toy())


def test_settings_are_read_as_fields_and_options():
    words = ["epochs=2", "lr=1e-3", "weights=/some/file.pt", "form=paper", "neighbour=true"]
    assert recipes.parse(words) == {
        "epochs": 2,
        "lr": 1e-3,
        "weights": "/some/file.pt",
        "options": {"form": "paper", "neighbour": True},
    }


@pytest.mark.parametrize("word", ["epochs", "=2", ""])
def test_a_setting_without_a_name_and_a_value_is_refused(word):
    with pytest.raises(BenchError, match="expected name=value"):
        recipes.parse([word])


def test_settings_are_laid_over_a_suites_options_one_by_one():
    said = {"lr": 1.0, "options": {"form": "code", "temperature": 0.1}}
    over = {"lr": 2.0, "options": {"form": "paper"}}
    assert recipes.merge(said, over) == {
        "lr": 2.0,
        "options": {"form": "paper", "temperature": 0.1},
    }
