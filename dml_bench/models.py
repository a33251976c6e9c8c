"""Networks that turn images into unit vectors: a backbone, and a linear head on its features.

Preprocessing comes with the weights: `preprocessing` says what a recipe writes down, and `Model`
holds mean and std in buffers, so that nothing outside it has to know them.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dml_bench import weights as files
from dml_bench.backbones import BACKBONES, backbone_names, find_builder
from dml_bench.errors import BenchError, RecipeError
from dml_bench.plugins import is_plugin
from dml_bench.preprocessing import preprocessing
from dml_bench.weights import digest

__all__ = [
    "BACKBONES",
    "Model",
    "backbone_names",
    "build",
    "digest",
    "parameters",
    "preprocessing",
    "state_digest",
    "width",
]


class Model(nn.Module):
    """Images to unit vectors.

    Args:
        backbone: a network from (M, 3, H, W) to (M, width).
        width: the length of its features.
        dim: D, the length that a linear head makes of it; None keeps the features themselves.
        mean, std: per channel, of images in [0, 1].

    Example:
        >>> model = Model(nn.Flatten(), 12, None, (0, 0, 0), (1, 1, 1))
        >>> model(torch.ones(2, 5, 3, 2, 2)).shape
        torch.Size([2, 5, 12])
    """

    mean: Tensor
    std: Tensor
    start: str = ""
    """SHA-256 of the weights that `build` put into the backbone; empty for drawn ones."""

    def __init__(
        self,
        backbone: nn.Module,
        width: int,
        dim: int | None,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.width = width
        self.dim = width if dim is None else dim
        self.head = nn.Identity() if dim is None else nn.Linear(width, dim)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(3, 1, 1))

    def features(self, images: Tensor) -> Tensor:
        """Return what the backbone says, before the head.

        Args:
            images: (..., 3, H, W) float32 in [0, 1], or uint8.

        Returns:
            (..., width) float32, of any length.
        """
        features: Tensor = self.backbone(self._normalised(images.reshape(-1, *images.shape[-3:])))
        return features.float().reshape(*images.shape[:-3], self.width)

    def _normalised(self, images: Tensor) -> Tensor:
        """Return images less the mean, over the deviation; bytes become numbers here, once."""
        if images.dtype == torch.uint8:
            return images.float().div_(255).sub_(self.mean).div_(self.std)
        return (images - self.mean) / self.std

    def forward(self, images: Tensor) -> Tensor:
        """Return the unit vectors of images.

        Args:
            images: (..., 3, H, W) float32 in [0, 1], or uint8; any leading axes, such as (V, B).

        Returns:
            (..., D) float32 unit rows, under autocast too; a zero row stays zero.
        """
        return self.both(images)[1]

    def both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features and the unit vectors of images, (..., width) and (..., D)."""
        features = self.features(images)
        vectors = self.head(features)
        with torch.autocast(images.device.type, enabled=False):
            return features, F.normalize(vectors.float(), dim=-1)


def build(
    backbone: str,
    weights: str,
    head: str,
    dim: int,
    crop: int,
    mean: Sequence[float],
    std: Sequence[float],
    seed: int,
) -> Model:
    """Make a model; what of it is drawn depends on `seed` alone.

    Args:
        backbone: a name of `BACKBONES`, of torchvision ("torchvision/" may stand before it),
            "timm/<name>", "FILE.py:function" or "hub:FOLDER:entrypoint".
        weights: "none", "imagenet", or the path of a weights file.
        head: "linear" (PyTorch's default initialisation) or "none".
        dim: D; with head "none" it is not read.
        crop: pixels that the network sees.
        mean: per channel, of images in [0, 1].
        std: per channel, likewise.
        seed: of the initial weights; PyTorch's own generator is left as it was.

    Raises:
        UnknownNameError: no such backbone.
        RecipeError: no such head, or a crop that the backbone cannot read.
        DataError: weights that are missing, cannot be fetched, or do not fit.
        BenchError: the backbone needs an extra that is not installed.

    Example:
        >>> build("pixels", "none", "none", 0, 8, (0, 0, 0), (1, 1, 1), seed=0).width
        192
    """
    if head not in ("linear", "none"):
        raise RecipeError(f"expected head 'linear' or 'none', found '{head}'")
    published = weights if weights in ("none", "imagenet") else "none"
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = find_builder(backbone)(published, crop)
        made = _width(network, backbone, crop)
        model = Model(network, made, dim if head == "linear" else None, mean, std)
    if weights != published:
        files.load(model, weights)
    if weights != "none" or is_plugin(backbone):
        model.start = state_digest(model)
    return model


@lru_cache
def width(backbone: str, crop: int) -> int:
    """Return the length of a backbone's features.

    Example:
        >>> width("resnet18_cifar", 32)
        512
    """
    make = find_builder(backbone)
    with torch.random.fork_rng(devices=[]):
        if is_plugin(backbone):  # whose file may read weights
            return _width(make("none", crop), backbone, crop)
        try:
            with torch.device("meta"):  # shapes without numbers
                return _width(make("none", crop), backbone, crop)
        except (BenchError, RuntimeError, TypeError, ValueError):  # a network that needs numbers
            return _width(make("none", crop), backbone, crop)


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
    """Ask a network for the length of its features: one black image, nothing remembered."""
    was_training = network.training
    try:
        with torch.no_grad():
            made = int(network.eval()(torch.zeros(1, 3, crop, crop)).shape[-1])
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise RecipeError(
            f"expected a crop that '{backbone}' can read, found {crop} ({reason}); set crop"
        ) from error
    network.train(was_training)
    return made
