"""Figures: what is drawn is what the results say; files are whole, the same, and readable."""

import re
import shutil
import subprocess
from dataclasses import replace
from io import BytesIO
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image
from test_report import RECIPE, run_of

from dml_bench.pages import charts, costs, figures, plots


def trained(value=0.5, curve=(3.0, 2.0), seconds=10.0, supervision="unsupervised", **recipe):
    made = run_of(metrics={"recall@1": value}, supervision=supervision, **recipe)
    points = [{"epoch": n, "loss": loss, "recall@1": value - 0.1 * (len(curve) - n)}
              for n, loss in enumerate(curve, start=1)]  # fmt: skip
    return replace(made, curve=points, seconds={"train": seconds}, counts={"parameters": 100})


def options(**changed):
    return {**RECIPE.options, **changed}


RUNS = [
    trained(0.50, seed=0),
    trained(0.60, seed=1),
    trained(0.40, seconds=20, options=options(temperature=0.2)),
    trained(0.45, seconds=5, dim=32),
    trained(0.30, options=options(temperature=0.2), dim=32),  # two things: no ablation
    trained(0.70, seconds=40, method="arcface", supervision="supervised", options={}),
]


@pytest.fixture
def found():
    return charts.entries(RUNS)


def lengths(drawing):
    """The bars of a figure, by where they end."""
    return sorted(round(bar.get_width(), 1) for bar in drawing.figure.axes[0].patches)


def test_an_ablation_holds_what_differs_in_one_thing(found):
    (one,) = charts.ablations(found)
    assert len(one.base.runs) == 2
    assert [change.said for change in one.changes] == ["dim 32", "temperature 0.2"]
    drawing = plots.ablation(one, "recall@1", "ablation")
    assert lengths(drawing) == [40, 45, 55]
    assert "base 55.0; dim 32 45.0; temperature 0.2 40.0" in drawing.text


def test_a_precision_alone_is_no_ablation():
    other = [replace(run, recipe=replace(run.recipe, precision="bf16")) for run in RUNS[:1]]
    assert RUNS[0].recipe.precision == "fp32"
    assert charts.ablations(charts.entries([RUNS[0], *other])) == []


def test_runs_of_two_origins_are_no_ablation():
    assert charts.ablations(charts.entries(RUNS[:1], RUNS[2:3])) == []


def test_every_entry_of_a_table_has_a_name_of_its_own():
    names = [entry.label for entry in charts.entries(RUNS, RUNS)]
    assert len(names) == len(set(names)) == 10


def test_an_interval_is_over_seeds_or_of_the_one_run():
    (two,) = charts.entries(RUNS[:2])
    value, low, high = two.spread("recall@1")
    assert (value, high - value) == (pytest.approx(0.55), pytest.approx(value - low))
    assert high - value == pytest.approx(12.706 * 0.05, rel=1e-3)  # Student's t, one degree
    (one,) = charts.entries([replace(RUNS[0], intervals={"recall@1": [0.4, 0.7]})])
    assert one.spread("recall@1") == (0.5, 0.4, 0.7)


def test_a_curve_is_the_mean_of_its_seeds(found):
    drawing = plots.by_epoch(found[:1], "recall@1")
    (line,) = [line for line in drawing.figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert list(line.get_xdata()) == [1, 2]
    assert np.allclose(line.get_ydata(), [35, 45]) or np.allclose(line.get_ydata(), [45, 55])


def test_a_curve_of_what_is_no_fraction_is_drawn_as_it_is():
    curve = [{"epoch": n, "alignment": 1.25 / n} for n in (1, 2)]
    drawing = plots.by_epoch(charts.entries([replace(RUNS[0], curve=curve)]), "alignment")
    (axes,) = drawing.figure.axes
    assert list(axes.lines[0].get_ydata()) == [1.25, 0.625]
    assert "per cent" not in axes.get_ylabel()


def test_lines_differ_without_colour(found):
    drawing = plots.by_epoch(found, "recall@1")
    looks = {(line.get_marker(), line.get_linestyle()) for line in drawing.figure.axes[0].lines}
    assert len(looks) == len(found)


def test_costs_that_are_all_the_same_are_no_figure(found):
    names = [drawing.name for drawing in costs.against_cost(found, "recall@1")]
    assert names == ["cost-seconds"]


def test_only_what_nothing_beats_at_no_more_cost_is_named(found):
    (drawing,) = costs.against_cost(found, "recall@1")
    named = {text.get_text() for text in drawing.figure.axes[0].texts}
    best = {entry.label for entry in found if round(entry.row["recall@1"], 2) in (0.45, 0.55, 0.7)}
    assert named == best


def spent(*seconds):
    """The figure of runs that took so long, each a little better than those before."""
    found = charts.entries([trained(0.3 + n / 200, seconds=taken, options=options(temperature=n))
                            for n, taken in enumerate(seconds)])  # fmt: skip
    (drawing,) = costs.against_cost(found, "recall@1")
    return drawing


RANGES = [
    (68.1, 70.4, 73.9), (0.31, 0.52, 0.74), (1990, 2010.5), (55, 110, 250), (10, 39), (10, 41),
    (1, 90, 950), (0.5, 8000), (2e4, 3e5, 4e6),
]  # fmt: skip


@pytest.mark.parametrize("seconds", RANGES)
def test_a_label_of_costs_says_where_its_tick_stands(seconds):
    axes = spent(*seconds).figure.axes[0]
    low, high = axes.get_xlim()
    ticks = [at for at in axes.get_xticks() if low <= at <= high]
    said = [float(axes.xaxis.get_major_formatter()(at).replace(",", "")) for at in ticks]
    assert said == pytest.approx(ticks)
    assert 2 < len(ticks) < 9
    if axes.get_xscale() == "linear":
        assert np.allclose(np.diff(ticks), ticks[1] - ticks[0])


@pytest.mark.parametrize("seconds", RANGES)
def test_labels_of_costs_do_not_overlap(seconds):
    figure = spent(*seconds).figure
    figure.draw_without_rendering()
    labels = [one for one in figure.axes[0].get_xticklabels() if one.get_text()]
    assert not overlapping([label.get_window_extent() for label in labels])


def overlapping(boxes):
    return [(a, b) for n, a in enumerate(boxes) for b in boxes[:n] if a.overlaps(b)]


def test_names_of_points_overlap_neither_points_nor_one_another():
    drawing = spent(*(100 + 0.1 * n for n in range(60)))
    axes = drawing.figure.axes[0]
    boxes = [text.get_window_extent() for text in axes.texts]
    assert 1 < len(boxes) < 60
    assert not overlapping(boxes)
    points = [axes.transData.transform(line.get_xydata()[0]) for line in axes.lines]
    assert not any(box.contains(*point) for box in boxes for point in points)


def test_what_was_not_trained_took_no_seconds_of_training():
    made = trained(0.4, method="random", supervision="none", epochs=0, options={})
    (entry,) = charts.entries([replace(made, seconds={"train": 0.0002})])
    assert charts.cost(entry) == {"parameters": 100}


def test_one_epoch_is_no_curve():
    (one, two) = charts.entries([trained(curve=(3.0,)), trained(curve=(3.0, 2.0), dim=32)])
    assert charts.curves(one, "loss") == []
    assert charts.curves(two, "loss") == [((1, 3.0), (2, 2.0))]


def test_a_title_stands_clear_of_what_is_below_it(found):
    for drawing in [*every(found), plots.standing(found, "recall@1")]:
        figure = drawing.figure
        with figures._titled(drawing, "glyphs"):
            figure.draw_without_rendering()
            title = figure._suptitle.get_window_extent()
            below = [legend.get_window_extent() for legend in figure.legends]
            below += [axes.bbox for axes in figure.axes]
            assert not any(title.overlaps(box) for box in below), drawing.name


def every(found):
    (one,) = charts.ablations(found)
    return [
        plots.by_epoch(found, "recall@1"),
        plots.loss(found),
        plots.ablation(one, "recall@1", "ablation"),
        *costs.against_cost(found, "recall@1"),
        plots.per_class([1.0, 0.5, 0.0], "run", "classes"),
    ]


def test_axes_are_labelled_with_units_and_titles_are_there(found):
    for drawing in every(found):
        assert drawing.title
        axes = drawing.figure.axes[0]
        said = f"{axes.get_xlabel()} {axes.get_ylabel()}"
        assert "per cent" in said or "loss" in said


def test_files_are_the_same_every_time(found, tmp_path):
    for folder in ("one", "two"):
        figures.write({"glyphs": every(charts.entries(RUNS))}, tmp_path / folder)
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert {"glyphs-loss.png", "glyphs-loss.svg", "glyphs-cost-seconds.svg"} <= names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_files_are_whole_and_say_no_date(found, tmp_path):
    for path in figures.write({"glyphs": every(found)}, tmp_path):
        if path.suffix == ".png":
            image = Image.open(BytesIO(path.read_bytes()))
            assert min(image.size) > 300
            assert image.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
        else:
            text = path.read_text()
            assert ElementTree.fromstring(text).tag.endswith("svg")
            assert "<dc:date>" not in text


def test_a_machine_s_own_style_changes_nothing(found, tmp_path):
    plain = figures.to_svg(plots.loss(found), "glyphs")
    with mpl.rc_context({"lines.linewidth": 9, "font.size": 30, "axes.facecolor": "red"}):
        assert figures.to_svg(plots.loss(found), "glyphs") == plain


HOSTILE = '</svg><script>alert(1)</script> $x^2$ & "'


def test_hostile_names_stay_text_in_a_page():
    runs = [replace(run, recipe=replace(run.recipe, options=options(form=HOSTILE + str(n))))
            for n, run in enumerate(RUNS[:3])]  # fmt: skip
    for drawing in every_of(charts.entries(runs)):
        text = figures.inline(drawing)
        assert "<script" not in text
        assert text.count("<svg") == text.count("</svg>") == 1
        root = ElementTree.fromstring(text)
        assert root.attrib["role"] == "img"
        assert root.attrib["aria-label"] == drawing.text


def every_of(found):
    return [plots.by_epoch(found, "recall@1"), plots.loss(found),
            plots.per_class([1.0, 0.0], HOSTILE, HOSTILE)]  # fmt: skip


def test_a_drawing_in_a_page_takes_the_page_s_inks_and_says_its_points(found):
    (drawing,) = costs.against_cost(found, "recall@1")
    text = figures.inline(drawing)
    assert figures.INK not in text
    assert "currentColor" in text
    titles = re.findall(r"<title>(.*?)</title>", text)
    assert len(titles) == len(found)
    assert any("45.0 per cent, 5 seconds of training" in title for title in titles)


@pytest.mark.skipif(shutil.which("xmllint") is None, reason="no xmllint here")
def test_files_are_xml_to_others_too(found, tmp_path):
    files = [path for path in figures.write({"g": every(found)}, tmp_path) if path.suffix == ".svg"]
    subprocess.run(["xmllint", "--noout", "--nonet", *map(str, files)], check=True)
