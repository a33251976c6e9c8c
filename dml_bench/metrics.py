"""Metrics: functions of a Ranking or a Clustering; their names are those of `metric_table`.

Which are fractions, `spread.is_fraction` says. Means are rounded once (`math.fsum`): the order of
the queries changes no bit.
"""

import math
from collections.abc import Callable

from dml_bench.agreement import Agreement
from dml_bench.answers import average_precisions, r_precisions, recalls
from dml_bench.types import Clustering, Ranking

CONVENTIONS = "1"
"""Raised whenever a metric of the same name may give another number; tables never mix two."""


def recall_at_k(ranking: Ranking, k: int) -> float:
    """Share of the queries that have one or more of their class among their `k` nearest.

    Queries with R = 0 have no right answer and are left out. `k` beyond the gallery asks for all
    of it. With k = 1 it is also known as P@1.

    Raises:
        MetricError: fewer neighbours kept than that, or no query with a right answer.

    Example:
        >>> import numpy as np
        >>> from dml_bench.neighbours import rank
        >>> from dml_bench.types import Embeddings
        >>> photos = Embeddings(np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]), np.array([4, 4, 7]))
        >>> recall_at_k(rank(photos, photos, k=2), k=1)
        1.0

    Source:
        Jégou, Douze and Schmid (TPAMI 2011) for the name; as used by Song et al. (CVPR 2016).
    """
    return recalls(ranking, k).mean()


def r_precision(ranking: Ranking) -> float:
    """Mean over queries of the share of the R nearest that are of the query's class.

    R is the number of gallery items of the query's class. Queries with R = 0 are left out.

    Raises:
        MetricError: some query has more relevant items than neighbours kept, or none has any.

    Source:
        Musgrave et al., "A Metric Learning Reality Check" (ECCV 2020), section 3.2.
    """
    return r_precisions(ranking).mean()


def map_at_r(ranking: Ranking) -> float:
    """Mean over queries of the average precision within the query's R nearest.

    R is the number of gallery items of the query's class, so every query is cut at its own depth.
    Queries with R = 0 have no right answer and are left out.

    Raises:
        MetricError: some query has more relevant items than neighbours kept, or none has any.

    Source:
        Musgrave et al., "A Metric Learning Reality Check" (ECCV 2020), section 3.2.
    """
    return average_precisions(ranking).mean()


def unanswerable(ranking: Ranking) -> int:
    """Return how many queries have R = 0: no other image of their class is in the gallery."""
    return int((ranking.n_relevant == 0).sum())


def nmi(clustering: Clustering) -> float:
    """Mutual information of clusters and classes over the arithmetic mean of their entropies.

    Grows with the number of clusters, whatever the vectors: read it beside `nmi_chance` and `ami`.
    The mean over the clustering's seeds, as for the three below.

    Source:
        Manning, Raghavan and Schütze, "Introduction to Information Retrieval" (2008), section
        16.3; scikit-learn's default from 0.22 on.
    """
    return _over_seeds(clustering, lambda found: found.arithmetic)


def nmi_geometric(clustering: Clustering) -> float:
    """Mutual information over the geometric mean of the entropies.

    Source:
        Strehl and Ghosh (JMLR 2002); scikit-learn's default before 0.22, and so the
        NMI of the InvaSpread code.
    """
    return _over_seeds(clustering, lambda found: found.geometric)


def nmi_chance(clustering: Clustering) -> float:
    """What `nmi` would be if the same clusters had been filled at random.

    The exact mean over all permutations of the assignment, not an estimate from a few of them.

    Source:
        Vinh, Epps and Bailey (JMLR 2010), over the mean of the entropies.
    """
    return _over_seeds(clustering, lambda found: found.by_chance)


def ami(clustering: Clustering) -> float:
    """Mutual information adjusted for chance: 0 on average for random clusters, 1 for the classes.

    Source:
        Vinh, Epps and Bailey (JMLR 2010); with the arithmetic mean of the entropies.
    """
    return _over_seeds(clustering, lambda found: found.adjusted)


def _over_seeds(clustering: Clustering, measure: Callable[[Agreement], float]) -> float:
    """Return the mean of `measure` over the S repetitions."""
    values = [measure(Agreement(clustering.labels, row)) for row in clustering.assignments]
    return math.fsum(values) / len(values)
