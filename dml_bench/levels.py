"""How many rows of a gallery score above a given cosine, and how many score exactly that.

A cosine is the sum of `neighbours`: float64, one dimension after the other. A matrix product
settles most pairs without it; a pair that lies nearer to the given cosine than a product can be
wrong by is summed again. So threads and blocks change no count, and no row need be kept.
"""

import numpy as np
import numpy.typing as npt

from dml_bench.progress import Bar
from dml_bench.types import Floats, Ints

Doubles = npt.NDArray[np.float64]

BLOCK = 1 << 22  # numbers that are held at a time


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
    codes, many = np.unique(rows + np.float32(0), axis=0, return_counts=True)  # -0 becomes 0
    wide = codes.T.astype(np.float64)
    above, level = np.zeros(len(asked), np.int64), np.zeros(len(asked), np.int64)
    step = max(1, BLOCK // len(codes))
    with Bar("counting ties", len(asked), delay=2.0) as bar:
        for part in (slice(i, i + step) for i in range(0, len(asked), step)):
            gap = asked[part].astype(np.float64) @ wide - at[part, None]
            above[part] = (gap > _slack(codes.shape[1])) @ many
            _settle(asked[part], codes, many, at[part], gap, above[part], level[part])
            bar.advance(len(gap))
    return above, level


def _slack(dim: int) -> float:
    """Return a bound on how far two float64 sums of one inner product of unit rows can differ.

    Source:
        Higham, "Accuracy and Stability of Numerical Algorithms" (2002), section 3.1: each is wrong
        by at most D u / (1 - D u) times the product of the lengths.
    """
    return 2.1 * (dim + 2) * 2.0**-53


def _settle(
    asked: Floats, codes: Floats, many: Ints, at: Doubles, gap: Doubles, above: Ints, level: Ints
) -> None:
    """Add the pairs that the matrix product leaves open to `above` and `level`."""
    which, code = np.nonzero(np.abs(gap) <= _slack(codes.shape[1]))
    step = max(1, BLOCK // codes.shape[1])
    for part in (slice(i, i + step) for i in range(0, len(which), step)):
        who, what = which[part], code[part]
        exact = cosines(asked[who], codes[what])
        np.add.at(above, who, many[what] * (exact > at[who]))
        np.add.at(level, who, many[what] * (exact == at[who]))
