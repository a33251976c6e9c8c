"""Plots of accuracy against what training cost, the best of each cost named."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import Bbox

from dml_bench.pages.charts import Entry, cost
from dml_bench.pages.figures import Drawing, styled
from dml_bench.pages.plots import SUPERVISION, name_axes, shortened, trained

SIDES = (((-4, 11), "left"), ((4, 11), "right"), ((9, 0), "left"), ((-9, 0), "right"),
         ((-4, -11), "left"), ((4, -11), "right"))  # fmt: skip
"""Where a point's name may stand: how far from it in points, and which end of it is near."""
STEPS = ((10, (1, 1.5, 2, 3, 5, 7)), (30, (1, 2, 5)), (1000, (1, 3)), (math.inf, (1,)))
"""How far apart the ends of a logarithmic axis are, and what is labelled in each decade."""
Spent = tuple[Entry, float, float]
"""An entry, what it cost, and its metric in per cent."""


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
                          label=None if number else trained(supervision))  # fmt: skip
        best = [one for one in shown if not any(_beats(other, one) for other in shown)]
        _scale(axes, [spent for _, spent, _ in shown])
        name_axes(axes, kind, f"{metric} (per cent)")
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
            text = axes.annotate(shortened(entry.label, 44), (spent, value), offset,
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
