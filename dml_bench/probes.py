"""Classifiers on frozen vectors, for the protocols whose test classes training has seen."""

import numpy as np
import numpy.typing as npt

from dml_bench.errors import MetricError
from dml_bench.neighbours import by_id, most, rank
from dml_bench.progress import Bar
from dml_bench.types import Embeddings, Ints, Ranking


def weighted_knn(
    query: Embeddings, gallery: Embeddings, *, k: int = 200, sigma: float = 0.1
) -> float:
    """Search, then let the neighbours vote: `weighted_vote` of a ranking `k` deep.

    Args:
        query: Q embeddings; the same object as `gallery` means leave one out.
        gallery: G embeddings with the labels that vote.
        k: neighbours that vote; the whole gallery, where it has fewer.
        sigma: divides the cosine; smaller lets the nearest decide.

    Returns:
        The share of the queries whose class wins.

    Raises:
        MetricError: `k` is less than 1, or there is nothing to search.

    Example:
        >>> train = Embeddings(np.array([[1.0, 0], [0, 1]]), np.array([4, 7]))
        >>> weighted_knn(Embeddings(np.array([[3.0, 1]]), np.array([4])), train)
        1.0
    """
    there = max(1, len(gallery) - (query is gallery))
    return weighted_vote(rank(query, gallery, min(k, there)), k=k, sigma=sigma)


def weighted_vote(ranking: Ranking, k: int = 200, sigma: float = 0.1) -> float:
    """Return the share of queries whose class wins the vote of their `k` nearest.

    A neighbour's vote weighs exp(cosine / sigma). Classes with equal votes: the one whose member
    is nearest wins. Where the gallery has fewer than `k` items, all of them vote. A query whose
    class is not in the gallery counts as wrong.

    Raises:
        MetricError: the ranking is shallower than `k` and the gallery has more.

    Source:
        Wu et al. (CVPR 2018), section 3.4; k = 200, sigma = 0.1 as in Ye et al. (CVPR 2019).

    Differs from the source:
        Says what becomes of equal votes; the authors' sort leaves it open.
    """
    return float(np.mean(voted_right(ranking, k, sigma)))


def voted_right(ranking: Ranking, k: int = 200, sigma: float = 0.1) -> npt.NDArray[np.bool_]:
    """Return (Q,) whether each query's class wins the vote that `weighted_vote` counts.

    Raises:
        MetricError: as there.
    """
    depth = min(k, most(ranking))
    if ranking.depth < depth or k < 1:
        raise MetricError(
            f"expected a ranking {max(depth, 1)} deep for knn@{k}, found {ranking.depth};"
            f" rank with k={max(depth, 1)}"
        )
    scores = ranking.scores[:, :depth].astype(np.float64)
    votes = np.exp((scores - scores[:, :1]) / sigma)  # less the best: a small sigma stays finite
    classes = ranking.gallery_labels[ranking.ids[:, :depth]]
    won = [_winner(row, weights) for row, weights in zip(classes, votes, strict=True)]
    right: npt.NDArray[np.bool_] = np.array(won) == ranking.query_labels
    return right


def _winner(classes: Ints, votes: npt.NDArray[np.float64]) -> int:
    """Return the class with the most votes among (K,) neighbours, nearest first."""
    known, first, which = np.unique(classes, return_index=True, return_inverse=True)
    sums = np.bincount(which, votes)
    level = np.flatnonzero(sums == sums.max())
    return int(known[level[first[level].argmin()]])


def linear_probe(train: Embeddings, test: Embeddings, *, seed: int = 0) -> float:
    """Fit a multinomial logistic regression on `train`, return its accuracy on `test`.

    The unit vectors are standardised (mean and deviation of `train`, each dimension); the
    regression is scikit-learn's, L2 with C = 1, L-BFGS of at most 1,000 rounds, on one thread and
    in the order of the ids, so that threads and shuffled rows change nothing.

    Args:
        train: N embeddings of two classes at least.
        test: Q embeddings.
        seed: handed to the solver.

    Raises:
        MetricError: `train` has one class only, or another dimension than `test`.

    Source:
        Ye et al. (CVPR 2019), the "linear classifier" column of the seen-class tables.

    Differs from the source:
        The paper trains an SVM whose C, features and scaling it does not give.
    """
    return float(np.mean(probed_right(train, test, seed=seed)))


def probed_right(train: Embeddings, test: Embeddings, *, seed: int = 0) -> npt.NDArray[np.bool_]:
    """Return (Q,) whether the classifier of `linear_probe` is right about each of `test`.

    Raises:
        MetricError: as there.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    order = by_id(train)
    numbers = _numbers(train.labels[order])
    if train.vectors.shape[1] != test.vectors.shape[1] or len(numbers) < 2:
        raise MetricError(
            "expected two classes and one dimension for a linear probe, found"
            f" {len(numbers)} classes, D = {train.vectors.shape[1]} and {test.vectors.shape[1]};"
            " train it on labelled vectors of the same model"
        )
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, random_state=seed))
    targets = [numbers[label] for label in train.labels[order].tolist()]
    with threadpool_limits(1), Bar("fitting the linear probe", 1) as bar:
        model.fit(train.vectors[order].astype(np.float64), targets)
        guessed = model.predict(test.vectors.astype(np.float64))
        bar.advance()
    wanted = np.array([numbers.get(label, -1) for label in test.labels.tolist()])
    right: npt.NDArray[np.bool_] = guessed == wanted
    return right


def _numbers(labels: Ints) -> dict[int, int]:
    """Number the classes in the order in which they occur, so that their names do not matter."""
    return {label: number for number, label in enumerate(dict.fromkeys(labels.tolist()))}
