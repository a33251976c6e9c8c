"""Batches: which images a step sees, and in which views. Decided by (seed, epoch) alone."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dml_bench import augment, dist, draws
from dml_bench.crops import check_crop
from dml_bench.data.order import span
from dml_bench.data.pack import Pixels
from dml_bench.data.stream import ahead_of
from dml_bench.devices import on
from dml_bench.errors import RecipeError
from dml_bench.types import Batch, Floats, Ints, Recipe

SHARE = 0.5  # of an accelerator's free memory that a dataset's pixels may take


@dataclass(frozen=True)
class _Epoch:
    """The tables of one epoch: the order, each view's picture, the draws."""

    order: Ints  # (N',)
    pictures: Ints  # (V, N): the row whose picture a view shows
    tables: Mapping[str, Floats]  # part -> (N, V, P)


class Batches:
    """The batches of a training split; several processes make a part of each batch's images each.

    Args:
        pixels: (N, 3, H, W) uint8.
        labels: (N,) int64 class numbers, or None for a method that may not see them.
        recipe: batch, per_class, augmentation, crop, order and seed.
        views: V.
        device: where the batches are made.
        shards: (N,) the shard that each image lies in; of use where the recipe's order is theirs.

    Raises:
        RecipeError: fewer images than a batch holds, a crop larger than the images, a batch that
            the processes cannot share alike, or `per_class` without labels or not dividing the
            batch.
    """

    def __init__(
        self,
        pixels: Pixels,
        labels: Ints | None,
        recipe: Recipe,
        views: int,
        device: torch.device,
        shards: Ints | None = None,
    ) -> None:
        self.pixels, self.labels, self.recipe = pixels, labels, recipe
        self.views, self.device, self.shards = views, device, shards
        _check(pixels, labels, recipe)
        self.source = _source(pixels, device)
        self.steps = len(self._order(0)) // recipe.batch

    def __len__(self) -> int:
        """Return the steps of an epoch; a last batch that is not full is left out."""
        return self.steps

    def _order(self, epoch: int) -> Ints:
        seed, per_class = self.recipe.seed, self.recipe.per_class
        if self.shards is not None and (shards := span(self.recipe.order)):
            return draws.block_order(seed, epoch, self.shards, shards, self.labels, per_class)
        if per_class and self.labels is not None:
            return draws.balanced_order(seed, epoch, self.labels, per_class)
        return draws.order(seed, epoch, len(self.pixels))

    def epoch(
        self,
        epoch: int,
        start: int = 0,
        partners: Ints | None = None,
        order: Ints | None = None,
    ) -> Iterator[Batch]:
        """Yield an epoch's batches from step `start` on.

        For an accelerator, and where pixels are read from elsewhere, the next is made while one is
        used. On the processor both would ask for all its cores: one after the other is sooner.

        The ids and labels are those of a whole batch, in every process; the images those of this
        process's part of it.

        Args:
            epoch: its number, from 0.
            start: the first step.
            partners: (V - 1, N) the rows whose pictures the further views of each image show, (N,)
                the same row for all of them; itself if None.
            order: (N',) the rows in the order in which they are visited, as many as in a plain
                epoch; drawn if None.
        """
        if start >= len(self):
            return
        tables = self._tables(epoch, partners, order)
        with ahead_of(self.pixels, self._own(tables.order, start)):
            made = partial(self._batch, tables)
            steps = range(start, len(self))
            beside = self.source is None or self.device.type != "cpu"
            yield from _overlapped(made, steps) if beside else map(made, steps)

    def _own(self, order: Ints, start: int) -> Ints:
        """Return the rows that this process will ask for from step `start` on."""
        size = self.recipe.batch
        steps = order[start * size : self.steps * size].reshape(-1, size)
        return steps[:, dist.part(size)].reshape(-1)

    def _tables(self, epoch: int, partners: Ints | None, order: Ints | None) -> _Epoch:
        n, seed = len(self.pixels), self.recipe.seed
        pictures = np.tile(np.arange(n), (self.views, 1))
        if partners is not None:
            pictures[1:] = partners
        drawn = augment.draw(self.recipe.augmentation, seed, epoch, n, self.views)
        return _Epoch(self._order(epoch) if order is None else order, pictures, drawn)

    def _batch(self, tables: _Epoch, step: int) -> Batch:
        size = self.recipe.batch
        rows = tables.order[step * size : (step + 1) * size]  # (B,)
        own = rows[dist.part(size)]  # all B, but for several processes
        pictures = tables.pictures[:, own].reshape(-1)  # (V * B,)
        chosen = {
            name: drawn[own].swapaxes(0, 1).reshape(len(pictures), -1)
            for name, drawn in tables.tables.items()
        }
        images = augment.apply(*self._shown(pictures, chosen))
        labels = None if self.labels is None else torch.from_numpy(self.labels[rows])
        return Batch(
            images.view(self.views, len(own), *images.shape[1:]),
            on(self.device, torch.from_numpy(rows)),
            labels if labels is None else on(self.device, labels),
        )

    def _shown(self, pictures: Ints, tables: Mapping[str, Floats]) -> tuple[Any, ...]:
        """Return what `augment.apply` takes: all images with rows, or those of a batch alone."""
        if self.source is None:
            pixels = on(self.device, torch.from_numpy(self.pixels[pictures]))
            return pixels, tables, self.recipe.crop
        return self.source, tables, self.recipe.crop, on(self.device, torch.from_numpy(pictures))


def _overlapped(made: Callable[[int], Batch], steps: Sequence[int]) -> Iterator[Batch]:
    """Yield what is made of each step, the next made while one is used."""
    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(made, steps[0])
        for step in steps[1:]:
            batch, ahead = ahead.result(), pool.submit(made, step)
            yield batch
        yield ahead.result()


def _source(pixels: Pixels, device: torch.device) -> Tensor | None:
    """Return all pixels where the batches are made; None where they do not fit an accelerator.

    Nor are those copied that are some rows of a pack (`packs.Rows`).
    """
    if not isinstance(pixels, np.ndarray):
        return None
    if device.type == "cuda" and pixels.nbytes > SHARE * torch.cuda.mem_get_info(device)[0]:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # read-only, and only read
        return torch.from_numpy(pixels).to(device)


def _check(pixels: Pixels, labels: Ints | None, recipe: Recipe) -> None:
    if len(pixels) < recipe.batch:
        raise RecipeError(
            f"expected at least one batch of {recipe.batch} images, found {len(pixels)} images;"
            " set a smaller batch"
        )
    check_crop(pixels.shape, recipe.crop)
    if recipe.batch % dist.world():
        raise RecipeError(
            f"expected a batch that {dist.world()} processes share alike, found {recipe.batch}"
            " images; set another batch, or start another number of processes"
        )
    if recipe.per_class and (labels is None or recipe.batch % recipe.per_class):
        raise RecipeError(
            f"expected per_class to divide the batch of a supervised method, found per_class"
            f" {recipe.per_class}, batch {recipe.batch}; set per_class to 0 or to a divisor"
        )
