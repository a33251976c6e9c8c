"""Plots of results: curves, ablations, costs, classes; `figures` brings them to files and pages."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import Bbox

from dml_bench.charts import Ablation, Entry, cost, curves
from dml_bench.figures import INK, Drawing, styled, wrapped
from dml_bench.ledger import VALIDATION

OKABE_ITO = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#8a8f98")
DASHES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SUPERVISION = {  # colour and marker: told apart without colour too
    "unsupervised": (OKABE_ITO[0], "o"),
    "supervised": (OKABE_ITO[3], "s"),
    "none": (OKABE_ITO[6], "^"),
}
SIDES = (((-4, 11), "left"), ((4, 11), "right"), ((9, 0), "left"), ((-9, 0), "right"),
         ((-4, -11), "left"), ((4, -11), "right"))  # fmt: skip
"""Where a point's name may stand: how far from it in points, and which end of it is near."""
STEPS = ((10, (1, 1.5, 2, 3, 5, 7)), (30, (1, 2, 5)), (1000, (1, 3)), (math.inf, (1,)))
"""How far apart the ends of a logarithmic axis are, and what is labelled in each decade."""
Spent = tuple[Entry, float, float]
"""An entry, what it cost, and its metric in per cent."""


def by_epoch(found: Sequence[Entry], metric: str, part: int = 1) -> Drawing:
    """Draw a metric by epoch, a line an entry: the mean of its seeds."""
    with styled():
        tall = 3.4 + 0.18 * len(found)
        figure = Figure(figsize=(7.2, tall), layout="constrained")
        axes = figure.add_subplot()
        ends = []
        for number, entry in enumerate(found):
            line = _mean(curves(entry, metric))
            epochs, values = [p[0] for p in line], [100 * p[1] for p in line]
            axes.plot(epochs, values, label=entry.label, gid=f"tip-{number}", **_look(number))
            ends.append(f"{entry.label} ends at {values[-1]:.1f}")
        name = metric.removeprefix(VALIDATION)
        asked = "test" if name == metric else "held-out training"
        _label(axes, "epoch", f"{name} of the {asked} images (per cent)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside lower left", ncols=2)
        title = f"{name} of the {asked} images by epoch"
        tips = {f"tip-{number}": entry.label for number, entry in enumerate(found)}
        text = f"{title}: {'; '.join(ends)}."
        return Drawing(f"epochs-{metric}-{part}", title, text, figure, tips)


def loss(found: Sequence[Entry], columns: int = 4, name: str = "loss") -> Drawing:
    """Draw each entry's loss by epoch in a panel of its own: losses have scales of their own."""
    with styled():
        columns = min(columns, len(found))
        rows = -(-len(found) // columns)
        figure = Figure(figsize=(2.5 * columns, 1.95 * rows), layout="constrained")
        said = []
        for number, entry in enumerate(found, start=1):
            axes = figure.add_subplot(rows, columns, number)
            lines = curves(entry, "loss")
            look: dict[str, Any] = {"color": OKABE_ITO[0], "marker": "o", "markersize": 3}
            for line in lines:
                axes.plot([p[0] for p in line], [p[1] for p in line], linewidth=1.2, **look)
            axes.set_title(wrapped(entry.label, 32), fontsize=7.5)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
            axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
            axes.tick_params(labelsize=7)
            _label(axes, "epoch", "loss", size=7)
            said.append(f"{entry.label} from {lines[0][0][1]:.4g} to {lines[0][-1][1]:.4g}")
        return Drawing(name, "Training loss by epoch", f"Loss of {'; '.join(said)}.", figure)


def ablation(found: Ablation, metric: str, name: str) -> Drawing:
    """Draw a base run and those that differ from it in one thing, with their intervals."""
    bars = [("base", found.base), *((change.said, change.entry) for change in found.changes)]
    bars = [(said, entry) for said, entry in bars if metric in entry.row]
    with styled():
        figure = Figure(figsize=(7.2, 0.9 + 0.34 * len(bars)), layout="constrained")
        axes = figure.add_subplot()
        for number, (_, entry) in enumerate(bars):
            value, low, high = (100 * v for v in entry.spread(metric))
            own: dict[str, Any] = {"color": OKABE_ITO[0 if number else 6], "gid": f"tip-{number}"}
            axes.barh(number, value, height=0.62, hatch=None if number else "//",
                      edgecolor="white", linewidth=0, **own)  # fmt: skip
            if high > low:
                axes.plot([low, high], [number, number], color=INK, linewidth=1.2)
            axes.annotate(f"{value:.1f}", (max(high, value), number), (4, 0),
                          textcoords="offset points", va="center")  # fmt: skip
        base = 100 * bars[0][1].row[metric]
        axes.axvline(base, color=INK, linewidth=0.9, linestyle=":")
        axes.set_yticks(range(len(bars)), [_shortened(said, 40) for said, _ in bars])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.1)
        axes.set_xlim(left=0)
        _label(axes, f"{metric} (per cent)", "")
        title = f"{found.base.label}, one thing changed at a time"
        values = [f"{said} {100 * entry.row[metric]:.1f}" for said, entry in bars]
        tips = {f"tip-{n}": f"{values[n]} per cent" for n in range(len(bars))}
        return Drawing(name, title, f"{metric}: {'; '.join(values)}.", figure, tips)


def standing(found: Sequence[Entry], metric: str) -> Drawing:
    """Draw a metric of every entry with its interval, the best above."""
    shown = sorted((e for e in found if metric in e.row), key=lambda e: -e.row[metric])
    with styled():
        figure = Figure(figsize=(7.2, 0.9 + 0.17 * len(shown)), layout="constrained")
        axes = figure.add_subplot()
        seen: set[str] = set()
        for number, entry in enumerate(shown):
            value, low, high = (100 * v for v in entry.spread(metric))
            colour, marker = SUPERVISION[kind := entry.row["supervision"]]
            axes.plot([low, high], [number, number], color=colour, linewidth=1.2)
            axes.plot([value], [number], marker, color=colour, markersize=4.5, gid=f"tip-{number}",
                      label=None if kind in seen else _trained(kind))  # fmt: skip
            seen.add(kind)
        axes.set_yticks(range(len(shown)), [_shortened(e.label, 44) for e in shown], fontsize=7.5)
        axes.invert_yaxis()
        axes.margins(y=0.02)
        figure.legend(loc="outside lower left", ncols=3)
        _label(axes, f"{metric} (per cent), with its 95 % interval", "")
        said = [f"{entry.label} {100 * entry.row[metric]:.1f}" for entry in shown]
        tips = {f"tip-{number}": f"{text} per cent" for number, text in enumerate(said)}
        title = f"{metric} of every method"
        return Drawing(f"standing-{metric}", title, f"{title}: {'; '.join(said)}.", figure, tips)


def against_cost(found: Sequence[Entry], metric: str) -> list[Drawing]:
    """Draw a metric against each thing that training cost; nothing where all cost the same.

    Named are the entries that no other beats at no more cost, where there is room.
    """
    points = [(entry, cost(entry), 100 * entry.row[metric]) for entry in found]
    drawn = []
    for kind in dict.fromkeys(kind for _, costs, _ in points for kind in costs):
        shown = [(entry, costs[kind], value) for entry, costs, value in points if kind in costs]
        if len({round(spent, 3) for _, spent, _ in shown}) > 1:
            drawn.append(_cost(shown, kind, metric))
    return drawn


def _cost(shown: Sequence[Spent], kind: str, metric: str) -> Drawing:
    with styled():
        figure = Figure(figsize=(5.6, 3.9), layout="constrained")
        axes = figure.add_subplot()
        tips: dict[str, str] = {}
        for supervision, (colour, marker) in SUPERVISION.items():
            mine = [one for one in shown if one[0].row["supervision"] == supervision]
            for number, (entry, spent, value) in enumerate(mine):
                gid = f"tip-{supervision}-{number}"
                tips[gid] = f"{entry.label}: {value:.1f} per cent, {spent:,.0f} {kind}"
                axes.plot([spent], [value], marker, color=colour, markersize=6.5, gid=gid,
                          label=None if number else _trained(supervision))  # fmt: skip
        best = [one for one in shown if not any(_beats(other, one) for other in shown)]
        _scale(axes, [spent for _, spent, _ in shown])
        _label(axes, kind, f"{metric} (per cent)")
        figure.legend(loc="outside lower left", ncols=3)
        _name(figure, shown, best)
        title = f"{metric} against {kind}"
        said = "; ".join(f"{e.label} {value:.1f} at {spent:,.0f}" for e, spent, value in best)
        text = f"{title}. Unbeaten at no more cost: {said}."
        return Drawing(f"cost-{kind.split()[0]}", title, text, figure, tips)


def _name(figure: Figure, shown: Sequence[Spent], best: Sequence[Spent]) -> None:
    """Write the names of points beside them where there is room, the highest first."""
    (axes,) = figure.axes
    figure.draw_without_rendering()  # the axes have their place from here on
    places = [axes.transData.transform(one[1:]) for one in shown]
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in places]
    for entry, spent, value in sorted(best, key=lambda one: (-one[2], one[0].label)):
        for offset, side in SIDES:
            text = axes.annotate(_shortened(entry.label, 44), (spent, value), offset,
                                 textcoords="offset points", ha=side, va="center",
                                 fontsize=7.5)  # fmt: skip
            box = text.get_window_extent()
            inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 and box.y1 <= axes.bbox.y1
            if inside and not box.count_overlaps(taken):
                taken.append(box)
                break
            text.remove()


def _scale(axes: Axes, spent: Sequence[float]) -> None:
    """Give costs that lie far apart a logarithmic axis, with numbers that a person reads."""
    axes.margins(x=0.08, y=0.14)
    if (ratio := max(spent) / min(spent)) > 4:
        axes.set_xscale("log")
        subs = next(subs for most, subs in STEPS if ratio <= most)
        axes.xaxis.set_major_locator(LogLocator(subs=subs))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=(1, 2, 5, 10)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _decimals(value)))


def _decimals(value: float) -> str:
    """Return a number with the decimals that it has: a label says where its tick stands."""
    return f"{value:,.6f}".rstrip("0").rstrip(".")


def _beats(one: Spent, other: Spent) -> bool:
    return one[1:] != other[1:] and one[1] <= other[1] and one[2] >= other[2]


def _trained(supervision: str) -> str:
    return {"none": "not trained", "unsupervised": "without labels"}.get(supervision, "with labels")


def per_class(scores: Sequence[float], label: str, name: str) -> Drawing:
    """Draw the Recall@1 of every class, sorted, the best at the left."""
    with styled():
        figure = Figure(figsize=(7.2, 2.4), layout="constrained")
        axes = figure.add_subplot()
        heights = [100 * score for score in scores]
        axes.fill_between(range(len(heights) + 1), [*heights, heights[-1]], step="post",
                          color=OKABE_ITO[0], linewidth=0)  # fmt: skip
        axes.set_xlim(0, len(heights))
        axes.set_ylim(0, 100)
        _label(axes, f"the {len(heights)} classes, best first", "recall@1 (per cent)")
        middle = heights[len(heights) // 2]
        none, all_ = heights.count(0.0), heights.count(100.0)
        text = f"The middle class has {middle:.1f} per cent; {all_} of {len(heights)} classes have"
        title = f"Recall@1 of each class: {label}"
        return Drawing(name, title, f"{title}. {text} 100, {none} have 0.", figure)


def _look(number: int) -> dict[str, Any]:
    return {
        "color": OKABE_ITO[number % len(OKABE_ITO)],
        "linestyle": DASHES[number // len(OKABE_ITO) % len(DASHES)],
        "marker": MARKERS[number % len(MARKERS)],
        "markersize": 4,
        "linewidth": 1.6,
    }


def _mean(lines: Sequence[Sequence[tuple[float, float]]]) -> list[tuple[float, float]]:
    """Return the mean at each epoch that every line has."""
    common = sorted(set.intersection(*({epoch for epoch, _ in line} for line in lines)))
    tables = [dict(line) for line in lines]
    return [(epoch, sum(table[epoch] for table in tables) / len(tables)) for epoch in common]


def _label(axes: Axes, x: str, y: str, size: float = 9) -> None:
    axes.set_xlabel(x, fontsize=size)
    axes.set_ylabel(y, fontsize=size)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
