"""Rough inner products in float32, as fast as the machine makes them; `neighbours` settles them.

On the processor FAISS finds candidates and BLAS multiplies; on an accelerator both are blocked
matrix products there. Either may be wrong by what `slack` says, and by no more.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from dml_bench.types import Floats, Ints

TABLE = 1 << 28  # products that are held at a time on a device: 1 GiB


class Products(Protocol):
    """A gallery of (G, D) float32 rows that can be multiplied with queries."""

    def best(self, query: Floats, k: int) -> tuple[Floats, Ints]:
        """Return the (Q, k) greatest products, greatest first, and the rows that they are with."""


def slack(query: Floats, longest: float) -> npt.NDArray[np.float64]:
    """Return the (Q,) bounds on what an inner product in float32 can be wrong by.

    Args:
        query: (Q, D).
        longest: length of the longest row that they are multiplied with.

    Source:
        Higham, "Accuracy and Stability of Numerical Algorithms" (2002), section 3.1: at most
        D u / (1 - D u) times the product of the lengths, in whatever order it is summed.
    """
    lengths = np.linalg.norm(query.astype(np.float64), axis=1)
    bounds: npt.NDArray[np.float64] = (
        1.01 * (query.shape[1] + 2) * 2.0**-24 * lengths * longest + 1e-30
    )
    return bounds


def threads() -> int:
    """Return how many threads search: as many as FAISS takes, OMP_NUM_THREADS among its reasons."""
    import faiss

    found: int = faiss.omp_get_max_threads()
    return found


def products(rows: Floats, device: str = "cpu") -> Products:
    """Return what multiplies with (G, D) rows on a device, "cpu" or "cuda"."""
    return OnProcessor(rows) if device == "cpu" else OnDevice(rows, device)


class OnProcessor:
    """FAISS and BLAS over rows that stay where they are, memory-mapped ones too."""

    def __init__(self, rows: Floats) -> None:
        self.rows = rows

    def best(self, query: Floats, k: int) -> tuple[Floats, Ints]:
        """Return the (Q, k) greatest products, greatest first, and the rows that they are with."""
        import faiss

        found: tuple[Floats, Ints] = faiss.knn(
            query, self.rows, k, metric=faiss.METRIC_INNER_PRODUCT
        )
        return found


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
