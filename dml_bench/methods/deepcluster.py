"""DeepCluster: the clusters of an epoch's features are the classes that the next one learns.

Source: Caron et al., "Deep Clustering for Unsupervised Learning of Visual Features" (ECCV 2018),
and the authors' released code: features whitened by PCA to 256 dimensions, of unit length, k-means
of 20 rounds, images drawn so that clusters are visited equally often, classifier made anew each
epoch. Ye et al. (CVPR 2019) compare with k = 10 and k = 1000 on CIFAR-10, k = 100 on STL-10.
Differs from the source: the classifier stands on the recipe's unit vectors (with a temperature),
which are the evaluated ones, not on a wide hidden layer, and has no bias; what is clustered are the
backbone's features; a cluster too small for its share repeats its images in turn, not at random; no
Sobel filter; one optimiser for all.
"""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from torch import Tensor, nn

from dml_bench import draws
from dml_bench.clusters import kmeans
from dml_bench.methods.base import BaseMethod, Network, at_least, buffer, positive
from dml_bench.types import Batch, Embeddings, Floats, Ints


class Method(BaseMethod):
    """Classify each image into its cluster.

    Args:
        n_items: N.
        dim: D.
        clusters: k; no more than N.
        components: dimensions that the whitening keeps, where there are as many.
        temperature: divides the cosine of a vector and a classifier's weight.
    """

    views = 1
    pseudo: Tensor  # (N,) int64, each image's cluster
    visited: Tensor  # (N,) int64, the rows of the epoch in order

    def __init__(
        self,
        n_items: int,
        dim: int,
        clusters: int = 100,
        components: int = 256,
        temperature: float = 0.1,
    ) -> None:
        super().__init__()
        positive(temperature=temperature)
        at_least(1, clusters=clusters, components=components)
        self.clusters, self.components = min(clusters, n_items), components
        self.temperature = temperature
        self.register_buffer("pseudo", torch.zeros(n_items, dtype=torch.int64))
        self.weights = nn.Parameter(torch.zeros(self.clusters, dim))
        self.register_buffer("visited", torch.arange(n_items))

    def begin_epoch(self, epoch: int, seed: int, network: Network) -> None:
        """Cluster the features, make the classifier anew, draw an order."""
        found = whitened(network.features().numpy(), self.components)
        items = Embeddings(found, np.zeros(len(found), np.int64))
        assigned = kmeans(items, self.clusters, seeds=[seed + epoch]).assignments[0]
        self.pseudo.copy_(torch.from_numpy(assigned))
        nn.init.normal_(self.weights, std=0.01)
        self.visited.copy_(torch.from_numpy(balanced(seed, epoch, assigned)))

    def order(self) -> Ints:
        """Return (N,) int64: clusters equally often."""
        return buffer(self.visited)

    def remade(self) -> list[nn.Parameter]:
        """Return the classifier's weights."""
        return [self.weights]

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the cross-entropy of each image against its cluster."""
        logits = vectors[0] @ self.weights.T / self.temperature  # (B, k)
        return F.cross_entropy(logits, self.pseudo[batch.ids])


def whitened(features: Floats, components: int) -> Floats:
    """Return (N, components or fewer) float32 of equal variance and no correlation.

    A direction in which nothing but the rounding of float32 varies is none.

    Args:
        features: (N, width) float32.
        components: how many of the directions of largest variance are kept.
    """
    kept = min(components, features.shape[1], len(features) - 1)
    pca = PCA(kept, whiten=True, svd_solver="covariance_eigh")
    made: Floats = pca.fit_transform(features.astype(np.float64)).astype(np.float32)
    varies = pca.explained_variance_ > np.finfo(np.float32).eps * pca.explained_variance_[0]
    return made[:, varies]


def balanced(seed: int, epoch: int, pseudo: Ints) -> Ints:
    """Return (N,) rows drawn with clusters equally often, each cluster's own in turn.

    Args:
        seed: the recipe's.
        epoch: its number.
        pseudo: (N,) int64, each row's cluster.
    """
    draw = draws.generator(seed, epoch, "clusters")
    there = np.unique(pseudo)
    each = -(-len(pseudo) // len(there))  # rounded up
    rows = [np.resize(draw.permutation(np.flatnonzero(pseudo == one)), each) for one in there]
    mixed: Ints = draw.permutation(np.concatenate(rows))[: len(pseudo)]
    return mixed
