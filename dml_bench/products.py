"""Rough inner products in float32, as fast as the machine makes them; `neighbours` settles them.

On the processor FAISS finds candidates and BLAS multiplies; on an accelerator both are blocked
matrix products there. Either may be wrong by what `slack` says, and by no more.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dml_bench import dist, exchange
from dml_bench.types import Floats, Ints

Doubles = npt.NDArray[np.float64]
Masks = npt.NDArray[np.bool_]

ROWS = 39  # rows of an inverted list at least: FAISS warns of fewer
SHOWN = 64  # rows of each list by which its centre is found
COPIED = 1 << 22  # numbers of the gallery that are copied at a time
TABLE = 1 << 28  # products that are held at a time on a device: 1 GiB


class Products(Protocol):
    """A gallery of (G, D) float32 rows that can be multiplied with queries."""

    def best(self, query: Floats, k: int) -> tuple[Floats, Ints]:
        """Return the (Q, k) greatest products, greatest first, and the rows that they are with."""


def slack(query: Floats, longest: float) -> Doubles:
    """Return the (Q,) bounds on what an inner product in float32 can be wrong by.

    Args:
        query: (Q, D).
        longest: length of the longest row that they are multiplied with.

    Source:
        Higham, "Accuracy and Stability of Numerical Algorithms" (2002), section 3.1: at most
        D u / (1 - D u) times the product of the lengths, in whatever order it is summed.
    """
    lengths = np.linalg.norm(query.astype(np.float64), axis=1)
    bounds: Doubles = 1.01 * (query.shape[1] + 2) * 2.0**-24 * lengths * longest + 1e-30
    return bounds


def longest(rows: Floats) -> float:
    """Return the length of the longest row, a few rows at a time."""
    step = max(1, COPIED // rows.shape[1])
    parts = (rows[i : i + step].astype(np.float64) for i in range(0, len(rows), step))
    return max(float(np.linalg.norm(part, axis=1).max()) for part in parts)


def threads() -> int:
    """Return how many threads search: as many as FAISS takes, OMP_NUM_THREADS among its reasons."""
    import faiss

    found: int = faiss.omp_get_max_threads()
    return found


def products(rows: Floats, device: str = "cpu") -> Products:
    """Return what multiplies with (G, D) rows on a device, "cpu" or "cuda"."""
    return OnProcessor(rows) if device == "cpu" else OnDevice(rows, device)


def sift(
    query: Floats, rows: Floats, low: Doubles, high: Doubles, many: Ints, device: str = "cpu"
) -> tuple[Ints, Ints, Ints]:
    """Count the products above `high`, and list those that are not below `low`.

    Args:
        query: (Q, D).
        rows: (G, D).
        low: (Q,) with `high` as wide apart as float32 may be wrong; see `slack`.
        high: (Q,).
        many: (G,) how often each row counts.
        device: where products are made, "cpu" or "cuda".

    Returns:
        (Q,) the counts above; and of the pairs between, (P,) the queries and (P,) the rows.
    """
    below = np.nextafter(low.astype(np.float32), np.float32(-np.inf))
    over = np.nextafter(high.astype(np.float32), np.float32(np.inf))
    above, near = (
        _compared(query, rows, below, over)
        if device == "cpu"
        else _compared_there(query, rows, below, over, device)
    )
    counts = np.count_nonzero(above, axis=1) if (many == 1).all() else above @ many
    if np.count_nonzero(near) == np.count_nonzero(above):
        near = near[:, :0]  # nothing lies between
    who, what = np.nonzero(near & ~above[:, : near.shape[1]])
    return counts, who, what


def _compared(query: Floats, rows: Floats, below: Floats, over: Floats) -> tuple[Masks, Masks]:
    """Return (Q, G) which products are above `over`, and which are not below `below`."""
    table = query @ rows.T
    return table > over[:, None], table >= below[:, None]


def _compared_there(
    query: Floats, rows: Floats, below: Floats, over: Floats, device: str
) -> tuple[Masks, Masks]:
    """Return the same, multiplied on a device; products may differ by what `slack` allows."""
    import torch

    asked, there, least, most = (
        torch.from_numpy(np.ascontiguousarray(a)).to(device) for a in (query, rows, below, over)
    )
    table = asked @ there.T
    return (table > most[:, None]).cpu().numpy(), (table >= least[:, None]).cpu().numpy()


class OnProcessor:
    """FAISS over rows that stay where they are, memory-mapped ones too.

    Rows that a file holds at an odd address, or apart from each other, are copied a few at a time.
    """

    def __init__(self, rows: Floats) -> None:
        self.rows = rows
        together = rows.flags.aligned and rows.flags.c_contiguous
        self.step = len(rows) if together else max(1, COPIED // rows.shape[1])

    def best(self, query: Floats, k: int) -> tuple[Floats, Ints]:
        """Return the (Q, k) greatest products, greatest first, and the rows that they are with."""
        starts = range(0, len(self.rows), self.step)
        return merged([self._among(query, k, start) for start in starts], k)

    def _among(self, query: Floats, k: int, start: int) -> tuple[Floats, Ints]:
        """Return the best k, or all, of the rows from `start` on."""
        import faiss

        rows = _together(self.rows[start : start + self.step])
        values, places = faiss.knn(
            query, rows, min(k, len(rows)), metric=faiss.METRIC_INNER_PRODUCT
        )
        return values, places + start


def _together(rows: Floats) -> Floats:
    """Return rows that lie one behind the other, as FAISS reads them; a copy where they do not."""
    return np.require(rows, np.float32, ["C", "A"])


def merged(parts: Sequence[tuple[Floats, Ints]], k: int) -> tuple[Floats, Ints]:
    """Return the (Q, k) greatest of several (Q, K) products, each greatest first, and their rows.

    Example:
        >>> first = np.float32([[3, 1]]), np.array([[7, 5]])
        >>> merged([first, (np.float32([[2]]), np.array([[9]]))], 2)[1]
        array([[7, 9]])
    """
    if len(parts) == 1:
        return parts[0]
    values, places = (np.concatenate([part[i] for part in parts], axis=1) for i in (0, 1))
    order = np.argsort(-values, axis=1, kind="stable")[:, :k]
    values, places = (np.take_along_axis(a, order, axis=1) for a in (values, places))
    return values, places


class OnDevice:
    """Blocked matrix products of torch, the rows resident on the device."""

    def __init__(self, rows: Floats, device: str) -> None:
        import torch

        self.rows = torch.from_numpy(np.ascontiguousarray(rows)).to(device)

    def best(self, query: Floats, k: int) -> tuple[Floats, Ints]:
        """Return the (Q, k) greatest products, greatest first, and the rows that they are with."""
        import torch

        asked = torch.from_numpy(np.ascontiguousarray(query)).to(self.rows.device)
        parts = [
            (asked[i : i + step] @ self.rows.T).topk(k, dim=1)
            for step in [max(1, TABLE // len(self.rows))]
            for i in range(0, len(asked), step)
        ]
        values, places = (torch.cat([part[i] for part in parts]).cpu().numpy() for i in (0, 1))
        return values, places


class InvertedLists:
    """The rows sorted by the nearest of some centres: a query looks at a few lists only.

    Several processes have the same lists: the leader finds the centres, each sorts a part of the
    rows, and all hold all of them.

    Args:
        rows: (G, D) float32, of which a copy is held.
        seed: of the sample that the centres are made of.
    """

    def __init__(self, rows: Floats, seed: int) -> None:
        self.lists = max(1, min(4 * math.isqrt(len(rows)), len(rows) // ROWS))
        self.probes = min(8, self.lists)
        self.middle, self.index = self._empty(rows)
        centres = dist.first(lambda: self._centres(rows, seed))
        self.middle.add(centres)
        self.index.train(centres)  # it has its centres, and looks for none
        self._add(rows)

    def _empty(self, rows: Floats) -> tuple[Any, Any]:
        """Return what holds the centres (FAISS does not keep it alive), and the lists."""
        import faiss

        middle = faiss.IndexFlatIP(rows.shape[1])
        kind = faiss.METRIC_INNER_PRODUCT
        return middle, faiss.IndexIVFFlat(middle, rows.shape[1], self.lists, kind)

    def _centres(self, rows: Floats, seed: int) -> Floats:
        """Return the (L, D) centres of the lists, by some of the rows."""
        middle, index = self._empty(rows)
        index.cp.seed = seed
        drawn = np.random.default_rng(seed).permutation(len(rows))[: SHOWN * self.lists]
        index.train(rows[np.sort(drawn)])
        found: Floats = middle.reconstruct_n(0, self.lists)
        return found

    def _add(self, rows: Floats) -> None:
        """Put each row into the list of its nearest centre, a few at a time."""
        from faiss import swig_ptr

        step, homes = max(1, COPIED // rows.shape[1]), np.empty(len(rows), np.int64)
        blocks = [slice(i, min(i + step, len(rows))) for i in range(0, len(rows), step)]
        for block in blocks[dist.part(len(blocks))]:
            homes[block] = self.middle.search(_together(rows[block]), 1)[1][:, 0]
        exchange.complete(homes, step)
        for block in blocks:
            some = _together(rows[block])
            self.index.add_core(len(some), swig_ptr(some), None, swig_ptr(homes[block]))

    @property
    def form(self) -> dict[str, int]:
        """How many lists there are, and how many of them a query looks at."""
        return {"nlist": self.lists, "nprobe": self.probes}

    def best(self, query: Floats, k: int) -> tuple[Floats, Ints]:
        """Return the (Q, k) greatest products found, and their rows; -1 where there were fewer."""
        self.index.nprobe = self.probes
        found: tuple[Floats, Ints] = self.index.search(query, k)
        return found
