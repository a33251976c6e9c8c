"""`python -m benchmarks.profile`: where the time of a training epoch and of an evaluation goes.

python -m benchmarks.profile                   both, on the processor; kept beside the table
python -m benchmarks.profile --device cuda     on an accelerator
"""

import argparse
import cProfile
import pstats
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

import dml_bench
from benchmarks import evaluation, tables, training
from benchmarks.__main__ import HERE
from benchmarks.cases import Work
from dml_bench import augment, halves, search
from dml_bench.atomic import atomic_write
from dml_bench.environment import device_of, environment

ROWS = 15
Row = tuple[str, float, int]  # what, seconds of its own, calls


def of_training(work: Work) -> list[Row]:
    """Return operations by the time that they take themselves, over two epochs.

    Torch's are told by its profiler; what makes views with NumPy is one more, `augmentation`.
    """
    from torch.profiler import ProfilerActivity, profile, record_function

    kinds = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * (work.device == "cuda")]
    recipe, data = training.cifar(work)
    seen = augment.apply

    def named(*given: Any) -> Tensor:
        with record_function("augmentation"):
            return seen(*given)

    with profile(activities=kinds) as watched, patch.object(augment, "apply", named):
        training.whole(recipe, data, work)
    own = "self_device_time_total" if work.device == "cuda" else "self_cpu_time_total"
    return [(e.key, getattr(e, own) / 1e6, e.count) for e in watched.key_averages()]


def of_evaluation(work: Work) -> list[Row]:
    """Return functions by the time that they take themselves, over one table of D = 128.

    What goes to threads is done in turn where it is asked for, for a profiler watches one thread.
    """
    vectors, labels = evaluation.vectors(128, work)
    watched = cProfile.Profile()
    with ExitStack() as stack:
        for module in (search, halves):
            stack.enter_context(patch.object(module, "ThreadPoolExecutor", Here))
        watched.runcall(dml_bench.score, vectors, labels, k=evaluation.RECALL_AT)
    found = pstats.Stats(watched).stats  # type: ignore[attr-defined]
    return [
        (f"{name} ({'/'.join(Path(file).parts[-2:])})", own, calls)
        for (file, _line, name), (calls, _all, own, *_rest) in found.items()
    ]


class Here:
    """What `ThreadPoolExecutor` does, in the thread that asks; satisfies what is asked of it."""

    def __init__(self, threads: int) -> None:
        """Take a number of threads, and start none."""

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *ended: object) -> None:
        """Wait for nothing."""

    def map(self, do: Callable[..., Any], *over: Iterable[Any]) -> list[Any]:
        """Return what comes of each."""
        return list(map(do, *over))


def table(title: str, rows: Sequence[Row]) -> str:
    """Return the rows that take most as a Markdown table.

    Example:
        >>> print(table("Some", [("a", 3.0, 1), ("b", 1.0, 2)]))
        ## Some
        <BLANKLINE>
        | what | seconds | share | calls |
        | --- | --- | --- | --- |
        | `a` | 3.00 | 75 % | 1 |
        | `b` | 1.00 | 25 % | 2 |
        <BLANKLINE>
    """
    whole = sum(seconds for _, seconds, _ in rows)
    most = sorted(rows, key=lambda row: -row[1])[:ROWS]
    lines = [
        f"| `{what}` | {seconds:.2f} | {100 * seconds / whole:.0f} % | {calls} |"
        for what, seconds, calls in most
    ]
    head = ["| what | seconds | share | calls |", "| --- | --- | --- | --- |"]
    return "\n".join([f"## {title}\n", *head, *lines, ""])


def main(words: Sequence[str] | None = None) -> int:
    """Profile, print and keep."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.profile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--device", type=device_of, default="cpu", help="auto, cpu or cuda")
    parser.add_argument("--small", action="store_true", help="seconds' worth, to see that it runs")
    parser.add_argument("--into", type=Path, default=HERE, help="the folder of the records")
    args = parser.parse_args(words)
    work = Work(args.small, args.device)
    made = environment()
    text = "\n".join(
        [
            table("Training: two epochs of the case `train`", of_training(work)),
            table("Evaluation: the case `evaluate-128`", of_evaluation(work)),
            f"Commit {tables.commit(made)}; {torch.get_num_threads()} threads;"
            f" {tables.place(made)}\n",
        ]
    )
    print(text)
    atomic_write(args.into / args.device / "profile.md", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
