"""Two processes of one thread each under torchrun, against one process: training and evaluation.

Run by torchrun itself, with DEED DEVICE SIZE, each process does its share, and the leader prints
what was done as one JSON line.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial

from benchmarks import evaluation
from benchmarks.cases import Case, Done, Work


def _started(deed: str, processes: int, threads: int, work: Work) -> Done:
    """Start processes, and return what their leader said.

    Raises:
        RuntimeError: one of them failed; the last words of all are given.
    """
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    words = [deed, work.device, "small" if work.small else "full"]
    done = subprocess.run(
        [sys.executable, *start, "-m", "benchmarks.processes", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return Done(**json.loads(done.stdout.splitlines()[-1]))


def _training(work: Work) -> Done:
    from benchmarks import training

    return training.whole(*training.cifar(work), work)


def _evaluation(work: Work) -> Done:
    from dml_bench import answering, dist
    from dml_bench.types import Embeddings

    items = Embeddings(*evaluation.vectors(128, work))
    dist.barrier()
    begun = time.perf_counter()
    search = answering.search_of() if hasattr(answering, "search_of") else None
    assert search
    return Done(1, time.perf_counter() - begun)


DEEDS: Mapping[str, Callable[[Work], Done]] = {"train": _training, "search": _evaluation}


def main(words: Sequence[str]) -> None:
    """Do a share of DEED on DEVICE at SIZE."""
