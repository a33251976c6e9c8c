"""`explain` and `rerun`: what differs, most important first; whether numbers are the same."""

import csv
import io
import json
import shlex
import shutil
from dataclasses import replace

import pytest
from test_report import run_of
from test_whole_path import SMALL, write_dataset

from dml_bench.cli import main
from dml_bench.comparisons import explanation
from dml_bench.comparisons.explain import in_words
from dml_bench.comparisons.explanation import apart, numbers, verdict
from dml_bench.comparisons.rerun import with_weights
from dml_bench.errors import DataError
from dml_bench.models import digest


def told(a, b):
    return [(line.topic, line.what) for line in explanation.explain(a, b)]


def judged(a, b):
    return verdict(a, b, explanation.explain(a, b))


def here(**environment):
    usual = {"commit": "aa", "dirty": False, "packages": {"torch": "2.0"}, "threads": 1}
    return replace(run_of(), environment={**usual, **environment})


def test_two_equal_results_have_nothing_apart():
    assert told(here(), here()) == []
    assert judged(here(), here()).endswith("all numbers are the same to the last bit.")


def test_the_most_important_stands_first():
    a = here()
    b = replace(
        run_of("bbbb", method="nce", lr=0.1, seed=3, options={"form": "code", "m": 2}),
        environment={**a.environment, "threads": 2, "packages": {"torch": "2.1"}},
    )
    assert told(a, b) == [
        ("what was asked", "protocol"),
        ("recipe", "method"),
        ("recipe", "option temperature"),
        ("recipe", "option m"),
        ("recipe", "lr"),
        ("recipe", "seed"),
        ("code", "torch"),
        ("machine", "threads"),
    ]
    assert "not asked the same" in judged(a, b)


def test_every_field_of_a_recipe_can_be_explained():
    fields = {*run_of().recipe.as_dict(), "options"} - {"dataset"}
    assert set(explanation.FIELDS) == fields


def test_two_seeds_are_called_so():
    assert judged(here(), replace(here(), recipe=run_of(seed=1).recipe)) == (
        "They are two seeds of one recipe."
    )


def test_a_seed_beside_another_field_makes_no_two_seeds_of_one_recipe():
    other = replace(here(), recipe=run_of(seed=1, lr=0.1).recipe)
    assert judged(here(), other) == "They are different recipes; first of all in lr."


@pytest.mark.parametrize(
    ("field", "one", "other", "what"),
    [
        ("training", "ab", "cd", "training images"),
        ("files", "ab", "cd", "image files"),
        ("start", "ab", "cd", "weights at the start"),
        ("counts", {"train_images": 8}, {"train_images": 9}, "train images"),
    ],
)
def test_other_images_or_weights_are_named_and_make_no_other_recipe(field, one, other, what):
    a, b = (replace(here(), **{field: value}) for value in (one, other))
    assert told(a, b) == [("images and weights", what)]
    assert judged(a, b) == "It is one recipe, with other images or weights."
    assert told(a, replace(here(), **{field: type(one)()})) == []  # never noted


def test_other_conventions_of_the_metrics_are_another_question():
    other = replace(here(), conventions="0")
    assert told(here(), other) == [("what was asked", "conventions of the metrics")]
    assert "not asked the same" in judged(here(), other)


@pytest.mark.parametrize(
    "name", ["device", "processor", "bf16_flags", "threads", "cores", "python", "platform"]
)
def test_each_thing_of_the_machine_is_told(name):
    a, b = here(**{name: "one"}), here(**{name: "other"})
    assert told(a, b) == [("machine", name.replace("_", " "))]


def test_weights_that_one_result_never_noted_are_no_difference():
    a, b = replace(here(), end="ab"), replace(here(), end="cd")
    assert apart(numbers(a), numbers(b)) == ["weights"]
    assert apart(numbers(a), numbers(here())) == apart(numbers(here()), numbers(b)) == []


def test_another_number_of_the_same_recipe_is_laid_to_what_differs():
    other = replace(here(threads=2), metrics={"recall@1": 0.4})
    assert "what else differs is the machine" in judged(here(), other)
    unexplained = replace(here(), metrics={"recall@1": 0.4})
    assert "for no noted reason" in judged(here(), unexplained)


def test_weights_are_what_their_digest_says():
    a = run_of(weights="/a/w.pt", weights_digest="ab")
    assert told(a, run_of(weights="/b/v.pt", weights_digest="ab")) == []
    assert told(a, run_of(weights="/b/w.pt", weights_digest="cd")) == [("recipe", "weights_digest")]


def test_the_code_of_a_user_is_what_its_digest_says():
    a = run_of(method="/a/mine.py", method_digest="ab", backbone="/a/net.py:make")
    b = run_of(method="/b/mine.py", method_digest="ab", backbone="net.py:make")
    assert told(a, b) == []
    assert judged(a, b).startswith("It is one recipe, and all numbers are the same")
    assert told(a, run_of(method="/a/mine.py", method_digest="cd", backbone="net.py:make")) == [
        ("recipe", "method_digest")
    ]
    assert told(a, run_of(method="/a/other.py", method_digest="ab", backbone="net.py:make")) == [
        ("recipe", "method")
    ]


def test_what_was_never_noted_is_no_difference():
    assert told(replace(here(), training="ab", start="cd"), here()) == []


@pytest.mark.parametrize(
    ("one", "other", "what"),
    [
        ("none", "unsupervised", "image files"),
        ("supervised", "none", "image files"),
        ("unsupervised", "supervised", "training images"),
    ],
)
def test_marks_of_what_training_gave_are_compared_only_where_it_gave_the_same(one, other, what):
    a = replace(here(), supervision=one, files="ab", training="" if one == "none" else "12")
    b = replace(here(), supervision=other, files="cd", training="" if other == "none" else "34")
    assert explanation.incomparable(a, b) == [what]
    assert what not in [found for _, found in told(a, b)]
    assert f"same kind: {what})" in "\n".join(in_words(a, b, []))
    alike = replace(b, supervision=one, training=b.training or a.training)
    assert explanation.incomparable(a, alike) == []
    assert ("images and weights", "image files") in told(a, alike)


def test_one_folder_holds_the_same_files_where_one_run_alone_was_trained(place, capsys):
    words = ["train", "--dataset", "shapes_unseen", "--method", "random", *SMALL[:8]]
    assert ran(place, *words, results="untrained") == 0
    (folder,) = (place / "untrained" / "runs").iterdir()
    (trained,) = (place / "results" / "runs").iterdir()
    capsys.readouterr()
    assert ran(place, "explain", trained, folder) == 0
    text = capsys.readouterr().out
    assert "image files:" not in text
    assert "same kind: image files)" in text


def test_a_metric_is_said_in_per_cent_and_a_tiny_change_by_its_size():
    small = replace(here(), metrics={"recall@1": 0.5 + 1e-12})
    text = "\n".join(in_words(small, here(), []))
    assert "recall@1: 50.0 against 50.0 (+1.0e-10)" in text
    large = "\n".join(in_words(replace(here(), metrics={"recall@1": 0.6}), here(), []))
    assert "recall@1: 60.0 against 50.0 (+10.0)" in large


def test_neither_seconds_nor_speed_are_numbers_to_find_again():
    row = {"epoch": 1, "loss": 0.5, "lr": 0.1, "seconds": 3.0, "images_per_second": 9.0}
    one = replace(run_of(), curve=[row])
    faster = replace(run_of(), curve=[{**row, "seconds": 2.0, "images_per_second": 12.0}])
    assert apart(numbers(one), numbers(faster)) == []
    other = replace(run_of(), curve=[{**row, "loss": 0.5 + 1e-17}])
    assert apart(numbers(one), numbers(other)) == []  # that is 0.5
    other = replace(run_of(), curve=[{**row, "loss": 0.5 + 1e-15}])
    assert apart(numbers(one), numbers(other)) == ["epoch 1: loss"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A small trained run."""
    root = tmp_path_factory.mktemp("place")
    write_dataset(root / "data")
    words = ["train", "--dataset", "shapes_unseen", "--method", "invaspread", *SMALL]
    assert ran(root, *words, "--set", "epochs=2", "--set", "monitor=recall@1") == 0
    return root


def ran(place, *words, results="results"):
    roots = ["--results", place / results]
    roots += [] if words[0] in ("explain", "compare") else ["--data-root", place / "data"]
    return main([str(word) for word in (*words, *roots)])


def changed(place, name, **values):
    """A copy of the run whose result says something else."""
    (folder,) = (place / "results" / "runs").iterdir()
    other = place / name / "runs" / folder.name
    shutil.copytree(folder, other)
    said = json.loads((other / "result.json").read_text())
    for key, value in values.items():
        said[key] = {**said[key], **value} if isinstance(value, dict) else value
    (other / "result.json").write_text(json.dumps(said))
    return other / "result.json"


def test_a_rerun_is_the_same_to_the_last_bit(place, capsys):
    assert ran(place, "rerun", "shapes_unseen") == 0
    heard = capsys.readouterr()
    assert "the same to the last bit: 9 metrics, 2 epochs of the curve, the weights" in heard.err
    assert "epoch 2: recall@1" in heard.out


def test_a_rerun_says_which_number_differs_and_by_how_much(place, capsys):
    path = changed(place, "moved", metrics={"recall@2": 0.25})
    assert ran(place, "rerun", path, "--format", "json") == 1
    heard = capsys.readouterr()
    found = json.loads(heard.out)
    assert (found["same"], found["differ"]) == (False, ["recall@2"])
    assert "not the same: 1 of" in heard.err


def test_a_rerun_names_what_else_is_not_as_it_was(place, capsys):
    path = changed(place, "older", environment={"packages": {"torch": "0.1"}}, metrics={"nmi": 0.5})
    assert ran(place, "rerun", path) == 1
    assert "torch  0.1" in capsys.readouterr().out


def test_a_rerun_is_kept_where_it_is_asked_for_and_never_given_for_the_old_one(place, capsys):
    assert ran(place, "rerun", "shapes_unseen", "--into", place / "kept") == 0
    assert list((place / "kept" / "runs").glob("*/result.json"))
    capsys.readouterr()
    assert ran(place, "rerun", "shapes_unseen", "--into", place / "kept") == 2
    assert "expected a folder without this run" in capsys.readouterr().err


def test_a_rerun_works_with_as_many_threads_as_the_run_had(place, capsys):
    path = changed(place, "threads", environment={"threads": 3})
    ran(place, "rerun", path, "--into", place / "three")
    assert "threads: 3, as the run had" in capsys.readouterr().err
    (again,) = (place / "three" / "runs").glob("*/result.json")
    assert json.loads(again.read_text())["environment"]["threads"] == 3


def test_a_rerun_works_with_as_many_threads_as_it_is_told(place, capsys):
    path = changed(place, "told", environment={"threads": 3})
    assert ran(place, "rerun", path, "--threads", 2, "--into", place / "two") in (0, 1)
    assert "as the run had" not in capsys.readouterr().err
    (again,) = (place / "two" / "runs").glob("*/result.json")
    assert json.loads(again.read_text())["environment"]["threads"] == 2
    for number in (0, -1, 1025):
        assert ran(place, "rerun", path, "--threads", number, "--into", place / "none") == 2
        assert f"threads: expected 1 to 1024, found {number}" in capsys.readouterr().err
    assert not (place / "none").exists()


def test_other_images_are_refused_before_any_work(place, capsys):
    path = changed(place, "elsewhere", fingerprint="0" * 16)
    assert ran(place, "rerun", path, "--into", place / "nothing") == 2
    assert "expected protocol 0000000000000000, found" in capsys.readouterr().err
    assert not (place / "nothing").exists()


def test_weights_for_a_recipe_without_any_are_refused(place, capsys):
    assert ran(place, "rerun", "shapes_unseen", "--weights", "w.pt") == 2
    assert "--weights: expected a recipe with a weights file" in capsys.readouterr().err


def test_a_gap_is_what_there_is_now_less_what_was_there_then(place, capsys):
    path = changed(place, "gap", metrics={"recall@2": 0.25})
    assert ran(place, "rerun", path, "--format", "csv") == 1
    table = capsys.readouterr().out.split("\n\n")[0]
    rows = {row["number"]: row for row in csv.DictReader(io.StringIO(table))}
    gap = float(rows["recall@2"]["now"]) - 0.25
    assert float(rows["recall@2"]["now - then"]) == gap > 0
    assert rows["recall@1"]["now - then"] == ""


def test_weights_for_a_rerun_are_those_that_the_run_had_wherever_they_lie(tmp_path):
    (tmp_path / "w.pt").write_bytes(b"those")
    (tmp_path / "v.pt").write_bytes(b"others")
    said = {"weights": str(tmp_path / "w.pt"), "weights_digest": digest(tmp_path / "w.pt")}
    recipe = run_of(**said).recipe
    assert with_weights(recipe, None) == recipe
    (tmp_path / "w.pt").rename(tmp_path / "moved.pt")
    found = with_weights(recipe, tmp_path / "moved.pt")
    assert (found.weights, found.key) == (str(tmp_path / "moved.pt"), recipe.key)
    with pytest.raises(DataError, match=r"expected the weights file, found none; name it with"):
        with_weights(recipe, None)
    with pytest.raises(DataError, match=r"v.pt: expected weights of SHA-256 \w+\.\.\., found"):
        with_weights(recipe, tmp_path / "v.pt")


def test_a_run_that_held_images_out_is_made_again_with_the_same_ones(place, tmp_path, capsys):
    more = ["--set", "epochs=1", "--set", "monitor=recall@1", "--set", "validation=0.5"]
    words = ["train", "--dataset", "shapes_unseen", "--method", "invaspread", *SMALL, *more]
    roots = ["--data-root", place / "data", "--results", tmp_path]
    assert main([str(word) for word in (*words, *roots)]) == 0
    capsys.readouterr()
    assert main([str(word) for word in ("rerun", "shapes_unseen", *roots)]) == 0
    assert "the same to the last bit" in capsys.readouterr().err


OWN = """
from dml_bench.methods.pixels import Method as Pixels


class Method(Pixels):
    pass
"""


def test_a_run_of_somebodys_own_code_is_made_again_by_the_commands_that_a_rerun_shows(
    place, tmp_path, capsys
):
    (tmp_path / "mine.py").write_text(OWN)
    roots = ["--data-root", str(place / "data"), "--results", str(tmp_path / "old results")]
    more = ["--set", "resize=16", "--set", "crop=16"]
    method = ["--method", str(tmp_path / "mine.py")]
    assert main(["train", "--dataset", "shapes_unseen", *method, *more, *roots]) == 0
    capsys.readouterr()
    new = tmp_path / "new"
    assert main(["rerun", "shapes_unseen-mine", *roots, "--into", str(new)]) == 2
    line = capsys.readouterr().err
    train, explain = line.partition("run it yourself: ")[2].split("; then ")
    assert main(shlex.split(train)[1:]) == 0
    assert len(list(new.glob("runs/*/result.json"))) == 1
    assert main(shlex.split(explain)[1:]) == 0


def test_explain_speaks_of_stored_results(place, capsys):
    path = changed(place, "another", environment={"threads": 7}, metrics={"recall@1": 0.9})
    (folder,) = (place / "results" / "runs").iterdir()
    assert ran(place, "explain", folder, path) == 0
    text = capsys.readouterr().out
    assert "what else differs is the machine" in text
    assert "against 7" in text
    assert ran(place, "explain", folder, path, "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [line["what"] for line in found["differences"]] == ["threads"]
