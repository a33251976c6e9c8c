"""Cyclic: images on one cycle of the neighbour graph are alike, images far apart in it are not.

Source: Li et al., "Unsupervised Visual Representation Learning by Graph-based Consistent
Constraints" (ECCV 2016), and the authors' released code for CIFAR-10 (of the paper no more than the
beginning was at hand): each image points at its 4 nearest; all pairs of a cycle of 4 different
images are positive. Negative are pairs whose shortest path, of squared distances between 1,000
nearest, is finite and above 1.0: 100,000 drawn in every 10,000 images, then one for each positive.
A Siamese network tells the two kinds apart: both features in a row, 64 hidden units, ReLU and a
softmax of two classes, at five times the network's rate; 50,000 steps of 50 pairs, rate 0.001,
momentum 0.9, decay 1e-4. Ye et al. (CVPR 2019) relay results for CUB-200-2011 from Iscen et al.
(CVPR 2018); how those were made could not be established.
Differs from the source: the graph stands on the features of the recipe's network before training,
not on Fisher vectors; 1.0 means nothing between these, so a negative is farther along the graph
than a share of the images that can be reached; paths lead over 10 nearest, both ways, in blocks
that are drawn; no positive is a negative. Images on a cycle are visited equally often, each with a
positive and a negative of its own, where the code lists every positive pair once. The pairs are
told apart by the recipe's unit vectors, which are the evaluated ones, without dropout, by a
classifier that starts as PyTorch's do; epochs are the protocol's.
"""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy import sparse
from scipy.sparse.csgraph import dijkstra
from torch import Tensor, nn

from dml_bench import draws
from dml_bench.errors import RecipeError
from dml_bench.methods.base import BaseMethod, Network, at_least, buffer
from dml_bench.neighbours import rank
from dml_bench.types import Batch, Embeddings, Floats, Ints

TOGETHER = 10_000  # images whose paths are measured together
STARTS = 256  # whose cycles or paths are held at a time
NOBODY = -1


class Method(BaseMethod):
    """Tell pairs of one cycle from pairs that are far apart.

    Args:
        n_items: N.
        dim: D.
        neighbours: that an image points at, where cycles are looked for.
        length: images of a cycle.
        graph: neighbours of the graph whose paths are measured.
        beyond: share of the reachable images that are nearer than any negative.
        negatives: size of the negative pools.
        hidden: units of the classifier of pairs.
    """

    views = 3
    rate = 5.0
    defaults = {  # noqa: RUF012
        "batch": 25,
        "lr": 0.001,
        "weight_decay": 1e-4,
        "schedule": "constant",
    }
    near: (
        Tensor  # (N, at most neighbours + ... + neighbours^(length - 1)) int64 rows; -1 at its end
    )
    far: Tensor  # (N, negatives) int64 rows; all -1 where nobody is far
    picked: Tensor  # (2, N) int64: each image's positive and negative of the epoch, or itself
    visited: Tensor  # (N,) int64, the rows of the epoch in order

    def __init__(
        self,
        n_items: int,
        dim: int,
        neighbours: int = 4,
        length: int = 4,
        graph: int = 10,
        beyond: float = 0.5,
        negatives: int = 10,
        hidden: int = 64,
    ) -> None:
        super().__init__()
        at_least(1, neighbours=neighbours, graph=graph, negatives=negatives, hidden=hidden)
        at_least(2, length=length)
        if not 0 <= beyond < 1:
            raise RecipeError(f"option beyond: expected a share below 1, found {beyond}")
        self.neighbours, self.length, self.graph = neighbours, length, graph
        self.beyond, self.negatives = beyond, negatives
        most = max(1, min(n_items - 1, sum(neighbours**n for n in range(1, length))))
        self.register_buffer("near", torch.full((n_items, most), NOBODY))
        self.register_buffer("far", torch.full((n_items, negatives), NOBODY))
        self.register_buffer("picked", torch.arange(n_items).repeat(2, 1))
        self.register_buffer("visited", torch.arange(n_items))
        self.judge = nn.Sequential(nn.Linear(2 * dim, hidden), nn.ReLU(), nn.Linear(hidden, 2))

    def begin_epoch(self, epoch: int, seed: int, network: Network) -> None:
        """Mine the pools once, before training; draw a pair of each kind each epoch."""
        if epoch == 0:
            self.mine(network.features().numpy(), seed)
        near, far = buffer(self.near), buffer(self.far)
        toss = draws.table(seed, epoch, "pools", (2, len(near)))
        self.picked.copy_(torch.from_numpy(np.stack([one(near, toss[0]), one(far, toss[1])])))
        there = np.flatnonzero(near[:, 0] != NOBODY)
        mixed = draws.generator(seed, epoch, "cycles").permutation(there)
        self.visited.copy_(torch.from_numpy(np.resize(mixed, len(near))))

    def mine(self, features: Floats, seed: int) -> None:
        """Fill the pools from (N, width) features.

        Raises:
            RecipeError: no image lies on a cycle.
        """
        items = Embeddings(features, np.zeros(len(features), np.int64))
        ids = rank(items, items, min(self.neighbours, len(items) - 1)).ids.astype(np.int64)
        near = cyclic(ids, self.length, self.near.shape[1])
        if (near == NOBODY).all():
            raise RecipeError(
                f"method cyclic: expected cycles of {self.length} among {self.neighbours}"
                " neighbours, found none; set more neighbours"
            )
        toss = draws.table(seed, 0, "negatives", (len(items), self.negatives))
        blocks = draws.generator(seed, 0, "blocks").permutation(len(items))
        far = np.full((len(items), self.negatives), NOBODY)
        for rows in np.array_split(blocks, -(-len(items) // TOGETHER)):
            rows.sort()
            far[rows] = distant(items, rows, near[rows], toss[rows], self.graph, self.beyond)
        self.near.copy_(torch.from_numpy(near))
        self.far.copy_(torch.from_numpy(far))

    def partners(self) -> Ints:
        """Return (2, N) int64: each image's positive and negative of this epoch."""
        return buffer(self.picked)

    def order(self) -> Ints:
        """Return (N,) int64: the images on a cycle, equally often."""
        return buffer(self.visited)

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return how badly the pairs are told apart; an image without a negative has but one."""
        anchors, positives, negatives = vectors
        alike = self.judge(torch.cat([anchors, positives], dim=1))
        apart = self.judge(torch.cat([anchors, negatives], dim=1))
        return told_apart(alike, apart, self.picked[1, batch.ids] != batch.ids)


def told_apart(alike: Tensor, apart: Tensor, counted: Tensor) -> Tensor:
    """Return () the cross-entropy of two classes, the mean over the pairs.

    Args:
        alike: (B, 2) logits of the positive pairs; class 1 is right.
        apart: (B, 2) logits of the negative pairs; class 0 is right.
        counted: (B,) bool, which of the negative pairs there are.
    """
    right = F.log_softmax(alike, dim=1)[:, 1].sum()
    right = right + (F.log_softmax(apart, dim=1)[:, 0] * counted).sum()
    return -right / (len(alike) + counted.sum())


def one(pool: Ints, toss: Floats) -> Ints:
    """Return (N,) a row drawn from each row's pool; the row itself where that is empty.

    Args:
        pool: (N, P) int64, -1 where it ends.
        toss: (N,) draws in [0, 1).
    """
    rows, there = np.arange(len(pool)), (pool != NOBODY).sum(axis=1)
    at = np.minimum((toss * there).astype(np.int64), there - 1)
    found: Ints = np.where(there == 0, rows, pool[rows, at])
    return found


def cyclic(ids: Ints, length: int, most: int) -> Ints:
    """Return (N, most) int64 rows that share a cycle with each row, ascending; then -1.

    Args:
        ids: (N, k) int64, whom each row points at.
        length: of a cycle.
        most: as many as any row can have.
    """
    found = np.full((len(ids), most), NOBODY)
    for start in range(0, len(ids), STARTS):
        cycles = closed(ids, np.arange(start, min(start + STARTS, len(ids))), length)
        firsts = np.repeat(cycles[:, 0], length - 1)
        pairs = np.unique(np.stack([firsts, cycles[:, 1:].ravel()], axis=1), axis=0)
        places = np.arange(len(pairs)) - np.searchsorted(pairs[:, 0], pairs[:, 0])
        found[pairs[:, 0], places] = pairs[:, 1]
    return found


def closed(ids: Ints, starts: Ints, length: int) -> Ints:
    """Return (M, length) int64 the cycles through each start, itself first, all rows different.

    Args:
        ids: (N, k) int64, whom each row points at.
        starts: (S,) rows.
        length: of a cycle.
    """
    walks = starts[:, None]
    for _ in range(length - 1):
        onward = ids[walks[:, -1]].reshape(-1, 1)
        walks = np.concatenate([np.repeat(walks, ids.shape[1], axis=0), onward], axis=1)
        walks = walks[(walks[:, :-1] != onward).all(axis=1)]
    back: Ints = walks[(ids[walks[:, -1]] == walks[:, :1]).any(axis=1)]
    return back


def distant(
    items: Embeddings, rows: Ints, near: Ints, toss: Floats, neighbours: int, beyond: float
) -> Ints:
    """Return (M, P) int64 rows drawn from those that are far along the graph; -1 for nobody.

    Args:
        items: N unit rows.
        rows: (M,) ascending, the only ones that are looked at.
        near: (M, K) int64 rows that are not taken, -1 for nobody.
        toss: (M, P) draws in [0, 1).
        neighbours: of the graph.
        beyond: share of the reachable rows that are nearer.
    """
    found = np.full(toss.shape, NOBODY)
    if len(rows) == 1:
        return found
    roads = edges(Embeddings(items.vectors[rows], items.labels[rows]), neighbours)
    for start in range(0, len(rows), STARTS):
        here = np.arange(start, min(start + STARTS, len(rows)))
        for place, lengths in zip(here, paths(roads, here), strict=True):
            reached = np.isfinite(lengths)
            reached[place] = False
            if reached.any():
                reached &= lengths > np.quantile(lengths[reached], beyond)
            pool = np.setdiff1d(rows[reached], near[place])
            if len(pool):
                found[place] = pool[(toss[place] * len(pool)).astype(np.int64)]
    return found


def edges(items: Embeddings, neighbours: int) -> sparse.csr_array:
    """Return (M, M) the squared distances from each row to its nearest."""
    found = rank(items, items, min(neighbours, len(items) - 1))
    starts = np.repeat(np.arange(len(items)), found.ids.shape[1])
    squares = np.maximum(2 - 2 * found.scores.astype(np.float64), 0)
    both = (starts, found.ids.ravel())
    return sparse.csr_array((squares.ravel(), both), shape=(len(items), len(items)))


def paths(roads: sparse.csr_array, starts: Ints) -> npt.NDArray[np.float64]:
    """Return (S, M) the lengths of the shortest paths, edges taken both ways; infinite for none."""
    lengths: npt.NDArray[np.float64] = dijkstra(roads, directed=False, indices=starts)
    return lengths
