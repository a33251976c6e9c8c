"""Rough inner products in bfloat16, where a processor has instructions for it.

A product of rounded vectors is wrong by what the rounding of these very vectors, measured as they
are, can do to it. So a row that is left out is certainly worse than what was asked for, or the
query is said to be unsure; either way no bit of an answer depends on bfloat16.

Of the greatest of each group of rows, the k-th greatest is no more than the k-th greatest of all:
one look at the products, as whole numbers of 16 bits, tells which groups need a second one.
"""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dml_bench.environment import flags
from dml_bench.products import Doubles, slack, threads
from dml_bench.types import Floats, Ints

if TYPE_CHECKING:
    from torch import Tensor

GROUP = 32  # rows whose greatest product stands for them
TOGETHER = 256  # queries that are multiplied at a time
NUMBERS = 1 << 23  # numbers of the gallery that are rounded at a time
PLACES = 1 << 16  # rows that are multiplied at a time
TAKES = 1 << 28  # bytes of all that
MANY = 4  # threads: more of them multiply with fewer rows each
UNIT = 2.0**-8  # what rounding to bfloat16 can do to a number, relative to it
FLAGS = {"amx_bf16", "avx512_bf16"}
NONE = np.iinfo(np.int16).max  # no product is as great

Shorts = npt.NDArray[np.int16]


def able() -> bool:
    """Return whether the processor multiplies numbers in bfloat16 as such.

    Torch is imported for that only where the system does not deny it.
    """
    if "torch" not in sys.modules and (said := flags()) and not said & FLAGS:
        return False
    import torch

    found = torch.cpu.get_capabilities()
    return any(found.get(name) for name in FLAGS)


def depth(size: int, dim: int) -> int:
    """Return how many of the best of (size, dim) rows can be told apart from the others well."""
    return min(size, _step(dim)) // GROUP // 4


def _step(dim: int) -> int:
    """Return how many rows are multiplied at a time, whole groups."""
    together = PLACES * min(MANY, threads()) // threads()
    return max(GROUP, min(together, NUMBERS // dim) // GROUP * GROUP)


class Halves:
    """A gallery of (G, D) float32 rows, multiplied in bfloat16.

    Args:
        rows: (G, D), memory-mapped ones too.
        longest: length of the longest.
        lift: added to every product: where the k-th greatest is not above zero, a query is unsure.
    """

    def __init__(self, rows: Floats, longest: float, lift: float = 0.0) -> None:
        self.rows, self.longest, self.lift = rows, longest, lift
        self.step = _step(rows.shape[1])
        self.starts = range(0, len(rows), self.step)
        self.wrong = max(float(_rounded(self._block(i))[1].max()) for i in self.starts)
        self.held = threading.local()
        self.kept: dict[int, Tensor] = {}  # the rows that were rounded last

    def best(self, query: Floats, k: int, most: int) -> tuple[Doubles, Ints]:
        """Return rows among which the k best of each query are, and what all others stay below.

        Args:
            query: (Q, D) float32.
            k: how many are to be among them.
            most: how many rows may be returned; a query that needs more is unsure.

        Returns:
            (Q,) bounds, infinite for the unsure; and (Q, W) rows in any order, -1 where none is.
        """
        import torch

        half, rounding, lengths = _rounded(query)
        asked = torch.cat([half, torch.ones(len(half), 1, dtype=half.dtype)], dim=1)
        wrong = (
            rounding * self.longest
            + lengths * self.wrong
            + 4 * slack(query, self.longest + self.lift)
        )
        found = Found(np.zeros(len(query)), wrong, k, most)
        parts = [slice(i, i + TOGETHER) for i in range(0, len(query), TOGETHER)]
        for start in self.starts:
            rows = self._lifted(start)
            with ThreadPoolExecutor(threads()) as pool:
                list(pool.map(lambda p, r=rows, i=start: self._look(asked, r, i, p, found), parts))
        return found.bounds - self.lift, found.rows(parts)

    def _block(self, start: int) -> Floats:
        return np.array(self.rows[start : start + self.step])

    def _lifted(self, start: int) -> "Tensor":
        """Return rounded rows that end in the lift, and zeros up to a whole group."""
        import torch

        if start not in self.kept:
            block = _rounded(self._block(start))[0]
            many = -(-len(block) // GROUP) * GROUP
            rows = torch.zeros(many, block.shape[1] + 1, dtype=block.dtype)
            rows[: len(block), :-1], rows[: len(block), -1] = block, self.lift
            self.kept = {start: rows}
        return self.kept[start]

    def _look(
        self, asked: "Tensor", rows: "Tensor", start: int, part: slice, found: "Found"
    ) -> None:
        """Add what some queries find among some rows."""
        import torch

        some = asked[part]
        size = len(some) * len(rows)
        if getattr(self.held, "size", 0) < size:
            self.held.size, self.held.table = size, torch.empty(size, dtype=asked.dtype)
        table = self.held.table[:size].view(len(some), len(rows))
        torch.mm(some, rows.T, out=table)
        found.add(part, table.view(torch.int16).numpy().reshape(len(some), GROUP, -1), start)


class Found:
    """What queries found so far, and what a row needs to be looked at.

    Args:
        least: (Q,) products below it are no longer of interest.
        wrong: (Q,) what a product can be wrong by before it is rounded.
        k: as `Halves.best` takes it.
        most: likewise.
    """

    def __init__(self, least: Doubles, wrong: Doubles, k: int, most: int) -> None:
        self.least, self.wrong, self.k, self.most = least, wrong, k, most
        self.lost = np.zeros(len(least), bool)  # those of which nothing can be said
        self.near: dict[int, tuple[Ints, Floats]] = {}  # by first query: (Q, W) rows and products

    @property
    def bounds(self) -> Doubles:
        """(Q,) no row that was left out has a greater product; infinite where none can be said."""
        return np.where(self.lost, np.inf, self.least * (1 + 1.01 * UNIT) + self.wrong)

    def rows(self, parts: list[slice]) -> Ints:
        """Return the (Q, W) rows, -1 where none is."""
        near = [self.near[part.start][0] for part in parts]
        wide = max(self.k, *(rows.shape[1] for rows in near))
        whole = np.full((len(self.least), wide), -1)
        for part, rows in zip(parts, near, strict=True):
            whole[part, : rows.shape[1]] = rows
        whole[self.lost] = -1
        return whole

    def add(self, part: slice, table: Shorts, start: int) -> None:
        """Add the (P, GROUP, groups) products of some queries with the rows from `start` on."""
        groups = table.shape[2]
        greatest = table.max(axis=1)
        if groups >= self.k:
            kth = np.partition(greatest, groups - self.k, axis=1)[:, groups - self.k]
            self._raise(part, _floats(kth))
        self.lost[part] |= self.least[part] <= 0  # what is of interest is not known yet
        least = _shorts(self.least[part])
        who, group = np.nonzero(greatest >= least[:, None])
        products = table[who, :, group]  # (P, GROUP)
        pair, place = np.nonzero(products >= least[who, None])
        values, rows = products[pair, place], start + place * groups + group[pair]
        self._keep(part, who[pair], rows, _floats(values))

    def _raise(self, part: slice, kth: Floats) -> None:
        """Take note of a product that k rows have at least."""
        low = kth * (1 - UNIT) - 2 * self.wrong[part]
        self.least[part] = np.maximum(self.least[part], low / (1 + 2 * UNIT))

    def _keep(self, part: slice, who: Ints, rows: Ints, values: Floats) -> None:
        """Put (P,) candidates beside those that were there, and drop what no longer counts."""
        size = len(self.least[part])
        counts = np.bincount(who, minlength=size)
        self.lost[part] |= counts > self.most
        fits = counts[who] <= self.most
        at = np.arange(len(who)) - (np.cumsum(counts) - counts)[who]
        wide = int(counts[counts <= self.most].max(initial=0))
        near = np.full((size, wide), -1), np.full((size, wide), -np.inf, np.float32)
        near[0][who[fits], at[fits]], near[1][who[fits], at[fits]] = rows[fits], values[fits]
        if part.start in self.near:
            before = self.near[part.start]
            near = self._pruned(
                part, np.hstack([before[0], near[0]]), np.hstack([before[1], near[1]])
            )
        self.near[part.start] = near

    def _pruned(self, part: slice, rows: Ints, values: Floats) -> tuple[Ints, Floats]:
        """Return the candidates that are left once the k-th of all blocks is known."""
        if values.shape[1] > self.k:
            kth = np.partition(values, -self.k, axis=1)[:, -self.k]
            self._raise(part, np.where(np.isfinite(kth), kth, 0))
        rows[values < self.least[part, None]] = -1
        order = np.argsort(rows < 0, axis=1, kind="stable")
        counts = (rows >= 0).sum(axis=1)
        self.lost[part] |= counts > self.most
        wide = int(counts[counts <= self.most].max(initial=0))
        order = order[:, :wide]
        return np.take_along_axis(rows, order, axis=1), np.take_along_axis(values, order, axis=1)


def _rounded(rows: Floats) -> tuple["Tensor", Doubles, Doubles]:
    """Return (P, D) rows in bfloat16, (P,) how far that moved them, and (P,) how long they are."""
    import torch

    half = torch.from_numpy(rows).bfloat16()
    kept = half.float().numpy()
    moved, lengths = (
        np.sqrt(np.einsum("pd,pd->p", a, a, dtype=np.float64)) for a in (rows - kept, kept)
    )
    return half, moved * 1.000001, lengths * 1.000001


def _floats(shorts: Shorts) -> Floats:
    """Return what the bits of bfloat16 stand for."""
    found: Floats = (shorts.astype(np.int32) << 16).view(np.float32)
    return found


def _shorts(least: Doubles) -> Shorts:
    """Return the bits of bfloat16 numbers that are not above those given; `NONE` for zero."""
    bits = (np.nextafter(least.astype(np.float32), 0).view(np.int32) >> 16).astype(np.int16)
    return np.where(least > 0, bits, NONE)
