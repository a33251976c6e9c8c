"""What of an image is looked at: crops of whole batches, each from its own uniform draws."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor

from dml_bench.errors import RecipeError

TRIES = 10  # as torchvision's RandomResizedCrop
SCALE = (0.2, 1.0)
RATIO = (3 / 4, 4 / 3)


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
    narrow = images.flatten(1, 2) @ columns.mT  # (M, 3 * H, size), one product an image
    return rows[:, None] @ narrow.view(*images.shape[:3], size)


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


def random_crop(images: Tensor, u: Tensor, size: int, rows: Tensor | None = None) -> Tensor:
    """Cut a square of `size` pixels at a random place.

    Args:
        images: (N, 3, H, W) of any kind.
        u: (M, 2) draws.
        size: pixels of a side of the result.
        rows: (M,) int64, which image is cut; each in turn if None.
    """
    height, width = images.shape[-2:]
    top = _places(u[:, 0], torch.full((len(u),), float(height - size), device=u.device)).long()
    left = _places(u[:, 1], torch.full((len(u),), float(width - size), device=u.device)).long()
    every = torch.arange(len(u), device=images.device) if rows is None else rows
    return (_cut_by_numpy if images.is_cpu else _cut)(images, size, every, top, left)


def _cut(images: Tensor, size: int, rows: Tensor, top: Tensor, left: Tensor) -> Tensor:
    windows = images.unfold(2, size, 1).unfold(3, size, 1)  # a view
    return windows[rows, :, top, left]


def _cut_by_numpy(images: Tensor, size: int, rows: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """Do the same sooner on the processor: NumPy copies by rows."""
    windows = sliding_window_view(images.numpy(), (size, size), axis=(2, 3))
    return torch.from_numpy(windows[rows.numpy(), :, top.numpy(), left.numpy()])


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
