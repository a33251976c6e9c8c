"""Ours and the peer's in turn, each in a process of its own; ratios pair by pair."""

import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks import trees
from benchmarks.cases import Case, Work

SIDES = ("ours", "peer")


def measure(case: Case, work: Work, repeats: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Return a case's record: what was asked, and every repetition of both sides."""
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
        "within": case.within,
        "memory": "" if case.elsewhere else "tree",
        "runs": runs,
    }


def _once(name: str, side: str, work: Work) -> Mapping[str, float]:
    """Run one side in a process of its own.

    Raises:
        RuntimeError: it failed; its last words are given.
    """
    words = [name, side, work.device, "small" if work.small else "full"]
    done = trees.run([sys.executable, "-m", "benchmarks.child", *words])
    if done.code:
        raise RuntimeError(f"{name}, {side}: {done.err.strip() or done.code}")
    found: Mapping[str, float] = json.loads(done.out.splitlines()[-1])
    return {**found, "peak_bytes": max(found["peak_bytes"], done.peak_bytes)}


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
    """Return the largest memory of a side's processes together in bytes, run by run.

    Empty where it was not looked at. A record that does not say how is from when one process was
    looked at alone: that is the whole where memory is what the case asks for.
    """
    told = record.get("memory", record["room"])
    return [run["peak_bytes"] for run in record["runs"][side]] if told else []


def summary(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the runs of a record come to: paces, ratios and memory, the medians of each.

    Example:
        >>> once = lambda seconds: {"units": 2, "seconds": seconds}
        >>> made = {"title": "t", "peer": "p", "unit": "images", "target": 2, "memory": "",
        ...         "runs": {"ours": [once(1.0)], "peer": [once(3.0)]}}
        >>> summary(made)["ratio"]
        {'least': 3.0, 'median': 3.0, 'most': 3.0}
    """
    held = {side: statistics.median(found) for side in SIDES if (found := peaks(record, side))}
    return {
        **{name: record[name] for name in ("title", "peer", "unit", "target")},
        **{side: statistics.median(paces(record, side)) for side in SIDES},
        "ratio": dict(zip(("least", "median", "most"), spread(ratios(record)), strict=True)),
        "peak_bytes": held,
    }
