"""Ours and the peer's in turn, each in a process of its own; ratios pair by pair."""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.cases import Case, Work

SIDES = ("ours", "peer")


def measure(case: Case, work: Work, repeats: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Return a case's record: every repetition of both sides, and what they come to."""
    runs: dict[str, list[Mapping[str, float]]] = {side: [] for side in SIDES}
    for number in range(repeats):
        for side in SIDES:
            runs[side].append(_once(case.name, side, work))
        seconds = " against ".join(f"{_pace(runs[side][-1]):.4g}" for side in SIDES)
        say(f"{case.name} {number + 1}/{repeats}: {seconds} s a {case.unit.rstrip('s') or 'time'}")
    return {
        "title": case.title,
        "unit": case.unit,
        "peer": case.peer,
        "target": case.target,
        "room": case.room,
        "runs": runs,
    }


def _once(name: str, side: str, work: Work) -> Mapping[str, float]:
    """Run one side in a process of its own.

    Raises:
        RuntimeError: it failed; its last words are given.
    """
    words = [name, side, work.device, "small" if work.small else "full"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.child", *words], capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{name}, {side}: {done.stderr.strip() or done.returncode}")
    found: Mapping[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _pace(run: Mapping[str, float]) -> float:
    return run["seconds"] / run["units"]


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Return least, median and greatest.

    Example:
        >>> spread([3.0, 1.0, 2.0])
        (1.0, 2.0, 3.0)
    """
    return min(values), statistics.median(values), max(values)


def ratios(record: Mapping[str, Any]) -> list[float]:
    """Return how many times faster than the peer ours was, pair by pair.

    Example:
        >>> once = lambda seconds: {"units": 2, "seconds": seconds}
        >>> ratios({"runs": {"ours": [once(1.0)], "peer": [once(3.0)]}})
        [3.0]
    """
    pairs = zip(*(record["runs"][side] for side in SIDES), strict=True)
    return [_pace(theirs) / _pace(ours) for ours, theirs in pairs]


def paces(record: Mapping[str, Any], side: str) -> list[float]:
    """Return units a second, run by run."""
    return [1 / _pace(run) for run in record["runs"][side]]


def peaks(record: Mapping[str, Any], side: str) -> list[float]:
    """Return the largest memory of the process in bytes, run by run."""
    return [run["peak_bytes"] for run in record["runs"][side]]
