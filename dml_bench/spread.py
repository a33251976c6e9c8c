"""How far images of one class lie apart, and how evenly all lie: distances, not fractions.

Both are smaller where vectors lie better: alignment is 0 where every class is one point,
uniformity falls as the points fill the sphere.
"""

import math
import re
from collections.abc import Mapping

import numpy as np

from dml_bench.errors import MetricError
from dml_bench.plugins import is_plugin
from dml_bench.types import Embeddings

DISTANCES = ("alignment", "uniformity")
"""Names of metrics that are shown as they are, not in per cent."""
BEHIND = re.compile(r"(@\d+)?( \([^()]*\))*$")
"""What may stand behind a metric's name: its k, and what a column of a table is of it."""
T = 2.0
STEP = 256  # rows of a block
DECIMALS = 10  # what is beyond them hangs on the order of the rows and on the threads


def is_fraction(name: str) -> bool:
    """Whether a metric is shown in per cent: all are but `DISTANCES`, and what a user brings.

    What a function of the user's returns may be anything, and is shown as it is.

    Args:
        name: of a metric, or of a column of it.

    Example:
        >>> [is_fraction(name) for name in ("recall@1 (95 %)", "alignment (95 %)", "my.py:mrr@10")]
        [True, False, False]
    """
    bare = BEHIND.sub("", name)
    return bare not in DISTANCES and not is_plugin(bare)


def alignment(images: Embeddings) -> float:
    """Mean squared distance between two images of one class, over all such pairs (alpha = 2).

    By class from the sum of its vectors, so that no pair is looked at: exact, in float64.

    Raises:
        MetricError: no class has two images.

    Example:
        >>> alignment(Embeddings(np.array([[1.0, 0], [0, 1], [1, 0]]), np.array([4, 4, 7])))
        2.0

    Source:
        Wang and Isola, "Understanding Contrastive Representation Learning through Alignment and
        Uniformity on the Hypersphere" (ICML 2020), equation 3.

    Differs from the source:
        Its positive pairs are two views of an image; here they are two test images of a class.
    """
    _, classes, sizes = np.unique(images.labels, return_inverse=True, return_counts=True)
    pairs = int((sizes * (sizes - 1)).sum())
    if not pairs:
        raise MetricError(
            "alignment: expected a class with two images, found none; give labels that repeat"
        )
    total = 0.0
    for number in np.flatnonzero(sizes > 1):
        rows = images.vectors[classes == number].astype(np.float64)
        middle = rows.mean(axis=0)  # apart from it, nothing large is subtracted
        total += 2 * len(rows) * float(np.square(rows - middle).sum())
    return round(total / pairs, DECIMALS)


def uniformity(images: Embeddings) -> float:
    """Logarithm of the mean of exp(-2 d^2) over all pairs of images, d their distance (t = 2).

    In blocks of rows: no table of all pairs is held.

    Raises:
        MetricError: there is one image.

    Example:
        >>> uniformity(Embeddings(np.array([[1.0, 0], [-1, 0]]), np.array([4, 7])))
        -8.0

    Source:
        Wang and Isola (ICML 2020), equation 4.
    """
    n = len(images)
    if n < 2:
        raise MetricError("uniformity: expected two images or more, found one; give more")
    vectors = images.vectors
    total = 0.0
    for start in range(0, n, STEP):
        rows = vectors[start : start + STEP].astype(np.float64)
        for other in range(start, n, STEP):
            more = vectors[other : other + STEP].astype(np.float64)
            total += _kernels(rows, more, same=other == start)
    return round(math.log(total / (n * (n - 1) / 2)), DECIMALS)


def spread(images: Embeddings) -> Mapping[str, float]:
    """Return what of `DISTANCES` can be said of images; nothing raises."""
    found = {}
    for name, measure in zip(DISTANCES, (alignment, uniformity), strict=True):
        try:
            found[name] = measure(images)
        except MetricError:  # a class of one image each, say
            continue
    return found


def _kernels(rows: np.ndarray, more: np.ndarray, *, same: bool) -> float:
    """Return the sum of exp(-T d^2) over the pairs of two blocks, each pair once."""
    apart = np.square(rows).sum(1)[:, None] + np.square(more).sum(1) - 2 * rows @ more.T
    found = np.exp(-T * np.maximum(apart, 0))
    return float(np.triu(found, 1).sum() if same else found.sum())
