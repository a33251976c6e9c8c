"""Seeded k-means: Lloyd's algorithm over the exact search.

`faiss.Kmeans` is not used as it is: its assignment is a matrix product in float32 whose last bits
depend on the number of threads (seen with faiss 1.15.1), and so would NMI.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from dml_bench.errors import MetricError
from dml_bench.levels import Doubles
from dml_bench.neighbours import by_id
from dml_bench.progress import Bar
from dml_bench.search import Search
from dml_bench.types import Clustering, Embeddings, Floats, Ints

SEEDS = (0, 1, 2)
ITERATIONS = 20
CLOSE = 1e-9  # more than sums in float64 differ by, of rows no longer than these
MANY = 0.8  # share of the centres: where more moved, all points look at all of them
PART = 1 << 22  # numbers that are summed at a time


def kmeans(
    items: Embeddings,
    n_clusters: int,
    *,
    seeds: Sequence[int] = SEEDS,
    iterations: int = ITERATIONS,
    device: str = "cpu",
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
    points = items.vectors if items.ids is None else items.vectors[order]
    with Bar("clustering", len(seeds) * iterations, delay=2.0) as bar:
        for row, seed in enumerate(seeds):
            assignments[row, order] = _lloyd(
                points, n_clusters, seed, iterations, device, bar.advance
            )
    return Clustering(assignments, items.labels)


def _lloyd(
    points: Floats,
    n_clusters: int,
    seed: int,
    iterations: int,
    device: str,
    done: Callable[[int], None],
) -> Ints:
    """Return the (N,) cluster of each of (N, D) points; `done` is told of each round."""
    first = np.random.default_rng(seed).permutation(len(points))[:n_clusters]
    nearest = Nearest(points, points[np.sort(first)], device)
    averaged = np.full(len(points), -1)  # of what the centres are the means
    for left in reversed(range(iterations)):
        before = nearest.assigned
        filled = _filled(points, nearest.centres, before)
        nearest.move(_means(points, filled, averaged, nearest.centres))
        averaged = filled
        if np.array_equal(before, nearest.assigned):
            done(left + 1)
            break
        done(1)
    return nearest.assigned


class Nearest:
    """The nearest centre of each point, kept while centres move: what cannot matter is skipped.

    The least |x - c|^2 is the greatest x.c - |c|^2 / 2, an inner product with one more dimension.
    Each point looks at the centres that moved. Those that did not have lost to its own centre
    before, and lose again if that did not move either, or still scores more than any of them did.
    Only a point of which neither holds looks at all centres.

    Args:
        points: (N, D) float32.
        centres: (C, D) float32.
        device: where rough products are made, "cpu" or "cuda".
    """

    def __init__(self, points: Floats, centres: Floats, device: str = "cpu") -> None:
        self.asked = np.hstack([points, np.ones((len(points), 1), np.float32)])
        self.device, self.centres = device, centres
        self.assigned = np.zeros(len(points), np.int64)  # (N,) the nearest centre
        self.scores = np.zeros(len(points))  # (N,) with it
        self.others = np.zeros(len(points))  # (N,) no other centre scores more
        self._look(np.arange(len(points)))

    def move(self, centres: Floats) -> None:
        """Put the centres where they are now, and look again where that can matter."""
        moved = np.flatnonzero((centres != self.centres).any(axis=1))
        self.centres = centres
        if len(moved) > MANY * len(centres):
            self._look(np.arange(len(self.asked)))
        elif len(moved):
            self._look(self._compare(moved))

    def _look(self, points: Ints) -> None:
        """Let some points look at all centres."""
        if not len(points):
            return
        asked = self.asked if len(points) == len(self.asked) else self.asked[points]
        search, places, scores = self._two_best(asked, np.arange(len(self.centres)))
        assigned = self.assigned.copy()
        assigned[points] = places[:, 0]
        self.scores[points] = search.exact(asked, places[:, 0])
        self.others[points] = scores[:, 1] + CLOSE
        self.assigned = assigned

    def _compare(self, moved: Ints) -> Ints:
        """Let all points look at the centres that moved; return those that must look at all."""
        search, places, scores = self._two_best(self.asked, moved)
        own_moved = np.isin(self.assigned, moved)  # then the best is among its own and the others
        close = own_moved | (scores[:, 0] > self.scores - CLOSE)
        best, found = scores[:, 0], moved[places[:, 0]]
        best[close] = search.exact(self.asked[close], places[close, 0])
        level = (best == self.scores) & (found < self.assigned)
        wins = own_moved | (best > self.scores) | level
        unsure = own_moved & (best <= self.others)
        lost = np.where(wins & ~own_moved, np.maximum(self.scores, scores[:, 1]), scores[:, 1])
        self.others = np.maximum(self.others, np.where(wins, lost, best) + CLOSE)
        self.assigned = np.where(wins, found, self.assigned)
        self.scores = np.where(wins, best, self.scores)
        return np.flatnonzero(unsure)

    def _two_best(self, asked: Floats, among: Ints) -> tuple[Search, Ints, Doubles]:
        """Return the (N, 2) places of the best of some centres and scores right to CLOSE."""
        centres = self.centres[among]
        half = -np.square(centres, dtype=np.float64).sum(axis=1, keepdims=True) / 2
        search = Search(np.hstack([centres, half.astype(np.float32)]), self.device, margin=2)
        places, scores = search.nearest(asked, min(2, len(among)))
        if len(among) == 1:
            scores = np.hstack([scores, np.full((len(asked), 1), -np.inf)])
        return search, places, scores


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


def _means(points: Floats, assigned: Ints, before: Ints, centres: Floats) -> Floats:
    """Return the (C, D) means, summed in float64 in the order of the points.

    Args:
        points: (N, D).
        assigned: (N,) the cluster of each.
        before: (N,) those of which `centres` are the means: a cluster with the same points keeps
            its own; -1 for none.
        centres: (C, D).
    """
    changed = np.zeros(len(centres) + 1, bool)  # the last is that of -1
    changed[assigned[assigned != before]] = changed[before[assigned != before]] = True
    rows = np.flatnonzero(changed[assigned])
    rows = rows[np.argsort(assigned[rows], kind="stable")]
    clusters, starts, counts = np.unique(assigned[rows], return_index=True, return_counts=True)
    means = centres.copy()
    for part in _parts(starts, len(rows), PART // points.shape[1]):
        first, last = starts[part][0], (*starts, len(rows))[part.stop]
        wide = points[rows[first:last]].astype(np.float64)
        sums = np.add.reduceat(wide, starts[part] - first, axis=0)
        means[clusters[part]] = sums / counts[part, None]
    return means


def _parts(starts: Ints, end: int, most: int) -> Iterator[slice]:
    """Yield slices of the clusters that begin at `starts`, each of about `most` points or fewer."""
    first = 0
    while first < len(starts):
        last = int(np.searchsorted(starts, starts[first] + most))
        last = max(first + 1, last)
        yield slice(first, min(last, len(starts)))
        first = last
