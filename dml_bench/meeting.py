"""How processes that torchrun started anew find each other, and not the notes of those before them.

torchrun keeps one store of notes for all its starts (PyTorch 2.5 and later), and a process that
reads where another one listens may read it of one that is dead. The number of restarts does not
tell the starts apart: on several machines each counts its own. So the processes agree on a word.
"""

import time
from typing import Protocol
from uuid import uuid4

from dml_bench.errors import RunError

PAUSE = 0.02  # seconds between two looks
PATIENCE = 300.0  # for the slowest machine to start its processes


class Notes(Protocol):
    """What of `torch.distributed.Store` is used."""

    def set(self, key: str, value: str, /) -> None:
        """Write a note in the place of the one before."""
        ...

    def get(self, key: str, /) -> bytes:
        """Return a note, once it is there."""
        ...

    def check(self, keys: list[str], /) -> bool:
        """Return whether all notes are there."""
        ...


def agree(notes: Notes, rank: int, world: int) -> str:
    """Return a word that all processes of this start get, and no other start.

    The leader's word is new. Who reads it answers with a word of its own, and takes the leader's
    once the leader has seen that answer: the word of an earlier start is never called again.

    Args:
        notes: that all can read; with those of earlier starts, it may be.
        rank: the number of this process.
        world: how many there are.

    Raises:
        RunError: the others do not come.
    """
    mine = uuid4().hex
    return _lead(notes, mine, world) if rank == 0 else _follow(notes, mine, rank)


def _lead(notes: Notes, mine: str, world: int) -> str:
    notes.set("start", mine)
    answers = [notes.get(f"{mine}/{rank}").decode() for rank in range(1, world)]
    notes.set(f"{mine}/all", " ".join(answers))
    return mine


def _follow(notes: Notes, mine: str, rank: int) -> str:
    begun, answered = time.monotonic(), ""
    while time.monotonic() - begun < PATIENCE:
        start = notes.get("start").decode()
        if start != answered:
            notes.set(f"{start}/{rank}", mine)
            answered = start
        if notes.check([f"{start}/all"]) and mine in notes.get(f"{start}/all").decode().split():
            return start
        time.sleep(PAUSE)
    raise RunError(f"expected the leader of {rank + 1} or more processes, found none; start again")
