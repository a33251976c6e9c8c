"""From what a user says to a recipe with nothing left open; its key names its folder."""

from dataclasses import replace

import pytest
from test_datasets import SHARED, needs_shared
from toys import SMALL, toy, toy_seen

from dml_bench import defaults, recipes
from dml_bench.data import folder
from dml_bench.errors import BenchError, RecipeError, UnknownNameError
from dml_bench.methods import METHODS
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


def test_a_folder_by_the_name_of_another_dataset_gets_nothing_of_its_settings():
    said = {"method": "invaspread", "backbone": "conv4", "weights": "none"}
    mine, other = (recipes.resolve(said, toy(name)) for name in ("omniglot", "mine"))
    assert {**mine.as_dict(), "dataset": ""} == {**other.as_dict(), "dataset": ""}


@needs_shared
def test_omniglot_is_known_by_its_images_whatever_its_folder_is_called():
    found = folder.load(SHARED / "omniglot")
    for dataset in (found, replace(found, name="letters")):
        assert recipes.resolve({"method": "invaspread"}, dataset).schedule == "cosine"


def test_the_seen_protocol_is_the_papers():
    recipe = recipes.resolve({"method": "invaspread"}, toy_seen())
    found = (recipe.backbone, recipe.batch, recipe.epochs, recipe.augmentation, recipe.crop)
    assert found == ("resnet18_cifar", 128, 200, "R+C+G+F", 16)
    assert (recipe.momentum, recipe.weight_decay, recipe.schedule) == (0.9, 5e-4, "paper-seen")


def test_features_without_a_head_are_as_wide_as_the_backbone():
    assert resolved(method="pixels", **PLAIN, dim=16 * 16 * 3).dim == 16 * 16 * 3
    unsaid = {name: value for name, value in SAID.items() if name != "dim"}
    assert recipes.resolve({**unsaid, "method": "pixels", **PLAIN}, toy()).dim == 16 * 16 * 3


def test_a_width_that_cannot_be_had_without_a_head_is_refused():
    said = r"dim: expected the 768 dimensions that pixels has without a head, found 7; leave dim"
    with pytest.raises(RecipeError, match=said):
        resolved(method="pixels", **PLAIN, dim=7)
    with pytest.raises(RecipeError, match=r"dim: expected the \d+ dim.* conv4 has .* found 16"):
        resolved(head="none")


PLAIN = {"backbone": "pixels", "augmentation": "none", "epochs": 0, "head": "none"}
REFUSED = {
    "field": ({"learning_rate": 1}, "no recipe field 'learning_rate'"),
    "method": ({"method": "invasprd"}, "did you mean 'invaspread'"),
    "backbone": ({"backbone": "resnt50"}, "resnet50"),
    "augmentation": ({"augmentation": "R+Q"}, "no augmentation 'Q'"),
    "option": ({"options": {"temprature": 1.0}}, "did you mean 'temperature'"),
    "a field that is misspelt, as --set gives it": (
        {"options": {"epocs": 1}},
        "no option of invaspread or recipe field 'epocs'; did you mean 'epochs'",
    ),
    "a field among the options": (
        {"options": {"epochs": 1}},
        "no option of invaspread 'epochs'; there is",
    ),
    "kind of an option": (
        {"options": {"temperature": "hot"}},
        "temperature: expected a value like 0.1",
    ),
    "value of an option": (
        {"options": {"temperature": -1.0}},
        "temperature: expected a number above 0",
    ),
    "no finite option": (
        {"options": {"temperature": float("nan")}},
        "temperature: expected a finite number, found nan",
    ),
    "option beyond any float": (
        {"options": {"temperature": 10**400}},
        "temperature: expected a value like 0.1",
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


WRONG = [
    "dataset=3",
    "dataset=true",
    "method=3",
    "method=[1]",
    "method=invasprd",
    "backbone=3",
    "backbone={a=1}",
    "backbone=resnt50",
    "weights=3",
    "weights=[1]",
    "head=3",
    "head=mlp",
    "dim=0",
    "dim=1.5",
    "dim=99999999999999",
    "fit=1",
    "resize=-1",
    "resize=wide",
    "crop=-5",
    "crop=99999999",
    "mean=3",
    "mean=[0.5,0.5]",
    "mean=[128,128,128]",
    "mean=[nan,0,0]",
    f"mean=[1{'0' * 400},0,0]",
    "std=[0,0,0]",
    "std=[-1,1,1]",
    "std=x",
    "augmentation=3",
    "augmentation=R+Q",
    "batch=1",
    "batch=1e3",
    "per_class=-1",
    "epochs=two",
    "epochs=true",
    "epochs=99999999999",
    "optimiser=3",
    "optimiser=sdg",
    "lr=-0.1",
    "lr=inf",
    "lr=fast",
    "lr=1e300",
    "momentum=1.0",
    "momentum=1.5",
    "momentum=-0.1",
    "weight_decay=1e99",
    "weight_decay=nan",
    f"weight_decay=1{'0' * 400}",
    "schedule=3",
    "schedule=linear",
    "schedule=steps:1=nan",
    "schedule=steps:1=-1",
    "precision=3",
    "precision=fp8",
    "monitor=3",
    "monitor=recal@1",
    "monitor=recall@0",
    "monitor=linear",
    "seed=99999999999999999999999",
    "seed=2147483648",
    "seed=-1",
    "seed=0.5",
    "options=3",
    "options=[1]",
    "temprature=1.0",
    "temperature=hot",
    "expect=3",
    "source=me",
    "weights_digest=x",
    'backbone="conv4\\nresnet18"',
    "learning_rate=1",
]


@pytest.mark.parametrize("word", WRONG)
def test_a_setting_of_the_wrong_kind_or_out_of_range_is_refused_in_one_line(word):
    with pytest.raises((RecipeError, UnknownNameError)) as error:
        resolved(**recipes.parse([word]))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["expect", "source", "weights_digest"])
def test_what_follows_from_elsewhere_is_no_setting(name):
    with pytest.raises(RecipeError, match=f"{name}: expected a field for a user to set, found one"):
        recipes.parse([f"{name}=x"])


def test_a_digest_is_never_said():
    with pytest.raises(RecipeError, match="that follows from the weights file; leave it out"):
        resolved(weights_digest="ab")


def test_an_option_is_laid_over_a_table_of_options_in_any_order():
    wanted = {"options": {"form": "paper", "temperature": 0.2}}
    assert recipes.parse(["options={form='paper'}", "temperature=0.2"]) == wanted
    assert recipes.parse(["temperature=0.2", "options={form='paper'}"]) == wanted
    with pytest.raises(RecipeError, match="options: expected a table"):
        recipes.parse(["options=3", "temperature=0.2"])


def test_a_setting_of_two_lines_says_no_second_field():
    assert recipes.parse(["temperature=0.1\nlr = 3"]) == {"options": {"temperature": "0.1\nlr = 3"}}


@pytest.mark.parametrize("monitor", ["linear", "recall@1", "knn@200", "nmi"])
def test_a_monitor_that_the_protocol_can_compute_is_taken(monitor):
    seen = recipes.resolve({"method": "invaspread", "monitor": monitor}, toy_seen())
    assert seen.monitor == monitor
    if monitor != "linear":
        assert resolved(monitor=monitor).monitor == monitor


def test_a_monitor_that_needs_a_gallery_apart_is_refused_before_training():
    with pytest.raises(
        RecipeError, match=r"monitor linear: expected a gallery .* found none in toy"
    ):
        resolved(monitor="linear")


def test_a_crop_larger_than_what_it_is_cut_from_is_refused():
    with pytest.raises(RecipeError, match="at most the 20 pixels of resize, found 24; set"):
        resolved(resize=20, crop=24)


PAPERS = (256, 227, "squash")


@pytest.mark.parametrize("method", ["invaspread", "init"])
@pytest.mark.parametrize(
    ("backbone", "shown"),
    [
        ("googlenet", PAPERS),
        ("resnet18", PAPERS),
        ("resnet50", PAPERS),
        ("torchvision/resnet50", PAPERS),
        ("efficientnet_lite0", PAPERS),
        ("resnet34", (256, 224, "centre")),
        ("inception_v3", (342, 299, "centre")),
        ("vit_b_16", (256, 224, "centre")),
        ("efficientnet_b1", (256, 240, "centre")),
    ],
)
def test_sizes_come_with_the_weights_but_for_the_backbones_of_the_papers_protocol(
    backbone, shown, method
):
    if backbone == "efficientnet_lite0":
        pytest.importorskip("efficientnet_lite_pytorch")
    recipe = recipes.resolve({"method": method, "backbone": backbone, "weights": "imagenet"}, toy())
    assert (recipe.resize, recipe.crop, recipe.fit) == shown
    said = recipes.resolve(
        {"method": method, "backbone": backbone, "weights": "imagenet", "fit": "squash"}
        | {"resize": 320, "crop": 310},
        toy(),
    )
    assert (said.resize, said.crop, said.fit) == (320, 310, "squash")


def test_the_papers_backbones_keep_a_datasets_own_sizes_and_others_bring_theirs():
    said = {"method": "invaspread", "weights": "imagenet"}
    letters = toy("glyphs")
    assert recipes.resolve({**said, "backbone": "resnet18"}, letters).crop == 16
    assert recipes.resolve({**said, "backbone": "resnet34"}, letters).crop == 224


def test_without_weights_the_sizes_are_the_protocols():
    assert recipes.resolve({"method": "random", "backbone": "resnet34"}, toy()).crop == 227
    assert recipes.resolve({"method": "invaspread", "backbone": "resnet34"}, toy_seen()).crop == 16


def test_pretrained_weights_bring_their_sizes_to_the_seen_protocol():
    said = {"method": "invaspread", "backbone": "resnet50", "weights": "imagenet"}
    recipe = recipes.resolve(said, toy_seen())
    assert (recipe.resize, recipe.crop, recipe.fit) == (256, 224, "centre")


def test_every_methods_defaults_are_of_the_right_kind():
    for name in METHODS:
        method = METHODS[name].Method
        for said in (method.defaults, *method.defaults_by_start.values()):
            assert {field: recipes.checked(field, value) for field, value in said.items()} == said


def test_a_method_has_defaults_for_drawn_weights_and_others_for_pretrained_ones():
    said = {"method": "sprint"}
    seen, unseen = (recipes.resolve(said, made()) for made in (toy_seen, toy))
    assert (seen.optimiser, seen.lr, seen.batch) == ("muon", 0.005, 64)
    assert (unseen.optimiser, unseen.lr, unseen.batch) == ("sgd", 0.0003, 64)
    drawn = recipes.resolve({**said, "weights": "none"}, toy())
    assert (drawn.optimiser, drawn.lr) == ("muon", 0.005)
    asked = {"method": "sprint", "lr": 0.1}
    assert recipes.resolve(asked, toy_seen()).lr == 0.1  # what a user says comes first
    letters = defaults.usual("sprint", "unseen", {"weights": "none", "lr": 0.2, "batch": 32})
    assert (letters["optimiser"], letters["lr"]) == ("muon", 0.005)  # a rate is its optimiser's
    assert letters["batch"] == 32  # what a dataset needs comes before the method's


def test_weights_of_a_users_own_backbone_are_drawn_unless_they_are_said():
    own = {"backbone": "mine.py:build"}
    said = defaults.usual("sprint", "unseen", {}, own)
    assert (said["weights"], said["optimiser"]) == ("none", "muon")
    loaded = defaults.usual("sprint", "unseen", {}, {**own, "weights": "mine.pt"})
    assert loaded["optimiser"] == "sgd"


def test_another_optimiser_than_the_methods_leaves_the_methods_rate():
    assert defaults.usual("sprint", "seen", {}, {"optimiser": "sgd"})["lr"] == 0.03
    assert defaults.usual("sprint", "seen", {}, {"optimiser": "muon"})["lr"] == 0.005
    assert defaults.usual("stml", "unseen", {}, {"optimiser": "sgd"})["weight_decay"] == 5e-4


@pytest.mark.parametrize("word", ["epochs", "=2", ""])
def test_a_setting_without_a_name_and_a_value_is_refused(word):
    with pytest.raises(BenchError, match="expected name=value"):
        recipes.parse([word])


@pytest.mark.parametrize("name", ["batch", "temperature"])
def test_a_setting_said_twice_is_refused(name):
    with pytest.raises(RecipeError, match=f"{name}: expected it said once, found --set {name}=8 a"):
        recipes.parse([f"{name}=8", "seed=1", f"{name}=16"])


def test_settings_are_laid_over_a_suites_options_one_by_one():
    said = {"lr": 1.0, "options": {"form": "code", "temperature": 0.1}}
    over = {"lr": 2.0, "options": {"form": "paper"}}
    assert recipes.merge(said, over) == {
        "lr": 2.0,
        "options": {"form": "paper", "temperature": 0.1},
    }


def test_an_option_that_is_younger_than_the_records_is_no_other_recipe_where_it_is_not_asked():
    said = {**SAID, "method": "sprint"}
    now = recipes.resolve(said, toy())
    values = now.as_dict()
    assert values["options"].pop("neighbour") is False
    old = Recipe.from_dict(values)
    assert (old, old.key, old.decisive()) == (now, now.key, now.decisive())
    asked = recipes.resolve({**said, "options": {"neighbour": True}}, toy())
    assert asked.key != now.key
    assert Recipe.from_dict(asked.as_dict()) == asked
