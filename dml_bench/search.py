"""Exact search by inner product: what decides is float64, whatever the machine's fast products say.

Candidates come from products in float32, whose last bits depend on threads, blocks and the order
of the rows. What decides is each candidate's product in float64, summed one dimension after the
other; where a faster sum in float64 cannot have put two candidates the wrong way round, it stands
for that. A query whose candidates may have missed a better item, by the bound on what float32 can
be wrong by, is searched again, wider, in the end in full.
"""

import math
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dml_bench.exhaustive import Exhaustive
from dml_bench.halves import TAKES, Halves, able, depth
from dml_bench.levels import Doubles, cosines
from dml_bench.memory import ROOM
from dml_bench.products import Products, longest, products, slack, threads
from dml_bench.settling import in_order, wrongness
from dml_bench.types import Floats, Ints

MARGIN = 64  # candidates beyond those asked for
WIDER = 16  # how much wider the second attempt is
GATHER = 1 << 19  # numbers of candidates that are gathered at a time: they fit a cache
TOGETHER = 4096  # queries that are searched at a time, at most
BUFFERS = 1 << 24  # bytes that FAISS multiplies in
WORTH = 1 << 26  # products: from so many on bfloat16 is thought of
IMPORT = 1 << 31  # where torch has to be imported for it
CANDIDATE = 48  # bytes that a candidate takes while it is settled


Finding = Callable[[Floats], tuple[Doubles, Ints]]
"""Queries -> what no row that is left out can score more than, and the rows that are not."""


class Queries(Protocol):
    """(Q, D) float32 that are made when they are asked for: an array, or what stands for one."""

    def __len__(self) -> int:
        """Return Q."""

    def __getitem__(self, rows: Any, /) -> Floats:
        """Return some rows."""


class Search:
    """A gallery of any float32 rows, searched by inner product.

    Args:
        rows: (G, D) float32, memory-mapped ones too.
        device: where rough products are made, "cpu" or "cuda"; it changes no bit of an answer.
        margin: candidates beyond those asked for; more of them make a second attempt rarer.
        order: (G,) the rows in the order that settles ties; as they stand where None.
        room: bytes that a search may take beside its answer; it changes no bit of an answer.
        lift: what makes most scores of interest positive, for `Halves`; changes no bit either.
    """

    def __init__(
        self,
        rows: Floats,
        device: str = "cpu",
        *,
        margin: int = MARGIN,
        order: Ints | None = None,
        room: int = ROOM,
        lift: float = 0.0,
    ) -> None:
        self.rows, self.margin, self.room = rows, margin, room
        self.order, self.lift, self.device = order, lift, device
        self.places = None if order is None else np.argsort(order)
        self.products: Products = products(rows, device)
        self.longest = longest(rows)
        self.nearly = False  # whether candidates are taken as they come
        self.held = threading.local()

    def of(self, fewer: Products) -> "Search":
        """Return a search whose candidates are what something else finds, sure or not."""
        found = copy(self)
        found.products, found.nearly, found.held = fewer, True, threading.local()
        return found

    def nearest(
        self,
        query: Queries,
        k: int,
        own: Ints | None = None,
        done: Callable[[int], None] = lambda n: None,
        into: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None = None,
    ) -> tuple[Ints, Doubles]:
        """Return the (Q, k) rows and scores of the best, best first.

        Args:
            query: (Q, D) float32.
            k: at most G, less 1 where there is an own row.
            own: (Q,) the row that each query may not find; -1 for none.
            done: told of each few queries that are answered, how many they are.
            into: two (Q, k) arrays that take the answer, rounded to what they hold.

        Returns:
            rows (Q, k) int64, and scores (Q, k) float64 that are what they are rounded from.
        """
        own = np.full(len(query), -1) if own is None else own
        rows, scores = into or (np.empty((len(query), k), np.int64), np.empty((len(query), k)))
        left = np.arange(len(query))
        for step, find in self._ways(len(query), k):
            unsure = [np.empty(0, np.int64)]
            for part in (left[i : i + step] for i in range(0, len(left), step)):
                rows[part], scores[part], sure = self._attempt(query[part], k, own[part], find)
                unsure.append(part[~sure])
                done(int(sure.sum()))
            left = np.concatenate(unsure)
        return rows, scores

    def _ways(self, queries: int, k: int) -> list[tuple[int, Finding | None]]:
        """Return what to try in turn, with how many queries at a time; None for all rows."""
        size, first = len(self.rows), k + 1 + self.margin
        widths = [width for width in (first, first * WIDER) if width < size / 4]
        ways: list[tuple[int, Finding | None]] = [
            (self._together(width), partial(self._products, width=width))
            for width in widths or [first] * (first < size)
        ]
        if self._pays(queries, k) and able():
            most = 2 * first + MARGIN
            step = self._together(most, TAKES)
            ways.insert(0, (step, partial(self._halves.best, k=k + 1, most=most)))
        return [*ways, (self._together(size), None)]

    def _pays(self, queries: int, k: int) -> bool:
        """Return whether there is enough to multiply, and the room for it, in bfloat16."""
        worth = WORTH if "torch" in sys.modules else IMPORT
        enough = queries * len(self.rows) >= worth and k < depth(*self.rows.shape)
        return enough and self.room >= ROOM and self.device == "cpu" and not self.nearly

    @cached_property
    def _halves(self) -> Halves:
        return Halves(self.rows, self.longest, self.lift)

    def _products(self, query: Floats, width: int) -> tuple[Doubles, Ints]:
        """Return what no row outside of the candidates can score more than, and the candidates."""
        rough, near = self.products.best(query, width)
        if self.nearly:
            return np.full(len(query), -np.inf), near
        return rough[:, -1] + slack(query, self.longest), near

    def _together(self, width: int, taken: int = 0) -> int:
        """Return how many queries are searched at a time, for this many candidates each."""
        each = CANDIDATE * width + 16 * self.rows.shape[1]
        other = BUFFERS + 24 * GATHER * threads()
        together: int = min(TOGETHER, max(1, (self.room - taken - other) // each))
        return together

    def _attempt(
        self, query: Floats, k: int, own: Ints, find: Finding | None
    ) -> tuple[Ints, Doubles, npt.NDArray[np.bool_]]:
        """Return rows and scores, and whether no row outside the candidates can be better."""
        if find is None:
            return *self._all.best(query, k, own), np.ones(len(query), bool)
        bounds, near = find(query)
        rows = np.empty((len(query), k), np.int64)
        scores = np.empty((len(query), k))

        def settle(part: slice) -> None:
            rows[part], scores[part] = self._settled(query[part], near[part], k, own[part])

        step = max(1, GATHER // (near.shape[1] * query.shape[1]))
        with ThreadPoolExecutor(threads()) as pool:
            list(pool.map(settle, [slice(i, i + step) for i in range(0, len(query), step)]))
        return rows, scores, scores[:, -1] > bounds

    def _settled(self, query: Floats, near: Ints, k: int, own: Ints) -> tuple[Ints, Doubles]:
        """Return the (Q, k) best of (Q, W) candidates, in order of (score, place)."""
        wide = query.astype(np.float64)
        scores: Doubles = (self._wide(near) @ wide[:, :, None])[:, :, 0]
        scores[(near == own[:, None]) | (near < 0)] = -np.inf
        known = (wrongness(wide, self.longest), lambda at, rows: self.exact(query[at], rows))
        return in_order(near, scores, k, *known, self._place)

    def _wide(self, near: Ints) -> Doubles:
        """Return the (Q, W, D) rows in float64, in memory that this thread takes again."""
        shape = (*near.shape, self.rows.shape[1])
        size = math.prod(shape)
        if getattr(self.held, "size", 0) < size:
            self.held.size, self.held.rows = size, np.empty(size, np.float32)
            self.held.wide = np.empty(size)
        rows, wide = (held[:size].reshape(shape) for held in (self.held.rows, self.held.wide))
        if self.rows.flags.aligned and self.rows.flags.c_contiguous:
            np.take(self.rows, near, axis=0, out=rows, mode="clip")
        else:
            rows[...] = self.rows[near]  # `take` would copy all of them first
        np.copyto(wide, rows)
        found: Doubles = wide
        return found

    @cached_property
    def _all(self) -> Exhaustive:
        return Exhaustive(self.rows, self.order, self.places)

    def _place(self, rows: Ints) -> Ints:
        """Return where rows stand among those with equal scores."""
        return rows if self.places is None else self.places[rows]

    def exact(self, query: Queries, rows: Ints) -> Doubles:
        """Return the (P,) inner products of (P, D) queries with (P,) rows.

        The same bits wherever a pair stands; see `levels.cosines`.
        """
        total = np.empty(len(rows))
        step = max(1, GATHER // self.rows.shape[1])
        for part in (slice(i, i + step) for i in range(0, len(rows), step)):
            total[part] = cosines(query[part], self.rows[rows[part]])
        return total
