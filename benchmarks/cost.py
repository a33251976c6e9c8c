"""What N images cost: bytes by arithmetic, time by a model that is fitted to measured points."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from dml_bench import approximate, augment, neighbours
from dml_bench.errors import StoreError

Terms = Callable[[float, int], tuple[float, ...]]

GROWTH: Mapping[str, Terms] = {
    "search": lambda n, d: (1.0, n * d, n * n * d),
    "evaluate": lambda n, d: (1.0, n * d, n * n * d),
    "kmeans": lambda n, d: (1.0, n * d, n * n * d),
    "ivf": lambda n, d: (1.0, n * d, n**1.5 * d),
}
"""What each work's time is a sum of: something fixed, each vector once, and each against others.

Exact search compares each with all. k-means compares each with every centre, and there are as many
more centres as there are classes, which grow with N. IVF compares each with the vectors of so many
of 4 sqrt(N) lists as the measured points had to open; where more have to be opened, it takes more.
"""
ENOUGH = 4


@dataclass(frozen=True)
class Fit:
    """How one work grows.

    Args:
        what: a name of `GROWTH`.
        rates: core-seconds of each of its terms, 0 or more.
        off: the largest relative error at a measured point.
        foretold: the relative error at the largest point of the model that the others make.
        largest: the largest N that was measured.
    """

    what: str
    rates: tuple[float, ...]
    off: float
    foretold: float
    largest: int

    def core_seconds(self, n: float, d: int) -> float:
        """Return the model's time of N vectors of D dimensions on one core."""
        terms = GROWTH[self.what](n, d)
        return float(np.dot(self.rates, terms))


def fit(points: Sequence[Mapping[str, Any]], what: str) -> Fit:
    """Fit the model of one work by least squares of relative errors, no rate below zero.

    Args:
        points: {"what", "n", "d", "core_seconds"}; those of other works are left out.
        what: a name of `GROWTH`.

    Raises:
        StoreError: no more points than the model has terms.

    Example:
        >>> made = [{"what": "search", "n": n, "d": 2, "core_seconds": 3 + 4e-9 * n * n * 2}
        ...         for n in (10**2, 10**3, 10**4, 10**5)]
        >>> round(fit(made, "search").core_seconds(10**6, 2))
        8003
    """
    own = [point for point in points if point["what"] == what]
    if len(own) < ENOUGH:
        raise StoreError(
            f"{what}: expected {ENOUGH} measured points or more, found {len(own)}; measure more"
        )
    times = np.array([point["core_seconds"] for point in own])
    terms = np.array([GROWTH[what](point["n"], point["d"]) for point in own]) / times[:, None]
    sizes = np.array([point["n"] for point in own])
    rates, last = _rates(terms), sizes.max()
    others = _rates(terms[sizes < last])
    off, foretold = np.abs(terms @ rates - 1), np.abs(terms @ others - 1)
    return Fit(what, tuple(rates), off.max(), foretold[sizes == last].max(), int(last))


def _rates(terms: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return rates of 0 or more with which the terms of each point come nearest to 1."""
    scale = terms.max(axis=0)
    found, _ = nnls(terms / scale, np.ones(len(terms)))
    rates: npt.NDArray[np.float64] = found / scale
    return rates


@dataclass(frozen=True)
class Sizes:
    """Of what an image's share in bytes is computed.

    Args:
        d: dimensions of a vector.
        side: pixels of a side in a pack.
        key: letters of an image's name.
        augmentation: of training.
        views: of training.
        deep: neighbours that are looked for.
    """

    d: int = 128
    side: int = 256
    key: int = 12
    augmentation: str = "crop+F"
    views: int = 2
    deep: int = 10


def bytes_of_one(sizes: Sizes) -> dict[str, int]:
    """Return what one image takes: {what: bytes}; those of `ON_DISK` lie there, others in memory.

    Vectors that are made here lie in memory, twice while their parts are joined; those of a file
    stay there. A name is an object of Python's, in its shard's tuple and in the split's; of seven
    numbers three are the index file's, three its copy over all shards with the shard, and one the
    label.

    Example:
        >>> bytes_of_one(Sizes())["vectors"], bytes_of_one(Sizes())["pack"]
        (512, 196608)
    """
    drawn = augment.draw(sizes.augmentation, 0, 0, 1, sizes.views)
    numbers = 8 * (1 + sizes.views)  # its place in the order, and whose picture each view shows
    return {
        "pack": 3 * sizes.side**2,
        "vectors": 4 * sizes.d,
        "vectors being made": 2 * 4 * sizes.d,
        "answers": neighbours.bytes_of_one(sizes.deep),
        "lists of ivf": approximate.bytes_of_one(sizes.d),
        "names and index": 49 + sizes.key + 2 * 8 + 7 * 8,
        "draws of an epoch": sum(table.nbytes for table in drawn.values()) + numbers,
    }


@dataclass(frozen=True)
class Machine:
    """What a step of the table is measured against: bytes of memory and disk, cores, seconds."""

    memory: int = 64 * 10**9
    disk: int = 4 * 10**12
    cores: int = 64
    patience: int = 24 * 3600


ON_DISK = ("pack", "vectors")
INSTEAD: Mapping[str, str] = {
    "pack": "shards: `order=shards`",
    "vectors": "shorter vectors, or codes",
    "vectors being made": "embed parts by themselves, and join their files",
    "answers": "fewer neighbours, or a part of the queries at a time",
    "lists of ivf": "exact search, whose vectors stay on disk, on more machines",
    "names and index": "memory-mapped arrays for the index",
    "draws of an epoch": "draws made a block at a time",
    "embedding": "more machines: it divides by images",
    "search": "`--index ivf`, or more machines",
    "evaluate": "`--index ivf`, or more machines",
    "kmeans": "recall alone, or a sample of classes",
    "ivf": "more machines: it divides by queries",
}


def burdens(
    n: float, sizes: Sizes, fits: Mapping[str, Fit], pace: float, machine: Machine
) -> dict[str, float]:
    """Return what share of a machine each thing takes; above 1 is too much.

    Args:
        n: images.
        sizes: of one.
        fits: of the works.
        pace: images that a core embeds in a second.
        machine: what there is.
    """
    one = bytes_of_one(sizes)
    rooms = dict.fromkeys(one, machine.memory) | dict.fromkeys(ON_DISK, machine.disk)
    shares = {name: n * size / rooms[name] for name, size in one.items()}
    day = machine.cores * machine.patience
    times = {what: found.core_seconds(n, sizes.d) for what, found in fits.items()}
    times |= {"embedding": n / pace} if pace else {}
    return shares | {what: seconds / day for what, seconds in times.items()}


def first_too_much(
    what: str, sizes: Sizes, fits: Mapping[str, Fit], pace: float, machine: Machine
) -> float:
    """Return the N from which on a thing takes more than a machine has."""
    low, high = 0.0, 20.0  # powers of ten
    while high - low > 1e-6:
        middle = (low + high) / 2
        if burdens(10**middle, sizes, fits, pace, machine)[what] > 1:
            high = middle
        else:
            low = middle
    return 10**high
