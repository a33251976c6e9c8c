"""Tables are pure functions of results: means drawn by eye, hostile names, two protocols apart."""

import csv
import io
import json
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from scipy import stats

from dml_bench import report, typeset
from dml_bench.errors import StoreError
from dml_bench.results import read_records
from dml_bench.rows import place
from dml_bench.text import visible
from dml_bench.types import Recipe, RunResult

ROOT = Path(__file__).parents[1]
RECIPE = Recipe(
    dataset="glyphs",
    method="invaspread",
    backbone="conv4",
    weights="none",
    weights_digest="",
    head="linear",
    dim=128,
    fit="squash",
    resize=0,
    crop=32,
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
    augmentation="affine",
    batch=128,
    per_class=0,
    epochs=6,
    lr=0.03,
    optimiser="sgd",
    momentum=0.9,
    weight_decay=5e-4,
    schedule="cosine",
    precision="fp32",
    monitor="none",
    seed=0,
    options={"form": "code", "temperature": 0.1},
)
HOSTILE = "a|b <script> & 100% $x_{1}^2~\\n#`*[x](y)\n\x1b[31mred"


def run_of(fingerprint="aaaa", supervision="unsupervised", metrics=None, **recipe):
    return RunResult(
        recipe=replace(RECIPE, **recipe),
        metrics=metrics or {"recall@1": 0.5},
        curve=[],
        counts={},
        fingerprint=fingerprint,
        supervision=supervision,
        seconds={},
        environment={},
        finished="2025-01-01T00:00:00Z",
    )


def column(frame, name):
    return [None if pd.isna(value) else value for value in frame[name]]


def printed(frame, name):
    grid = report.grid(frame)
    return [row[list(grid.header).index(name)] for row in grid.rows]


def test_seeds_are_one_row_with_their_mean_and_interval():
    runs = [run_of(seed=s, metrics={"recall@1": v}) for s, v in enumerate((0.4, 0.5, 0.6))]
    frame = report.wide(runs)
    assert column(frame, "recall@1") == [pytest.approx(0.5)]
    half = 4.302653 * 0.1 / 3**0.5  # Student's t at 2 degrees of freedom, deviation of (-.1, 0, .1)
    assert column(frame, "recall@1 (95 %)") == [pytest.approx(half, abs=1e-6)]
    assert column(frame, "seeds") == [3]
    assert printed(frame, "recall@1") == ["50.0 ± 24.8"]
    assert "With several seeds the mean ± half its 95 % interval" in report.to_markdown(frame)


def test_one_run_shows_the_interval_over_its_classes_in_brackets():
    runs = [replace(run_of(), intervals={"recall@1": [0.41, 0.583]}), run_of(epochs=2)]
    frame = report.wide(runs)
    assert sorted(printed(frame, "recall@1")) == ["50.0", "50.0 [41.0, 58.3]"]
    assert column(frame, "recall@1 (low)") in ([0.41, None], [None, 0.41])
    said = report.to_markdown(frame)
    assert "one run's 95 % interval over its test classes" in said
    assert "With several seeds" not in said
    assert report.tidy(runs)[["low", "high"]].dropna().values.tolist() == [[0.41, 0.583]]


def test_with_several_seeds_the_interval_is_over_them():
    runs = [replace(run_of(seed=s), intervals={"recall@1": [0.4, 0.6]}) for s in (0, 1)]
    assert "recall@1 (low)" not in report.wide(runs)


def monitored(seed, *rows, held=True):
    curve = [
        {"epoch": n, "recall@1": test} | ({"validation recall@1": other} if held else {})
        for n, (test, other) in enumerate(rows, start=1)
    ]
    run = run_of(seed=seed, monitor="recall@1", metrics={"recall@1": rows[-1][0]})
    return replace(run, curve=curve)


def test_the_ledger_stands_in_columns_of_its_own():
    runs = [
        monitored(0, (0.5, 0.3), (0.7, 0.4), (0.6, 0.5), (0.55, 0.1)),
        monitored(1, (0.5, 0.3), (0.5, 0.3), (0.5, 0.3), (0.45, 0.3)),  # the first of equals
    ]
    (row,) = report.wide(runs).to_dict("records")
    assert row["recall@1"] == pytest.approx((0.55 + 0.45) / 2)
    assert row["recall@1 (selected)"] == pytest.approx((0.6 + 0.5) / 2)
    assert row["recall@1 (best on test)"] == pytest.approx((0.7 + 0.5) / 2)
    assert row["recall@1 (inflation over selected)"] == pytest.approx((0.1 + 0) / 2)
    assert row["recall@1 (inflation over last)"] == pytest.approx((0.15 + 0.05) / 2)
    frame = report.wide(runs)
    assert printed(frame, "recall@1 (inflation over last)") == ["+10.0"]
    assert "(best on test) that of the epoch which the answers chose" in report.to_markdown(frame)


def test_without_held_out_images_nothing_was_selected():
    names = list(report.wide([monitored(0, (0.7, 0), (0.6, 0), held=False)]).columns)
    assert names[-3:] == ["recall@1", "recall@1 (best on test)", "recall@1 (inflation over last)"]


def test_nobody_wins_at_looking_at_the_answers():
    runs = [
        replace(
            monitored(0, (0.9, 0.1), (v, 0.1)),
            recipe=replace(monitored(0, (0.9, 0.1)).recipe, epochs=n),
        )
        for n, v in enumerate((0.2, 0.4))
    ]
    grid = report.grid(report.wide(runs))
    marked = {grid.header[column] for _, column in grid.marks}
    assert marked == {"recall@1"}


def test_one_seed_has_no_deviation():
    frame = report.wide([run_of()])
    assert "recall@1 (95 %)" not in frame
    assert printed(frame, "recall@1") == ["50.0"]


def test_a_metric_that_not_every_seed_has_is_left_out():
    runs = [run_of(seed=0, metrics={"recall@1": 0.5, "nmi": 0.5}), run_of(seed=1)]
    assert "nmi" not in report.wide(runs)


def test_two_protocols_never_share_a_table():
    runs = [run_of("aaaa"), run_of("bbbb", seed=1)]
    with pytest.raises(StoreError, match="expected runs of one dataset and protocol, found glyphs"):
        report.wide(runs)
    found = report.tables(runs)
    assert list(found) == ["glyphs (protocol aaaa)", "glyphs (protocol bbbb)"]
    assert [len(frame) for frame in found.values()] == [1, 1]


def test_two_conventions_of_the_metrics_never_share_a_table(tmp_path):
    runs = [run_of(), replace(run_of(seed=1), conventions="2")]
    with pytest.raises(StoreError, match="found glyphs aaaa, glyphs aaaa, metrics 2; make one"):
        report.wide(runs)
    assert list(report.tables(runs)) == [
        "glyphs (protocol aaaa)",
        "glyphs (protocol aaaa, metrics 2)",
    ]
    assert all(path.is_file() for path in report.write(runs, tmp_path))


def test_features_without_a_head_read_as_such_though_their_width_differs():
    runs = [run_of(method="init"), run_of(method="init", head="none", dim=1280)]
    assert sorted(column(report.wide(runs), "method")) == ["init", "init (head=none)"]
    pixels = run_of(method="pixels", backbone="pixels", head="none", options={})
    assert column(report.wide([pixels]), "method") == ["pixels"]


def test_two_datasets_never_share_a_table():
    with pytest.raises(StoreError, match="found cub200 aaaa, glyphs aaaa"):
        report.wide([run_of(), run_of(dataset="cub200")])


def test_no_run_is_no_table():
    assert report.tables([]) == {}
    with pytest.raises(StoreError, match="found no run"):
        report.wide([])


def test_a_run_counts_once():
    with pytest.raises(StoreError, match="expected each run once"):
        report.wide([run_of(), run_of()])


def test_a_label_says_only_the_options_that_differ():
    other = {"form": "paper", "temperature": 0.1}
    frame = report.wide([run_of(), run_of(options=other), run_of(method="pixels", options={})])
    assert column(frame, "method") == [
        "invaspread (form=code)",
        "invaspread (form=paper)",
        "pixels",
    ]
    assert column(report.wide([run_of()]), "method") == ["invaspread"]


def test_a_field_without_a_column_is_said_where_rows_would_look_alike():
    frame = report.wide([run_of(head="none"), run_of(), run_of(epochs=2, schedule="constant")])
    assert column(frame, "method") == [
        "invaspread",
        "invaspread (head=linear)",
        "invaspread (head=none)",
    ]


def test_local_runs_and_published_records_are_two_rows():
    frame = report.wide([run_of()], [run_of(metrics={"recall@1": 0.6})])
    assert column(frame, "origin") == ["here", "published run"]
    assert column(frame, "recall@1") == [0.5, 0.6]


def test_a_run_is_compared_only_where_its_recipe_says_so():
    recipes = {"dataset": "cub200", "backbone": "googlenet"}
    expect = {"recall@1": 0.462}
    runs = [run_of(expect=expect, source="Table 3", **recipes), run_of(epochs=2, **recipes)]
    frame = report.wide(runs)
    ours = frame[frame["origin"] == "here"].sort_values("epochs")
    assert column(ours, "recall@1 (published)") == [None, 0.462]
    assert column(ours, "recall@1 (difference)") == [None, pytest.approx(0.038)]
    assert printed(ours, "recall@1 (difference)") == ["", "+3.8"]


def test_printed_numbers_stand_in_columns_of_their_own():
    frame = report.wide([run_of(dataset="cub200")])
    paper = frame[frame["origin"] == "paper"]
    assert set(column(paper, "recall@1")) == {None}
    ours = paper[paper["method"] == "InvaSpread (Ours)"].iloc[0]
    assert (ours["recall@1 (published)"], ours["nmi (published)"]) == (0.462, 0.554)
    assert ours["source"] == "Ye et al., CVPR 2019, Table 3"
    alone = report.wide([run_of(dataset="cub200")], published=False)
    assert column(alone, "origin") == ["here"]


def test_columns_stand_in_the_order_of_k():
    metrics = dict.fromkeys(("recall@10", "recall@2", "recall@1", "nmi"), 0.5)
    names = list(report.wide([run_of(metrics=metrics)]).columns)
    assert names == [
        *("origin", "method", "supervision", "backbone", "weights"),
        *("dim", "crop", "batch", "epochs", "seeds"),
        *("recall@1", "recall@2", "recall@10", "nmi"),
    ]


def test_no_folder_of_the_machine_is_shown():
    run = run_of(weights="/home/ada/w.pt", weights_digest="ab")
    for text in (report.to_csv(report.tidy([run])), report.to_json_lines([run])):
        assert "w.pt" in text
        assert "ada" not in text


def test_a_dataset_given_by_its_folder_is_headed_by_its_name():
    found = report.tables([run_of(dataset="/home/ada/birds")])
    assert list(found) == ["birds"]
    assert "ada" not in report.to_markdown(found["birds"], "birds")


def three(best=0.9, second=0.8):
    return [
        run_of(epochs=epochs, metrics={"recall@1": value, "nmi_chance": value})
        for epochs, value in ((1, 0.1), (2, best), (3, second))
    ]


def test_latex_has_the_best_in_bold_and_the_second_underlined():
    text = report.to_latex(report.wide(three()), "glyphs")
    assert r"\textbf{90.0} & 90.0 \\" in text  # nobody wins at chance
    assert r"\underline{80.0} & 80.0 \\" in text
    assert text.count(r"\textbf") == text.count(r"\underline") == 1
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1


def test_what_looks_the_same_in_print_shares_the_mark():
    text = report.to_latex(report.wide(three(0.9, 0.90001)))
    assert text.count(r"\textbf{90.0}") == 2
    assert text.count(r"\underline{10.0}") == 1


def test_one_row_wins_against_nobody():
    assert r"\textbf" not in report.to_latex(report.wide([run_of()]))


def test_hostile_names_stay_in_their_cell():
    frame = report.wide([run_of(method=HOSTILE, options={})])
    markdown = report.to_markdown(frame, HOSTILE)
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len(lines) == 3
    bars = [line.replace("\\|", "").count("|") for line in lines]
    assert bars == [len(report.grid(frame).header) + 1] * 3
    assert "<script>" not in markdown
    assert re.search(r"(?<!\\)\$", markdown) is None  # two of them begin a formula
    latex = report.to_latex(frame, HOSTILE)
    row = next(line for line in latex.splitlines() if line.startswith("here"))
    assert row.replace("\\&", "").count("&") == len(report.grid(frame).header) - 1
    assert r"100\% \$x\_\{1\}\textasciicircum{}2\textasciitilde{}\textbackslash{}n\#" in row
    for text in (markdown, latex):
        assert "\x1b" not in text


def test_csv_survives_hostile_names():
    frame = report.wide([run_of(method=HOSTILE, options={})])
    back = pd.read_csv(io.StringIO(report.to_csv(frame)))
    assert back["method"].tolist() == [visible(HOSTILE)]
    assert "\x1b" not in report.to_csv(frame)
    assert back["recall@1"].tolist() == [0.5]


def test_a_heading_never_leaves_the_folder(tmp_path):
    runs = [run_of(dataset=name) for name in ("..", "a b", "a_b", "results", "x\ny")]
    paths = report.write(runs, tmp_path / "tables")
    assert len({path.name.lower() for path in paths}) == len(paths) == 2 + 3 * len(runs)
    assert all(path.parent == tmp_path / "tables" and path.is_file() for path in paths)


def test_the_same_results_make_the_same_bytes(tmp_path):
    runs = [*three(), run_of(seed=1), run_of(dataset="cub200")]
    one = report.write(runs, tmp_path / "one", [run_of()])
    other = report.write(runs[::-1], tmp_path / "other", [run_of()])
    assert [path.name for path in one] == [path.name for path in other]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


def test_files_hold_full_precision(tmp_path):
    run = run_of(metrics={"recall@1": 2 / 3})
    report.write([run], tmp_path)
    assert json.loads((tmp_path / "results.json").read_text())[0]["metrics"]["recall@1"] == 2 / 3
    assert pd.read_csv(tmp_path / "results.csv")["value"].tolist() == [2 / 3]
    assert pd.read_csv(tmp_path / "glyphs.csv")["recall@1"].tolist() == [2 / 3]
    assert "| 66.7 |" in (tmp_path / "glyphs.md").read_text()


def test_a_wide_file_holds_the_means_and_intervals_that_the_records_give():
    records = [one for one in read_records(ROOT / "results/published") if place(one)[0] == "glyphs"]
    seeds = defaultdict(list)
    for record in records:
        seeds[repr({**record.recipe.decisive(), "seed": 0})].append(record)
    lines = list(
        csv.DictReader(io.StringIO(report.to_csv(report.wide([], records, published=False))))
    )
    assert len(lines) == len(seeds) > 20
    for group in seeds.values():
        first = group[0].recipe
        values = {name: [one.metrics[name] for one in group] for name in group[0].metrics}
        means = {name: sum(found) / len(found) for name, found in values.items()}
        (line,) = [one for one in lines if near(one["recall@1"], means["recall@1"])
                   and one["method"].split(" ")[0] == first.method]  # fmt: skip
        for name, found in values.items():
            assert near(line[name], means[name])
            if len(found) == 1:
                assert line[f"{name} (95 %)"] == ""
                continue
            half = float(stats.t.ppf(0.975, len(found) - 1) * stats.sem(found))
            assert near(line[f"{name} (95 %)"], half)
        for name in ("backbone", "dim", "crop", "batch", "epochs"):
            assert line[name] == str(getattr(first, name))
        assert line["seeds"] == str(len(group))
    assert {len(group) for group in seeds.values()} >= {3}


def near(text, value):
    return abs(float(text) - value) < 1e-12


def test_a_wide_file_leaves_empty_what_a_row_has_not():
    runs = [replace(run_of(), intervals={"recall@1": [0.4, 0.6]}), run_of(epochs=2, seed=1),
            run_of(epochs=2, seed=2), run_of(epochs=3, metrics={"nmi": 0.25})]  # fmt: skip
    lines = list(csv.DictReader(io.StringIO(report.to_csv(report.wide(runs, published=False)))))
    shown = [[line[name] for name in line if "recall" in name or "nmi" in name] for line in lines]
    assert list(lines[0])[-5:] == [
        "recall@1", "recall@1 (95 %)", "recall@1 (low)", "recall@1 (high)", "nmi",
    ]  # fmt: skip
    assert shown == [["0.5", "0.0", "", "", ""], ["", "", "", "", "0.25"],
                     ["0.5", "", "0.4", "0.6", ""]]  # fmt: skip


def test_tidy_has_a_line_a_run_and_metric():
    runs = [run_of(seed=s, metrics={"recall@1": 0.5, "nmi": 0.4}) for s in (0, 1)]
    frame = report.tidy(runs)
    assert frame[["seed", "metric", "value"]].values.tolist() == [
        [0, "recall@1", 0.5],
        [0, "nmi", 0.4],
        [1, "recall@1", 0.5],
        [1, "nmi", 0.4],
    ]


def shown(frame, **console):
    file = io.StringIO()
    report.print_table(frame, Console(file=file, **console), HOSTILE)
    return file.getvalue()


def test_a_table_is_plain_lines_where_nobody_watches():
    text = shown(report.wide(three()), width=20)
    assert "90.0" in text
    assert "\x1b" not in text
    assert "All: unsupervised" not in text
    assert "supervision unsupervised" in text
    assert len({len(line.rstrip()) for line in text.splitlines()[1:5]}) == 1


def test_a_person_sees_a_table_and_no_markup_is_obeyed():
    frame = report.wide([run_of(method="[red]x[/red]", options={}), *three()])
    assert "[red]x[/red]" in shown(frame, force_terminal=True, width=200)


def test_a_small_loss_is_no_negative_zero():
    frame = report.wide([run_of(expect={"recall@1": 0.50001})])
    assert printed(frame, "recall@1 (difference)") == ["+0.0"]


def test_plain_text_has_no_control_characters():
    assert typeset.plain("a\nb\x1b\t\u202ec") == "a b   c"


def test_queries_without_an_answer_are_shown_where_there_are_some():
    alone = replace(run_of(method="simclr"), counts={"unanswerable": 3})
    frame = report.wide([replace(run_of(), counts={"unanswerable": 0}), alone])
    assert printed(frame, "unanswerable") == ["", "3"]
    assert frame.columns.get_loc("unanswerable") < frame.columns.get_loc("recall@1")
    assert "Unanswerable queries have no other image of their class" in report.to_markdown(frame)
    assert "All: origin here" in report.note(report.wide([alone, replace(alone, recipe=other())]))
    assert "unanswerable 3" in report.note(report.wide([alone, replace(alone, recipe=other())]))
    assert "unanswerable" not in report.wide([run_of()])


def other():
    return replace(RECIPE, method="byol")
