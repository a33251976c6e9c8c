"""Changes of colour for whole batches, each from its own uniform draws; see `augment`."""

import torch
from torch import Tensor

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
    strengths = torch.cat([factor, turn[:, None]], dim=1).to(images.device, non_blocking=True)
    turns = u[:, 4:].argsort(dim=1)  # (M, 4): which change comes first, second, ...
    lying = torch.arange(len(u), device=u.device)  # which image lies at each place
    result = images
    for kinds in turns.T:
        wanted = kinds.argsort(stable=True)  # images of one change together
        result = result[_there(lying.argsort()[wanted], images)]
        counts = torch.bincount(kinds, minlength=len(CHANGES)).tolist()
        factors = strengths[_there(wanted, images)].split_with_sizes(counts)
        each = enumerate(zip(CHANGES, result.split_with_sizes(counts), factors, strict=True))
        changed = [change(part, own[:, i, None, None, None]) for i, (change, part, own) in each]
        result = torch.cat(changed)
        lying = wanted
    return result[_there(lying.argsort(), images)]


def _there(rows: Tensor, images: Tensor) -> Tensor:
    return rows.to(images.device, non_blocking=True)


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return (factor * images + (1 - factor) * other).clamp(0, 1)


def _brightness(images: Tensor, factor: Tensor) -> Tensor:
    return (factor * images).clamp(0, 1)


def _contrast(images: Tensor, factor: Tensor) -> Tensor:
    return _blend(images, _luma(images).mean(dim=(-2, -1), keepdim=True), factor)


def _saturation(images: Tensor, factor: Tensor) -> Tensor:
    return _blend(images, _luma(images), factor)


def _luma(images: Tensor) -> Tensor:
    weights = torch.tensor(LUMA, device=images.device, dtype=images.dtype)
    return (images * weights[:, None, None]).sum(dim=1, keepdim=True)


def _hue(images: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue circle by a share of it, value and saturation kept."""
    red, green, blue = images.chunk(3, dim=1)
    value = torch.maximum(torch.maximum(red, green), blue)  # sooner than a reduction of three
    spread = value - torch.minimum(torch.minimum(red, green), blue)
    hue = _around(_hexagon(images, value, spread) + 6 * turn)
    step = torch.tensor([5.0, 3.0, 1.0], device=images.device)[:, None, None]  # red, green, blue
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
