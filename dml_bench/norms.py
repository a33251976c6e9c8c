"""Batch norm over a batch whose parts lie in several processes."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from dml_bench import dist, exchange
from dml_bench.errors import RecipeError

PARTS = 16  # of a process's rows, summed each for itself


def said(batch_norm: str) -> str:
    """Return what a recipe keeps of the word for its batch norm.

    "local" says that each process counts with its own part of a batch. Then the number of processes
    decides the numbers, and is kept: "local:2". Of one process the part is the whole, and the word
    is "train".

    Raises:
        RecipeError: after "local:" stands no number of processes.

    Example:
        >>> said("local:2"), said("local:1"), said("frozen")
        ('local:2', 'train', 'frozen')
    """
    if batch_norm.partition(":")[0] != "local":
        return batch_norm
    number = parts(batch_norm) if ":" in batch_norm else dist.world()
    return f"local:{number}" if number > 1 else "train"


def parts(batch_norm: str) -> int:
    """Return in how many parts a batch is counted; 0 where that does not say.

    Raises:
        RecipeError: after "local:" stands no number of processes.

    Example:
        >>> parts("local:2"), parts("train")
        (2, 0)
    """
    word, _, number = batch_norm.partition(":")
    if word != "local":
        return 0
    if not (number.isascii() and number.isdecimal() and 0 < int(number) < 2**20):
        raise RecipeError(
            f"batch_norm: expected local, or local:2 for 2 processes, found {batch_norm!r};"
            " write one of them"
        )
    return int(number)


def refuse_other_worlds(batch_norm: str) -> None:
    """Let a recipe that says how many processes count with their own parts be made by so many.

    Raises:
        RecipeError: it is another number.
    """
    wanted = parts(batch_norm)
    if wanted and wanted != dist.world():
        raise RecipeError(
            f"batch_norm {batch_norm}: expected {wanted} processes, found {dist.world()}; start"
            f" them with torchrun --nproc-per-node {wanted}, or set batch_norm=train"
        )


class GlobalNorm(TorchFunctionMode):
    """While it is entered, batch norm counts with the rows of all processes.

    It takes the place of `F.batch_norm`, through which every module goes that counts with the batch
    (PyTorch's own, timm's that has the activation inside, a user's), so no network is rebuilt.
    PyTorch's `SyncBatchNorm` refuses processors; this is one path on processors and accelerators.
    """

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call what a network asks for, or `batch_norm` in the place of PyTorch's."""
        asked = batch_norm if function is F.batch_norm else function
        return asked(*args, **(kwargs or {}))


def batch_norm(
    images: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Do what `F.batch_norm` does with the rows of all processes; each has as many.

    Args:
        images: (M, channels, ...) this process's rows.
        running_mean: (channels,) float32, moved towards what is found.
        running_var: (channels,) float32, likewise.
        weight: (channels,) of the affine map that follows.
        bias: (channels,) likewise.
        training: whether the batch counts; else the running ones do.
        momentum: share of what is found in the running ones.
        eps: added to the variance.

    Returns:
        Like `images`.
    """
    if not training or dist.world() == 1:
        known = (running_mean, running_var, weight, bias, training, momentum, eps)
        return F.batch_norm(images, *known)
    mean, variance = moments(images.detach())
    if running_mean is not None and running_var is not None:
        n = dist.world() * images.numel() // images.shape[1]
        running_mean.lerp_(mean, momentum)
        running_var.lerp_(variance * n / (n - 1), momentum)
    found: Tensor = _Normed.apply(images, weight, bias, mean, variance, eps)
    return found


def moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the (channels,) mean and variance of the rows of all processes.

    The numbers are summed by what batch norm itself sums with, many times as fast as `var_mean`
    where channels lie last; a few rows at a time, for it adds float32 one by one.

    Args:
        rows: (M, channels, ...), as many in each process.

    Returns:
        Both float32, of float64 rows float64.
    """
    own = [_moments(some) for some in rows.chunk(math.gcd(len(rows), PARTS))]
    means, variances = exchange.gather(torch.stack(own), dim=0).unbind(1)  # (parts, channels)
    mean = means.mean(0)
    return mean, (variances + (means - mean).square()).mean(0)


def _moments(rows: Tensor) -> Tensor:
    """Return the (2, channels) mean and variance of some rows."""
    kind = torch.promote_types(rows.dtype, torch.float32)  # of what is known, and so of the answer
    known = torch.zeros(2, rows.shape[1], dtype=kind, device=rows.device)
    return torch.stack(torch.ops.aten.batch_norm_update_stats(rows, *known, 0.0))


class _Normed(torch.autograd.Function):
    """The affine map of rows that are normed with known moments, which are the rows' own."""

    @staticmethod
    def forward(
        held: Any,
        rows: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        eps: float,
    ) -> Tensor:
        held.save_for_backward(rows, weight, mean, variance)
        held.eps = eps
        return F.batch_norm(rows, mean, variance, weight, bias, training=False, eps=eps)

    @staticmethod
    def backward(held: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        """Return the slopes of the rows, through their moments too, of the weight and the bias.

        With x the normed rows, of deviation d, and means over all rows of all processes: the slope
        of a row is w / d (slope - mean of the slopes - x mean of the slopes times x).
        """
        rows, weight, mean, variance = held.saved_tensors
        known = (weight, mean, variance, None, None, False, held.eps, [True, True, True])
        scaled, turned, summed = torch.ops.aten.native_batch_norm_backward(slopes[0], rows, *known)
        means = torch.stack([turned, summed])
        exchange.add([means])
        means /= dist.world() * rows.numel() / rows.shape[1]
        over = (variance + held.eps).rsqrt()
        tilt, level = -means * (over if weight is None else over * weight)
        found = scaled.add_(F.batch_norm(rows, mean, variance, tilt, level, eps=held.eps))
        asked = held.needs_input_grad[1:3]
        of_map = [
            slope if want else None for slope, want in zip((turned, summed), asked, strict=True)
        ]
        return found, *of_map, None, None, None
