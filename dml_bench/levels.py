"""How many rows of a gallery score above a given cosine, and how many score exactly that.

A cosine is the sum of `neighbours`: float64, one dimension after the other. A matrix product in
float32 settles most pairs without it; a pair that lies nearer to the given cosine than a product
can be wrong by is summed again. So threads and blocks change no count, and no row need be kept.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dml_bench.codes import Codes
from dml_bench.products import sift, slack
from dml_bench.progress import Bar
from dml_bench.types import Floats, Ints

Doubles = npt.NDArray[np.float64]

BLOCK = 1 << 22  # numbers that are held at a time, at most
NUMBER = 40  # bytes that each of them takes
WIDE = 1 << 13  # codes that are multiplied at a time
LONGEST = 1.00001  # no unit row is longer


def cosines(first: Floats, second: Floats) -> Doubles:
    """Return the (P,) inner products of the rows of two (P, D), to the bit that settles ties.

    Example:
        >>> cosines(np.float32([[1, 0], [0.5, 1]]), np.float32([[1, 1], [1, 1]]))
        array([1. , 1.5])
    """
    total = np.zeros(len(first))
    for left, right in zip(first.T, second.T, strict=True):
        total += left.astype(np.float64) * right.astype(np.float64)
    return total


def between(asked: Floats, who: Ints, rows: Floats, what: Ints, numbers: int = BLOCK) -> Doubles:
    """Return the (P,) `cosines` of asked[who] and rows[what], a few at a time.

    Example:
        >>> rows = np.float32([[1, 0], [2, 3]])
        >>> between(rows, np.array([0]), rows, np.array([1]))
        array([2.])
    """
    total = np.empty(len(who))
    step = max(1, numbers // rows.shape[1])
    for part in (slice(i, i + step) for i in range(0, len(who), step)):
        total[part] = cosines(asked[who[part]], rows[what[part]])
    return total


@dataclass(frozen=True)
class Level:
    """How a gallery stands to the cosine that each query asks about.

    Args:
        above: (Q,) rows that score more.
        level: (Q,) rows that score exactly as much.
        earlier: (Q,) those of them that stand at an earlier place than the query asks about.
    """

    above: Ints
    level: Ints
    earlier: Ints


def levels(asked: Floats, rows: Floats, at: Doubles) -> tuple[Ints, Ints]:
    """Count the rows above a cosine and level with it, for each query its own.

    Args:
        asked: (Q, D) unit rows.
        rows: (G, D) unit rows.
        at: (Q,) the cosine.

    Returns:
        (Q,) how many of the rows score above `at`, and (Q,) how many exactly `at`.

    Example:
        >>> rows = np.float32([[1, 0], [0, 1], [0, 1], [0, -1]])
        >>> levels(np.float32([[0, 1]]), rows, np.array([0.0]))
        (array([2]), array([1]))
    """
    found = Counting(rows).stand(asked, at)
    return found.above, found.level


class Counting:
    """A gallery of unit rows whose scores are counted, none of them kept.

    Args:
        rows: (G, D) float32.
        places: (G,) where each row stands among equal scores; its number where None.
        device: where rough products are made, "cpu" or "cuda"; it changes no count.
        numbers: that may be held at a time.
    """

    def __init__(
        self, rows: Floats, places: Ints | None = None, device: str = "cpu", numbers: int = 0
    ) -> None:
        self.codes = Codes(rows)
        self.places = np.arange(len(rows)) if places is None else places
        self.device, self.numbers = device, numbers or BLOCK

    def stand(self, asked: Floats, at: Doubles, before: Ints | None = None) -> Level:
        """Return how all rows stand to a cosine of each query.

        Args:
            asked: (Q, D) unit rows.
            at: (Q,) the cosine.
            before: (Q,) a place: rows that are level and earlier are counted apart.
        """
        found = Level(*(np.zeros(len(asked), np.int64) for _ in range(3)))
        wide = min(len(self.codes), WIDE, max(1, self.numbers // asked.shape[1]))
        step = max(1, self.numbers // (wide + asked.shape[1]))
        with Bar("counting", len(asked), delay=2.0) as bar:
            for query in (slice(i, i + step) for i in range(0, len(asked), step)):
                for start in range(0, len(self.codes), wide):
                    codes = slice(start, start + wide)
                    self._add(asked[query], at[query], codes, before, query, found)
                bar.advance(len(at[query]))
        return found

    def _add(
        self,
        asked: Floats,
        at: Doubles,
        codes: slice,
        before: Ints | None,
        query: slice,
        found: Level,
    ) -> None:
        """Add what some codes are to some queries."""
        rows, many = self.codes.block(codes), self.codes.many[codes]
        above, who, what = self._open(asked, rows, at, many)
        found.above[query] += above
        exact = between(asked, who, rows, what, self.numbers)
        np.add.at(found.above[query], who, many[what] * (exact > at[who]))
        who, what = (a[exact == at[who]] for a in (who, what))
        np.add.at(found.level[query], who, many[what])
        if before is not None:
            earlier = self._earlier(what + codes.start, before[query][who])
            np.add.at(found.earlier[query], who, earlier)

    def _open(
        self, asked: Floats, rows: Floats, at: Doubles, many: Ints
    ) -> tuple[Ints, Ints, Ints]:
        """Count what certainly scores more; return the pairs that must be summed to be sure."""
        wrong = slack(asked, LONGEST)
        above, who, what = sift(asked, rows, at - wrong, at + wrong, many, self.device)
        if len(who) * 16 < len(asked) * len(rows):
            return above, who, what
        gap = asked.astype(np.float64) @ rows.T.astype(np.float64) - at[:, None]
        sure = _slack(asked.shape[1])
        who, what = np.nonzero(np.abs(gap) <= sure)
        return (gap > sure) @ many, who, what

    def _earlier(self, codes: Ints, before: Ints) -> Ints:
        """Return (P,) how many rows of a code stand at an earlier place than a given one."""
        keys, starts = self._sorted
        found: Ints = np.searchsorted(keys, codes * len(keys) + before) - starts[codes]
        return found

    @cached_property
    def _sorted(self) -> tuple[Ints, Ints]:
        """(G,) the places of the rows, code after code, and (U,) where each code's begin."""
        keys = np.sort(self.codes.which * len(self.places) + self.places)
        return keys, np.cumsum(self.codes.many) - self.codes.many


def _slack(dim: int) -> float:
    """Return a bound on how far two float64 sums of one inner product of unit rows can differ.

    Source:
        Higham, "Accuracy and Stability of Numerical Algorithms" (2002), section 3.1: each is wrong
        by at most D u / (1 - D u) times the product of the lengths.
    """
    return 2.1 * (dim + 2) * 2.0**-53
