"""Publishing the records of runs: copied as they are, and only where they can be made again."""

import json
import shutil
from pathlib import Path

import pytest
from toys import SMALL, toy

from dml_bench import bench, recipes, report
from dml_bench.cli import main
from dml_bench.environment import kind
from dml_bench.errors import StoreError
from dml_bench.records import publish
from dml_bench.results import ELSEWHERE, read_records, read_result

UNTRAINED = {"epochs": 0, "augmentation": "none"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two finished runs: a trained and an untrained network."""
    results = tmp_path_factory.mktemp("made")
    for said in ({**SMALL, "method": "invaspread"}, {**SMALL, **UNTRAINED, "method": "random"}):
        recipe = recipes.resolve({**said, "dataset": "toy"}, toy())
        bench.run(recipe, toy(), results, say=lambda line: None)
    return results


@pytest.fixture
def results(made, tmp_path):
    """The same, as if a clean checkout had made them."""
    root = tmp_path / "results"
    shutil.copytree(made, root)
    for path in root.glob("runs/*/result.json"):
        said = json.loads(path.read_text())
        said["environment"] |= {"commit": "c0ffee", "dirty": False}
        path.write_text(json.dumps(said))
    return root


def mark(results, **environment):
    for path in results.glob("runs/*/result.json"):
        said = json.loads(path.read_text())
        said["environment"] |= environment
        path.write_text(json.dumps(said))


def test_a_record_is_the_run_without_vectors_and_weights(results, tmp_path):
    written = publish(results, ["*invaspread*"], tmp_path / "out")
    (home,) = (path for path in (tmp_path / "out").iterdir() if path.name != "tables")
    assert {path.name for path in home.iterdir()} == {"recipe.json", "curve.jsonl", "result.json"}
    for path in home.iterdir():
        assert path.read_bytes() == (results / "runs" / home.name / path.name).read_bytes()
    assert all(path.is_file() for path in written)


def test_tables_are_of_all_that_is_published(results, tmp_path):
    publish(results, ["*invaspread*"], tmp_path / "out")
    publish(results, ["*random*"], tmp_path / "out")
    table = (tmp_path / "out" / "tables" / "toy.md").read_text()
    assert "| invaspread" in table
    assert "| random" in table


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"dirty": True}, "found changes beside commit c0ffee; commit, and run it again"),
        ({"commit": None, "dirty": None}, "found no commit; commit, and run it again"),
    ],
)
def test_a_run_of_code_that_no_commit_holds_is_refused(results, tmp_path, environment, said):
    mark(results, **environment)
    with pytest.raises(StoreError, match=said):
        publish(results, ["*"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_another_processor_made_is_put_beside_and_stands_in_no_table(results, tmp_path):
    out = tmp_path / "out"
    mark(results, processor="a")
    publish(results, ["*"], out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    mark(results, processor="b")
    words = ["publish", "*random*", "--elsewhere", "--results", str(results), "--into", str(out)]
    assert main(words) == 0
    [home] = (out / "elsewhere").iterdir()
    [twin] = read_records(out / "elsewhere")
    assert (twin.recipe.method, twin.environment["processor"]) == ("random", "b")
    assert {path: path.read_bytes() for path in before} == before
    assert {path for path in out.rglob("*") if path.is_file()} - set(before) == set(home.iterdir())
    assert "b" not in {one.environment["processor"] for one in read_records(out)}


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (["*invaspread*"], {"processor": "b"}, "expected a recipe that is published under out"),
        (["*"], {}, "expected two kinds of processor, found a both times; to put it in the place"),
        (["*"], {"processor": "b", "threads": 99}, r"commit alone, found threads: \d+ against 99;"),
        (["*"], {"processor": "b", "packages": {"torch": "9"}}, "commit alone, found torch"),
    ],
)
def test_a_run_that_is_no_twin_of_a_published_one_is_refused(
    results, tmp_path, monkeypatch, before, now, said
):
    monkeypatch.chdir(tmp_path)
    mark(results, processor="a", bf16_flags=[])
    publish(results, before, Path("out"))
    mark(results, **now)
    with pytest.raises(StoreError, match=said):
        publish(results, ["*random*"], Path("out"), elsewhere=True)
    assert not Path("out/elsewhere").exists()


def test_the_same_name_with_other_instructions_is_another_kind_and_a_third_has_no_place(
    results, tmp_path
):
    out = tmp_path / "out"
    mark(results, processor="a", bf16_flags=[])
    publish(results, ["*"], out)
    mark(results, bf16_flags=["amx_bf16"])
    publish(results, ["*random*"], out, elsewhere=True)
    publish(results, ["*random*"], out, elsewhere=True)  # the same again takes its own place
    mark(results, processor="c")
    with pytest.raises(StoreError, match="found one on a with amx_bf16; delete it first"):
        publish(results, ["*random*"], out, elsewhere=True)
    [twin] = read_records(out / "elsewhere")
    assert twin.environment["processor"] == "a"


def test_a_pattern_that_fits_nothing_lists_the_runs(results, tmp_path, capsys):
    words = ["publish", "cub*", "--results", str(results), "--into", str(tmp_path / "out")]
    assert main(words) == 2
    assert "expected a finished run 'cub*', found toy-" in capsys.readouterr().err


def test_the_command_names_what_it_wrote(results, tmp_path, capsys):
    words = ["publish", "*", "--results", str(results), "--into", str(tmp_path / "out")]
    assert main(words) == 0
    assert "result.json" in capsys.readouterr().out


PUBLISHED = Path(__file__).parents[1] / "results" / "published"


def test_the_published_tables_are_what_the_published_records_give(tmp_path):
    records = read_records(PUBLISHED)
    assert len(records) >= 6
    written = report.write([], tmp_path, records, each_run=False)
    committed = PUBLISHED / "tables"
    assert {path.name for path in written} == {path.name for path in committed.iterdir()}
    for path in written:
        assert path.read_text() == (committed / path.name).read_text(), path.name


TWINS = read_records(PUBLISHED / ELSEWHERE)


@pytest.mark.parametrize("twin", TWINS, ids=lambda r: r.recipe.key)
def test_a_record_made_elsewhere_stands_beside_one_of_another_processor(twin):
    published = read_result(PUBLISHED / twin.recipe.key / "result.json")
    assert kind(twin.environment) != kind(published.environment)


@pytest.mark.parametrize("record", [*read_records(PUBLISHED), *TWINS], ids=lambda r: r.recipe.key)
def test_a_published_record_was_made_by_a_commit_and_names_no_path(record):
    assert len(record.environment["commit"]) == 40
    assert record.environment["dirty"] is False
    assert "/" not in record.environment["command"]
