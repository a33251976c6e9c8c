"""Whether bfloat16 pays on this machine: asked of the machine once, then remembered."""

import json
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.models.resnet import BasicBlock

from dml_bench.atomic import atomic_write
from dml_bench.environment import processor
from dml_bench.errors import StoreError
from dml_bench.halves import able

GAIN = 1.2  # a step has to be so many times as fast
ROUNDS = 5


@cache
def fast_at_bf16(device: str, *, depthwise: bool = False) -> bool:
    """Return whether a training step is at least 1.2 times as fast in bfloat16 as in float32.

    A processor without instructions for it is not asked: it computes in float32 and rounds. One
    that has them takes some steps both ways, less than a second, and the answer is kept in the
    user's cache folder, where it can be: so that a busy moment later changes no recipe. On an
    accelerator its kind says it; one that only emulates bfloat16 does not count.

    Args:
        device: "cpu" or "cuda".
        depthwise: whether the network has convolutions that look at each channel by itself, as an
            EfficientNet has: on a processor not all of them are fast in bfloat16.
    """
    if device != "cpu":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not able():
        return False
    kind = ", depthwise" if depthwise else ""
    return _kept(_memory(), kind, partial(gain, depthwise=depthwise)) >= GAIN


def _memory() -> Path:
    """Return the file that remembers the gain of each processor and torch."""
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home, as in some containers
        home = Path(tempfile.gettempdir())
    return home / "dml_bench" / "bf16.json"


def _kept(path: Path, kind: str, measure: Callable[[], float]) -> float:
    """Return what a file remembers of this processor and torch, measured if it does not."""
    name = f"{processor()}, torch {torch.__version__}{kind}"
    known = {}
    with suppress(OSError, ValueError):
        known = json.loads(path.read_text(encoding="utf-8"))
    found = known.get(name) if isinstance(known, dict) else None
    if isinstance(found, float):
        return found
    found = measure()
    kept = known if isinstance(known, dict) else {}
    with suppress(StoreError):  # a home that cannot be written: asked again the next time
        atomic_write(path, json.dumps({**kept, name: found}, indent=2))
    return found


def gain(*, depthwise: bool = False) -> float:
    """Return how many times as fast a block is in bfloat16, the best of some of each.

    On one thread and by the processor's clock, so that what else runs hardly matters.

    Args:
        depthwise: a block of a MobileNetV2 that halves the image, instead of one of a ResNet18.

    Example:
        >>> gain() > 0
        True
    """
    with torch.random.fork_rng(devices=[]):
        layer = InvertedResidual(128, 128, 2, 4) if depthwise else BasicBlock(128, 128)
        layer = layer.to(memory_format=torch.channels_last)
        images = torch.rand(16, 128, 16, 16).contiguous(memory_format=torch.channels_last)
    seconds = {False: float("inf"), True: float("inf")}
    with threadpool_limits(1):
        for _ in range(ROUNDS):
            for half in seconds:
                begun = time.thread_time()
                with torch.autocast("cpu", torch.bfloat16, enabled=half):
                    found = layer(images)
                found.float().square().mean().backward()
                seconds[half] = min(seconds[half], time.thread_time() - begun)
    return seconds[False] / seconds[True]
