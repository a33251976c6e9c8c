"""The command `compare`: what differs between two runs, or two files of embeddings, as tables."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import PurePath
from typing import Any

from dml_bench.cells import note
from dml_bench.comparisons.comparison import ClassLine, Comparison, MetricLine
from dml_bench.comparisons.comparison import compare as paired_comparison
from dml_bench.comparisons.sides import Side, side_of
from dml_bench.errors import RecipeError
from dml_bench.metric_table import metric
from dml_bench.parts import Part, cent, number, show_parts, signed, signed_number
from dml_bench.spread import is_fraction
from dml_bench.statistics import DRAWS
from dml_bench.terminal import formats, say

NOTE = (
    "[low, high] is the 95 % interval of A - B over the test classes, paired"
    f" (bootstrap, {DRAWS:,} resamples); p is two-sided, and of one run each: other seeds may"
    " differ by more. A metric without an interval is no mean over queries, or was not asked anew."
)
ABOUT_FLIPS = "Queries of which one side's nearest image is of the right class, the other's is not."


def compare(args: argparse.Namespace) -> int:
    """Compare two runs, or two files of embeddings of the same images."""
    forms = formats(args, "table")
    if args.classes < 0:
        raise RecipeError(f"--classes: expected 0 or more, found {args.classes}; say how many")
    names = [*(f"recall@{k}" for k in args.k or ()), *(args.metrics or ())]
    for name in names:
        metric(name)  # a mistyped name shows before any search
    sides = [side_of(word, args.results) for word in (args.a, args.b)]
    found = paired_comparison(sides[0], sides[1], list(dict.fromkeys(names)))
    if unlike := _of_other_datasets(sides):
        say(unlike)
    values = as_dict(found, args.classes, flips=args.flips)
    show_parts(parts(found, args.classes, flips=args.flips), values, forms)
    return 0


def _of_other_datasets(sides: Sequence[Side]) -> str:
    """Return a line where two runs are of datasets that only look the same; else nothing."""
    names = [PurePath(side.result.recipe.dataset).name for side in sides if side.result]
    if len(set(names)) < 2:
        return ""
    return (
        f"A is of {names[0]}, B of {names[1]}: their images have the same ids and classes; nothing"
        " here says that they show the same"
    )


def as_dict(found: Comparison, classes: int, *, flips: bool) -> dict[str, Any]:
    """Return a comparison as plain values: fractions, in full precision."""
    values = asdict(found)
    values["names"] = dict(zip("ab", found.names, strict=True))
    chosen = _extremes(found.classes, classes)
    values["classes"] = [asdict(line) | {"difference": line.a - line.b} for line in chosen]
    values["queries"] = {"counted": sum(found.agreement.values()), "classes": len(found.classes)}
    return values if flips else {k: v for k, v in values.items() if k != "flips"}


def parts(found: Comparison, classes: int, *, flips: bool) -> list[Part]:
    """Return the tables of a comparison: metrics, and as asked the classes and the flips.

    Args:
        found: a comparison.
        classes: how many of those that gain most, and of those that lose most.
        flips: list every query that flips.
    """
    some = [_metrics(found)]
    if classes and found.classes:
        some.append(_classes(found, classes))
    some.append(_agreement(found))
    return [*some, *([_flips(found)] if flips else [])]


def _metrics(found: Comparison) -> Part:
    header = ("metric", "A", "B", "A - B", "low", "high", "p")
    lines = found.metrics
    values = [
        (
            m.metric,
            m.a,
            m.b,
            m.difference.value,
            m.difference.low,
            m.difference.high,
            m.difference.p,
        )
        for m in lines
    ]
    title = f"A = {found.names[0]}, B = {found.names[1]}"
    about = f"{note(m.metric for m in lines)} {NOTE}"
    return Part(title, header, values, [_metric_cells(m) for m in lines], about, range(1, 7))


def _metric_cells(line: MetricLine) -> list[str]:
    apart = line.difference
    ends = ["" if end is None else f"{100 * end + 0.0:+.1f}" for end in (apart.low, apart.high)]
    chance = "" if apart.p is None else "< 0.001" if apart.p < 0.001 else f"{apart.p:.3f}"
    of, off = (cent, signed) if is_fraction(line.metric) else (number, signed_number)
    return [line.metric, of(line.a), of(line.b), off(apart.value), *ends, chance]


def _classes(found: Comparison, count: int) -> Part:
    header = ("class", "an image of it", "queries", "A", "B", "A - B")
    chosen = _extremes(found.classes, count)
    values = [(c.label, c.example, c.queries, c.a, c.b, c.a - c.b) for c in chosen]
    cells = [
        [str(c.label), c.example, str(c.queries), cent(c.a), cent(c.b), signed(c.a - c.b)]
        for c in chosen
    ]
    title = f"{found.by_class} by class: the largest gains and losses of A"
    note = "" if chosen else "No class gains, none loses."
    named = any(isinstance(c.label, str) for c in chosen)
    return Part(title, header, values, cells, note, range(2, 6) if named else (0, *range(2, 6)))


def _extremes(classes: Sequence[ClassLine], count: int) -> list[ClassLine]:
    """Return the `count` classes in which A gains most, and those in which it loses most."""
    gains = [c for c in classes[:count] if c.a > c.b]
    losses = [c for c in classes[max(0, len(classes) - count) :] if c.a < c.b]
    return [*gains, *losses]


def _agreement(found: Comparison) -> Part:
    cells = [[name, f"{count:,}"] for name, count in found.agreement.items()]
    title = "Queries whose nearest image is of their class, by"
    return Part(title, ("side", "queries"), list(found.agreement.items()), cells, numeric=(1,))


def _flips(found: Comparison) -> Part:
    header = ("query", "class", "right", "nearest by A", "nearest by B")
    values = [(f.id, f.label, f.right, f.nearest_a, f.nearest_b) for f in found.flips]
    cells = [[str(value) for value in row] for row in values]
    return Part("The queries that flip", header, values, cells, ABOUT_FLIPS, (1,))
