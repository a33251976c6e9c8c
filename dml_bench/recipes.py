"""What a user says -> a recipe with nothing left open.

A field comes from the user, else from the dataset where it has needs of its own, else from the
method, else from the protocol. A method that brings an optimiser brings its rate too: the dataset's
is for another optimiser. A foundation model brings the sizes that it is shown.
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from dml_bench import augment, models
from dml_bench.backbones import find_builder
from dml_bench.errors import RecipeError
from dml_bench.foundation import FOUNDATIONS
from dml_bench.methods import METHODS
from dml_bench.methods.base import BaseMethod, make, options
from dml_bench.metrics import metric
from dml_bench.optimisation import OPTIMISERS, rate
from dml_bench.registry import unknown
from dml_bench.types import Dataset, Recipe

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
KINDS: Mapping[Any, tuple[type, ...]] = {float: (int, float), int: (int,), str: (str,)}
LEAST: Mapping[str, float] = {
    "dim": 1, "resize": 0, "crop": 1, "batch": 2, "per_class": 0, "epochs": 0, "seed": 0,
    "lr": 0, "momentum": 0, "weight_decay": 0,
}  # fmt: skip


def resolve(said: Mapping[str, Any], dataset: Dataset, *, device: str = "cpu") -> Recipe:
    """Return the whole recipe of what a user said.

    Args:
        said: any of `Recipe`'s fields; `dataset` and `method` must be there.
        dataset: the one that is named.
        device: "cpu" or "cuda"; decides what precision "auto" becomes.

    Raises:
        UnknownNameError: a field, method, backbone, augmentation, option or schedule that is not
            known; the message lists what is.
        RecipeError: a value that means nothing.
    """
    known = [f.name for f in fields(Recipe)]
    for name in said:
        if name not in known:
            raise unknown("recipe field", name, known)
    if "method" not in said:
        raise RecipeError(f"expected a method, found none; there is {', '.join(METHODS)}")
    method: type[BaseMethod] = METHODS[said["method"]].Method
    special = DATASETS.get(dataset.name, {})
    fixed = method.defaults if method.supervision == "none" else _optimisation(method)
    usual = {**COMMON, **PROTOCOLS[dataset.protocol], **method.defaults, **special, **fixed}
    values = {**usual, **_shown({**usual, **said}["backbone"]), **said}
    values["dataset"] = said.get("dataset", dataset.name)
    values["options"] = options(method, values["options"])
    _fill(values, dataset, device)
    recipe = Recipe.from_dict({name: _as_kind(name, value) for name, value in values.items()})
    _check(recipe, method)
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


def _shown(backbone: str) -> Mapping[str, Any]:
    """Return the fit and sizes that a foundation model brings; nothing for other backbones."""
    if backbone not in FOUNDATIONS:
        return {}
    prepared = models.preprocessing(backbone, "imagenet")
    return {name: prepared[name] for name in ("fit", "resize", "crop")}


def _as_kind(name: str, value: Any) -> Any:
    """Return a field's value in the kind that it is kept in; 1 and 1.0 are one number.

    Raises:
        RecipeError: it is of another kind, or not finite.
    """
    kind: Any = Recipe.__dataclass_fields__[name].type
    if kind not in KINDS:
        return _three(name, value) if name in ("mean", "std") else value
    if not isinstance(value, KINDS[kind]) or isinstance(value, bool):
        raise RecipeError(f"{name}: expected {kind.__name__}, found {value!r}")
    kept = kind(value)
    if kind is float and not math.isfinite(kept):
        raise RecipeError(f"{name}: expected a finite number, found {value}")
    return kept


def _three(name: str, value: Any) -> tuple[float, ...]:
    fits = isinstance(value, list | tuple) and len(value) == 3
    if not fits or not all(type(v) in (int, float) and math.isfinite(v) for v in value):
        raise RecipeError(f"{name}: expected 3 numbers, one a channel, found {value!r}")
    return tuple(float(v) for v in value)


def _fill(values: dict[str, Any], dataset: Dataset, device: str) -> None:
    """Put in what follows from other fields: crop, preprocessing, digest, precision, order."""
    find_builder(values["backbone"])
    prepared = models.preprocessing(values["backbone"], values["weights"])
    values.setdefault("mean", prepared["mean"])
    values.setdefault("std", prepared["std"])
    if not values.get("crop"):
        values["crop"] = values["resize"] or min(dataset.train.images[0].size)
    file = Path(values["weights"])
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
    for name, least in LEAST.items():
        if getattr(recipe, name) < least:
            raise RecipeError(f"{name}: expected {least:g} or more, found {getattr(recipe, name)}")
    for name, known in {
        "head": ("linear", "none"),
        "fit": ("squash", "centre"),
        "precision": ("fp32", "bf16"),
        "optimiser": tuple(OPTIMISERS),
    }.items():
        if getattr(recipe, name) not in known:
            raise unknown(name, getattr(recipe, name), known)
    rate(recipe.schedule, 0, recipe.epochs)
    if recipe.monitor != "none":
        metric(recipe.monitor)
    make(method, {"n_items": 2, "dim": recipe.dim, "n_classes": 2, "width": 2}, recipe.options)
    _check_together(recipe, method)


def _check_together(recipe: Recipe, method: type[BaseMethod]) -> None:
    """Refuse fields that contradict each other."""
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
    if recipe.method == "init" and recipe.weights == "none":
        raise RecipeError(
            "method init: expected pretrained weights, found none; set weights, or take the"
            " method random"
        )


def parse(settings: Sequence[str]) -> dict[str, Any]:
    """Read `name=value` words: recipe fields, and options of the method.

    A value is read as TOML where it can be, else as text.

    Raises:
        RecipeError: a word without "=".

    Example:
        >>> parse(["epochs=2", "form=paper", "lr=1e-3"])
        {'epochs': 2, 'options': {'form': 'paper'}, 'lr': 0.001}
    """
    known = {f.name for f in fields(Recipe)}
    said: dict[str, Any] = {}
    for word in settings:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise RecipeError(f"--set: expected name=value, found '{word}'")
        if name in known:
            said[name] = _value(text)
        else:
            said.setdefault("options", {})[name] = _value(text)
    return said


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def merge(said: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay settings over what was said before; options one by one."""
    both = {**said, **over}
    if "options" in said or "options" in over:
        both["options"] = {**said.get("options", {}), **over.get("options", {})}
    return both
