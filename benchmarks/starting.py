"""Start-up: what a command costs before it does anything."""

import subprocess
import sys
import time

from benchmarks.cases import Case, Done, Work


def _timed(*words: str) -> Done:
    """Run a Python of its own, once to warm the disk's cache and once for the clock."""
    command = [sys.executable, *words]
    for _ in range(2):
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - begun
    return Done(1, seconds)


def _help(_work: Work) -> Done:
    return _timed("-m", "dml_bench", "--help")


def _import(_work: Work) -> Done:
    return _timed("-c", "import dml_bench")


def _torch(_work: Work) -> Done:
    return _timed("-c", "import torch")


CASES = tuple(
    Case(name, title, "", "import torch", 1, ours, _torch, within=seconds, elsewhere=True)
    for name, title, ours, seconds in (
        ("start-help", "dml-bench --help", _help, 0.5),
        ("start-import", "import dml_bench", _import, 0.1),
    )
)
