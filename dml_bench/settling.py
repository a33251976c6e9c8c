"""Candidates in the order that exact sums decide, made by sums that are nearly exact."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from dml_bench.products import Doubles
from dml_bench.types import Ints

Exact = Callable[[Ints, Ints], Doubles]
"""(P,) queries and (P,) rows -> their sums as `levels.cosines` makes them."""


def in_order(
    near: Ints,
    scores: Doubles,
    k: int,
    wrong: Doubles,
    exact: Exact,
    place: Callable[[Ints], Ints],
) -> tuple[Ints, Doubles]:
    """Return the (Q, k) best of (Q, W) candidates, in the order of (exact score, place).

    Args:
        near: (Q, W) rows, in any order.
        scores: (Q, W) float64 sums in whatever order; -inf for what is left out.
        k: at most W.
        wrong: (Q, 1) what such sums can differ by, from `wrongness`.
        exact: asked for those alone that it could move, or round otherwise.
        place: rows -> where they stand among those with equal scores.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    near = np.take_along_axis(near, order, axis=1)
    scores = np.take_along_axis(scores, order, axis=1)
    unsure = _unsure(scores, wrong, k)
    if unsure.any():
        asked, at = np.nonzero(unsure)
        scores[asked, at] = exact(asked, near[asked, at])
        for row in np.unique(asked):
            again = np.lexsort((place(near[row]), -scores[row]))
            near[row], scores[row] = near[row, again], scores[row, again]
    return near[:, :k], scores[:, :k]


def wrongness(query: npt.NDArray[np.floating], longest: float) -> Doubles:
    """Return (Q, 1) what two sums of the products of (Q, D) queries with a row may differ by.

    Either is wrong by D 2^-53 times the lengths at most; see `products.slack`.

    Args:
        query: (Q, D).
        longest: no row is longer.
    """
    lengths: Doubles = np.linalg.norm(query.astype(np.float64, copy=False), axis=1, keepdims=True)
    wrong: Doubles = 5 * (query.shape[1] + 2) * 2.0**-53 * lengths * longest
    return wrong


def _unsure(scores: Doubles, wrong: Doubles, k: int) -> npt.NDArray[np.bool_]:
    """Return which of the (Q, W) sorted sums a sum in another order could swap or round off."""
    unsure: npt.NDArray[np.bool_] = (scores - wrong).astype(np.float32) != (scores + wrong).astype(
        np.float32
    )
    unsure[:, k:] = False
    with np.errstate(invalid="ignore"):  # those that are left out are level with nothing
        level = scores[:, :-1][:, :k] - scores[:, 1:][:, :k] <= wrong
        beyond = scores[:, k - 1 : k] - scores <= wrong  # those that may yet be the k-th
    unsure[:, : level.shape[1]] |= level
    unsure[:, 1 : level.shape[1] + 1] |= level
    unsure |= beyond & (scores > -np.inf) & (np.arange(scores.shape[1]) >= k)
    return unsure
