"""What a network says of a batch: this process's part looked at, and all parts brought together."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from dml_bench import dist, exchange
from dml_bench.methods.base import BaseMethod
from dml_bench.models import Model
from dml_bench.norms import GlobalNorm, parts
from dml_bench.teacher import Teacher
from dml_bench.types import Batch, Recipe


class Look:
    """Looks at batches with a network and, if there is one, its teacher.

    Args:
        model: the network.
        teacher: that follows it, or None.
        method: says what it asks for beside vectors.
        recipe: precision and batch norm.
    """

    def __init__(
        self, model: Model, teacher: Teacher | None, method: BaseMethod, recipe: Recipe
    ) -> None:
        self.model, self.teacher, self.method = model, teacher, method
        self.low = recipe.precision == "bf16"
        alone = dist.world() == 1 or parts(recipe.batch_norm)
        self.norm: AbstractContextManager[Any] = nullcontext() if alone else GlobalNorm()

    def __call__(self, batch: Batch) -> tuple[Tensor, Batch]:
        """Return the vectors of a batch, and the batch with what else its method asks for.

        Args:
            batch: whose images are those of this process; those of all only where the method asks.

        Returns:
            (V, B, D) float32 unit rows, the gradient of this process's rows with them; the batch.
        """
        shape = batch.images.shape[:2]
        images = batch.images.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        more = {}
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.low), self.norm:
            features, vectors = self.model.both(images)
            if self.teacher:
                named = zip(("taught_features", "taught"), self.teacher(images), strict=True)
                more = {name: found.float().view(*shape, -1) for name, found in named}
        if self.method.uses_features:
            more["features"] = features.float().view(*shape, -1)
        if self.method.uses_images:
            more["images"] = batch.images
        whole = {name: exchange.gather(found, dim=1) for name, found in more.items()}
        if dist.world() > 1:  # nobody takes a part of them for all
            whole = {"images": batch.images[:, :0], **whole}
        return exchange.gather(vectors.float().view(*shape, -1), dim=1), replace(batch, **whole)
