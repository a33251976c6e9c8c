"""Who says what a metric is: the definition in slow loops, this package, and three libraries."""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from itertools import permutations

import numpy as np
import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from sklearn import metrics as sklearn_metrics
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from torchmetrics import clustering as torch_clustering
from torchmetrics import retrieval

from dml_bench import metrics, score
from dml_bench.types import Clustering

Array = np.ndarray
Judge = Callable[[Array, Array, Array], float]
CLUSTERED = {
    "nmi": metrics.nmi,
    "nmi_geometric": metrics.nmi_geometric,
    "nmi_chance": metrics.nmi_chance,
    "ami": metrics.ami,
}


# The definition, in slow loops


def by_definition(name: str) -> Judge:
    """Cosine in float64, the own image left out by its row, order by score, then by id."""
    if name in CLUSTERED:
        return clusters_by_definition(name)

    def compute(rows: Array, labels: Array, ids: Array) -> float:
        each = []
        for q in range(len(rows)):
            others = [g for g in range(len(rows)) if g != q]
            found = sorted((-cosine(rows[q], rows[g]), ids[g], g) for g in others)
            right = [bool(labels[g] == labels[q]) for _, _, g in found]
            if any(right):
                each.append(of_one_query(name, right))
        return sum(each) / len(each)

    return compute


def cosine(first: Array, second: Array) -> float:
    a, b = first.astype(float).tolist(), second.astype(float).tolist()
    if not all(map(math.isfinite, [*a, *b])):
        raise ValueError("a cosine of what is no number")
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def of_one_query(name: str, right: list[bool]) -> float:
    relevant = sum(right)
    if name.startswith("recall@"):
        return float(any(right[: int(name[7:])]))
    places = [place for place in range(1, relevant + 1) if right[place - 1]]
    if name == "r_precision":
        return len(places) / relevant
    return sum(n / place for n, place in enumerate(places, start=1)) / relevant


def clusters_by_definition(name: str) -> Judge:
    """From counts; the chance of "ami" and "nmi_chance" from every order of the clusters."""

    def compute(rows: Array, labels: Array, _ids: Array) -> float:
        classes, clusters = labels.tolist(), rows[:, 0].tolist()
        shared, ends = mutual(classes, clusters), (entropy(classes), entropy(clusters))
        mean = sum(ends) / 2
        if name == "nmi_geometric":
            return shared / math.sqrt(ends[0] * ends[1]) if ends[0] * ends[1] else float(not mean)
        if not mean:
            return 1.0
        every = [mutual(classes, order) for order in permutations(clusters)]
        chance = sum(every) / len(every)
        if name == "ami":
            return 1.0 if shared == mean else (shared - chance) / (mean - chance)
        return (shared if name == "nmi" else chance) / mean

    return compute


def mutual(first: Sequence[float], second: Sequence[float]) -> float:
    return entropy(first) + entropy(second) - entropy(list(zip(first, second, strict=True)))


def entropy(groups: Sequence[Hashable]) -> float:
    sizes = Counter(groups).values()
    return math.log(len(groups)) - sum(m * math.log(m) for m in sizes) / len(groups)


# This package, and the libraries


def ours(name: str) -> Judge:
    if name in CLUSTERED:
        return lambda rows, labels, _: CLUSTERED[name](Clustering(rows.T.astype(int), labels))
    return lambda rows, labels, ids: score(rows, labels, ids=ids, metrics=[name])["metrics"][name]


def pml(name: str, *, itself: bool = False) -> Judge:
    """AccuracyCalculator; `itself` gives the queries as a reference that does not hold them."""

    def compute(rows: Array, labels: Array, _ids: Array) -> float:
        judge = AccuracyCalculator((name,), k="max_bin_count", device=torch.device("cpu"))
        side = torch.from_numpy(rows), torch.from_numpy(labels)
        return judge.get_accuracy(*side, *(side if itself else ()))[name]

    return compute


def torchmetrics(judge: torch.nn.Module) -> Judge:
    """A retrieval metric of all pairs but those of an image with itself."""

    def compute(rows: Array, labels: Array, _ids: Array) -> float:
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        pairs = torch.from_numpy(~np.eye(len(rows), dtype=bool))
        query = torch.arange(len(rows))[:, None].expand(len(rows), len(rows))
        same = torch.from_numpy(labels[:, None] == labels)
        judge.reset()
        return judge(torch.from_numpy(unit @ unit.T)[pairs], same[pairs], query[pairs]).item()

    return compute


def neighbours(k: int) -> Judge:
    """NearestNeighbors asked without queries, which leaves each row out of its own answer."""

    def compute(rows: Array, labels: Array, _ids: Array) -> float:
        search = NearestNeighbors(n_neighbors=k, metric="cosine").fit(rows)
        found = search.kneighbors(return_distance=False)
        return (labels[found] == labels[:, None]).any(axis=1).mean()

    return compute


def classifier(rows: Array, labels: Array, _ids: Array) -> float:
    return KNeighborsClassifier(1, metric="cosine").fit(rows, labels).score(rows, labels)


def average_precision(rows: Array, labels: Array, _ids: Array) -> float:
    """average_precision_score of each query over all others, and their mean."""
    similar = sklearn_metrics.pairwise.cosine_similarity(rows)
    each = []
    for q in range(len(rows)):
        others = np.arange(len(rows)) != q
        each.append(
            sklearn_metrics.average_precision_score(labels[others] == labels[q], similar[q, others])
        )
    return float(np.mean(each))


def first_dropped(rows: Array, labels: Array, _ids: Array) -> float:
    """What many released scripts do: sort all, drop the first column, look at the second."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    second = np.argsort(-(unit @ unit.T), axis=1, kind="stable")[:, 1]
    return float((labels[second] == labels).mean())


def lone_count_as_wrong(rows: Array, labels: Array, ids: Array) -> float:
    """Recall@1 with a place in the mean for queries that have no right answer."""
    answerable = (labels[:, None] == labels).sum(axis=1) > 1
    return ours("recall@1")(rows, labels, ids) * answerable.mean()


def divided_by_the_class(rows: Array, labels: Array, _ids: Array) -> float:
    """The hits among the other R over R + 1: the class with the query itself in it."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    order = np.argsort(-(unit @ unit.T), axis=1, kind="stable")[:, 1:]
    each = []
    for q, found in enumerate(order):
        size = (labels == labels[q]).sum()
        each.append((labels[found[: size - 1]] == labels[q]).sum() / size)
    return float(np.mean(each))


def clusters(tool: str, name: str) -> Judge:
    """What a library says of clusters (N, 1) and classes (N,)."""
    average = "geometric" if name == "nmi_geometric" else "arithmetic"
    adjusted = name == "ami"

    def compute(rows: Array, labels: Array, _ids: Array) -> float:
        found = rows[:, 0].astype(int)
        if tool == "scikit-learn":
            kind = "adjusted" if adjusted else "normalized"
            judge = getattr(sklearn_metrics, f"{kind}_mutual_info_score")
            return judge(labels, found, average_method=average)
        pair = torch.from_numpy(found), torch.from_numpy(labels)
        if tool == "torchmetrics":
            kind = "Adjusted" if adjusted else "Normalized"
            judge = getattr(torch_clustering, f"{kind}MutualInfoScore")(average_method=average)
            return judge(*pair).item()
        inner = AccuracyCalculator((name.upper(),), kmeans_func=lambda *_: pair[0])
        return inner.get_accuracy(torch.eye(len(found)), pair[1])[name.upper()]

    return compute


def nearest(k: int) -> dict[str, Judge]:
    """What each library calls, or can be made to call, Recall@K as papers have it."""
    judges = {"torchmetrics": torchmetrics(retrieval.RetrievalHitRate(top_k=k))}
    judges["scikit-learn"] = neighbours(k)
    return judges | ({"pytorch-metric-learning": pml("precision_at_1")} if k == 1 else {})


def of_clusters(name: str, *tools: str) -> dict[str, Judge]:
    return {tool: clusters(tool, name) for tool in tools}
