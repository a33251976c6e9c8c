"""What stays as the weights have it: batch norm, the backbone, and a head that is thrown away."""

import pytest
import torch
from test_engine import prepared, trained
from test_models import HALF, built
from toys import SMALL, toy

from dml_bench import bench, models, recipes
from dml_bench.embed import embed
from dml_bench.errors import RecipeError, UnknownNameError
from dml_bench.teacher import Teacher

RUNNING = ("running_mean", "running_var", "num_batches_tracked")
KEPT = {"batch_norm": "train", "trained": "all"}


def made(**said):
    return models.build("conv4", "none", "linear", 8, 32, HALF, HALF, 0, **said)


def start(folder, **said):
    recipe, *_ = prepared(folder, **said)
    return bench.build(recipe, "cpu").state_dict()


def moved(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_frozen_batch_norm_keeps_its_statistics_and_learns_scale_and_shift(tmp_path):
    before = start(tmp_path, batch_norm="frozen")
    after, _ = trained(tmp_path, batch_norm="frozen")
    changed = moved(before, after)
    assert not [name for name in changed if name.endswith(RUNNING)]
    norms = {n.removesuffix(".running_mean") for n in before if n.endswith("running_mean")}
    assert {f"{norm}.{part}" for norm in norms for part in ("weight", "bias")} <= changed


def test_batch_norm_moves_its_statistics_where_it_is_trained(tmp_path):
    changed = moved(start(tmp_path), trained(tmp_path)[0])
    assert {name for name in start(tmp_path) if name.endswith(RUNNING)} <= changed


def test_a_model_with_frozen_batch_norm_sees_an_image_alike_in_any_batch():
    images = torch.rand(6, 3, 32, 32)
    frozen, counting = made(batch_norm="frozen").train(), made().train()
    torch.testing.assert_close(frozen(images)[:2], frozen(images[:2]))
    assert not torch.allclose(counting(images)[:2], counting(images[:2]))
    torch.testing.assert_close(frozen(images), made().eval()(images))


def test_the_head_alone_learns_where_nothing_else_should(tmp_path):
    before = start(tmp_path, trained="head")
    after, curve = trained(tmp_path, trained="head")
    assert moved(before, after) == {"head.weight", "head.bias"}
    assert curve[-1]["loss"] < curve[0]["loss"]


def test_a_backbone_that_is_not_trained_works_as_in_evaluation():
    model = made(trained="head").train()
    assert model.training
    assert not any(part.training for part in model.backbone.modules())
    assert models.parameters(model) == sum(p.numel() for p in model.head.parameters())


def test_a_teacher_keeps_what_its_student_keeps():
    for said in ({"batch_norm": "frozen"}, {"trained": "head"}):
        network = Teacher(made(**said), 0.9, trains=True).network.train()
        assert not any(part.training for part in network.modules() if hasattr(part, "running_var"))


def test_a_projection_is_trained_with_and_thrown_away():
    model = models.build("conv4", "none", "projection", 8, 32, HALF, HALF, 0)
    images = torch.rand(4, 3, 32, 32)
    features, vectors = model.both(images)
    assert features.shape == (4, 256)
    assert vectors.shape == (4, 8)
    assert model.dim == model(images).shape[1] == 256
    torch.testing.assert_close(model(images), torch.nn.functional.normalize(features))


def test_what_is_asked_after_a_projection_is_the_backbone_and_the_projection_learned(tmp_path):
    said = {"head": "projection", "epochs": 2}
    recipe, dataset, stored, packs = prepared(tmp_path, **said)
    before = start(tmp_path, **said)
    model, _ = bench.train(recipe, dataset, packs, stored, device="cpu", say=lambda _: None)
    assert {"head.0.weight", "head.2.weight"} <= moved(before, model.state_dict())
    vectors = embed(model, packs[dataset.query], crop=16, precision="fp32")
    plain = built(head="none", crop=16)
    plain.backbone.load_state_dict(model.backbone.state_dict())
    plain.mean.copy_(model.mean)
    plain.std.copy_(model.std)
    assert (vectors == embed(plain, packs[dataset.query], crop=16, precision="fp32")).all()


def test_the_dimensions_of_what_is_asked_stand_in_the_counts(tmp_path):
    recipe, dataset, *_ = prepared(tmp_path, head="projection", epochs=1)
    assert bench.run(recipe, dataset, tmp_path, say=lambda _: None).counts["dimensions"] == 256


def resolved(**said):
    return recipes.resolve({"dataset": "toy", "method": "invaspread", **SMALL, **said}, toy())


def test_what_went_without_saying_before_stays_out_of_the_key():
    assert resolved(**KEPT, share=1.0).key == resolved().key
    for change in ({"batch_norm": "frozen"}, {"trained": "head"}, {"share": 0.5}):
        assert resolved(**change).key != resolved().key


@pytest.mark.parametrize(
    ("said", "kind", "line"),
    [
        ({"batch_norm": "cold"}, UnknownNameError, "no batch_norm 'cold'; there is train, frozen"),
        ({"trained": "tail"}, UnknownNameError, "no trained 'tail'; there is all, head"),
        ({"trained": "head", "head": "none"}, RecipeError, "expected a head, found head none"),
        (
            {"trained": "head", "batch_norm": "frozen"},
            RecipeError,
            "expected batch_norm train, found frozen",
        ),
        (
            {"backbone": "pixels", "batch_norm": "frozen"},
            RecipeError,
            "expected a backbone with batch norm, found pixels without",
        ),
        (
            {"method": "random", "epochs": 0, "augmentation": "none", "trained": "head"},
            RecipeError,
            "method random: expected trained 'all', found 'head'",
        ),
        (
            {"method": "random", "epochs": 0, "augmentation": "none", "head": "projection"},
            RecipeError,
            "found the projection of a training; set head none",
        ),
    ],
)
def test_what_decides_nothing_is_refused(said, kind, line):
    with pytest.raises(kind, match=line):
        resolved(**said)
