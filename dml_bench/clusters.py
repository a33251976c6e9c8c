"""Seeded k-means: Lloyd's algorithm over the exact search.

`faiss.Kmeans` is not used as it is: its assignment is a matrix product in float32 whose last bits
depend on the number of threads (seen with faiss 1.15.1), and so would NMI.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from dml_bench.centres import BLOCK as SQUARED
from dml_bench.centres import Nearest, Points, squares
from dml_bench.errors import MetricError
from dml_bench.levels import Doubles
from dml_bench.memory import LEAST, resident, room
from dml_bench.neighbours import by_id, order_of
from dml_bench.progress import Bar
from dml_bench.types import Clustering, Embeddings, Floats, Ints

SEEDS = (0, 1, 2)
ITERATIONS = 20
BLOCK = 1 << 22  # numbers that are summed at a time, at most
SUMMED = 24  # bytes that a number takes while it is summed
POINT = 200  # bytes that a point takes beside its vector
CENTRE = 24  # bytes that a centre takes for each dimension


def kmeans(
    items: Embeddings,
    n_clusters: int,
    *,
    seeds: Sequence[int] = SEEDS,
    iterations: int = ITERATIONS,
    device: str = "cpu",
    memory: int | None = None,
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
        device: where rough products are made, "cpu" or "cuda"; it changes no bit of the answer.
        memory: bytes that may be used, vectors in memory among them; it changes no bit either.

    Returns:
        assignments (S, N) int64 of 0 to `n_clusters` - 1, and the labels.

    Raises:
        MetricError: `n_clusters` is not between 1 and N, no seed, no round, or too little memory.

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
    left = _room(items, n_clusters, len(seeds), memory)
    points = Points(items.vectors, order_of(items))
    order = by_id(items)
    assignments = np.empty((len(seeds), len(items)), np.int64)
    with Bar("clustering", len(seeds) * iterations, delay=2.0) as bar:
        for row, seed in enumerate(seeds):
            assignments[row, order] = _lloyd(
                points, n_clusters, seed, iterations, device, bar.advance, left
            )
    return Clustering(assignments, items.labels)


def _room(items: Embeddings, n_clusters: int, seeds: int, memory: int | None) -> int:
    """Return the bytes that are left to work in.

    Raises:
        MetricError: too few.
    """
    size, dim = items.vectors.shape
    taken = resident(items) + size * (8 * seeds + POINT) + n_clusters * (dim + 1) * CENTRE
    least = LEAST + 64 * n_clusters  # one point's scores with all centres
    return room(memory, taken, least, f"{n_clusters} clusters of {size} images")


def _lloyd(
    points: Points,
    n_clusters: int,
    seed: int,
    iterations: int,
    device: str,
    done: Callable[[int], None],
    left: int,
) -> Ints:
    """Return the (N,) cluster of each of (N, D) points; `done` is told of each round."""
    first = np.random.default_rng(seed).permutation(len(points))[:n_clusters]
    nearest = Nearest(points, points[np.sort(first)], device, left)
    averaged = np.full(len(points), -1)  # of what the centres are the means
    for rounds in reversed(range(iterations)):
        before = nearest.assigned
        filled = _filled(points, nearest.centres, before)
        nearest.move(_means(points, filled, averaged, nearest.centres, left))
        averaged = filled
        if np.array_equal(before, nearest.assigned):
            done(rounds + 1)
            break
        done(1)
    return nearest.assigned


def _filled(points: Points, centres: Floats, assigned: Ints) -> Ints:
    """Give each empty cluster one point: those farthest from their centres, farthest first."""
    counts = np.bincount(assigned, minlength=len(centres))
    empty = np.flatnonzero(counts == 0)
    if not len(empty):
        return assigned
    apart = np.empty(len(points))
    for part in _some(np.arange(len(points)), points.dim):
        apart[part] = squares(points[part] - centres[assigned[part]])
    moved, farthest = assigned.copy(), iter(np.argsort(-apart, kind="stable"))
    for cluster in empty:
        point = next(point for point in farthest if counts[assigned[point]] > 1)
        counts[assigned[point]] -= 1
        moved[point] = cluster
    return moved


def _means(points: Points, assigned: Ints, before: Ints, centres: Floats, left: int) -> Floats:
    """Return the (C, D) means, summed in float64 in the order of the points.

    Args:
        points: N of them.
        assigned: (N,) the cluster of each.
        before: (N,) those of which `centres` are the means: a cluster with the same points keeps
            its own; -1 for none.
        centres: (C, D).
        left: bytes to work in.
    """
    changed = np.zeros(len(centres) + 1, bool)  # the last is that of -1
    changed[assigned[assigned != before]] = changed[before[assigned != before]] = True
    rows = np.flatnonzero(changed[assigned])
    rows = rows[np.argsort(assigned[rows], kind="stable")]
    clusters, starts, counts = np.unique(assigned[rows], return_index=True, return_counts=True)
    means = centres.copy()
    numbers = min(BLOCK, left // SUMMED)
    for part in _parts(starts, len(rows), numbers // points.dim):
        first, last = starts[part][0], (*starts, len(rows))[part.stop]
        sums = _sums(points, rows[first:last], starts[part] - first, numbers)
        means[clusters[part]] = sums / counts[part, None]
    return means


def _sums(points: Points, rows: Ints, starts: Ints, numbers: int) -> Doubles:
    """Return the (P, D) sums of the rows from each start to the next, so many numbers at a time."""
    sums = np.empty((len(starts), points.dim))
    step = max(1, numbers // len(rows))
    for columns in (slice(i, i + step) for i in range(0, points.dim, step)):
        wide = np.empty((len(rows), min(step, points.dim - columns.start)))
        for part in _some(np.arange(len(rows)), points.dim):
            wide[part] = points[rows[part]][:, columns]
        sums[:, columns] = np.add.reduceat(wide, starts, axis=0)
    return sums


def _some(rows: Ints, dim: int) -> Iterator[Ints]:
    """Yield some rows at a time."""
    step = max(1, SQUARED // dim)
    yield from (rows[i : i + step] for i in range(0, len(rows), step))


def _parts(starts: Ints, end: int, most: int) -> Iterator[slice]:
    """Yield slices of the clusters that begin at `starts`, each of about `most` points or fewer."""
    first = 0
    while first < len(starts):
        last = int(np.searchsorted(starts, starts[first] + most))
        last = max(first + 1, last)
        yield slice(first, min(last, len(starts)))
        first = last
