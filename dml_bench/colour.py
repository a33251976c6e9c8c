"""Changes of colour for whole batches, each from its own uniform draws; see `augment`."""

import torch
from torch import Tensor

from dml_bench.devices import on

JITTER = 0.4
GRAY_CHANCE = 0.2
LUMA = (0.2989, 0.587, 0.114)


def colour_jitter(images: Tensor, u: Tensor) -> Tensor:
    """Change brightness, contrast, saturation and hue in a random order.

    Args:
        images: (M, 3, H, W) float32 in [0, 1].
        u: (M, 8) draws: four strengths, four that order the changes; on the processor or with the
            images. Which images a change acts on is read where the draws are: there an
            accelerator is not waited for.

    Source: torchvision's ColorJitter(.4, .4, .4, .4): factors from .6 to 1.4, hue by up to .4 of
    the circle.
    """
    factor = 1 - JITTER + 2 * JITTER * u[:, :3]
    turn = JITTER * (2 * u[:, 3] - 1)
    strengths = torch.cat([factor, turn[:, None]], dim=1)
    kinds = u[:, 4:].argsort(dim=1).T  # (4, M): which change comes first, second, ...
    orders = kinds.argsort(dim=1, stable=True)  # (4, M): images of one change together
    back = orders.argsort(dim=1)
    moves = torch.cat([orders[:1], back[:-1].gather(1, orders[1:]), back[-1:]])
    moves = on(images.device, moves)  # (5, M): from one order to the next
    factors = on(images.device, strengths[orders, kinds.gather(1, orders)])[..., None, None, None]
    result = images
    for step, made in enumerate(kinds):
        counts = torch.bincount(made, minlength=len(CHANGES)).tolist()
        parts = (t.split_with_sizes(counts) for t in (result[moves[step]], factors[step]))
        result = torch.cat(
            [change(part, own) for change, part, own in zip(CHANGES, *parts, strict=True)]
        )
    return result[moves[-1]]


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return (factor * images + (1 - factor) * other).clamp(0, 1)


def _brightness(images: Tensor, factor: Tensor) -> Tensor:
    return (factor * images).clamp(0, 1)


def _contrast(images: Tensor, factor: Tensor) -> Tensor:
    return _blend(images, _luma(images).mean(dim=(-2, -1), keepdim=True), factor)


def _saturation(images: Tensor, factor: Tensor) -> Tensor:
    return _blend(images, _luma(images), factor)


def _luma(images: Tensor) -> Tensor:
    red, green, blue = (share * part for share, part in zip(LUMA, images.chunk(3, 1), strict=True))
    return red + green + blue


def _hue(images: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue circle by a share of it, value and saturation kept."""
    red, green, blue = images.chunk(3, dim=1)
    value = torch.maximum(torch.maximum(red, green), blue)  # sooner than a reduction of three
    spread = value - torch.minimum(torch.minimum(red, green), blue)
    hue = _around(_hexagon(images, value, spread) + 6 * turn)
    step = torch.arange(5.0, 0.0, -2.0, device=images.device)[:, None, None]  # red, green, blue
    k = _around(step + hue)
    near = torch.minimum(k, 4 - k).clamp_(0, 1)
    return value - near.mul_(spread)


def _around(place: Tensor) -> Tensor:
    """Return places on a circle of six: what `% 6` gives, to the bit if a turn away at most."""
    return place - (place / 6).floor_().mul_(6)


def _hexagon(images: Tensor, value: Tensor, spread: Tensor) -> Tensor:
    """Return (M, 1, H, W) the hue, from -1 to 5; 0 where there is no colour."""
    red, green, blue = images.chunk(3, dim=1)
    over = spread.clamp(min=torch.finfo(images.dtype).tiny)
    hue = torch.where(
        value == red,
        (green - blue) / over,
        torch.where(value == green, 2 + (blue - red) / over, 4 + (red - green) / over),
    )
    return torch.where(spread > 0, hue, 0.0)


def random_grayscale(images: Tensor, u: Tensor) -> Tensor:
    """Take the colour out of one image in five; u is (M, 1)."""
    return torch.where((u < GRAY_CHANCE)[:, :, None, None], _luma(images), images)


CHANGES = (_brightness, _contrast, _saturation, _hue)
