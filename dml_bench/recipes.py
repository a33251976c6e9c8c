"""What a user says -> a recipe with nothing left open.

A field comes from the user, else from the dataset where it has needs of its own, else from the
method, else from the protocol. A method that brings an optimiser brings its rate too: the dataset's
is for another optimiser.

Preprocessing comes with the weights: mean and std always; fit, resize and crop for every backbone
that stands not beside its protocol in `PAPERS`. Those that do are shown what the paper shows them
(or the dataset, where it has needs of its own), whatever their weights were trained on: so a
ResNet50 is asked as the paper asks it, and a ViT, which reads one size only, as its authors ask it.
Without weights a backbone brings no sizes, but for foundation models: those are sizes by name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from dml_bench import augment, models
from dml_bench.data.splits import hold_out
from dml_bench.errors import MetricError, RecipeError
from dml_bench.fields import as_kind, checked, follows, merge, parse
from dml_bench.methods import METHODS
from dml_bench.methods.base import BaseMethod, make, options
from dml_bench.metrics import metric
from dml_bench.optimisation import OPTIMISERS, rate
from dml_bench.plugins import digest, is_plugin
from dml_bench.registry import unknown
from dml_bench.types import Dataset, Recipe

__all__ = ["fast_at_bf16", "merge", "parse", "resolve"]

COMMON: Mapping[str, Any] = {
    "head": "linear",
    "dim": 128,
    "fit": "squash",
    "per_class": 0,
    "optimiser": "sgd",
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "precision": "auto",
    "monitor": "none",
    "seed": 0,
    "validation": 0.0,
    "options": {},
}
PROTOCOLS: Mapping[str, Mapping[str, Any]] = {
    # Ye et al. (CVPR 2019), sections 4.1 and 4.2; the augmentation from the released code
    "seen": {
        "backbone": "resnet18_cifar",
        "weights": "none",
        "resize": 0,
        "augmentation": "R+C+G+F",
        "batch": 128,
        "epochs": 200,
        "lr": 0.03,
        "schedule": "paper-seen",
    },
    "unseen": {
        "backbone": "googlenet",
        "weights": "imagenet",
        "resize": 256,
        "crop": 227,
        "augmentation": "crop+F",
        "batch": 64,
        "epochs": 60,
        "lr": 0.001,
        "schedule": "code-unseen",
    },
}
PAPERS: Mapping[str, Sequence[str]] = {
    "seen": ("resnet18_cifar",),
    # Ye et al. (CVPR 2019), Tables 3 to 6, but ResNet50 (its usual stand-in) and EfficientNet-Lite0
    # (the one whose weights need no network), which the suites ask at the same sizes
    "unseen": ("googlenet", "resnet18", "resnet50", "efficientnet_lite0"),
}
"""The backbones that are shown the sizes of a protocol; all others those of their weights."""
SMALL: Mapping[str, Any] = {  # letters: no flip, no colour; minutes on two cores
    "backbone": "conv4",
    "weights": "none",
    "resize": 0,
    "crop": 0,
    "augmentation": "affine",
    "batch": 128,
    "epochs": 6,
    "lr": 0.03,
    "schedule": "cosine",
    "precision": "fp32",
}
TINY: Mapping[str, Any] = {  # unseen classes at 32 x 32: the paper's recipe for that size
    **PROTOCOLS["seen"],
    "crop": 0,
}
DATASETS: Mapping[str, Mapping[str, Any]] = {"glyphs": SMALL, "omniglot": SMALL, "cifar100": TINY}
OPTIMISATION = ("optimiser", "lr", "momentum", "weight_decay")


def resolve(said: Mapping[str, Any], dataset: Dataset, *, device: str = "cpu") -> Recipe:
    """Return the whole recipe of what a user said.

    Args:
        said: any of `Recipe`'s fields; `dataset` and `method` must be there.
        dataset: the one that is named.
        device: "cpu" or "cuda"; decides what precision "auto" becomes.

    Raises:
        UnknownNameError: a field, method, backbone, augmentation, option or schedule that is not
            known; the message lists what is.
        RecipeError: a value of another kind, out of range, or that means nothing.
        DataError: weights that are missing or unreadable.
    """
    known = [f.name for f in fields(Recipe)]
    for name in said:
        if name not in known:
            raise unknown("recipe field", name, known)
    for name in ("weights_digest", "backbone_digest", "method_digest"):
        if name in said:
            raise follows(name)
    said = {name: checked(name, value) for name, value in said.items()}
    if "method" not in said:
        raise RecipeError(f"expected a method, found none; there is {', '.join(METHODS)}")
    method: type[BaseMethod] = METHODS[said["method"]].Method
    special = DATASETS.get(dataset.name, {})
    fixed = method.defaults if method.supervision == "none" else _optimisation(method)
    usual = {**COMMON, **PROTOCOLS[dataset.protocol], **method.defaults, **special, **fixed}
    chosen = {**usual, **said}
    if is_plugin(chosen["backbone"]):  # it comes with what weights it has
        chosen["weights"] = usual["weights"] = said.get("weights", "none")
    shown = _shown(chosen["backbone"], chosen["weights"], dataset.protocol)
    values = {**usual, **shown, **said}
    values["dataset"] = said.get("dataset", dataset.name)
    values["options"] = options(method, values["options"])
    _fill(values, dataset, device)
    recipe = Recipe.from_dict({name: as_kind(name, value) for name, value in values.items()})
    _check(recipe, method)
    _check_monitor(recipe.monitor, dataset)
    hold_out(dataset, recipe.validation, recipe.seed)  # what cannot be held out shows here
    if method.supervision == "supervised" and not dataset.train.labelled:
        raise RecipeError(
            f"method {recipe.method}: expected a label for every training image, found some"
            f" without one in {recipe.dataset}; take a dataset that has them"
        )
    return recipe


def _optimisation(method: type[BaseMethod]) -> Mapping[str, Any]:
    """Return the optimiser that a method brings, and what is tuned to it."""
    brought = method.defaults if "optimiser" in method.defaults else {}
    return {name: brought[name] for name in OPTIMISATION if name in brought}


def _shown(backbone: str, weights: str, protocol: str) -> Mapping[str, Any]:
    """Return what comes with the weights: mean and std, and sizes where the protocol has none."""
    prepared = models.preprocessing(backbone, weights)
    if backbone.removeprefix("torchvision/") in PAPERS[protocol]:
        return {name: prepared[name] for name in ("mean", "std")}
    return prepared


def _fill(values: dict[str, Any], dataset: Dataset, device: str) -> None:
    """Put in what follows from other fields: crop, digest, precision, order, dim."""
    if not values.get("crop"):
        values["crop"] = values["resize"] or min(dataset.train.images[0].size)
    file = Path(values["weights"])
    for name in ("backbone", "method"):
        values[f"{name}_digest"] = digest(values[name])
    own = values["weights"] in ("none", "imagenet")
    values["weights_digest"] = "" if own else models.digest(file)
    values["augmentation"] = "+".join(augment.parts(values["augmentation"])) or "none"
    if values["precision"] == "auto":
        values["precision"] = "bf16" if fast_at_bf16(device) else "fp32"
    if values["head"] == "none":
        values["dim"] = models.width(values["backbone"], values["crop"])


def fast_at_bf16(device: str) -> bool:
    """Return whether the processor multiplies bfloat16 numbers itself."""
    if device != "cpu":
        return bool(torch.cuda.is_bf16_supported())
    able = torch.cpu.get_capabilities()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def _check(recipe: Recipe, method: type[BaseMethod]) -> None:
    for name, known in {
        "head": ("linear", "none"),
        "fit": ("squash", "centre"),
        "precision": ("fp32", "bf16"),
        "optimiser": tuple(OPTIMISERS),
    }.items():
        if getattr(recipe, name) not in known:
            raise unknown(name, getattr(recipe, name), known)
    rate(recipe.schedule, 0, recipe.epochs)
    make(method, {"n_items": 2, "dim": recipe.dim, "n_classes": 2, "width": 2}, recipe.options)
    _check_together(recipe, method)


def _check_monitor(monitor: str, dataset: Dataset) -> None:
    """Refuse a metric that the dataset's own protocol cannot compute after an epoch."""
    if monitor == "none":
        return
    if is_plugin(monitor):
        raise RecipeError(
            f"monitor: expected a metric of this package, found '{monitor}'; ask your own of the"
            " finished run: dml-bench evaluate --metrics"
        )
    try:
        wanted = metric(monitor)
    except MetricError as error:
        raise RecipeError(f"monitor: {error}") from error
    if wanted.needs == "splits" and dataset.leave_one_out:
        raise RecipeError(
            f"monitor {monitor}: expected a gallery with training's classes, found none in"
            f" {dataset.name}, whose queries are searched among themselves; take recall@1"
        )


def _check_together(recipe: Recipe, method: type[BaseMethod]) -> None:
    """Refuse fields that contradict each other."""
    if 0 < recipe.resize < recipe.crop:
        raise RecipeError(
            f"crop: expected at most the {recipe.resize} pixels of resize, found {recipe.crop};"
            " set a smaller crop or a larger resize"
        )
    if recipe.validation and recipe.monitor == "none":
        raise RecipeError(
            f"validation {recipe.validation}: expected a metric to ask the held-out images, found"
            " monitor none; set monitor=recall@1, say"
        )
    if method.supervision == "none":
        for name, fixed in method.defaults.items():
            if getattr(recipe, name) != fixed:
                raise RecipeError(
                    f"method {recipe.method}: expected {name} {fixed!r}, found"
                    f" {getattr(recipe, name)!r}; leave {name} out"
                )
    elif recipe.epochs < 1:
        raise RecipeError(
            f"method {recipe.method}: expected 1 epoch or more, found {recipe.epochs};"
            " for a network without training take the method random or init"
        )
    if recipe.method == "init" and recipe.weights == "none" and not recipe.backbone_digest:
        raise RecipeError(
            "method init: expected pretrained weights, found none; set weights, or take the"
            " method random"
        )
