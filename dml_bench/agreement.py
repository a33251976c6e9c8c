"""How much two partitions of the same images tell of each other.

Every sum is rounded once (`math.fsum`), so the order of the images, the numbers of the classes and
the numbers of the clusters do not reach the last bit; scikit-learn's do.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dml_bench.types import Ints


@dataclass(frozen=True, eq=False)
class Agreement:
    """A partition of N images into classes, beside one into clusters.

    Args:
        classes: (N,) integers.
        clusters: (N,) integers.

    Example:
        >>> Agreement(np.array([7, 7, 9, 9]), np.array([1, 1, 0, 0])).arithmetic
        1.0
    """

    classes: Ints
    clusters: Ints

    @cached_property
    def counts(self) -> tuple[Ints, Ints, Ints]:
        """(cells,) the images that a class and a cluster share, and the sizes of those two."""
        _, classes, sizes = np.unique(self.classes, return_inverse=True, return_counts=True)
        _, clusters, heaps = np.unique(self.clusters, return_inverse=True, return_counts=True)
        cells, shared = np.unique(classes * len(heaps) + clusters, return_counts=True)
        return shared, sizes[cells // len(heaps)], heaps[cells % len(heaps)]

    @cached_property
    def mutual(self) -> float:
        """The mutual information in nats, 0 or more."""
        shared, sizes, heaps = self.counts
        n = len(self.classes)
        found = math.fsum(shared / n * np.log(n * shared / (sizes * heaps)))
        return min(max(0.0, found), *self.entropies)

    @cached_property
    def entropies(self) -> tuple[float, float]:
        """The entropy of the classes and that of the clusters, in nats."""
        return _entropy(self.classes), _entropy(self.clusters)

    @cached_property
    def expected(self) -> float:
        """The mean mutual information over all permutations of the images, in nats.

        Equal sizes are summed once, which makes it cheap for thousands of small classes.

        Source:
            Vinh, Epps and Bailey (JMLR 2010).
        """
        n = len(self.classes)
        log_factorial = np.array([math.lgamma(i + 1) for i in range(n + 1)])
        terms = [
            many * more * _pair(size, heap, n, log_factorial)
            for size, many in _sizes(self.classes)
            for heap, more in _sizes(self.clusters)
        ]
        return min(math.fsum(terms), *self.entropies)

    @property
    def arithmetic(self) -> float:
        """Mutual information over the mean of the entropies; 1 where there is but one group."""
        mean = sum(self.entropies) / 2
        return self.mutual / mean if mean else 1.0

    @property
    def geometric(self) -> float:
        """Mutual information over the root of the product of the entropies."""
        product = self.entropies[0] * self.entropies[1]
        if not product:
            return float(sum(self.entropies) == 0)
        return self.mutual / math.sqrt(product)

    @property
    def by_chance(self) -> float:
        """The mean of `arithmetic` over all permutations of the images."""
        mean = sum(self.entropies) / 2
        return self.expected / mean if mean else 1.0

    @property
    def adjusted(self) -> float:
        """Mutual information above chance, over the most that it can be above chance."""
        mean = sum(self.entropies) / 2
        if self.mutual == mean:
            return 1.0
        return (self.mutual - self.expected) / (mean - self.expected)


def _sizes(groups: Ints) -> list[tuple[int, int]]:
    """Return each size that a group has, and how many groups have it."""
    sizes, many = np.unique(np.unique(groups, return_counts=True)[1], return_counts=True)
    return list(zip(sizes.tolist(), many.tolist(), strict=True))


def _entropy(groups: Ints) -> float:
    sizes = np.unique(groups, return_counts=True)[1]
    return math.fsum(sizes / len(groups) * np.log(len(groups) * sizes / (sizes * sizes)))


def _pair(size: int, heap: int, n: int, log_factorial: npt.NDArray[np.float64]) -> float:
    """Return the share of one class and one cluster: the hypergeometric mean of a cell's term."""
    shared = np.arange(max(1, size + heap - n), min(size, heap) + 1)
    f = log_factorial
    fixed = f[size] + f[heap] + f[n - size] + f[n - heap] - f[n]
    free = f[shared] + f[size - shared] + f[heap - shared] + f[n - size - heap + shared]
    return math.fsum(shared / n * np.log(n * shared / (size * heap)) * np.exp(fixed - free))
