"""Plots of results: curves, ablations, classes; `figures` brings them to files and pages."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dml_bench.pages.charts import Ablation, Entry, curves
from dml_bench.pages.figures import INK, Drawing, styled, wrapped
from dml_bench.selection import VALIDATION
from dml_bench.spread import is_fraction

OKABE_ITO = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#8a8f98")
DASHES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SUPERVISION = {  # colour and marker: told apart without colour too
    "unsupervised": (OKABE_ITO[0], "o"),
    "supervised": (OKABE_ITO[3], "s"),
    "none": (OKABE_ITO[6], "^"),
}


def by_epoch(found: Sequence[Entry], metric: str, part: int = 1) -> Drawing:
    """Draw a metric by epoch, a line an entry: the mean of its seeds."""
    name = metric.removeprefix(VALIDATION)
    unit, said = (100, " (per cent)") if is_fraction(name) else (1, "")
    with styled():
        tall = 3.4 + 0.18 * len(found)
        figure = Figure(figsize=(7.2, tall), layout="constrained")
        axes = figure.add_subplot()
        ends = []
        for number, entry in enumerate(found):
            line = _mean(curves(entry, metric))
            epochs, values = [p[0] for p in line], [unit * p[1] for p in line]
            axes.plot(epochs, values, label=entry.label, gid=f"tip-{number}", **_look(number))
            ends.append(f"{entry.label} ends at {values[-1]:.1f}")
        asked = "test" if name == metric else "held-out training"
        name_axes(axes, "epoch", f"{name} of the {asked} images{said}")
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
            name_axes(axes, "epoch", "loss", size=7)
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
        axes.set_yticks(range(len(bars)), [shortened(said, 40) for said, _ in bars])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.1)
        axes.set_xlim(left=0)
        name_axes(axes, f"{metric} (per cent)", "")
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
                      label=None if kind in seen else trained(kind))  # fmt: skip
            seen.add(kind)
        axes.set_yticks(range(len(shown)), [shortened(e.label, 44) for e in shown], fontsize=7.5)
        axes.invert_yaxis()
        axes.margins(y=0.02)
        figure.legend(loc="outside lower left", ncols=3)
        name_axes(axes, f"{metric} (per cent), with its 95 % interval", "")
        said = [f"{entry.label} {100 * entry.row[metric]:.1f}" for entry in shown]
        tips = {f"tip-{number}": f"{text} per cent" for number, text in enumerate(said)}
        title = f"{metric} of every method"
        return Drawing(f"standing-{metric}", title, f"{title}: {'; '.join(said)}.", figure, tips)


def trained(supervision: str) -> str:
    """Return what a legend says of a kind of supervision."""
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
        name_axes(axes, f"the {len(heights)} classes, best first", "recall@1 (per cent)")
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


def name_axes(axes: Axes, x: str, y: str, size: float = 9) -> None:
    """Say what the two axes show."""
    axes.set_xlabel(x, fontsize=size)
    axes.set_ylabel(y, fontsize=size)


def shortened(text: str, most: int) -> str:
    """Return text of so many letters at most."""
    return text if len(text) <= most else text[: most - 1] + "…"
