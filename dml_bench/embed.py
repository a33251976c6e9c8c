"""A model and pixels -> vectors: the centre is cut, nothing is drawn."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from dml_bench.augment import centre_crop
from dml_bench.data.pack import Pixels
from dml_bench.models import Model
from dml_bench.progress import Bar
from dml_bench.types import Floats

STEP = 128


def embed(
    model: Model,
    pixels: Pixels,
    *,
    crop: int,
    precision: str,
    label: str = "embedding",
    head: bool = True,
) -> Floats:
    """Return the vectors of a split's images.

    Args:
        model: its mode is kept; it is asked in evaluation mode.
        pixels: (N, 3, H, W) uint8.
        crop: pixels of the centre that the model sees.
        precision: "fp32" or "bf16".
        label: what the progress bar says.
        head: False gives the backbone's features.

    Returns:
        (N, D) float32 unit rows; (N, width) float32 features without the head.
    """
    ask = model if head else model.features
    training, device = model.training, next(iter(model.buffers())).device
    model.eval()
    parts = []
    with torch.inference_mode(), Bar(label, len(pixels)) as bar:
        for start in range(0, len(pixels), STEP):
            images = _centres(pixels[start : start + STEP], crop, device)
            parts.append(_asked(ask, images, precision))
            bar.advance(len(images))
    model.train(training)
    return np.concatenate(parts)


def _centres(pixels: Pixels, crop: int, device: torch.device) -> Tensor:
    chosen = centre_crop(torch.from_numpy(np.array(pixels)).to(device), crop)
    return chosen.contiguous(memory_format=torch.channels_last).float() / 255


def _asked(ask: Callable[[Tensor], Tensor], images: Tensor, precision: str) -> Floats:
    with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bf16"):
        vectors: Floats = ask(images).float().cpu().numpy()
    return vectors
