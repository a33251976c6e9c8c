"""Several processes at one piece of work, as torchrun starts them; nothing else knows of them.

Until `join` is called, and where torchrun started one process only, every function gives the plain
answer of one process, and costs nothing.
"""

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from dml_bench.errors import BenchError, RecipeError, RunError
from dml_bench.meeting import agree
from dml_bench.text import in_short, shown

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributed.distributed_c10d import Store

PATIENCE = timedelta(days=7)  # the leader may decode images for hours; who dies is seen at once
Found = TypeVar("Found")


@dataclass
class _Place:
    rank: int = 0
    world: int = 1
    begun: bool = False
    store: "Store | None" = None


_here = _Place()


def join() -> None:
    """Take the place that torchrun gave this process, if it did; `begin` connects it."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1:
        _here.rank, _here.world = int(os.environ.get("RANK", "0")), world


def rank() -> int:
    """Return the number of this process, from 0."""
    return _here.rank


def world() -> int:
    """Return how many processes there are."""
    return _here.world


def leader() -> bool:
    """Return whether this is the process that writes and prints."""
    return _here.rank == 0


def part(n: int, step: int = 1) -> slice:
    """Return this process's contiguous share of n rows; all the shares make them up, in order.

    Args:
        n: how many there are.
        step: rows that are not divided: a share begins at a whole number of steps.

    Example:
        >>> part(10)
        slice(0, 10, None)
    """
    return parts(n, step)[_here.rank]


def parts(n: int, step: int = 1) -> list[slice]:
    """Return the `part` of each process, in order."""
    steps, world = -(-n // step), _here.world
    edges = [min(n, step * (steps * rank // world)) for rank in range(world + 1)]
    return [slice(*pair) for pair in pairwise(edges)]


def begin(device: str) -> None:
    """Connect the processes, once: NCCL between accelerators, gloo between processors.

    Args:
        device: "cpu", or "cuda" for the accelerator of the process's number on its machine.

    Raises:
        RecipeError: more processes on this machine than accelerators.
    """
    join()
    if _here.world == 1 or _here.begun:
        return
    from torch import distributed

    if device == "cuda":
        _take_accelerator()
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo",
        store=store(),
        rank=_here.rank,
        world_size=_here.world,
        timeout=PATIENCE,
    )
    _here.begun = True


def store() -> "Store":
    """Return where the processes leave notes for each other; its keys are of this start alone.

    Raises:
        RecipeError: the environment speaks of several processes, and not of where they meet.
    """
    if _here.store is None:
        from torch.distributed.distributed_c10d import PrefixStore
        from torch.distributed.rendezvous import rendezvous

        try:
            notes = next(iter(rendezvous("env://")))[0]
            _here.store = PrefixStore(agree(notes, _here.rank, _here.world), notes)
        except ValueError as error:
            raise RecipeError(
                f"WORLD_SIZE {_here.world}: expected what torchrun sets beside it, found:"
                f" {shown(error)}; start with torchrun, or unset WORLD_SIZE"
            ) from error
    return _here.store


def _take_accelerator() -> None:
    import torch

    number, n = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if number >= n:
        raise RecipeError(
            f"--device cuda: expected an accelerator for each process of this machine, found {n};"
            f" start torchrun with --nproc-per-node {n} or less, or take --device cpu"
        )
    torch.cuda.set_device(number)


def end() -> None:
    """Part from the other processes; this one is alone from here on."""
    if _here.begun:
        from torch import distributed

        distributed.destroy_process_group()
    vars(_here).update(vars(_Place()))


def barrier() -> None:
    """Wait until every process is here."""
    first(lambda: None)


def first(act: Callable[[], Found]) -> Found:
    """Let the leader act while the others wait; all get what it returned, or raise what it raised.

    Args:
        act: what is done once; what it returns can be pickled.
    """
    if _here.world == 1:
        return act()
    import torch
    from torch import distributed

    said: list[Any] = _outcome(act) if leader() else [None, None]
    distributed.broadcast_object_list(said, src=0, device=torch.device("cpu"))
    if said[1] is not None:
        raise said[1]
    return cast(Found, said[0])


def _outcome(act: Callable[[], Any]) -> list[Any]:
    """Return what an act returned, and what it raised; a library's error as one of ours."""
    try:
        return [act(), None]
    except (BenchError, RunError) as error:
        return [None, error]
    except Exception as error:
        if os.environ.get("DML_BENCH_TRACEBACK"):
            raise
        return [None, RunError(in_short(error))]


def gather(tensor: "Tensor", dim: int) -> "Tensor":
    """Return every process's rows, in order; a gradient flows back to the own rows.

    Args:
        tensor: of the same shape in every process.
        dim: the axis along which the parts are laid behind one another.
    """
    if _here.world == 1:
        return tensor
    import torch
    from torch import distributed

    own = tensor.detach().contiguous()
    parts = [torch.empty_like(own) for _ in range(_here.world)]
    distributed.all_gather(parts, own)
    return torch.cat([*parts[: _here.rank], tensor, *parts[_here.rank + 1 :]], dim)


def complete(array: npt.NDArray[Any], step: int = 1) -> None:
    """Put every process's `part` of the rows in its place, in all of them.

    Args:
        array: (N, ...) of one shape and kind in every process, its rows one behind the other.
        step: as `part` takes it.
    """
    if _here.world == 1:
        return
    from torch import distributed

    for source, rows in enumerate(parts(len(array), step)):
        if array[rows].size:
            distributed.broadcast(_raw(array[rows]), src=source)


def joined(own: npt.NDArray[Any], n: int, step: int = 1) -> npt.NDArray[Any]:
    """Return n rows, of which each process has its `part`.

    Args:
        own: (P, ...) this process's; all are of one kind.
        n: how many all have.
        step: as `part` takes it.
    """
    if _here.world == 1:
        return own
    found = np.empty((n, *own.shape[1:]), own.dtype)
    found[part(n, step)] = own
    complete(found, step)
    return found


def exchange(array: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Return what each process has for this one's `part` of the rows, in order.

    Args:
        array: (N, ...) of one N and kind in every process; what a row is may differ.
    """
    if _here.world == 1:
        return [array]
    from torch import distributed

    forms: list[Any] = [None] * _here.world
    distributed.all_gather_object(forms, array.shape[1:])
    own = part(len(array))
    shapes = [(own.stop - own.start, *form) for form in forms]
    sizes = [math.prod(shape) for shape in shapes]
    found, got = np.empty(sum(sizes), array.dtype), [size * array.itemsize for size in sizes]
    sent = [array[rows].nbytes for rows in parts(len(array))]
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


def _together(exchange: str, tensors: Iterable["Tensor"], **how: int) -> None:
    """Exchange tensors as one for each kind of number: many small exchanges cost more."""
    if _here.world == 1:
        return
    import torch
    from torch import distributed

    kinds: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault(tensor.dtype, []).append(tensor)
    for alike in kinds.values():
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in alike])
        getattr(distributed, exchange)(flat, **how)
        parts = torch.split(flat, [tensor.numel() for tensor in alike])
        with torch.no_grad():
            for tensor, found in zip(alike, parts, strict=True):
                tensor.copy_(found.view_as(tensor))
