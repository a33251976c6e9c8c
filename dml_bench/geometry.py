"""How vectors lie, whatever their classes: effective rank, hubs, duplicates and near-duplicates."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dml_bench.levels import cosines, levels
from dml_bench.types import Embeddings, Floats, Ints, Ranking
from dml_bench.types.vectors import ROOM


def effective_rank(vectors: Floats) -> float:
    """Return the number of dimensions that (N, D) vectors use: 1 on a line, D if all alike.

    The exponential of the entropy of the singular values, each divided by their sum; of the rows
    as they are, their mean not taken away.

    Example:
        >>> round(effective_rank(np.eye(4)), 6), round(effective_rank(np.ones((5, 3))), 6)
        (4.0, 1.0)

    Source:
        Roy and Vetterli, "The effective rank" (EUSIPCO 2007), definition 1.
    """
    values = np.linalg.svd(vectors.astype(np.float64), compute_uv=False)
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


@dataclass(frozen=True)
class Hubs:
    """How often gallery items are among the `k` nearest of a query.

    Args:
        k: neighbours that count.
        skewness: of the (G,) counts; 0 if they lie evenly about their mean.
        anti_hubs: share of the gallery that is among nobody's nearest.
        largest: the highest count.
    """

    k: int
    skewness: float
    anti_hubs: float
    largest: int


def hubness(ranking: Ranking, k: int = 10) -> Hubs:
    """Count the occurrences of each gallery item among the `k` nearest; fewer if less were kept.

    Example:
        >>> from dml_bench.neighbours import rank
        >>> star = Embeddings(np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]), np.arange(3))
        >>> hubness(rank(star, star, 1), k=1).largest
        2

    Source:
        Radovanović, Nanopoulos and Ivanović, "Hubs in Space" (JMLR 2010): the skewness of N_k.
    """
    k = min(k, ranking.depth)
    n = np.bincount(ranking.ids[:, :k].reshape(-1), minlength=len(ranking.gallery_labels))
    apart = n - n.mean()
    spread = (apart**2).mean()
    skewness = float((apart**3).mean() / spread**1.5) if spread else 0.0
    return Hubs(k, skewness, float((n == 0).mean()), int(n.max()))


@dataclass(frozen=True)
class Duplicates:
    """Images whose unit vectors are equal, bit for bit.

    Args:
        images: those that have an equal one.
        groups: of images that are equal.
        across: groups that hold more than one class.
    """

    images: int
    groups: int
    across: int


def duplicates(vectors: Floats, labels: Ints) -> Duplicates:
    """Find the (N, D) rows that are equal.

    Example:
        >>> duplicates(np.float32([[1, 0], [1, 0], [0, 1]]), np.array([4, 7, 7]))
        Duplicates(images=2, groups=1, across=1)
    """
    _, which, many = np.unique(
        vectors + np.float32(0), axis=0, return_inverse=True, return_counts=True
    )
    pairs = np.unique(np.stack([which.reshape(-1), labels]), axis=1)
    classes = np.bincount(pairs[0], minlength=len(many))
    return Duplicates(int(many[many > 1].sum()), int((many > 1).sum()), int((classes > 1).sum()))


def rows_in_both(query: Embeddings, gallery: Embeddings) -> int:
    """Count the queries whose unit vector is a row of the gallery too, bit for bit.

    Few bytes a row are kept, and vectors that stay in a file stay there.

    Example:
        >>> few = Embeddings(np.eye(3)[:1], np.arange(1))
        >>> rows_in_both(few, Embeddings(np.eye(3), np.arange(3)))
        1
    """
    marks, others = _marks(query.vectors), _marks(gallery.vectors)
    order = np.argsort(others, kind="stable")
    others = others[order]
    first, last = (np.searchsorted(others, marks, side) for side in ("left", "right"))
    return sum(
        any(
            np.array_equal(query.vectors[row], gallery.vectors[at])
            for at in order[first[row] : last[row]]
        )
        for row in np.flatnonzero(last > first)
    )


def _marks(vectors: Floats) -> npt.NDArray[np.uint64]:
    """Return (N,) numbers that are equal for equal rows, and seldom for others."""
    weights = np.random.default_rng(0).integers(2**63, size=vectors.shape[1], dtype=np.uint64)
    step = max(1, ROOM // vectors.shape[1])
    parts = (vectors[i : i + step] + np.float32(0) for i in range(0, len(vectors), step))
    return np.concatenate([part.view(np.uint32).astype(np.uint64) @ weights for part in parts])


@dataclass(frozen=True)
class NearDuplicates:
    """Queries with another image whose cosine is above a threshold.

    Args:
        threshold: of the cosine.
        queries: those that have one.
        within: those that have one of their own class.
        across: those that have one of another class.
    """

    threshold: float
    queries: int
    within: int
    across: int


def near_duplicates(
    query: Embeddings, gallery: Embeddings, ranking: Ranking, threshold: float = 0.999
) -> NearDuplicates:
    """Find the queries with a gallery item nearer than `threshold`; exact duplicates are among it.

    Args:
        query: Q embeddings; the same object as `gallery` means leave one out.
        gallery: G embeddings.
        ranking: of these two; only the nearest is looked at.
        threshold: a cosine.
    """
    some = np.flatnonzero(ranking.scores[:, 0] >= np.float32(threshold))
    every, own = np.zeros(len(some), np.int64), np.zeros(len(some), np.int64)
    at = np.full(len(some), threshold)
    if len(some):
        itself = cosines(query.vectors[some], query.vectors[some]) > threshold
        left_out = itself.astype(np.int64) * ranking.leave_one_out
        every = levels(query.vectors[some], gallery.vectors, at)[0] - left_out
        for label in np.unique(query.labels[some]):
            here = np.flatnonzero(query.labels[some] == label)
            mates = gallery.vectors[gallery.labels == label]
            if len(mates):
                own[here] = levels(query.vectors[some[here]], mates, at[here])[0] - left_out[here]
    return NearDuplicates(
        threshold, int((every > 0).sum()), int((own > 0).sum()), int((every > own).sum())
    )
