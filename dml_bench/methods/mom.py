"""MoM: images that are near along the manifold but not in a straight line are positives.

Source: Iscen et al., "Mining on Manifolds: Metric Learning without Labels" (CVPR 2018), equation 6,
and the authors' released code for fine-grained sets: a mutual graph of 30 neighbours, weighted by
cosine to the third; diffusion with alpha 0.99, 20 rounds of conjugate gradients; every image an
anchor; positives among the 50 nearest on the manifold, negatives among the 100 nearest in a
straight line, both outside the other's; a weighted triplet loss with margin 0.5 on squared
distances, the negative drawn from the ten of its pool that are nearest now; 64 dimensions.
Differs from the source: the graph stands on the features of the recipe's network before training,
not on whitened R-MAC descriptors; an image that the diffusion does not reach is never a manifold
neighbour; every image is an anchor once an epoch, not drawn with replacement; one without a
positive takes itself, one without a negative has no weight. The code's momentum is dampened by 0.9:
its rate of 0.01 is one of 0.001 here.
"""

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor

from dml_bench import draws
from dml_bench.errors import RecipeError
from dml_bench.methods.base import BaseMethod, Network, at_least, buffer, positive
from dml_bench.neighbours import rank
from dml_bench.types import Batch, Embeddings, Floats, Ints

ROUNDS = 20
TOLERANCE = 1e-10
BLOCK = 128
NEAREST = 10
NOBODY = -1


class Method(BaseMethod):
    """Pull a manifold neighbour nearer than an image that only seems near, by a margin.

    Args:
        n_items: N.
        margin: in squared Euclidean distance between unit vectors.
        neighbours: of the graph, the image itself counted.
        alpha: how far the diffusion reaches, below 1.
        positives: k of the positive pools, the image itself counted; their size too.
        negatives: k of the negative pools, the image itself counted.
        pool: how many negatives a pool keeps.
    """

    views = 3
    defaults = {  # noqa: RUF012
        "dim": 64,
        "batch": 42,
        "epochs": 100,
        "lr": 0.001,
        "schedule": "steps:50=0.1",
    }
    near: Tensor  # (N, positives) int64 rows; -1 where a pool ends
    weights: Tensor  # (N, positives) float32, similarity on the manifold
    far: Tensor  # (N, pool) int64 rows; -1 where a pool ends
    picked: Tensor  # (2, N) int64: each anchor's positive and negative of the epoch
    weighed: Tensor  # (N,) float32: its weight

    def __init__(
        self,
        n_items: int,
        margin: float = 0.5,
        neighbours: int = 30,
        alpha: float = 0.99,
        positives: int = 50,
        negatives: int = 100,
        pool: int = 50,
    ) -> None:
        super().__init__()
        positive(margin=margin)
        if not 0 < alpha < 1:
            raise RecipeError(f"option alpha: expected a number between 0 and 1, found {alpha}")
        at_least(1, pool=pool)
        at_least(2, neighbours=neighbours, positives=positives, negatives=negatives)  # itself too
        self.margin, self.alpha, self.neighbours = margin, alpha, neighbours
        self.positives, self.negatives, self.pool = positives, negatives, pool
        self.register_buffer("near", torch.full((n_items, positives), NOBODY))
        self.register_buffer("weights", torch.zeros(n_items, positives))
        self.register_buffer("far", torch.full((n_items, pool), NOBODY))
        self.register_buffer("picked", torch.arange(n_items).repeat(2, 1))
        self.register_buffer("weighed", torch.zeros(n_items))

    def begin_epoch(self, epoch: int, seed: int, network: Network) -> None:
        """Mine the pools once, before training; draw a positive and a negative each epoch."""
        if epoch == 0:
            self.mine(network.features().numpy())
        vectors = network.vectors().numpy()
        toss = draws.table(seed, epoch, "pools", (2, len(vectors)))
        picked, weights = self.draw(vectors, toss)
        self.picked.copy_(torch.from_numpy(picked))
        self.weighed.copy_(torch.from_numpy(weights))

    def mine(self, features: Floats) -> None:
        """Fill the pools from (N, width) features."""
        items = Embeddings(features, np.zeros(len(features), np.int64))
        near, weights, far = pools(
            items, self.neighbours, self.alpha, self.positives, self.negatives, self.pool
        )
        for name, found in (("near", near), ("weights", weights), ("far", far)):
            getattr(self, name).copy_(torch.from_numpy(found))

    def draw(self, vectors: Floats, toss: Floats) -> tuple[Ints, Floats]:
        """Return (2, N) a positive and a negative row of each anchor, and (N,) its weight."""
        near, far = self.near.cpu().numpy(), self.far.cpu().numpy()
        rows, n_near = np.arange(len(near)), (near != NOBODY).sum(axis=1)
        at = np.minimum((toss[0] * n_near).astype(np.int64), n_near - 1)
        alone = n_near == 0
        positives = np.where(alone, rows, near[rows, at])
        weights = np.where(alone, 1.0, self.weights.cpu().numpy()[rows, at])
        sorted_far = nearest_first(vectors, far)[:, :NEAREST]
        n_far = (sorted_far != NOBODY).sum(axis=1)
        at = np.minimum((toss[1] * n_far).astype(np.int64), n_far - 1)
        negatives = np.where(n_far == 0, rows, sorted_far[rows, at])
        return np.stack([positives, negatives]), np.where(n_far == 0, 0, weights).astype(np.float32)

    def partners(self) -> Ints:
        """Return (2, N) int64: each anchor's positive and negative of this epoch."""
        return buffer(self.picked)

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the weighted triplet loss, the mean over the batch."""
        weights = self.weighed[batch.ids]
        return weighted_triplets(*vectors, weights=weights, margin=self.margin)


def weighted_triplets(
    anchors: Tensor, positives: Tensor, negatives: Tensor, *, weights: Tensor, margin: float
) -> Tensor:
    """Return () the mean of weighted hinge losses on squared distances.

    Args:
        anchors: (B, D) unit rows.
        positives: (B, D) unit rows.
        negatives: (B, D) unit rows.
        weights: (B,) of each triplet.
        margin: by which a negative must be farther.

    Source:
        Iscen et al. (CVPR 2018), and the weights of their released code.
    """
    pulled = (anchors - positives).square().sum(dim=1)
    pushed = (anchors - negatives).square().sum(dim=1)
    return (weights * (margin + pulled - pushed).clamp(min=0)).mean()


def nearest_first(vectors: Floats, pool: Ints) -> Ints:
    """Return (N, P) pools with the rows that are nearest now first, the ends (-1) last."""
    cosine = np.einsum("nd,npd->np", vectors, vectors[pool])
    cosine[pool == NOBODY] = -np.inf
    ordered: Ints = np.take_along_axis(pool, np.argsort(-cosine, axis=1, kind="stable"), axis=1)
    return ordered


def pools(
    items: Embeddings, neighbours: int, alpha: float, positives: int, negatives: int, pool: int
) -> tuple[Ints, Floats, Ints]:
    """Return the positive pools, their weights and the negative pools.

    Args:
        items: N unit rows.
        neighbours: of the graph, the item itself counted.
        alpha: of the diffusion.
        positives: k nearest on the manifold that are not among the k nearest in a straight line.
        negatives: k nearest in a straight line (at most half of N) that are not among the k
            nearest on the manifold.
        pool: size of the negative pools.

    Returns:
        (N, positives) int64 and float32, (N, pool) int64; -1 and 0 where a pool ends.
    """
    n, k_far = len(items), min(-(-len(items) // 2), negatives)
    straight = rank(items, items, min(max(positives, k_far), n - 1)).ids.astype(np.int64)
    laplacian = sparse.csr_array(sparse.eye_array(n) - alpha * transition(items, neighbours))
    near = np.full((n, positives), NOBODY)
    weights = np.zeros((n, positives), np.float32)
    far = np.full((n, pool), NOBODY)
    for start in range(0, n, BLOCK):
        rows = np.arange(start, min(start + BLOCK, n))
        reached = diffused(laplacian, rows)  # (block, N)
        for row, similar in zip(rows, reached, strict=True):
            similar[row] = 0
            along = np.argsort(-similar, kind="stable")
            along = along[similar[along] > 0]
            found = _outside(along[: positives - 1], straight[row, : positives - 1])
            near[row, : len(found)], weights[row, : len(found)] = found, similar[found]
            found = _outside(straight[row, : k_far - 1], along[: k_far - 1])[:pool]
            far[row, : len(found)] = found
    return near, weights, far


def _outside(these: Ints, those: Ints) -> Ints:
    kept: Ints = these[~np.isin(these, those)]
    return kept


def transition(items: Embeddings, neighbours: int) -> sparse.csr_array:
    """Return (N, N) the normalised affinities of the mutual neighbours, cosine to the third.

    An image counts among its own neighbours, so `neighbours` - 1 others can be joined to it.
    """
    n = len(items)
    found = rank(items, items, min(neighbours, n) - 1)
    rows = np.repeat(np.arange(n), found.ids.shape[1])
    values = np.clip(found.scores, 0, None).astype(np.float64).ravel() ** 3
    one_way = sparse.csr_array((values, (rows, found.ids.ravel())), shape=(n, n))
    both = one_way.minimum(one_way.T)
    degree: npt.NDArray[np.float64] = np.asarray(both.sum(axis=1)).ravel()
    scale = sparse.diags_array(np.divide(1, np.sqrt(degree), out=np.zeros(n), where=degree > 0))
    return sparse.csr_array(scale @ both @ scale)


def diffused(laplacian: sparse.csr_array, rows: Ints) -> npt.NDArray[np.float64]:
    """Return (M, N) what spreads from each row, by conjugate gradients on all of them at once.

    Args:
        laplacian: (N, N) symmetric, positive definite.
        rows: (M,) where it starts.
    """
    n = laplacian.shape[0]
    x = np.zeros((n, len(rows)))
    residual = np.zeros_like(x)
    residual[rows, np.arange(len(rows))] = 1
    direction, size = residual.copy(), np.ones(len(rows))
    for _ in range(ROUNDS):
        ahead = laplacian @ direction
        curve = (direction * ahead).sum(axis=0)
        step = np.divide(size, curve, out=np.zeros_like(size), where=size > TOLERANCE**2)
        x += step * direction
        residual -= step * ahead
        smaller = (residual**2).sum(axis=0)
        turn = np.divide(smaller, size, out=np.zeros_like(size), where=size > TOLERANCE**2)
        direction, size = residual + turn * direction, smaller
    return x.T
