"""Foundation models: short names, their own preprocessing, and files that are brought."""

import socket
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from toys import toy

from dml_bench import backbones, models, recipes
from dml_bench.errors import BenchError, DataError, RecipeError
from dml_bench.foundation import FOUNDATIONS
from dml_bench.suites import load

timm = pytest.importorskip("timm", reason="the extra timm is not installed")

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
OPENAI = (
    (0.48145466, 0.4578275, 0.40821073),
    (0.26862954, 0.26130258, 0.27577711),
)
WIDTHS = {
    "dinov2_vits14": 384,
    "dinov2_vitb14": 768,
    "dinov2_vitl14": 1024,
    "dinov3_vits16": 384,
    "dinov3_vitb16": 768,
    "dinov3_convnext_tiny": 768,
    "clip_vitb32": 768,
    "clip_vitb16": 768,
    "clip_vitl14": 1024,
}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("went online"))


@pytest.fixture(scope="module", autouse=True)
def _shallow():
    """One block instead of twelve, where a test builds a network: seconds, not minutes."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("dinov2_vits14", "dinov3_vits16", "clip_vitb32"):
            _cut(patch, name, depth=1)
        _cut(patch, "dinov3_convnext_tiny", depths=(1, 1, 1, 1))
        yield


def _cut(patch, name, **options):
    whole = FOUNDATIONS[name]
    patch.setitem(FOUNDATIONS, name, replace(whole, options={**whole.options, **options}))


@pytest.fixture(scope="module")
def small(_shallow):
    """An untrained DINOv2, the smallest, at the published size of its position embeddings."""
    return built("dinov2_vits14", seed=1)


@pytest.fixture(scope="module")
def brought(small, tmp_path_factory):
    path = tmp_path_factory.mktemp("brought") / "model.safetensors"
    save_file(small.backbone.state_dict(), path)
    return str(path)


def built(name, weights="none", crop=28, head="none", seed=0):
    return models.build(name, weights, head, 8, crop, *IMAGENET, seed)


def settled(name, **said):
    return recipes.resolve(
        {"method": "init", "backbone": name, "head": "none", "crop": 28, "resize": 32} | said, toy()
    )


@pytest.mark.parametrize(("name", "resize"), [("dinov2_vits14", 256), ("clip_vitb32", 224)])
def test_a_name_alone_brings_the_sizes_that_the_network_is_shown(name, resize):
    said = {"method": "init", "backbone": name, "weights": "imagenet", "head": "none"}
    recipe = recipes.resolve(said, toy())
    assert (recipe.fit, recipe.resize, recipe.crop) == ("centre", resize, 224)
    larger = recipes.resolve({**said, "crop": 448, "resize": 512}, toy())
    assert (larger.fit, larger.resize, larger.crop) == ("centre", 512, 448)


def test_every_short_name_is_a_built_in_backbone():
    assert set(WIDTHS) == set(FOUNDATIONS) <= set(models.BACKBONES)
    assert set(FOUNDATIONS) <= set(models.backbone_names())


@pytest.mark.parametrize("name", FOUNDATIONS)
def test_a_short_name_is_one_of_timms_with_weights_and_has_its_width(name):
    wanted = FOUNDATIONS[name].timm
    assert wanted in timm.list_pretrained()
    with torch.device("meta"):  # shapes without numbers
        assert models._width(backbones.find_builder(name)("none", 224), name, 224) == WIDTHS[name]


@pytest.mark.parametrize("weights", ["imagenet", "a file"])
@pytest.mark.parametrize("name", FOUNDATIONS)
def test_preprocessing_is_what_is_published(name, weights, brought):
    found = models.preprocessing(name, brought if weights == "a file" else weights)
    timms = timm.get_pretrained_cfg(FOUNDATIONS[name].timm)
    assert (found["mean"], found["std"]) == (timms.mean, timms.std)
    assert (found["mean"], found["std"]) == (OPENAI if name.startswith("clip") else IMAGENET)
    resize = 224 if name.startswith("clip") else 256
    assert (found["fit"], found["resize"], found["crop"]) == ("centre", resize, 224)
    assert timms.crop_mode == "center"
    assert timms.interpolation == "bicubic"  # ours is bilinear: `foundation` says so


def test_without_weights_nothing_is_published():
    found = models.preprocessing("dinov2_vits14", "none")
    assert found["mean"] == (0.5, 0.5, 0.5)
    assert (found["fit"], found["resize"], found["crop"]) == ("centre", 256, 224)  # by its name


@pytest.mark.parametrize(
    ("name", "crop"), [("dinov3_vits16", 32), ("dinov3_convnext_tiny", 32), ("dinov2_vits14", 42)]
)
def test_a_network_of_a_short_name_sees_small_crops(name, crop):
    model = built(name, crop=crop)
    assert model(torch.rand(2, 1, 3, crop, crop)).shape == (2, 1, WIDTHS[name])
    assert model.dim == models.width(name, crop) == WIDTHS[name]


def test_position_embeddings_are_resized_as_timm_resizes_them(small):
    from timm.models.vision_transformer import checkpoint_filter_fn

    wanted = FOUNDATIONS["dinov2_vits14"].timm
    fixed = timm.create_model(wanted, pretrained=False, num_classes=0, img_size=56, depth=1)
    assert fixed.pos_embed.shape != small.backbone.pos_embed.shape == (1, 1 + 37 * 37, 384)
    fixed.eval().load_state_dict(checkpoint_filter_fn(dict(small.backbone.state_dict()), fixed))
    images = torch.rand(2, 3, 56, 56)
    with torch.no_grad():
        torch.testing.assert_close(small.backbone.eval()(images), fixed(images))


@pytest.mark.parametrize("name", ["dinov2_vits14", "dinov3_vits16"])
def test_features_are_the_class_token_after_the_last_norm(name):
    network = built(name, crop=224 if name == "dinov2_vits14" else 32).backbone.eval()
    images = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(network(images), network.forward_features(images)[:, 0])


def test_clip_has_the_activation_it_was_trained_with_and_no_projection():
    with torch.device("meta"):
        network = backbones.find_builder("clip_vitb32")("none", 224)
    assert "QuickGELU" in {type(part).__name__ for part in network.modules()}
    assert not [name for name in network.state_dict() if name.startswith("head")]


def test_a_file_that_is_brought_loads_and_is_shown_what_its_network_was_shown(small, brought):
    recipe = settled("dinov2_vits14", weights=brought)
    assert (recipe.dim, recipe.mean, recipe.std) == (384, *IMAGENET)
    assert recipe.weights_digest == models.digest(brought)
    model = built("dinov2_vits14", brought, seed=2)
    for name, value in small.backbone.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[name], value), name


def test_a_file_with_a_head_for_classes_or_texts_comes_without_it(small, tmp_path):
    path = str(tmp_path / "model.safetensors")
    head = {"head.weight": torch.zeros(512, 384), "head.bias": torch.zeros(512)}
    save_file(small.backbone.state_dict() | head, path)
    model = built("dinov2_vits14", path, seed=2)
    assert torch.equal(model.backbone.norm.weight, small.backbone.norm.weight)
    assert torch.equal(model.backbone.cls_token, small.backbone.cls_token)


OPENAIS = {  # timm's names -> those of CLIP's first files
    "patch_embed.proj": "conv1",
    "pos_embed": "positional_embedding",
    "blocks.": "transformer.resblocks.",
    "norm_pre": "ln_pre",
    "norm1": "ln_1",
    "norm2": "ln_2",
    "qkv.": "in_proj_",
    "attn.proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "cls_token": "class_embedding",
}


def openais(state):
    """A state dict of timm's CLIP by OpenAI's names, with its projection and a tower for texts."""
    found = {"visual.proj": torch.zeros(768, 512), "token_embedding.weight": torch.zeros(9, 4)}
    for name, value in state.items():
        old = "ln_post" + name.removeprefix("norm") if name.startswith("norm.") else name
        for new, first in OPENAIS.items():
            old = old.replace(new, first)
        bare = {"cls_token": value[0, 0], "pos_embed": value[0]} if value.ndim == 3 else {}
        found[f"visual.{old}"] = bare.get(name, value).clone()
    return found


def test_a_clip_file_by_openais_names_loads_as_timm_would_load_it(tmp_path):
    source, path = built("clip_vitb32", crop=32, seed=1), str(tmp_path / "model.safetensors")
    state = openais(source.backbone.state_dict())
    assert "visual.transformer.resblocks.0.attn.in_proj_weight" in state
    save_file(state, path)
    model = built("clip_vitb32", path, crop=32, seed=2)
    assert settled("clip_vitb32", weights=path, crop=32).mean == OPENAI[0]
    for name, value in source.backbone.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[name], value), name


def test_a_file_by_older_names_that_lacks_something_is_still_refused(tmp_path):
    path = str(tmp_path / "model.safetensors")
    state = openais(built("clip_vitb32", crop=32, seed=1).backbone.state_dict())
    del state["visual.ln_post.weight"]
    save_file(state, path)
    with pytest.raises(DataError, match=r"found \d+ missing \(.*unexpected \(.*visual"):
        built("clip_vitb32", path, crop=32)


def test_a_file_of_another_network_is_refused_in_one_line(brought):
    with pytest.raises(DataError, match=r"of this network, found .* missing \(") as caught:
        built("dinov3_vits16", brought, crop=32)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("dinov2_vits14", "timm/vit_small_patch14_dinov2.lvd142m"),
        ("dinov3_convnext_tiny", "timm/convnext_tiny.dinov3_lvd1689m"),
        ("clip_vitb32", "timm/vit_base_patch32_clip_224.openai"),
    ],
)
def test_offline_the_repository_and_the_file_to_bring_are_named(
    monkeypatch, tmp_path, name, repository
):
    constants = pytest.importorskip("huggingface_hub").constants
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with torch.device("meta"), pytest.raises(DataError) as caught:
        backbones.find_builder(name)("imagenet", 224)
    said = str(caught.value)
    assert said.startswith(f"{name}: expected to fetch its published weights, found: ")
    assert f"bring model.safetensors of {repository} and" in said
    assert said.endswith("pass the file as weights (--set weights=FILE)")
    assert "\n" not in said


def test_an_older_timm_is_told_to_be_renewed(monkeypatch):
    monkeypatch.setattr(timm, "is_model", lambda name: False)
    with pytest.raises(
        BenchError, match=r"dinov3_vits16: expected a timm that has vit_small_patch"
    ):
        built("dinov3_vits16", crop=32)


def test_a_crop_that_the_patches_do_not_divide_is_refused():
    with pytest.raises(RecipeError, match="a crop that 'dinov2_vits14' can read, found 30"):
        settled("dinov2_vits14", weights="imagenet", crop=30)


def test_the_suite_shows_every_network_on_every_dataset_what_it_was_shown():
    suite = load("foundation")
    seen = {(run["dataset"], run["backbone"]) for run in suite.runs}
    assert seen == {(d, name) for d in ("cub200", "cars196", "sop") for name in FOUNDATIONS}
    assert len(suite.runs) == len(seen) == len(set(suite.labels))
    for run in suite.runs:
        assert (run["method"], run["head"]) == ("init", "none")
        assert not {"fit", "resize", "crop"} & set(run)  # the network's own


def test_a_run_of_the_suite_becomes_a_recipe():
    run = next(r for r in load("foundation").runs if r["backbone"] == "dinov2_vits14")
    recipe = recipes.resolve(run, toy())
    assert (recipe.dim, recipe.crop, recipe.resize, recipe.epochs) == (384, 224, 256, 0)
    assert recipe.mean == IMAGENET[0]
