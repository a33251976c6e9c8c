"""One command makes all from the published records: the ledger, its plots, their page."""

import json
import shutil
from contextlib import redirect_stdout
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest
from test_page import Reader

from dml_bench.cli import main
from dml_bench.ledger import account, answers, legend, summary
from dml_bench.ledger.budgets import gathered
from dml_bench.ledger.sentences import anchor
from dml_bench.pages import prose
from dml_bench.results import ELSEWHERE, read_records

RESULTS = Path(__file__).parents[1] / "results"
PUBLISHED = RESULTS / "published"
AGAIN = "write it anew: dml-bench ledger"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """All records, as the command leaves them, and what it printed; a plot was there before."""
    root = tmp_path_factory.mktemp("results")
    copy = shutil.copytree(PUBLISHED, root / "published", ignore=shutil.ignore_patterns("plots"))
    (copy / "plots").mkdir()
    (copy / "plots" / "of-runs-that-are-gone.svg").write_text("<svg/>")
    said = StringIO()
    with redirect_stdout(said):
        assert main(["ledger", "--records", str(copy)]) == 0
    return root, [Path(line) for line in said.getvalue().splitlines()]


@pytest.fixture(scope="module")
def text(made):
    return (made[0] / "LEDGER.html").read_text(encoding="utf-8")


def test_it_names_the_files_that_it_wrote_and_leaves_no_older_plot(made):
    root, said = made
    plots = set((root / "published" / "plots").iterdir())
    assert said[:2] == [root / account.NAME, root / account.TABLES]
    assert said[-1] == root / "LEDGER.html"
    assert len(said) == len(set(said))
    assert set(said[2:-1]) == plots
    assert {path.suffix for path in plots} == {".svg"}


def test_the_committed_ledger_and_plots_are_what_it_writes(made):
    root, said = made
    committed = {path.name for path in (PUBLISHED / "plots").iterdir()}
    assert committed == {path.name for path in said[2:-1]}, AGAIN
    for path in said[:-1]:
        assert path.read_bytes() == (RESULTS / path.relative_to(root)).read_bytes(), AGAIN


def test_the_committed_plots_are_small():
    assert sum(path.stat().st_size for path in (PUBLISHED / "plots").iterdir()) < 1_500_000


def told():
    """What the page says to each question, of the records and of those made elsewhere."""
    twins = read_records(PUBLISHED / ELSEWHERE)
    return answers.answers(gathered(read_records(PUBLISHED)), prose.FOLDER, twins)


def test_the_page_holds_all_that_the_ledger_says_of_each_question(text):
    found = told()
    assert len(found) > 5
    assert prose.blocks(summary.abstract(found), "In short") in text
    assert (
        prose.blocks(legend.section(gathered(read_records(PUBLISHED))), "Datasets and words")
        in text
    )
    for question in found:
        assert prose.blocks(summary.short(question), f"{question.title}, in short") in text
        assert prose.blocks(question.lines(prose.FOLDER), question.title) in text
        assert prose.blocks(question.tables, f"{question.title}, training by training") in text


def test_the_short_answers_lead_to_their_sections_and_every_run_to_its_record(text):
    read = Reader(text)
    ids = [attrs["id"] for _, attrs in read.tags if "id" in attrs]
    links = [attrs["href"] for attrs in read.all("a")]
    found = told()
    assert len(ids) == len(set(ids))
    assert {link[0] for link in links} == {"#"}
    assert {link[1:] for link in links} <= set(ids)
    sections = {f"#ledger-{anchor(one.title)}" for one in found}
    assert sections <= set(links)
    assert any(link.startswith("#run-") for link in links)


def test_headings_of_the_page_skip_no_level(text):
    levels = [int(tag[1]) for tag, _ in Reader(text).tags if tag in ("h1", "h2", "h3", "h4", "h5")]
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.fixture
def run(tmp_path):
    """A results folder with one finished run, made by a clean checkout: a published one."""
    record = next(PUBLISHED.glob("glyphs-random-*"))
    shutil.copytree(record, tmp_path / "runs" / record.name)
    return record.name


def published(folder, capsys):
    words = ["publish", "*", "--results", str(folder), "--into", str(folder / "published")]
    assert main(words) == 0
    return capsys.readouterr().out.splitlines()


def test_publishing_writes_the_ledger_its_plots_and_page_anew(tmp_path, run, capsys):
    ledger, page = tmp_path / account.NAME, tmp_path / "LEDGER.html"
    stale = tmp_path / "published" / "plots" / "stale.svg"
    stale.parent.mkdir(parents=True)
    for path in (ledger, page, stale):
        path.write_text("before")
    tables = tmp_path / account.TABLES
    assert published(tmp_path, capsys)[-3:] == [str(ledger), str(tables), str(page)]
    assert ledger.read_text(encoding="utf-8").startswith("# The ledger")
    for path in (tables, page):
        assert run in path.read_text(encoding="utf-8")
    assert not stale.exists()


def test_publishing_where_no_ledger_is_writes_none(tmp_path, run, capsys):
    said = published(tmp_path, capsys)
    assert any(run in line for line in said)
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "published"}
    assert not (tmp_path / "published" / "plots").exists()


def test_what_another_processor_made_is_told_and_shown_on_the_page(tmp_path, run, capsys):
    folder = tmp_path / "published"
    for home in (folder / run, folder / "elsewhere" / run):
        shutil.copytree(tmp_path / "runs" / run, home)
    path = folder / "elsewhere" / run / "result.json"
    said = json.loads(path.read_text())
    said["environment"] |= {"processor": "another", "bf16_flags": []}
    path.write_text(json.dumps(said))
    assert main(["ledger", "--records", str(folder)]) == 0
    ledger = (tmp_path / account.NAME).read_text(encoding="utf-8")
    link = f"published/elsewhere/{run}/result.json"
    assert f"({link})" in ledger
    assert (tmp_path / link).is_file()
    assert "on another (" in (tmp_path / "LEDGER.html").read_text(encoding="utf-8")
    capsys.readouterr()
    words = ["--results", str(tmp_path), "--data-root", str(tmp_path), "--records", str(folder)]
    assert main(["report", *words]) == 0
    assert "on another (" in (tmp_path / "report.html").read_text(encoding="utf-8")
