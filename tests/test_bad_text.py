"""Text that others wrote is shown as it is: no screen, reader or spreadsheet obeys it."""

import csv
import io

import pytest
from refusals import NETWORK, outcome, roots, write_mine
from rich.console import Console

from dml_bench import progress, report, terminal, typeset
from dml_bench.text import formula_free, shown, visible

NASTY = {
    "markup": "[bold]mine[red]",
    "a link in markup": "[link=file:///etc/passwd]mine[/link]",
    "a tag that is never closed": "[/]mine",
    "a formula": "=HYPERLINK('x')",
    "a sum": "+1+1",
    "a command": "@SUM(1)",
    "a web page": "<script>alert(1)<script>",
    "cells": "a|b||c",
    "emphasis": "_mine_ ~~yours~~ __ours__",
    "an option of the row before": "[2ex]mine",
    "a star of the row before": "*mine",
    "LaTeX": "\\input{x}$_{1}$%",
    "escapes": "\x1b[31mmine\x1b[0m",
    "the title of the window": "\x1b]0;mine\x07",
    "from right to left": "\u202eenim",
    "lines": "mine\nerror: yours",
}
WIDE = "\uff1d1"
FORMS = ("table", "csv", "md", "tex", "json")
CONTROL = {"\x1b", "\x07", "\u202e", "\r", "\b"}


FOLDERS = [name for name, text in NASTY.items() if "/" not in text]


def told(tmp_path, capfd, name, form):
    """A run on a dataset of this name, and what is printed of it."""
    home = write_mine(tmp_path)
    quoted = "".join(f"\\U{ord(mark):08x}" for mark in name)
    toml = home / "dataset.toml"
    toml.write_text(toml.read_text().replace('"mine"', f'"{quoted}"'))
    home.rename(home.with_name(name))
    words = ["train", "--dataset", name, "--method", "random", *NETWORK[:8], "--format", form]
    assert outcome(roots(words, tmp_path)) == (0 if name.isprintable() else 2)
    return capfd.readouterr()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", FOLDERS)
def test_a_dataset_by_any_name_is_shown_and_never_obeyed(tmp_path, capfd, name, form):
    heard = told(tmp_path, capfd, NASTY[name], form)
    assert not CONTROL & set(heard.out + heard.err)
    assert "\nerror: yours" not in heard.out + heard.err
    if form == "table" and NASTY[name].isprintable():
        assert NASTY[name] in heard.out
    if form == "csv":
        rows = list(csv.reader(io.StringIO(heard.out)))
        assert not [c for row in rows for c in row if c.startswith(("=", "@", "+")) and len(c) > 1]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_dataset_by_any_name_is_listed_on_a_line_of_its_own(tmp_path, capsys, name):
    home = write_mine(tmp_path)
    home.rename(home.with_name(NASTY[name]))
    assert outcome(roots(["list", "datasets"], tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert not CONTROL & set("".join(lines))
    ours = [line for line in lines if line.startswith(visible(NASTY[name])[:4])]
    assert len(ours) == 1


def framed(text):
    return report.one_line({"method": text, "recall@1": 0.5})


@pytest.mark.parametrize("text", NASTY.values())
def test_a_cell_of_a_table_on_a_screen_is_the_text_itself(text):
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=200, color_system=None)
    report.print_table(framed(text), console, text)
    assert not (CONTROL - {"\x1b"}) & set(file.getvalue())
    assert "".join(m if m.isprintable() else " " for m in text) in file.getvalue()


@pytest.mark.parametrize("text", NASTY.values())
def test_a_cell_of_markdown_makes_no_other_cell_and_no_tag(text):
    head, sides, row = report.to_markdown(framed(text)).splitlines()[:3]
    assert row.replace("\\|", "").count("|") == sides.count("|") == head.count("|")
    assert "<" not in row
    assert not CONTROL & set(row)


@pytest.mark.parametrize("text", NASTY.values())
def test_a_cell_of_latex_is_no_command(text):
    row = next(line for line in report.to_latex(framed(text), text).splitlines() if "50.0" in line)
    for command in ("\\input", "$_", "%", "{x}"):
        assert command not in row.replace("\\%", "").replace("\\{", "").replace("\\_", "")
    assert not CONTROL & set(row)


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1+2", "@x", " =1", WIDE, "\t=1", "\r=1", "a\r\nb"]
)
def test_a_cell_of_csv_is_no_formula_and_a_number_stays_one(text):
    (_, row) = list(csv.reader(io.StringIO(report.to_csv(framed(text)), newline="")))
    assert row == [f"'{text}" if text.isprintable() else visible(text), "0.5"]
    assert formula_free(-0.5) == -0.5


def test_the_name_of_a_column_of_csv_is_no_formula():
    assert report.to_csv(report.one_line({"=1+1": 0.5})) == "'=1+1\n0.5\n"


def test_underscores_of_markdown_are_escaped_at_the_edge_of_a_word_only():
    shown = report.to_markdown(framed("_mine_ efficientnet_lite0 __init__ a_ _b"))
    assert r"\_mine\_ efficientnet_lite0 \_\_init\_\_ a\_ \_b" in shown


@pytest.mark.parametrize("text", ["[2ex]mine", "*mine"])
def test_the_first_cell_of_a_row_of_latex_is_no_option_of_the_row_before(text):
    grid = typeset.Grid(["id", "n"], [[text, "1"], [text, "2"], ["mine", text]])
    lines = typeset.latex(grid).splitlines()
    rows = lines[lines.index("\\midrule") + 1 : lines.index("\\bottomrule")]
    assert rows == [rf"{{}}{text} & 1 \\", rf"{{}}{text} & 2 \\", rf"mine & {text} \\"]


def test_what_is_said_on_the_way_is_one_line_a_line(capsys):
    terminal.say("\ntitle \x1b[31m\u202e\x07")
    assert capsys.readouterr().err == "\ntitle \\x1b[31m\\u202e\\x07\n"
    assert shown("a\r\n\tb\x1b") == "a b\\x1b"


def test_a_bar_s_label_is_no_markup():
    with progress.Bar("[bold]\x1b[2J", 1) as bar:
        assert bar.label == "[bold]\\x1b[2J"
    rich = progress._rich_bar("[bold]x[/bold]", 1, 0)
    rich.stop()
    cells = rich.columns[0].render(rich.tasks[0])
    assert cells.plain == "[bold]x[/bold]"
