"""What a recipe is made of: its model, its method."""

import numpy as np
import torch

from dml_bench import models
from dml_bench.methods import METHODS
from dml_bench.methods.base import BaseMethod, make
from dml_bench.models import Model
from dml_bench.plugins import verify
from dml_bench.recycling import recycle
from dml_bench.types import Dataset, Ints, Recipe


def build(recipe: Recipe, device: str) -> Model:
    """Return a recipe's model as it is before training, where it computes.

    On the processor this process keeps, from now on, the memory that tensors give back.

    Raises:
        DataError: a user's file is another than the recipe's.
    """
    verify(recipe.backbone, recipe.backbone_digest)
    if device == "cpu":
        recycle()
    model = models.build(
        recipe.backbone,
        recipe.weights,
        recipe.head,
        recipe.dim,
        crop=recipe.crop,
        mean=recipe.mean,
        std=recipe.std,
        seed=recipe.seed,
        batch_norm=recipe.batch_norm,
        trained=recipe.trained,
    )
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def method_of(recipe: Recipe, dataset: Dataset) -> BaseMethod:
    """Return a recipe's method for a dataset; one without labels is not told C either."""
    verify(recipe.method, recipe.method_digest)
    method: type[BaseMethod] = METHODS[recipe.method].Method
    given = {
        "n_items": len(dataset.train),
        "dim": recipe.dim,
        "width": models.width(recipe.backbone, recipe.crop),
    }
    if method.supervision == "supervised":
        given["n_classes"] = len(dataset.train.classes)
    return make(method, given, recipe.options)


def class_numbers(labels: Ints) -> Ints:
    """Return (N,) the classes as numbers from 0 to C - 1."""
    numbers: Ints = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return numbers
