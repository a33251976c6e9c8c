"""Tensors on their way to where they are used."""

import torch
from torch import Tensor


def on(device: torch.device, tensor: Tensor) -> Tensor:
    """Return a tensor on a device; an accelerator fetches it while the processor goes on."""
    if device.type != "cuda" or not tensor.is_cpu:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
