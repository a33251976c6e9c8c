"""Seeded k-means: Lloyd's algorithm over the exact search.

`faiss.Kmeans` is not used as it is: its assignment is a matrix product in float32 whose last bits
depend on the number of threads (seen with faiss 1.15.1), and so would NMI.
"""

from collections.abc import Callable, Sequence

import numpy as np

from dml_bench.errors import MetricError
from dml_bench.neighbours import Search, by_id
from dml_bench.progress import Bar
from dml_bench.types import Clustering, Embeddings, Floats, Ints

SEEDS = (0, 1, 2)
ITERATIONS = 20


def kmeans(
    items: Embeddings,
    n_clusters: int,
    *,
    seeds: Sequence[int] = SEEDS,
    iterations: int = ITERATIONS,
) -> Clustering:
    """Cluster the unit vectors once a seed, the same to the last bit on any number of threads.

    The protocol: plain (Euclidean, not spherical) k-means on all N unit vectors, none left out;
    the first centres are `n_clusters` different images drawn by the seed; `iterations` rounds,
    fewer if nothing moves; a cluster that loses all its images takes the image that lies farthest
    from its centre; equal distances go to the lower cluster. The images are taken in the order of
    their ids, so shuffling rows with their ids changes nothing.

    Args:
        items: N embeddings.
        n_clusters: 1 to N; the literature takes the number of classes.
        seeds: one repetition each.
        iterations: rounds of assigning and averaging.

    Returns:
        assignments (S, N) int64 of 0 to `n_clusters` - 1, and the labels.

    Raises:
        MetricError: `n_clusters` is not between 1 and N, no seed, or no round.

    Example:
        >>> photos = Embeddings(np.array([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]]), np.arange(4))
        >>> kmeans(photos, 2, seeds=[0]).assignments
        array([[0, 0, 1, 1]])

    Source:
        20 rounds without subsampling: Caron et al. (ECCV 2018), whose k-means is FAISS's.
    """
    if not 1 <= n_clusters <= len(items):
        raise MetricError(
            f"expected from 1 to {len(items)} clusters, for there are {len(items)} images,"
            f" found {n_clusters}; ask for fewer"
        )
    if not len(seeds) or iterations < 1:
        raise MetricError(
            f"expected a seed and a round at least, found {len(seeds)} seeds and {iterations}"
            " rounds; name more"
        )
    order = by_id(items)
    assignments = np.empty((len(seeds), len(items)), np.int64)
    points = items.vectors[order]
    with Bar("clustering", len(seeds) * iterations, delay=2.0) as bar:
        for row, seed in enumerate(seeds):
            assignments[row, order] = _lloyd(points, n_clusters, seed, iterations, bar.advance)
    return Clustering(assignments, items.labels)


def _lloyd(
    points: Floats, n_clusters: int, seed: int, iterations: int, done: Callable[[int], None]
) -> Ints:
    """Return the (N,) cluster of each of (N, D) points; `done` is told of each round."""
    first = np.random.default_rng(seed).permutation(len(points))[:n_clusters]
    centres = points[np.sort(first)]
    assigned = _assign(points, centres)
    for left in reversed(range(iterations)):
        centres = _means(points, _filled(points, centres, assigned), n_clusters)
        before, assigned = assigned, _assign(points, centres)
        if np.array_equal(before, assigned):
            done(left + 1)
            break
        done(1)
    return assigned


def _assign(points: Floats, centres: Floats) -> Ints:
    """Return the (N,) nearest centre of each point.

    The least |x - c|^2 is the greatest x.c - |c|^2 / 2, an inner product with one more dimension.
    """
    half = -np.square(centres, dtype=np.float64).sum(axis=1, keepdims=True) / 2
    wide = np.hstack([centres, half.astype(np.float32)])
    asked = np.hstack([points, np.ones((len(points), 1), np.float32)])
    return Search(wide, margin=2).nearest(asked, 1)[0][:, 0]


def _filled(points: Floats, centres: Floats, assigned: Ints) -> Ints:
    """Give each empty cluster one point: those farthest from their centres, farthest first."""
    counts = np.bincount(assigned, minlength=len(centres))
    empty = np.flatnonzero(counts == 0)
    if not len(empty):
        return assigned
    apart = np.square(points - centres[assigned], dtype=np.float64).sum(axis=1)
    moved, farthest = assigned.copy(), iter(np.argsort(-apart, kind="stable"))
    for cluster in empty:
        point = next(point for point in farthest if counts[assigned[point]] > 1)
        counts[assigned[point]] -= 1
        moved[point] = cluster
    return moved


def _means(points: Floats, assigned: Ints, n_clusters: int) -> Floats:
    """Return the (n_clusters, D) means, summed in float64 in the order of the points."""
    order = np.argsort(assigned, kind="stable")
    starts = np.searchsorted(assigned[order], np.arange(n_clusters))
    sums = np.add.reduceat(points[order].astype(np.float64), starts, axis=0)
    return (sums / np.bincount(assigned, minlength=n_clusters)[:, None]).astype(np.float32)
