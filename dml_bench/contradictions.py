"""Fields of a recipe that contradict each other, or the dataset: refused at the door."""

from dml_bench import models
from dml_bench.errors import MetricError, RecipeError
from dml_bench.methods.base import BaseMethod
from dml_bench.metric_table import metric
from dml_bench.plugins import is_plugin
from dml_bench.types import Dataset, Recipe


def refuse_contradictions(recipe: Recipe, method: type[BaseMethod]) -> None:
    """Refuse fields that contradict each other, or of which one decides nothing.

    Args:
        recipe: with every field in its range.
        method: its method.

    Raises:
        RecipeError: the first that is found.
    """
    _sizes(recipe)
    _frozen(recipe)
    if method.supervision == "none":
        _untrained(recipe, method)
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


def _sizes(recipe: Recipe) -> None:
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


def _frozen(recipe: Recipe) -> None:
    """Refuse what is kept as it is where there is nothing to keep, or nothing left to learn."""
    if recipe.trained == "head" and recipe.head == "none":
        raise RecipeError("trained head: expected a head, found head none; set head linear")
    if recipe.batch_norm == "train":
        return
    if recipe.trained == "head":
        raise RecipeError(
            f"trained head: expected batch_norm train, found {recipe.batch_norm}; leave it out: the"
            " backbone works as in evaluation anyway"
        )
    if not models.has_batch_norm(recipe.backbone, recipe.crop):
        raise RecipeError(
            f"batch_norm {recipe.batch_norm}: expected a backbone with batch norm, found"
            f" {recipe.backbone} without; leave batch_norm out"
        )


def _untrained(recipe: Recipe, method: type[BaseMethod]) -> None:
    """Refuse what an untrained network has no use for."""
    for name, fixed in method.defaults.items():
        if getattr(recipe, name) != fixed:
            raise RecipeError(
                f"method {recipe.method}: expected {name} {fixed!r}, found"
                f" {getattr(recipe, name)!r}; leave {name} out"
            )
    if recipe.head == "projection":
        raise RecipeError(
            f"method {recipe.method}: expected a head that is asked, found the projection of a"
            " training; set head none"
        )


def refuse_monitor(monitor: str, dataset: Dataset) -> None:
    """Refuse a metric that the dataset's own protocol cannot compute after an epoch.

    Args:
        monitor: a recipe's.
        dataset: the one that it names.

    Raises:
        RecipeError: no such metric, or not of this dataset.
    """
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
