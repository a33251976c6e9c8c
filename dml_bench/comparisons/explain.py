"""The command `explain`: what differs between two results, in words."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dml_bench import records
from dml_bench.comparisons.explanation import (
    ASKED,
    MATERIAL,
    TOPICS,
    Line,
    incomparable,
    numbers,
    said,
    verdict,
)
from dml_bench.comparisons.explanation import explain as lines_of
from dml_bench.comparisons.locate import locate
from dml_bench.parts import Part, cent, show_parts, signed
from dml_bench.results import read_result
from dml_bench.terminal import formats
from dml_bench.text import visible
from dml_bench.types import RunResult


def explain(args: argparse.Namespace) -> int:
    """Say what differs between two results, most important first, and by how much."""
    forms = formats(args, "table")
    a, b = (stored(word, args.results) for word in (args.a, args.b))
    lines = lines_of(a, b)
    for form in forms:
        if form == "table":
            for line in in_words(a, b, lines):
                print(visible(line))
        else:
            show_parts([_causes(a, b, lines), _metrics(a, b)], as_dict(a, b, lines), [form])
    return 0


def stored(word: str, results: Path) -> RunResult:
    """Return the result that a word means: made here, else a record that the project publishes.

    Raises:
        StoreError: there is none, there are several, or it is torn.
    """
    return read_result(locate(word, [results / "runs", records.home()]))


def in_words(a: RunResult, b: RunResult, lines: Sequence[Line]) -> list[str]:
    """Return the explanation as lines for a person."""
    told = [f"A = {a.recipe.key}", f"B = {b.recipe.key}", verdict(a, b, list(lines)), ""]
    for topic in TOPICS:
        mine = [line for line in lines if line.topic == topic]
        head = f"{topic[0].upper()}{topic[1:]}"
        told += [f"{head}:", *(f"  {line}" for line in mine)] if mine else [f"{head}: the same."]
        if topic == MATERIAL and (marks := incomparable(a, b)):
            names = " and ".join(marks)
            told.append(f"  (not compared, for A and B were not given the same kind: {names})")
    if any(line.topic == ASKED for line in lines):
        return told
    changed = [
        name for name in a.metrics if name in b.metrics and a.metrics[name] != b.metrics[name]
    ]
    if not changed:
        return [*told, f"Metrics: all {len(a.metrics)} the same to the last bit."]
    rows = [
        f"  {name}: {cent(a.metrics[name])} against {cent(b.metrics[name])}"
        f" ({_amount(a.metrics[name] - b.metrics[name])})"
        for name in changed
    ]
    return [*told, f"Metrics, in per cent ({len(changed)} of {len(a.metrics)} differ):", *rows]


def _amount(value: float) -> str:
    """Return a difference of fractions in per cent; what rounds to nothing, by its size."""
    return signed(value) if abs(value) >= 0.0005 else f"{100 * value:+.1e}"


def as_dict(a: RunResult, b: RunResult, lines: Sequence[Line]) -> dict[str, Any]:
    """Return the explanation as plain values."""
    return {
        "names": {"a": a.recipe.key, "b": b.recipe.key},
        "verdict": verdict(a, b, list(lines)),
        "differences": [
            {"topic": line.topic, "what": line.what, "a": line.a, "b": line.b} for line in lines
        ],
        "metrics": {
            name: {"a": a.metrics[name], "b": b.metrics[name]}
            for name in a.metrics
            if name in b.metrics
        },
    }


def _causes(a: RunResult, b: RunResult, lines: Sequence[Line]) -> Part:
    values = [
        (line.topic, line.what, *("" if v is None else said(v) for v in (line.a, line.b)))
        for line in lines
    ]
    title = f"A = {a.recipe.key}, B = {b.recipe.key}"
    header = ("topic", "what", "A", "B")
    return Part(title, header, values, values, verdict(a, b, list(lines)))


def _metrics(a: RunResult, b: RunResult) -> Part:
    both = [name for name in a.metrics if name in b.metrics]
    values = [(n, a.metrics[n], b.metrics[n], a.metrics[n] - b.metrics[n]) for n in both]
    cells = [[n, cent(x), cent(y), signed(apart)] for n, x, y, apart in values]
    return Part("Metrics, in per cent", ("metric", "A", "B", "A - B"), values, cells, "", (1, 2, 3))


__all__ = ["explain", "numbers", "stored"]
