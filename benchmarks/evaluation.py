"""The whole table of a set of Stanford Online Products' size, against two numbers of the peer's."""

import time
from functools import partial

import dml_bench
from benchmarks import pictures
from benchmarks.cases import Case, Done, Work
from dml_bench.types import Floats, Ints

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


CASES = tuple(
    Case(
        f"evaluate-{dim}",
        f"{N:,} images in {CLASSES:,} classes, D = {dim}: Recall@1/10/100/1000, R-Precision, MAP@R,"
        " and NMI, AMI over three k-means",
        "",
        "AccuracyCalculator of pytorch-metric-learning: Precision@1, and NMI of one k-means",
        1,
        partial(_ours, dim),
        partial(_theirs, dim),
        room=0.2,
    )
    for dim in (128, 512)
)
