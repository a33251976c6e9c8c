"""A suite's runs, one after the other: what stops one does not stop the others."""

import re

import pytest
import torch
from toys import SMALL, toy

from dml_bench import bench, data, entries, runner, suites
from dml_bench.errors import BenchError, RecipeError
from dml_bench.jobs.handover import Place, Work
from dml_bench.results import finished_runs

HEAD = """
[defaults]
dataset = "toy"
backbone = "conv4"
resize = 0
crop = 16
batch = 8
dim = 16
epochs = 1
augmentation = "affine"
precision = "fp32"
"""
RUNS = """
[[run]]
label = "chance"
method = "random"
[[run]]
method = "triplet_semihard"
weights = "none"
schedule = "constant"
"""


@pytest.fixture
def suite(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "load", lambda name, root: toy(name))

    def written(text):
        (tmp_path / "mine.toml").write_text(text)
        return suites.load(tmp_path / "mine.toml")

    return written


def ran(suite, tmp_path, **over):
    heard = []
    made, failed = runner.run_suite(
        suite, over, data_root=tmp_path, results=tmp_path / "results", say=heard.append
    )
    return made, failed, heard


def test_what_is_said_for_all_runs_leaves_the_untrained_as_they_are(suite, tmp_path):
    made, failed, _ = ran(suite(HEAD + RUNS), tmp_path, epochs=2)
    assert failed == []
    assert [result.recipe.epochs for result in made] == [0, 2]
    assert made[0].recipe.augmentation == "none"


def test_entries_that_become_one_run_are_made_and_shown_once(suite, tmp_path):
    text = HEAD + '[[run]]\nmethod = "random"\nseeds = [0, 1, 2]\n'
    made, failed, _ = ran(suite(text), tmp_path, seed=1)
    assert failed == []
    assert [result.recipe.seed for result in made] == [1]


def test_what_an_untrained_run_says_itself_is_refused(suite, tmp_path):
    own = '[[run]]\nmethod = "random"\nepochs = 3\n'
    _, (failure,), heard = ran(suite(HEAD + own), tmp_path)
    assert failure.status == 2
    assert "expected epochs 0, found 3" in failure.line
    assert heard == [f"not run: {failure.line}"]


def test_a_run_is_announced_by_its_number_and_its_label(suite, tmp_path):
    *_, heard = ran(suite(HEAD + RUNS), tmp_path)
    announced = [line for line in heard if line.startswith("run ")]
    assert announced[0].startswith("run 1/2: chance (toy-random-conv4-s0-")
    assert announced[1].startswith("run 2/2: triplet_semihard (toy-triplet_semihard-conv4-s0-")


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (
            torch.OutOfMemoryError("out of\nmemory"),
            1,
            "toy chance: OutOfMemoryError: out of memory",
        ),
        (ValueError("a library's"), 1, "toy chance: ValueError: a library's (test_runner.py:"),
        (RecipeError("expected more"), 2, "toy chance: expected more"),
    ],
)
def test_whatever_breaks_a_run_does_not_stop_the_others(
    suite, tmp_path, monkeypatch, error, status, said
):
    run = bench.run

    def breaks(recipe, *given, **named):
        if recipe.method == "random":
            raise error
        return run(recipe, *given, **named)

    monkeypatch.setattr(bench, "run", breaks)
    made, (failure,), heard = ran(suite(HEAD + RUNS), tmp_path)
    assert [result.recipe.method for result in made] == ["triplet_semihard"]
    assert failure.status == status
    assert failure.line.startswith(said)
    assert len([line for line in heard if failure.line in line]) == 1


def test_a_person_who_stops_a_suite_stops_all_of_it(suite, tmp_path, monkeypatch):
    def stops(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "run", stops)
    with pytest.raises(KeyboardInterrupt):
        ran(suite(HEAD + RUNS), tmp_path)


def test_a_setting_laid_over_beats_a_runs_own_and_an_untrained_methods_never():
    said = {"method": "invaspread", "epochs": 3, "options": {"form": "paper"}}
    over = {"epochs": 9, "options": {"temperature": 0.2}}
    found = entries.laid_over(said, over)
    assert found["epochs"] == 9
    assert found["options"] == {"form": "paper", "temperature": 0.2}
    untrained = entries.laid_over({**SMALL, "method": "random"}, over)
    assert not {"epochs", "weights", "augmentation"} & set(untrained)


def test_a_width_that_is_said_for_many_is_left_out_where_there_is_no_head():
    for said in ({"method": "pixels", "head": "linear"}, {"method": "moco", "head": "none"}):
        assert "dim" not in entries.laid_over({**said, "dim": 64}, {"dim": 32})
        assert entries.laid_over({**said, "dim": 64}, {}, {"head", "dim"})["dim"] == 64
    assert entries.laid_over({"method": "moco", "dim": 64}, {"dim": 32})["dim"] == 32


EXPECTS = '[[run]]\nmethod = "random"\n{}\n'
SAYS = 'expect = {{ "recall@1" = {} }}\nsource = "{}"'


def beside(results):
    return [(dict(result.recipe.expect), result.recipe.source) for result in results]


def handed(suite, tmp_path):
    """What a suite prints that was handed to other processes."""
    place = Place(tmp_path, tmp_path / "results", device="cpu")
    return Work(suite, {}, place, say=print).results()


@pytest.mark.parametrize("call", [lambda *given: ran(*given)[0], handed])
def test_what_a_suite_expects_now_is_laid_over_what_is_stored(suite, tmp_path, call):
    plain, first, second = ("", SAYS.format(0.3, "Table 1"), SAYS.format(0.4, "Table 2"))
    (made,), *_ = ran(suite(HEAD + EXPECTS.format(plain)), tmp_path)
    folder = tmp_path / "results/runs" / made.recipe.key
    wanted = [(first, 0.3, "Table 1"), (second, 0.4, "Table 2"), (plain, 0.4, "Table 2")]
    for text, value, source in wanted:
        said = [({"recall@1": value}, source)]
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        assert beside(call(suite(HEAD + EXPECTS.format(text)), tmp_path)) == said
        assert beside(finished_runs(tmp_path / "results")) == said
        changed = {path.name for path in folder.iterdir() if path.read_bytes() != before[path.name]}
        assert changed == ({"recipe.json", "result.json"} if text else set())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("recal@1", "no metric 'recal@1'; did you mean 'recall@k'? There is recall@k, "),
        ("recall@0", "expected a whole number from 1 after 'recall@', found '0'; write recall@1"),
    ],
)
def test_a_metric_that_is_not_there_is_refused_before_any_run(suite, tmp_path, name, said):
    suite(HEAD + RUNS + f'expect = {{ nmi = 0.5, "{name}" = 0.5 }}\n')
    where = "suite mine, run 2/2: triplet_semihard: expect: "
    with pytest.raises(BenchError, match="^" + re.escape(where + said)):
        entries.load([tmp_path / "mine.toml"], {})


@pytest.mark.parametrize("name", suites.names())
def test_the_packages_own_suites_are_taken_in(name):
    assert entries.load([name], {})[0].runs
