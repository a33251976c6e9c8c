"""Draws are tables, not streams: what a batch holds depends on (seed, epoch, ids) and nothing else.

Neither the number of loader threads, nor a crash in between, nor the other augmentations of a
recipe move a single draw.
"""

import zlib

import numpy as np
import numpy.typing as npt

from dml_bench.types import Floats, Ints


def generator(seed: int, epoch: int, purpose: str) -> np.random.Generator:
    """Return the generator of one purpose in one epoch.

    Example:
        >>> a, b = generator(0, 1, "order"), generator(0, 1, "order")
        >>> bool(a.random() == b.random())
        True
    """
    entropy = [seed, epoch, zlib.crc32(purpose.encode())]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def table(seed: int, epoch: int, purpose: str, shape: tuple[int, ...]) -> Floats:
    """Return uniform draws in [0, 1), float32, of any shape."""
    return generator(seed, epoch, purpose).random(shape, dtype=np.float32)


def order(seed: int, epoch: int, n: int) -> Ints:
    """Return (N,) int64: the order in which an epoch visits the images."""
    return generator(seed, epoch, "order").permutation(n)


def balanced_order(seed: int, epoch: int, labels: Ints, per_class: int) -> Ints:
    """Return (N',) int64: an order in runs of `per_class` images of one class.

    Each class is shuffled and cut into runs, the runs are shuffled. A class's last, short run is
    filled up from its other images (with repetition if it has too few), so each image is
    visited at least once.

    Args:
        seed: the recipe's.
        epoch: its number, from 0.
        labels: (N,) int64.
        per_class: images of one class in a row, 1 or more.
    """
    return _balanced(generator(seed, epoch, "order"), labels, per_class)


def block_order(
    seed: int,
    epoch: int,
    shards: Ints,
    span: int,
    labels: Ints | None = None,
    per_class: int = 0,
) -> Ints:
    """Return (N,) int64: an order in blocks, so that few shards are read at a time.

    The shards are shuffled, and each `span` of them make a block, whose images are shuffled. Runs
    of one class are made in a block as `balanced_order` makes them; then what exceeds N is cut off
    at the end of the epoch.

    Args:
        seed: the recipe's.
        epoch: its number, from 0.
        shards: (N,) int64, the shard that each image lies in.
        span: shards of a block, 1 or more.
        labels: (N,) int64; needed for runs.
        per_class: images of one class in a row; 0 is a plain shuffle.

    Example:
        >>> block_order(0, 0, np.array([0, 0, 1, 1, 2, 2]), span=1).tolist()
        [3, 2, 0, 1, 4, 5]
    """
    draw = generator(seed, epoch, "order")
    found, numbers = np.unique(shards, return_inverse=True)
    place = np.argsort(draw.permutation(len(found)))  # of each shard in the epoch
    blocks = place[numbers] // span
    cuts = np.cumsum(np.bincount(blocks))[:-1]
    parts = []
    for rows in np.split(np.argsort(blocks, kind="stable"), cuts):
        if per_class and labels is not None:
            parts.append(rows[_balanced(draw, labels[rows], per_class)])
        else:
            parts.append(draw.permutation(rows))
    order: Ints = np.concatenate(parts)[: len(shards)]
    return order


def _balanced(draw: np.random.Generator, labels: Ints, per_class: int) -> Ints:
    runs: list[npt.NDArray[np.int64]] = []
    for label in np.unique(labels):
        members = draw.permutation(np.flatnonzero(labels == label))
        short = -len(members) % per_class
        filled = np.concatenate([members, np.resize(members, short)])
        runs.extend(filled.reshape(-1, per_class))
    return np.concatenate([runs[i] for i in draw.permutation(len(runs))])
