"""The input path alone: from packed pixels to normalised floats, both views of every image."""

import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from benchmarks import pictures, released
from benchmarks.cases import Case, Done, Work
from dml_bench import recipes
from dml_bench.data.batches import Batches
from dml_bench.models import Model
from dml_bench.packs import Packs
from dml_bench.recycling import recycle
from dml_bench.types import Dataset, Recipe

WARM = 2  # batches before the clock starts


def _asked(work: Work, side: int, batch: int, steps: int, **shown: Any) -> tuple[Recipe, Dataset]:
    steps, batch = (4, 8) if work.small else (steps, batch)
    data = pictures.dataset((WARM + steps) * batch, side)
    said = {"method": "invaspread", "backbone": "conv4", "weights": "none", "batch": batch, **shown}
    return recipes.resolve(said, data, device=work.device), data


def _large(work: Work) -> tuple[Recipe, Dataset]:
    return _asked(work, 256, 64, 20, resize=0, crop=227, augmentation="crop+F")


def _small(work: Work) -> tuple[Recipe, Dataset]:
    return _asked(work, 32, 128, 40, resize=0, crop=32, augmentation="R+C+G+F")


def _ours(recipe: Recipe, data: Dataset, work: Work) -> Done:
    if work.device == "cpu":
        recycle()  # as `assembly.build` does
    with tempfile.TemporaryDirectory() as folder:
        pixels = Packs(data, recipe, Path(folder))[data.train]
    batches = Batches(pixels, None, recipe, 2, torch.device(work.device))
    width = 3 * recipe.crop**2
    see = Model(torch.nn.Flatten(), width, None, recipe.mean, recipe.std).to(work.device)

    def floats(batch: Any) -> int:
        return len(see.features(batch.images.flatten(0, 1)))

    return _timed(batches.epoch(0), floats, work)


def _theirs(transform: Callable[[Recipe], Any], recipe: Recipe, data: Dataset, work: Work) -> Done:
    loader = released.two_views(data.train, transform(recipe), recipe.batch)

    def floats(batch: Any) -> int:
        return len(batch[0].to(work.device)) + len(batch[1].to(work.device))

    return _timed(iter(loader), floats, work)


def _timed(batches: Any, floats: Callable[[Any], int], work: Work) -> Done:
    """Take all batches; the clock runs from the end of the warm-up."""
    for batch in islice(batches, WARM):
        floats(batch)
    _wait(work)
    begun = time.perf_counter()
    views = sum(floats(batch) for batch in batches)
    _wait(work)
    return Done(views, time.perf_counter() - begun)


def _wait(work: Work) -> None:
    if work.device == "cuda":
        torch.cuda.synchronize()


CASES = (
    Case(
        "input-227",
        "crop 227 + flip from 256 px",
        "views",
        "torchvision on PIL images, 2 DataLoader workers",
        4,
        lambda work: _ours(*_large(work), work),
        lambda work: _theirs(released.unseen, *_large(work), work),
    ),
    Case(
        "input-32",
        "R + C + G + F at 32 px",
        "views",
        "torchvision on PIL images, 2 DataLoader workers",
        5,
        lambda work: _ours(*_small(work), work),
        lambda work: _theirs(released.seen, *_small(work), work),
    ),
)
