"""A model and pixels -> vectors: the centre is cut, nothing is drawn."""

import numpy as np
import torch
from torch import Tensor

from dml_bench import dist, exchange
from dml_bench.crops import centre_crop
from dml_bench.data.pack import Pixels
from dml_bench.devices import on
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
    """Return the vectors of a split's images; several processes make a part of them each.

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
    parts = [torch.empty(0, model.dim if head else model.width, device=device)]
    starts = range(0, len(pixels), STEP)  # each step is made whole: in the bits of one process
    with torch.inference_mode(), Bar(label, len(pixels)) as bar:
        for start in starts[dist.part(len(starts))]:
            images = _centres(pixels[start : start + STEP], crop, device)
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                parts.append(ask(images).float())  # stays there: nothing waits for an accelerator
            bar.advance(len(images) * dist.world())
        own = torch.cat(parts).cpu().numpy()
    model.train(training)
    return exchange.joined(own, len(pixels), STEP)


def _centres(pixels: Pixels, crop: int, device: torch.device) -> Tensor:
    """Return the (B, 3, crop, crop) uint8 middles of the images, where the model is."""
    middles = centre_crop(torch.from_numpy(np.array(pixels)), crop)
    return on(device, middles).contiguous(memory_format=torch.channels_last)
