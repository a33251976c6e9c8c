"""Equal rows of a gallery, found once: what is summed of one of them need not be summed again."""

import numpy as np

from dml_bench.types import Floats, Ints

BLOCK = 1 << 20  # numbers that are looked at at a time


class Codes:
    """The U different rows of a gallery, without a copy of them.

    Equal rows share a code. Rows that are found equal by chance of the numbers that sort them are
    told apart again; two codes may then hold equal rows, which costs time and changes nothing.

    Args:
        rows: (G, D) float32, memory-mapped ones too.

    Example:
        >>> codes = Codes(np.float32([[1, 0], [0, 1], [1, 0]]))
        >>> len(codes), codes.many[codes.which].tolist()
        (2, [2, 1, 2])
    """

    def __init__(self, rows: Floats) -> None:
        self.rows = rows
        heads = _heads(rows)
        self.first: Ints = np.flatnonzero(heads == np.arange(len(rows)))  # (U,) a row of each code
        self.which: Ints = np.searchsorted(self.first, heads)  # (G,) the code of each row
        self.many: Ints = np.bincount(self.which)  # (U,) how many rows there are of it

    def __len__(self) -> int:
        return len(self.first)

    def block(self, part: slice) -> Floats:
        """Return the (P, D) rows of some codes, one behind the other."""
        if len(self.first) == len(self.rows):
            return np.require(self.rows[part], np.float32, ["C", "A"])  # as they stand
        found: Floats = self.rows[self.first[part]]
        return found


def _heads(rows: Floats) -> Ints:
    """Return (G,) for each row the first that is equal to it; itself, where that is not certain."""
    marks = _marks(rows)
    order = np.argsort(marks, kind="stable")
    fresh = np.ones(len(rows), bool)
    fresh[1:] = marks[order[1:]] != marks[order[:-1]]
    heads = np.empty(len(rows), np.int64)
    heads[order] = order[np.maximum.accumulate(np.where(fresh, np.arange(len(rows)), 0))]
    others = np.flatnonzero(heads != np.arange(len(rows)))
    step = max(1, BLOCK // rows.shape[1])
    for part in (others[i : i + step] for i in range(0, len(others), step)):
        unlike = (rows[part] != rows[heads[part]]).any(axis=1)
        heads[part[unlike]] = part[unlike]
    return heads


def _marks(rows: Floats) -> Ints:
    """Return (G,) numbers that are equal for equal rows, and hardly ever else."""
    odd = np.random.default_rng(0).integers(0, 2**63, rows.shape[1], np.uint64) * 2 + 1
    marks = np.empty(len(rows), np.uint64)
    step = max(1, BLOCK // rows.shape[1])
    for start in range(0, len(rows), step):
        bits = np.array(rows[start : start + step], order="C").view(np.uint32)
        marks[start : start + step] = (bits * odd).sum(axis=1, dtype=np.uint64)
    return marks.view(np.int64)
