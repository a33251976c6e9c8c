"""What several processes exchange: tensors and arrays, of which each has a part.

Of one process each function gives back what it was given, and costs nothing.
"""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dml_bench import dist

if TYPE_CHECKING:
    from torch import Tensor


def gather(tensor: "Tensor", dim: int) -> "Tensor":
    """Return every process's rows, in order; a gradient flows back to the own rows.

    Args:
        tensor: of the same shape in every process.
        dim: the axis along which the parts are laid behind one another.
    """
    if dist.world() == 1:
        return tensor
    import torch
    from torch import distributed

    own = tensor.detach().contiguous()
    parts = [torch.empty_like(own) for _ in range(dist.world())]
    distributed.all_gather(parts, own)
    return torch.cat([*parts[: dist.rank()], tensor, *parts[dist.rank() + 1 :]], dim)


def complete(array: npt.NDArray[Any], step: int = 1) -> None:
    """Put every process's `dist.part` of the rows in its place, in all of them.

    Args:
        array: (N, ...) of one shape and kind in every process, its rows one behind the other.
        step: as `dist.part` takes it.
    """
    if dist.world() == 1:
        return
    from torch import distributed

    for source, rows in enumerate(dist.parts(len(array), step)):
        if array[rows].size:
            distributed.broadcast(_raw(array[rows]), src=source)


def joined(own: npt.NDArray[Any], n: int, step: int = 1) -> npt.NDArray[Any]:
    """Return n rows, of which each process has its `dist.part`.

    Args:
        own: (P, ...) this process's; all are of one kind.
        n: how many all have.
        step: as `dist.part` takes it.
    """
    if dist.world() == 1:
        return own
    found = np.empty((n, *own.shape[1:]), own.dtype)
    found[dist.part(n, step)] = own
    complete(found, step)
    return found


def collected(array: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Return what each process has for this one's `dist.part` of the rows, in order.

    Args:
        array: (N, ...) of one N and kind in every process; what a row is may differ.
    """
    if dist.world() == 1:
        return [array]
    from torch import distributed

    forms: list[Any] = [None] * dist.world()
    distributed.all_gather_object(forms, array.shape[1:])
    own = dist.part(len(array))
    shapes = [(own.stop - own.start, *form) for form in forms]
    sizes = [math.prod(shape) for shape in shapes]
    found, got = np.empty(sum(sizes), array.dtype), [size * array.itemsize for size in sizes]
    sent = [array[rows].nbytes for rows in dist.parts(len(array))]
    distributed.all_to_all_single(_raw(found), _raw(np.ascontiguousarray(array)), got, sent)
    each = np.split(found, np.cumsum(sizes)[:-1])  # views
    return [flat.reshape(shape) for flat, shape in zip(each, shapes, strict=True)]


def _raw(array: npt.NDArray[Any]) -> "Tensor":
    """Return the bytes of an array whose rows lie one behind the other, no copy of them."""
    import torch

    return torch.from_numpy(array.reshape(-1).view(np.uint8))


def add(tensors: Iterable["Tensor"]) -> None:
    """Put the sum over the processes in each tensor's place."""
    _together("all_reduce", tensors)


def follow(tensors: Iterable["Tensor"]) -> None:
    """Put the leader's numbers in each tensor's place."""
    _together("broadcast", tensors, src=0)


def _together(how: str, tensors: Iterable["Tensor"], **more: int) -> None:
    """Exchange tensors as one for each kind of number: many small exchanges cost more."""
    if dist.world() == 1:
        return
    import torch
    from torch import distributed

    kinds: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault(tensor.dtype, []).append(tensor)
    for alike in kinds.values():
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in alike])
        getattr(distributed, how)(flat, **more)
        parts = torch.split(flat, [tensor.numel() for tensor in alike])
        with torch.no_grad():
            for tensor, found in zip(alike, parts, strict=True):
                tensor.copy_(found.view_as(tensor))
