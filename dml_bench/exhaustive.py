"""A search that sums the scores of all rows, for what products in float32 cannot settle."""

import numpy as np

from dml_bench.codes import Codes
from dml_bench.products import Doubles
from dml_bench.types import Floats, Ints

FEW = 256  # rows: a gallery that is sorted whole
BLOCK = 1 << 21  # numbers of the gallery that are looked at at a time


class Exhaustive:
    """A gallery, of which every different row is summed with every query.

    Args:
        rows: (G, D) float32.
        order: (G,) the rows in the order that settles ties; as they stand where None.
        places: (G,) the place of each row in that order; None where `order` is.
    """

    def __init__(self, rows: Floats, order: Ints | None, places: Ints | None) -> None:
        self.codes, self.order, self.places = Codes(rows), order, places
        self.which = self.codes.which if order is None else self.codes.which[order]

    def best(self, query: Floats, k: int, own: Ints) -> tuple[Ints, Doubles]:
        """Return (Q, k) rows and scores of the best, none of them a query's own row (-1: none)."""
        exact = np.empty((len(query), len(self.codes)))
        step = max(1, BLOCK // query.shape[1])
        for part in (slice(i, i + step) for i in range(0, len(self.codes), step)):
            exact[:, part] = _sums(query, self.codes.block(part))
        mine = own if self.places is None else np.where(own < 0, -1, self.places[own])
        if len(self.which) <= FEW:
            places, scores = _sorted(exact[:, self.which], k, mine)
        else:
            places, scores = np.empty((len(query), k), np.int64), np.empty((len(query), k))
            for row, values in enumerate(exact):
                places[row], scores[row] = _best(values[self.which], k, mine[row])
        return places if self.order is None else self.order[places], scores


def _sums(query: Floats, rows: Floats) -> Doubles:
    """Return the (Q, P) inner products, to the bit that settles ties; see `levels.cosines`."""
    exact = np.zeros((len(query), len(rows)))
    for column, asked in zip(rows.T, query.T, strict=True):
        exact += np.multiply.outer(asked.astype(np.float64), column.astype(np.float64))
    return exact


def _sorted(scores: Doubles, k: int, own: Ints) -> tuple[Ints, Doubles]:
    """Return the k best of each row of (Q, G) scores in order of (score, place)."""
    scores[own[:, None] == np.arange(scores.shape[1])] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(scores, order, axis=1)


def _best(scores: Doubles, k: int, own: int) -> tuple[Ints, Doubles]:
    """Return the k best of (G,) scores in order of (score, place)."""
    if own >= 0:
        scores[own] = -np.inf
    last = np.partition(scores, -k)[-k]
    above, level = np.flatnonzero(scores > last), np.flatnonzero(scores == last)
    kept = np.concatenate([above, level[: k - len(above)]])
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    return kept, scores[kept]
