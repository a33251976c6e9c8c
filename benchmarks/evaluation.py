"""The whole table of a set of Stanford Online Products' size, against two numbers of the peer's.

And what makes it fast, each against the same without it; the answers are the same to the last bit.
"""

import time
from functools import partial

import dml_bench
from benchmarks import pictures
from benchmarks.cases import Case, Done, Work
from dml_bench import centres, clusters, halves, neighbours, search
from dml_bench.types import Embeddings, Floats, Ints

N, CLASSES = 60_502, 11_316
RECALL_AT = (1, 10, 100, 1000)


def vectors(dim: int, work: Work) -> tuple[Floats, Ints]:
    """Return (N, D) float32 unit rows and (N,) int64 labels of the set's size."""
    n, classes = (3000, 600) if work.small else (N, CLASSES)
    return pictures.clustered(n, classes, dim)


def _ours(dim: int, work: Work) -> Done:
    rows, labels = vectors(dim, work)
    begun = time.perf_counter()
    dml_bench.score(rows, labels, k=RECALL_AT, device=work.device)
    return Done(1, time.perf_counter() - begun)


def _theirs(dim: int, work: Work) -> Done:
    import torch
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    rows, labels = vectors(dim, work)
    begun = time.perf_counter()
    judge = AccuracyCalculator(
        include=("precision_at_1", "NMI"), k=1, device=torch.device(work.device)
    )
    judge.get_accuracy(torch.from_numpy(rows), torch.from_numpy(labels))
    return Done(1, time.perf_counter() - begun)


def _ranked(work: Work, in_halves: bool) -> Done:
    """Search the 101 nearest of each, candidates chosen by products in bfloat16 or in float32."""
    import torch  # noqa: F401  # imported before the clock, whoever needs it

    items = Embeddings(*vectors(128, work))
    if not in_halves:
        search.able = lambda: False
    begun = time.perf_counter()
    neighbours.rank(items, items, 101)
    return Done(1, time.perf_counter() - begun)


def _clustered(work: Work, all_look: bool) -> Done:
    """Cluster into as many as there are classes; with `all_look` as Lloyd wrote it."""
    items = Embeddings(*vectors(128, work))
    if all_look:
        centres.MANY = -1.0
    begun = time.perf_counter()
    clusters.kmeans(items, len(set(items.labels.tolist())), seeds=[0])
    return Done(1, time.perf_counter() - begun)


def _no_halves(device: str) -> str:
    """Return why products in bfloat16 are no question here; "" where they are one."""
    return "" if device == "cpu" and halves.able() else "no processor with bfloat16 searches here"


CASES = (
    *tuple(
        Case(
            f"evaluate-{dim}",
            f"{N:,} images in {CLASSES:,} classes, D = {dim}: Recall@1/10/100/1000, R-Precision,"
            " MAP@R, and NMI, AMI over three k-means",
            "",
            "AccuracyCalculator of pytorch-metric-learning: Precision@1, and NMI of one k-means",
            1,
            partial(_ours, dim),
            partial(_theirs, dim),
            room=0.2,
        )
        for dim in (128, 512)
    ),
    Case(
        "search-halves",
        f"the 101 nearest of {N:,} images, D = 128, candidates by products in bfloat16",
        "",
        "the same search with products in float32",
        1,
        lambda work: _ranked(work, True),
        lambda work: _ranked(work, False),
        unable=_no_halves,
    ),
    Case(
        "kmeans-bounds",
        f"one k-means of {N:,} images, D = 128: who cannot have moved is not asked",
        "",
        "the same, all points compared with all centres each time",
        1,
        lambda work: _clustered(work, False),
        lambda work: _clustered(work, True),
    ),
)
