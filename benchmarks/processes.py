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

    return training.whole(*training.letters(work), work)


def _evaluation(work: Work) -> Done:
    from dml_bench import answering, dist
    from dml_bench.types import Embeddings

    items = Embeddings(*evaluation.vectors(128, work))
    dist.barrier()
    begun = time.perf_counter()
    answering.answered(items, items, NAMES, work.device)
    return Done(1, time.perf_counter() - begun)


NAMES = (*(f"recall@{k}" for k in evaluation.RECALL_AT), "r_precision", "map@r")
DEEDS: Mapping[str, Callable[[Work], Done]] = {"train": _training, "evaluate": _evaluation}
TITLES = {
    "train": ("conv4 at 32 px, 256 images in 2 views, affine: an epoch", "images"),
    "evaluate": (
        f"{evaluation.N:,} images, D = 128: Recall@1/10/100/1000, R-Precision, MAP@R",
        "",
    ),
}
PEERS = {1: "one process of one thread", 2: "one process of two threads"}
CASES = tuple(
    Case(
        f"{deed}-processes-{threads}",
        f"{title}; two processes of one thread",
        unit,
        peer,
        1.5 if threads == 1 else 0,
        partial(_started, deed, 2, 1),
        partial(_started, deed, 1, threads),
    )
    for deed, (title, unit) in TITLES.items()
    for threads, peer in PEERS.items()
)


def main(words: Sequence[str]) -> None:
    """Do this process's share of DEED on DEVICE at SIZE."""
    from dml_bench import dist, endings

    deed, device, size = words
    dist.begin(device)
    done = DEEDS[deed](Work(size == "small", device))
    dist.barrier()
    if dist.leader():
        print(json.dumps(asdict(done)), flush=True)
    endings.leave(0)  # taking the group down can abort a process that is done


if __name__ == "__main__":
    main(sys.argv[1:])
