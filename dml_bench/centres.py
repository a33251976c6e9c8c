"""Centres of clusters that move, and which of them is nearest to each point."""

from typing import Any

import numpy as np

from dml_bench import dist, exchange
from dml_bench.levels import Doubles
from dml_bench.search import Search
from dml_bench.types import Floats, Ints

CLOSE = 1e-9  # more than sums in float64 differ by, of rows no longer than these
MANY = 0.8  # share of the centres: where more moved, all points look at all of them
BLOCK = 1 << 21  # numbers that are squared at a time


class Points:
    """(N, D) float32 in the order of their ids, wherever they are; some are copied when asked for.

    Args:
        rows: (N, D) float32, memory-mapped ones too.
        order: (N,) the rows in that order; as they stand where None.
    """

    def __init__(self, rows: Floats, order: Ints | None) -> None:
        self.rows, self.order = rows, order

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: Any) -> Floats:
        found: Floats = self.rows[which if self.order is None else self.order[which]]
        return found

    @property
    def dim(self) -> int:
        """D."""
        return int(self.rows.shape[1])


class Longer:
    """(N, D + 1) float32: points that end in 1, so that a product can add what it likes to a score.

    Args:
        points: N of them.
        which: (P,) those that are meant; all where None.
    """

    def __init__(self, points: Points, which: Ints | None = None) -> None:
        self.points, self.which = points, which

    def __len__(self) -> int:
        return len(self.points if self.which is None else self.which)

    def part(self, rows: slice) -> "Longer":
        """Return some of them."""
        which = np.arange(len(self.points)) if self.which is None else self.which
        return Longer(self.points, which[rows])

    def __getitem__(self, rows: Any) -> Floats:
        found = self.points[rows if self.which is None else self.which[rows]]
        return np.hstack([found, np.ones((len(found), 1), np.float32)])


class Nearest:
    """The nearest centre of each point, kept while centres move: what cannot matter is skipped.

    The least |x - c|^2 is the greatest x.c - |c|^2 / 2, an inner product with one more dimension.
    Each point looks at the centres that moved. Those that did not have lost to its own centre
    before, and lose again if that did not move either, or still scores more than any of them did.
    Only a point of which neither holds looks at all centres. Several processes look at a share of
    the points each.

    Args:
        points: N of them.
        centres: (C, D) float32.
        device: where rough products are made, "cpu" or "cuda".
        left: bytes to work in.
    """

    def __init__(self, points: Points, centres: Floats, device: str, left: int) -> None:
        self.points, self.device, self.centres, self.left = points, device, centres, left
        self.assigned = np.zeros(len(points), np.int64)  # (N,) the nearest centre
        self.scores = np.zeros(len(points))  # (N,) with it
        self.others = np.zeros(len(points))  # (N,) no other centre scores more
        self._look(None)

    def move(self, centres: Floats) -> None:
        """Put the centres where they are now, and look again where that can matter."""
        moved = np.flatnonzero((centres != self.centres).any(axis=1))
        self.centres = centres
        if len(moved) > MANY * len(centres):
            self._look(None)
        elif len(moved):
            unsure = self._compare(moved)
            if len(unsure):
                self._look(unsure)

    def _look(self, which: Ints | None) -> None:
        """Let some points look at all centres; all of them where None."""
        asked = Longer(self.points, which)
        search, places, scores = self._two_best(asked, np.arange(len(self.centres)))
        rows = slice(None) if which is None else which
        assigned = self.assigned.copy()
        assigned[rows] = places[:, 0]
        self.scores[rows] = search.exact(asked, places[:, 0])
        self.others[rows] = scores[:, 1] + CLOSE
        self.assigned = assigned

    def _compare(self, moved: Ints) -> Ints:
        """Let all points look at the centres that moved; return those that must look at all."""
        search, places, scores = self._two_best(Longer(self.points), moved)
        own_moved = np.isin(self.assigned, moved)  # then the best is among its own and the others
        close = own_moved | (scores[:, 0] > self.scores - CLOSE)
        best, found = scores[:, 0], moved[places[:, 0]]
        looked = np.flatnonzero(close)
        best[looked] = search.exact(Longer(self.points, looked), places[looked, 0])
        level = (best == self.scores) & (found < self.assigned)
        wins = own_moved | (best > self.scores) | level
        unsure = own_moved & (best <= self.others)
        lost = np.where(wins & ~own_moved, np.maximum(self.scores, scores[:, 1]), scores[:, 1])
        self.others = np.maximum(self.others, np.where(wins, lost, best) + CLOSE)
        self.assigned = np.where(wins, found, self.assigned)
        self.scores = np.where(wins, best, self.scores)
        return np.flatnonzero(unsure)

    def _two_best(self, asked: Longer, among: Ints) -> tuple[Search, Ints, Doubles]:
        """Return the (N, 2) places of the best of some centres and scores right to CLOSE."""
        centres = self.centres[among]
        half = -squares(centres)[:, None] / 2
        rows = np.hstack([centres, half.astype(np.float32)])
        search = Search(rows, self.device, margin=2, room=self.left, lift=0.5)
        places, scores = (
            exchange.joined(found, len(asked))
            for found in search.nearest(asked.part(dist.part(len(asked))), min(2, len(among)))
        )
        if len(among) == 1:
            scores = np.hstack([scores, np.full((len(asked), 1), -np.inf)])
        return search, places, scores


def squares(rows: Floats) -> Doubles:
    """Return the (P,) squared lengths, summed in float64, a few rows at a time."""
    step = max(1, BLOCK // rows.shape[1])
    parts = [rows[i : i + step] for i in range(0, len(rows), step)]
    return np.concatenate([np.square(part, dtype=np.float64).sum(axis=1) for part in parts])
