"""The whole table of a set of Stanford Online Products' size, against two numbers of the peer's."""

import time
from functools import partial

import numpy as np

import dml_bench
from benchmarks import pictures
from benchmarks.cases import Case, Done, Work

N, CLASSES = 60_502, 11_316
RECALL_AT = (1, 10, 100, 1000)


def _ours(dim: int, work: Work) -> Done:
    n, classes = (3000, 600) if work.small else (N, CLASSES)
    vectors, labels = pictures.clustered(n, classes, dim)
    begun = time.perf_counter()
    dml_bench.score(vectors, labels, k=RECALL_AT)
    return Done(1, time.perf_counter() - begun)


def _theirs(dim: int, work: Work) -> Done:
    import torch
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    n, classes = (3000, 600) if work.small else (N, CLASSES)
    vectors, labels = pictures.clustered(n, classes, dim)
    begun = time.perf_counter()
    judge = AccuracyCalculator(
        include=("precision_at_1", "NMI"), k=1, device=torch.device(work.device)
    )
    judge.get_accuracy(torch.from_numpy(vectors), torch.from_numpy(labels.astype(np.int64)))
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
