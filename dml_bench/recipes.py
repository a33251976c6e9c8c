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

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from dml_bench import augment, models, norms
from dml_bench.contradictions import refuse_contradictions, refuse_monitor
from dml_bench.data.order import order_of, refuse_order
from dml_bench.data.share import as_trained
from dml_bench.defaults import DATASETS, PAPERS, usual
from dml_bench.errors import RecipeError
from dml_bench.fields import as_kind, checked, follows, merge, parse
from dml_bench.methods import METHODS
from dml_bench.methods.base import BaseMethod, make, options
from dml_bench.optimisation import KNOWN, rate
from dml_bench.plugins import digest
from dml_bench.precision import fast_at_bf16
from dml_bench.preprocessing import FITS
from dml_bench.registry import unknown
from dml_bench.types import Dataset, Recipe

__all__ = ["merge", "parse", "resolve"]


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
    special = DATASETS.get(dataset.name) or DATASETS.get(dataset.fingerprint, {})
    unsaid = usual(said["method"], dataset.protocol, special, said)
    chosen = {**unsaid, **said}
    shown = _shown(chosen["backbone"], chosen["weights"], dataset.protocol)
    values = {**unsaid, **shown, **said}
    values["dataset"] = said.get("dataset", dataset.name)
    values["options"] = options(method, values["options"])
    _fill(values, dataset, device)
    recipe = Recipe.from_dict({name: as_kind(name, value) for name, value in values.items()})
    _check(recipe, method)
    if recipe.head == "none" and said.get("dim", recipe.dim) != recipe.dim:
        raise RecipeError(
            f"dim: expected the {recipe.dim} dimensions that {recipe.backbone} has without a head,"
            f" found {said['dim']}; leave dim out, or set head=linear"
        )
    refuse_monitor(recipe.monitor, dataset)
    refuse_order(recipe.order, dataset)
    as_trained(dataset, recipe)  # what cannot be held out shows here
    if method.supervision == "supervised" and not dataset.train.labelled:
        raise RecipeError(
            f"method {recipe.method}: expected a label for every training image, found some"
            f" without one in {recipe.dataset}; take a dataset that has them"
        )
    return recipe


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
    values["order"] = order_of(values["order"])
    values["batch_norm"] = norms.said(values["batch_norm"])
    own = values["weights"] in ("none", "imagenet")
    values["weights_digest"] = "" if own else models.digest(file)
    values["augmentation"] = "+".join(augment.parts(values["augmentation"])) or "none"
    if values["precision"] == "auto":
        fast = _bf16_pays(values["backbone"], values["crop"], device)
        values["precision"] = "bf16" if fast else "fp32"
    if values["head"] == "none":
        values["dim"] = models.width(values["backbone"], values["crop"])


def _bf16_pays(backbone: str, crop: int, device: str) -> bool:
    """Return whether bfloat16 pays; a network is built to look at only where it may."""
    if not fast_at_bf16(device):
        return False
    return device != "cpu" or fast_at_bf16(device, depthwise=models.has_depthwise(backbone, crop))


def _check(recipe: Recipe, method: type[BaseMethod]) -> None:
    for name, known in {
        "head": models.HEADS,
        "fit": FITS,
        "precision": ("fp32", "bf16"),
        "optimiser": KNOWN,
        "batch_norm": models.BATCH_NORMS,
        "trained": models.TRAINED,
    }.items():
        value = getattr(recipe, name)
        if value not in known and not (name == "batch_norm" and norms.parts(value)):
            raise unknown(name, value, known)
    rate(recipe.schedule, 0, recipe.epochs)
    make(method, {"n_items": 2, "dim": recipe.dim, "n_classes": 2, "width": 2}, recipe.options)
    refuse_contradictions(recipe, method)
