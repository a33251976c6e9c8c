"""Encoded images, read before they are asked for: a bounded store that a thread fills."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from dml_bench.data.members import Members
from dml_bench.types import Ints

SHARE = 4  # of this machine's memory one part holds what was read ahead
LIMIT = Path("/sys/fs/cgroup/memory.max")


class Ahead:
    """Images of shards in the order in which they are needed, never more bytes than a cap.

    A thread reads what a plan says, shard by shard from its beginning to its end, as far as there
    is room. An image that was given away makes room for another when that is needed. What no plan
    brings, and what finds no room before it is needed, is read when it is asked for: slower, and
    the same bytes.

    Args:
        images: where they lie.
        cap: bytes that are kept, and under way in the thread, at most; what the images say, or a
            share of the memory, if None.
    """

    def __init__(self, images: Members, cap: int | None = None) -> None:
        said = images.cap if cap is None else cap
        self.images, self.cap = images, share_of_memory() if said is None else said
        self.room = threading.Condition()
        self.kept: dict[int, bytes] = {}  # not asked for yet
        self.spent: dict[int, bytes] = {}  # given away, the oldest first
        self.bytes = self.most = 0
        self.due = np.zeros(len(images), bool)  # what the thread will bring
        self.plan, self.stuck = 0, False
        self.error: Exception | None = None

    def follow(self, rows: Ints) -> None:
        """Begin to read (M,) rows in the order in which they will be asked for; none is to rest."""
        with self.room:
            self.plan += 1
            self.due[:] = False
            self.due[rows] = True
            self.spent.update(self.kept)  # of the plan before; here for as long as there is room
            self.kept.clear()
            self.stuck, self.error = False, None
            self.room.notify_all()
            if len(rows):
                given = (self.plan, self._runs(rows))
                threading.Thread(target=self._read, args=given, name="shards", daemon=True).start()

    def take(self, rows: Sequence[int]) -> list[bytes]:
        """Return images as they are encoded.

        Raises:
            DataError: one cannot be read.
        """
        found = {row: content for row in rows if (content := self._wait(row)) is not None}
        missing = [row for row in rows if row not in found]
        found.update(zip(missing, self.images.read(missing), strict=True))
        return [found[row] for row in rows]

    def coming(self, row: int) -> bool:
        """Return whether an image is here, or the thread brings it."""
        with self.room:
            return row in self.kept or row in self.spent or bool(self.due[row])

    def _wait(self, row: int) -> bytes | None:
        """Return an image that is here or on its way; None if it has to be asked for."""
        with self.room:
            self.room.wait_for(lambda: self._settled(row))
            if self.error:
                raise self.error
            self.due[row] = False
            if row in self.kept:
                self.spent[row] = self.kept.pop(row)
                self.stuck = False  # there is room
            self.room.notify_all()  # the thread looks anew what it still has to bring
            return self.spent.get(row)

    def _settled(self, row: int) -> bool:
        """Return whether it is known if an image comes without being asked for."""
        return bool(not self.due[row] or row in self.spent or self.stuck or self.error)

    def _runs(self, rows: Ints) -> Iterator[Ints]:
        """Yield what one request brings each, from the shard that is needed first to the last."""
        shards = self.images.shards[rows]
        found, first = np.unique(shards, return_index=True)
        by_shard = np.unique(rows)  # rows of a shard stand together
        ends = np.searchsorted(self.images.shards[by_shard], found, side="right")
        begins = np.searchsorted(self.images.shards[by_shard], found)
        for number in np.argsort(first, kind="stable"):
            yield from self.images.runs(by_shard[begins[number] : ends[number]])

    def _read(self, plan: int, runs: Iterator[Ints]) -> None:
        try:
            for run in runs:
                if not self._bring(plan, run):
                    return
        except Exception as error:  # whoever asks for an image is told
            with self.room:
                if plan == self.plan:
                    self.error = error
                    self.room.notify_all()

    def _bring(self, plan: int, run: Ints) -> bool:
        """Read a run that is still needed; return whether the plan still holds."""
        with self.room:
            run = self._needed(plan, run)
            while len(run) and not self._make_room(self.images.span(run)):
                self.stuck = True
                self.room.notify_all()
                self.room.wait()
                run = self._needed(plan, run)
            if not len(run):
                return plan == self.plan
            self.stuck, size = False, self.images.span(run)
            self._count(size)
        try:
            found = self.images.bring(run)
        finally:
            with self.room:
                self._count(-size)
        with self.room:
            if plan == self.plan:
                self._keep(found)
            return plan == self.plan

    def _needed(self, plan: int, run: Ints) -> Ints:
        """Return what of a run is still to be read; what is here from before is kept."""
        if plan != self.plan:
            return run[:0]
        for row in [row for row in run[self.due[run]].tolist() if row in self.spent]:
            self.kept[row] = self.spent.pop(row)
            self.due[row] = False
        return run[self.due[run]]

    def _keep(self, found: dict[int, bytes]) -> None:
        for row, content in found.items():
            if self.due[row]:
                self.due[row] = False
                self.kept[row] = content
                self._count(len(content))
        self.room.notify_all()

    def _make_room(self, size: int) -> bool:
        while self.spent and self.bytes + size > self.cap:
            oldest = next(iter(self.spent))
            self._count(-len(self.spent.pop(oldest)))
        return self.bytes + size <= self.cap

    def _count(self, more: int) -> None:
        self.bytes += more
        self.most = max(self.most, self.bytes)


def share_of_memory() -> int:
    """Return how many bytes a process may hold ahead of what it is asked, unless one says it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no such limit
        memory = min(memory, int(LIMIT.read_text(encoding="ascii")))
    return memory // SHARE // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
