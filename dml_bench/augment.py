"""Augmentation of whole batches, from drawn tables: no Python per image, no state.

A part takes (M, 3, H, W) images and its own uniform draws (M, P), and nothing else, so the same
draws give the same pixels wherever and whenever they are used.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dml_bench import draws
from dml_bench.colour import colour_jitter, random_grayscale
from dml_bench.errors import RecipeError
from dml_bench.registry import unknown
from dml_bench.types import Floats

TRIES = 10  # as torchvision's RandomResizedCrop
SCALE = (0.2, 1.0)
RATIO = (3 / 4, 4 / 3)
FLIP_CHANCE = 0.5


def random_resized_crop(images: Tensor, u: Tensor, size: int) -> Tensor:
    """Cut a random box of each image and resize it, as RandomResizedCrop(scale=(.2, 1)) does.

    Args:
        images: (M, 3, H, W) float32.
        u: (M, 2 * TRIES + 2) draws: area and ratio of each try, then the place.
        size: pixels of a side of the result.
    """
    height, width = images.shape[-2:]
    top, left, tall, wide = _boxes(u, height, width)
    rows = resize_weights(top, tall, size, height)  # (M, size, H)
    columns = resize_weights(left, wide, size, width)  # (M, size, W)
    return rows[:, None] @ images @ columns[:, None].mT


def _boxes(u: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return (M,) top, left, height and width: the first of the tries that fits in the image."""
    area = height * width * (SCALE[0] + (SCALE[1] - SCALE[0]) * u[:, :TRIES].double())
    low, high = math.log(RATIO[0]), math.log(RATIO[1])
    ratio = (low + (high - low) * u[:, TRIES : 2 * TRIES].double()).exp()
    wide, tall = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()  # (M, TRIES)
    fits = (wide > 0) & (wide <= width) & (tall > 0) & (tall <= height)
    first = fits.int().argmax(dim=1, keepdim=True)
    found = fits.any(dim=1)
    widest, tallest = min(width, height * RATIO[1]), min(height, width / RATIO[0])
    wide = torch.where(found, wide.gather(1, first)[:, 0], round(widest))
    tall = torch.where(found, tall.gather(1, first)[:, 0], round(tallest))
    top = torch.where(found, _places(u[:, -2], height - tall), ((height - tall) / 2).round())
    left = torch.where(found, _places(u[:, -1], width - wide), ((width - wide) / 2).round())
    return top, left, tall, wide


def _places(u: Tensor, last: Tensor) -> Tensor:
    """Return an integer from 0 to `last`, each as likely."""
    return (u.double() * (last + 1)).floor().clamp(max=last)


def resize_weights(start: Tensor, length: Tensor, size: int, full: int) -> Tensor:
    """Return (M, size, full) weights that resize the pixels [start, start + length) to `size`.

    Bilinear with antialiasing: a triangle as wide as one output pixel, cut off at the box.

    Source: what Pillow's and torchvision's antialiased bilinear resize compute, without rounding
    to eight bits.
    """
    scale = (length / size)[:, None, None]
    reach = scale.clamp(min=1.0)
    place = torch.arange(size, device=start.device, dtype=torch.float64)
    centre = start[:, None, None] + (place[:, None] + 0.5) * scale  # (M, size, 1)
    pixel = torch.arange(full, device=start.device, dtype=torch.float64)
    weights = (1 - (pixel + 0.5 - centre).abs() / reach).clamp(min=0)
    inside = (pixel >= start[:, None, None]) & (pixel < (start + length)[:, None, None])
    weights = weights * inside
    return (weights / weights.sum(dim=2, keepdim=True)).float()


def random_crop(images: Tensor, u: Tensor, size: int) -> Tensor:
    """Cut a square of `size` pixels at a random place; u is (M, 2)."""
    height, width = images.shape[-2:]
    top = _places(u[:, 0], torch.full((len(u),), float(height - size), device=u.device)).long()
    left = _places(u[:, 1], torch.full((len(u),), float(width - size), device=u.device)).long()
    side = torch.arange(size, device=images.device)
    rows, columns = top[:, None] + side, left[:, None] + side  # (M, size)
    every = torch.arange(len(images), device=images.device)
    return images[
        every[:, None, None, None],
        torch.arange(images.shape[1], device=images.device)[:, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]


def centre_crop(images: Tensor, size: int) -> Tensor:
    """Cut the middle square of `size` pixels, as every test image is cut.

    Raises:
        RecipeError: the images are smaller than that.
    """
    check_crop(images.shape, size)
    top, left = ((side - size + 1) // 2 for side in images.shape[-2:])
    return images[..., top : top + size, left : left + size]


def check_crop(shape: Sequence[int], size: int) -> None:
    """Refuse a crop that is larger than the images, whose shape is (..., H, W)."""
    if min(shape[-2:]) < size:
        raise RecipeError(
            f"expected a crop within the images, found crop {size} of {shape[-1]} x {shape[-2]}"
            " pixels; set a smaller crop or a larger resize"
        )


def affine(images: Tensor, u: Tensor, size: int) -> Tensor:
    """Turn by up to 20 degrees, scale by .75 to 1.25, shear by up to .3, shift by up to 10 %.

    For letters, which no flip or colour leaves the same.

    Args:
        images: (M, 3, H, W) float32; beyond an edge its pixels go on.
        u: (M, 6) draws.
        size: pixels of a side of the result.
    """
    centred = 2 * u - 1
    angle = centred[:, 0] * math.radians(20)
    wide, tall = 1 + 0.25 * centred[:, 1], 1 + 0.25 * centred[:, 2]
    shear, shift = 0.3 * centred[:, 3], 0.2 * centred[:, 4:6]  # the plane runs from -1 to 1
    cos, sin = angle.cos(), angle.sin()
    theta = torch.stack(
        [
            torch.stack([wide * cos, tall * (shear * cos - sin), shift[:, 0]], dim=1),
            torch.stack([wide * sin, tall * (shear * sin + cos), shift[:, 1]], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(theta, [len(images), 3, size, size], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def random_flip(images: Tensor, u: Tensor) -> Tensor:
    """Mirror every other image left to right; u is (M, 1)."""
    return torch.where((u < FLIP_CHANCE)[:, :, None, None], images.flip(-1), images)


@dataclass(frozen=True)
class Part:
    """One augmentation: how many draws an image needs, and what is done with them."""

    n_draws: int
    place: Callable[[Tensor, Tensor, int], Tensor] | None = None  # makes the crop
    colour: Callable[[Tensor, Tensor], Tensor] | None = None  # keeps the size


PARTS: Mapping[str, Part] = {  # in the order in which they act
    "R": Part(2 * TRIES + 2, place=random_resized_crop),
    "crop": Part(2, place=random_crop),
    "affine": Part(6, place=affine),
    "C": Part(8, colour=colour_jitter),
    "G": Part(1, colour=random_grayscale),
    "F": Part(1, colour=random_flip),
}


def parts(augmentation: str) -> list[str]:
    """Return the parts of a recipe's augmentation, in the order in which they act.

    Raises:
        UnknownNameError: a part that does not exist.

    Example:
        >>> parts("F+C+G+R")
        ['R', 'C', 'G', 'F']
    """
    named = [] if augmentation == "none" else augmentation.split("+")
    for name in named:
        if name not in PARTS:
            raise unknown("augmentation", name, [*PARTS, "none"])
    return [name for name in PARTS if name in named]


def draw(augmentation: str, seed: int, epoch: int, n: int, views: int) -> dict[str, Floats]:
    """Return each part's table of draws for an epoch, (N, V, P) float32 in [0, 1).

    A part's table does not depend on the other parts: leaving one out moves no other draw.
    """
    shape = (n, views)
    return {
        name: draws.table(seed, epoch, f"augment-{name}", (*shape, PARTS[name].n_draws))
        for name in parts(augmentation)
    }


def apply(pixels: Tensor, tables: Mapping[str, np.ndarray | Tensor], crop: int) -> Tensor:
    """Augment a batch.

    Args:
        pixels: (M, 3, H, W) uint8.
        tables: part -> (M, P) draws, in any order; without a part that crops, the centre is cut.
        crop: pixels of a side of the result.

    Returns:
        (M, 3, crop, crop) float32 in [0, 1].
    """
    chosen = {
        name: torch.as_tensor(tables[name]).to(pixels.device) for name in PARTS if name in tables
    }
    images = pixels
    if not any(PARTS[name].place for name in chosen):
        images = centre_crop(images, crop)
    if "crop" in chosen:  # cut bytes, not floats
        images = random_crop(images, chosen["crop"], crop)
    images = images.float() / 255
    for name, u in chosen.items():
        if (place := PARTS[name].place) and name != "crop":
            images = place(images, u, crop)
        elif colour := PARTS[name].colour:
            images = colour(images, u)
    return images
