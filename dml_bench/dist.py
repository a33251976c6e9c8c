"""Several processes at one piece of work, as torchrun starts them; nothing else knows of them.

Until `join` is called, and where torchrun started one process only, every function gives the plain
answer of one process, and costs nothing.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar, cast

from dml_bench.errors import BenchError, RecipeError, RunError
from dml_bench.meeting import agree
from dml_bench.text import in_short, shown

if TYPE_CHECKING:
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
