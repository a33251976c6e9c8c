"""Augmentation of whole batches, from drawn tables: no Python per image, no state.

A part takes (M, 3, H, W) images and its own uniform draws (M, P), and nothing else, so the same
draws give the same pixels wherever and whenever they are used.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dml_bench import draws
from dml_bench.colour import colour_jitter, random_grayscale
from dml_bench.crops import TRIES, affine, centre_crop, random_crop, random_resized_crop
from dml_bench.devices import on
from dml_bench.registry import unknown
from dml_bench.types import Floats

FLIP_CHANCE = 0.5


def random_flip(images: Tensor, u: Tensor) -> Tensor:
    """Mirror every other image left to right, in place: a copy would take longer than the rest.

    Args:
        images: (M, 3, H, W) of any kind.
        u: (M, 1) draws, on the processor or with the images.
    """
    rows = torch.nonzero(u[:, 0] < FLIP_CHANCE)[:, 0]
    (_flip_by_numpy if images.is_cpu else _flip)(images, on(images.device, rows))
    return images


def _flip(images: Tensor, rows: Tensor) -> None:
    images[rows] = images[rows].flip(-1)


def _flip_by_numpy(images: Tensor, rows: Tensor) -> None:
    """Do the same sooner on the processor: NumPy copies whole images."""
    pixels, chosen = images.numpy(), rows.numpy()
    pixels[chosen] = torch.from_numpy(pixels[chosen]).flip(-1).numpy()


@dataclass(frozen=True)
class Part:
    """One augmentation: how many draws an image needs, and what is done with them."""

    n_draws: int
    place: Callable[[Tensor, Tensor, int], Tensor] | None = None  # makes the crop
    colour: Callable[[Tensor, Tensor], Tensor] | None = None  # keeps the size
    floats: bool = True  # makes new values; else it moves pixels about, and bytes stay bytes
    picks: bool = False  # which images it acts on is read from its draws: those stay on the host


PARTS: Mapping[str, Part] = {  # in the order in which they act
    "R": Part(2 * TRIES + 2, place=random_resized_crop),
    "crop": Part(2, place=random_crop, floats=False),
    "affine": Part(6, place=affine),
    "C": Part(8, colour=colour_jitter, picks=True),
    "G": Part(1, colour=random_grayscale),
    "F": Part(1, colour=random_flip, floats=False, picks=True),
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


def apply(
    pixels: Tensor,
    tables: Mapping[str, np.ndarray | Tensor],
    crop: int,
    rows: Tensor | None = None,
) -> Tensor:
    """Augment a batch.

    Args:
        pixels: (N, 3, H, W) uint8.
        tables: part -> (M, P) draws, in any order; without a part that crops, the centre is cut.
        crop: pixels of a side of the result.
        rows: (M,) int64 where `pixels` lie, which image each view shows; each in turn if None.

    Returns:
        (M, 3, crop, crop) float32 in [0, 1]; uint8 where no part makes new values.
    """
    chosen = {name: torch.as_tensor(tables[name]) for name in PARTS if name in tables}
    images = _cut(pixels, chosen, crop, rows)
    if any(PARTS[name].floats for name in chosen):
        images = images.float() / 255
    for name, u in chosen.items():
        part = PARTS[name]
        draws_ = u if part.picks else on(images.device, u)
        if part.place and name != "crop":
            images = part.place(images, draws_, crop)
        elif part.colour:
            images = part.colour(images, draws_)
    return images


def _cut(pixels: Tensor, chosen: Mapping[str, Tensor], crop: int, rows: Tensor | None) -> Tensor:
    """Return what of the pixels is looked at at all, as bytes."""
    if "crop" in chosen:
        return random_crop(pixels, on(pixels.device, chosen["crop"]), crop, rows)
    seen = pixels if any(PARTS[name].place for name in chosen) else centre_crop(pixels, crop)
    if rows is None:
        return seen.clone()
    return _rows_by_numpy(seen, rows) if seen.is_cpu else seen[rows]


def _rows_by_numpy(images: Tensor, rows: Tensor) -> Tensor:
    """Return `images[rows]` sooner on the processor: NumPy copies whole images."""
    return torch.from_numpy(images.numpy()[rows.numpy()])
