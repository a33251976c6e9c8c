"""The input path of the released code: one PIL transform an image and view, in DataLoader workers.

Written anew from what that code does (its datasets apply one torchvision transform twice), with
the sizes and strengths of its scripts.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms

from dml_bench.types import Recipe, Split

WORKERS = 2
Transform = Callable[[Any], Any]


class TwoViews(torch.utils.data.Dataset[tuple[Tensor, Tensor, int]]):
    """A split whose images are transformed twice each."""

    def __init__(self, split: Split, transform: Transform) -> None:
        self.images, self.transform = split.images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, int]:
        image = self.images[index]
        return self.transform(image), self.transform(image), index


def two_views(split: Split, transform: Transform, batch: int) -> DataLoader[Any]:
    """Return the loader of both views."""
    return DataLoader(
        TwoViews(split, transform),
        batch,
        shuffle=True,
        num_workers=WORKERS,
        drop_last=True,
        persistent_workers=True,
    )


def seen(recipe: Recipe) -> Transform:
    """Return the transform of the script for CIFAR-10."""
    made: Transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(recipe.crop, scale=(0.2, 1.0)),
            transforms.ColorJitter(0.4, 0.4, 0.4, 0.4),
            transforms.RandomGrayscale(p=0.2),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(recipe.mean, recipe.std),
        ]
    )
    return made


def unseen(recipe: Recipe) -> Transform:
    """Return the transform of the script for unseen classes."""
    made: Transform = transforms.Compose(
        [
            transforms.RandomCrop(recipe.crop),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(recipe.mean, recipe.std),
        ]
    )
    return made
