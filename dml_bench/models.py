"""A recipe's words about its network -> the network: what is drawn, read, frozen, and its digest.

Preprocessing comes with the weights: `preprocessing` says what a recipe writes down, and `Model`
holds mean and std in buffers, so that nothing outside it has to know them.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from dml_bench import weights as files
from dml_bench.backbones import BACKBONES, backbone_names, find_builder
from dml_bench.errors import BenchError, DataError, RecipeError
from dml_bench.network import Model
from dml_bench.plugins import is_plugin, short
from dml_bench.preprocessing import preprocessing
from dml_bench.registry import unknown
from dml_bench.weights import digest

__all__ = [
    "BACKBONES",
    "BATCH_NORMS",
    "HEADS",
    "TRAINED",
    "Model",
    "backbone_names",
    "build",
    "digest",
    "has_batch_norm",
    "has_depthwise",
    "parameters",
    "preprocessing",
    "state_digest",
    "width",
]

HEADS = ("linear", "none", "projection")
BATCH_NORMS = ("train", "frozen", "local")
TRAINED = ("all", "head")
_Seen = TypeVar("_Seen")


def build(
    backbone: str,
    weights: str,
    head: str,
    dim: int,
    crop: int,
    mean: Sequence[float],
    std: Sequence[float],
    seed: int,
    *,
    batch_norm: str = "train",
    trained: str = "all",
) -> Model:
    """Make a model in training mode; what of it is drawn depends on `seed` alone.

    Args:
        backbone: a name of `BACKBONES`, of torchvision ("torchvision/" may stand before it),
            "timm/<name>", "FILE.py:function" or "hub:FOLDER:entrypoint".
        weights: "none", "imagenet", or the path of a weights file.
        head: "linear" (PyTorch's default initialisation), "projection" or "none".
        dim: D; with head "none" it is not read.
        crop: pixels that the network sees.
        mean: per channel, of images in [0, 1].
        std: per channel, likewise.
        seed: of the initial weights; PyTorch's own generator is left as it was.
        batch_norm: "train", "local" (`norms.said`; the same network), or "frozen": its running
            statistics count in training, and stay.
        trained: "all", or "head": the backbone neither learns nor leaves evaluation.

    Raises:
        UnknownNameError: no such backbone.
        RecipeError: no such head, or a crop that the backbone cannot read.
        DataError: weights that are missing, cannot be fetched, or do not fit; or features that
            are not one row an image.
        BenchError: the backbone needs an extra that is not installed.

    Example:
        >>> build("pixels", "none", "none", 0, 8, (0, 0, 0), (1, 1, 1), seed=0).width
        192
    """
    if head not in HEADS:
        raise unknown("head", head, HEADS)
    published = weights if weights in ("none", "imagenet") else "none"
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = find_builder(backbone)(published, crop)
        made = _width(network, backbone, crop)
        model = Model(
            network,
            made,
            None if head == "none" else dim,
            mean,
            std,
            thrown_away=head == "projection",
            still=_still(network, batch_norm, trained),
        )
    if trained == "head":
        network.requires_grad_(False)
    if weights != published:
        files.load(model, weights)
    if weights != "none" or is_plugin(backbone):
        model.start = state_digest(model)
    return model


def _still(network: nn.Module, batch_norm: str, trained: str) -> list[str]:
    """Return the names, in a `Model`, of what works as in evaluation throughout."""
    if trained == "head":
        return ["backbone"]
    return [f"backbone.{name}" for name in _batch_norms(network)] if batch_norm == "frozen" else []


def _batch_norms(network: nn.Module) -> list[str]:
    return [name for name, part in network.named_modules() if isinstance(part, _BatchNorm)]


@lru_cache
def width(backbone: str, crop: int) -> int:
    """Return the length of a backbone's features.

    Example:
        >>> width("resnet18_cifar", 32)
        512
    """
    return _looked_at(backbone, crop, lambda network: _width(network, backbone, crop))


@lru_cache
def has_batch_norm(backbone: str, crop: int) -> bool:
    """Return whether a backbone has batch norm.

    Example:
        >>> has_batch_norm("conv4", 32), has_batch_norm("pixels", 32)
        (True, False)
    """
    return _looked_at(backbone, crop, lambda network: bool(_batch_norms(network)))


@lru_cache
def has_depthwise(backbone: str, crop: int) -> bool:
    """Return whether a backbone has convolutions that look at each channel by itself.

    Example:
        >>> has_depthwise("torchvision/mobilenet_v3_small", 32), has_depthwise("conv4", 32)
        (True, False)
    """
    return _looked_at(backbone, crop, lambda network: any(map(_is_depthwise, network.modules())))


def _looked_at(backbone: str, crop: int, look: Callable[[nn.Module], _Seen]) -> _Seen:
    """Return what is seen of a backbone that is built for nothing else: without its numbers."""

    def seen() -> _Seen:
        return look(find_builder(backbone)("none", crop))

    with torch.random.fork_rng(devices=[]):
        if is_plugin(backbone):  # whose file may read weights
            return seen()
        try:
            with torch.device("meta"):  # shapes without numbers
                return seen()
        except (BenchError, RuntimeError, TypeError, ValueError):  # a network that needs numbers
            return seen()


def _is_depthwise(part: nn.Module) -> bool:
    return isinstance(part, nn.Conv2d) and part.groups == part.in_channels > 1


def state_digest(model: Model, *, head: bool = False) -> str:
    """Return the SHA-256 of a model's backbone, 64 hex: of its names, kinds, shapes and numbers.

    Asked of a model as `build` returns it, it pins published weights, of which a recipe knows only
    the word "imagenet". The head, drawn from the seed, counts only if it is asked for; the counters
    of batch norm, which old files lack, never do; nor do the device and the memory format.

    Example:
        >>> len(state_digest(build("conv4", "none", "none", 0, 32, (0, 0, 0), (1, 1, 1), seed=0)))
        64
    """
    found = hashlib.sha256()
    for name, value in sorted((model if head else model.backbone).state_dict().items()):
        if not name.endswith("num_batches_tracked"):
            found.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            plain = value.detach().cpu().contiguous().reshape(-1)
            found.update(plain.view(torch.uint8).numpy())
    return found.hexdigest()


def parameters(model: nn.Module) -> int:
    """Return how many numbers training may change."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _width(network: nn.Module, backbone: str, crop: int) -> int:
    """Ask a network for the length of its features: two black images, nothing remembered."""
    was_training = network.training
    try:
        with torch.no_grad():
            made = network.eval()(torch.zeros(2, 3, crop, crop))
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise RecipeError(
            f"expected a crop that '{backbone}' can read, found {crop} ({reason}); set crop"
        ) from error
    network.train(was_training)
    if not isinstance(made, Tensor):
        raise DataError(
            f"{short(backbone)}: expected features (M, width), found a {type(made).__name__};"
            " return one tensor"
        )
    if made.dim() != 2 or len(made) != 2:
        raise DataError(
            f"{short(backbone)}: expected features (M, width), found"
            f" {tuple(made.shape)}; flatten or pool them"
        )
    return made.shape[1]
