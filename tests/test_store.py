"""A run's folder is whole or it is not done; what is read back is what was written."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from dml_bench import environment as environments
from dml_bench.errors import RunError, StoreError
from dml_bench.results import finished_runs, read_records, read_result
from dml_bench.store import Run, atomic_write, environment
from dml_bench.types import Embeddings, Firsts, Ranking, Recipe, RunResult

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
    expect={"recall@1": 0.697},
    source="a trial",
)


def result_of(recipe=RECIPE, **metrics):
    return RunResult(
        recipe=recipe,
        metrics=metrics or {"recall@1": 2 / 3, "nmi": 0.5},
        curve=[{"epoch": 1, "loss": 0.1}],
        counts={"test_images": 4},
        fingerprint="0123456789abcdef",
        supervision="unsupervised",
        seconds={"train": 1.5},
        environment={"python": "3.11"},
        finished="2025-01-01T00:00:00Z",
    )


def finished(results, recipe=RECIPE):
    run = Run(results, recipe)
    run.begin()
    run.finish(result_of(recipe))
    return run


def test_a_result_read_back_is_the_result_that_was_written(tmp_path):
    run = finished(tmp_path)
    back = read_result(run.folder / "result.json")
    assert back == result_of()
    assert back.recipe.key == RECIPE.key
    assert (back.recipe.expect, back.recipe.source) == (RECIPE.expect, RECIPE.source)
    assert back.metrics["recall@1"] == 2 / 3


def test_a_run_is_done_only_when_its_result_is_there(tmp_path):
    run = Run(tmp_path, RECIPE)
    assert not run.finished
    run.begin()
    assert Recipe.from_dict(json.loads((run.folder / "recipe.json").read_text())) == RECIPE
    assert not run.finished
    assert finished_runs(tmp_path) == []
    run.finish(result_of())
    assert run.finished
    assert finished_runs(tmp_path) == [result_of()]


def test_published_records_never_count_as_done(tmp_path):
    run = finished(tmp_path)
    (tmp_path / "published").mkdir()
    run.folder.rename(tmp_path / "published" / RECIPE.key)
    assert not run.finished
    assert finished_runs(tmp_path) == []
    assert read_records(tmp_path / "published") == [result_of()]


def test_runs_come_sorted_by_key(tmp_path):
    for seed in (2, 0, 1):
        finished(tmp_path, replace(RECIPE, seed=seed))
    keys = [result.recipe.key for result in finished_runs(tmp_path)]
    assert keys == sorted(keys)
    assert len(keys) == 3


def break_json(change):
    def broken(text):
        values = json.loads(text)
        change(values)
        return json.dumps(values)

    return broken


@pytest.mark.parametrize(
    "broken",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "null",
        lambda text: "[" * 100_000,
        lambda text: text.replace("0.5,", "NaN,", 1),
        lambda text: text.replace('"nmi": 0.5', '"nmi": NaN'),
        lambda text: text.replace('"nmi": 0.5', '"nmi": 1e999'),
        break_json(lambda values: values.pop("metrics")),
        break_json(lambda values: values.pop("fingerprint")),
        break_json(lambda values: values.update(metrics=[0.5])),
        break_json(lambda values: values["metrics"].update(nmi="0.5")),
        break_json(lambda values: values["metrics"].update(nmi=None)),
        break_json(lambda values: values["recipe"].pop("seed")),
        break_json(lambda values: values["recipe"].update(strange=1)),
    ],
)
def test_a_torn_result_is_refused_in_one_line(tmp_path, broken):
    run = finished(tmp_path)
    path = run.folder / "result.json"
    path.write_text(broken(path.read_text()))
    with pytest.raises(StoreError, match=r"expected a whole result, found: .*; delete") as caught:
        _ = run.finished
    assert "\n" not in str(caught.value)


def test_a_torn_result_is_named_and_stops_nobody_else(tmp_path, capsys):
    whole, torn = finished(tmp_path), finished(tmp_path, replace(RECIPE, seed=1))
    (torn.folder / "result.json").write_text("{")
    assert [result.recipe for result in finished_runs(tmp_path)] == [whole.recipe]
    assert capsys.readouterr().err.startswith(f"left out: {torn.folder.name}/result.json: expected")
    with pytest.raises(StoreError, match="expected a whole result"):
        read_records(tmp_path / "runs")


def test_a_record_from_before_there_were_conventions_is_read(tmp_path):
    path = finished(tmp_path).folder / "result.json"
    values = json.loads(path.read_text())
    assert (values.pop("training"), values.pop("conventions")) == ("", "1")
    path.write_text(json.dumps(values))
    assert read_result(path) == result_of()


def test_a_result_that_is_not_text_is_refused(tmp_path):
    run = finished(tmp_path)
    (run.folder / "result.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StoreError, match="whole result"):
        read_result(run.folder / "result.json")


def test_a_missing_result_says_to_run_first(tmp_path):
    with pytest.raises(StoreError, match=r"expected a result, found: No such file.*; run the"):
        read_result(tmp_path / "nothing" / "result.json")


def test_a_result_in_the_folder_of_another_recipe_is_refused(tmp_path):
    run = finished(tmp_path)
    other = Run(tmp_path, replace(RECIPE, seed=1))
    run.folder.rename(other.folder)
    with pytest.raises(StoreError, match="expected the recipe of its folder"):
        _ = other.finished


def test_a_recipe_edited_by_hand_is_refused(tmp_path):
    path = finished(tmp_path).folder / "result.json"
    path.write_text(path.read_text().replace('"epochs": 6', '"epochs": 200'))
    with pytest.raises(StoreError, match="expected the recipe of its folder"):
        read_result(path)


def test_a_run_refuses_the_result_of_another_recipe(tmp_path):
    with pytest.raises(StoreError, match="expected the result of"):
        Run(tmp_path, replace(RECIPE, seed=1)).finish(result_of())


def test_what_stands_beside_a_key_is_written_anew_and_nothing_else(tmp_path):
    folder = finished(tmp_path).folder
    files = [folder / name for name in ("recipe.json", "result.json")]
    values = json.loads(files[1].read_text())
    del values["ties"]  # as in a record from before there was one
    files[1].write_text(json.dumps(values, indent=2) + "\n")
    before = [path.read_text() for path in files]
    result = Run(tmp_path, replace(RECIPE, expect={"nmi": 0.25}, source="another")).write_beside()
    assert (result.recipe.expect, result.recipe.source) == ({"nmi": 0.25}, "another")
    for path, text in zip(files, before, strict=True):
        assert '"recall@1": 0.697' in text
        asked = text.replace('"recall@1": 0.697', '"nmi": 0.25').replace("a trial", "another")
        assert path.read_text() == asked


def test_nan_is_never_stored(tmp_path):
    run = Run(tmp_path, RECIPE)
    with pytest.raises(RunError, match="expected a finite number"):
        result_of(nmi=float("nan"))
    with pytest.raises(RunError, match="expected finite numbers"):
        run.write_curve([{"epoch": 1, "loss": float("nan")}])
    with pytest.raises(RunError, match="expected finite numbers"):
        run.finish(replace(result_of(), seconds={"train": float("inf")}))
    assert not run.folder.exists() or list(run.folder.iterdir()) == []


def test_a_write_that_is_killed_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    atomic_write(path, "old")

    def killed(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(StoreError, match="expected to write there, found: No space left"):
        atomic_write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_process_killed_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "runs" / "a.json"
    atomic_write(path, "old")
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from dml_bench.atomic import atomic_file\n"
        "with atomic_file(Path(sys.argv[1])) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert done.returncode == -9
    assert path.read_text() == "old"


def test_the_lock_sweeps_up_what_a_killed_process_left(tmp_path):
    run = finished(tmp_path)
    left = run.folder / ".embeddings.npz.123.tmp"
    left.write_text("half")
    with run.lock():
        assert not left.exists()


def test_a_second_process_is_kept_out_until_the_first_is_done(tmp_path):
    run = Run(tmp_path, RECIPE)
    with run.lock(), pytest.raises(StoreError, match="expected to be alone"), run.lock():
        pass
    with run.lock():
        pass


def test_the_lock_holds_between_processes(tmp_path):
    run = Run(tmp_path, RECIPE)
    script = (
        "import sys; from filelock import FileLock, Timeout\n"
        "try: FileLock(sys.argv[1]).acquire(timeout=0)\n"
        "except Timeout: print('kept out')"
    )
    with run.lock():
        asked = [sys.executable, "-c", script, str(run.folder / ".lock")]
        done = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert done.stdout == "kept out\n"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "runs").write_text("a file where a folder should be")
    run = Run(tmp_path, RECIPE)
    with pytest.raises(StoreError, match=r"expected to write there, found: .*choose another"):
        run.begin()
    with pytest.raises(StoreError, match="expected to write there"), run.lock():
        pass


def unit(rows, dim=4):
    vectors = np.random.default_rng(rows).normal(size=(rows, dim)).astype(np.float32)
    return Embeddings(vectors, np.arange(rows) % 2, np.array([f"class/{n}" for n in range(rows)]))


def test_embeddings_come_back_bit_for_bit_and_one_object_twice_if_one_is_left_out(tmp_path):
    run, query, gallery = Run(tmp_path, RECIPE), unit(5), unit(7)
    run.save_embeddings(query)
    one, other = run.load_embeddings()
    assert one is other
    assert np.array_equal(one.vectors, query.vectors)
    run.save_embeddings(query, query)
    assert len(set(map(id, run.load_embeddings()))) == 1
    run.save_embeddings(query, gallery)
    one, other = run.load_embeddings()
    for ours, theirs in ((one, query), (other, gallery)):
        assert np.array_equal(ours.vectors, theirs.vectors)
        assert np.array_equal(ours.labels, theirs.labels)
        assert np.array_equal(ours.ids, theirs.ids)


def test_a_ranking_comes_back_with_its_labels(tmp_path):
    run, query = Run(tmp_path, RECIPE), unit(3)
    ids = np.array([[1, 2], [0, 2], [1, 0]])
    scores = np.zeros((3, 2), np.float32)
    run.save_embeddings(query)
    run.save_neighbours(Ranking(ids, scores, query.labels, query.labels, True))
    with np.load(run.folder / "neighbours.npz") as saved:
        assert saved["ids"].dtype == np.int32
    back = run.load_neighbours()
    assert back.leave_one_out
    assert back.ids.dtype == np.int32
    assert np.array_equal(back.ids, ids)
    assert np.array_equal(back.query_labels, query.labels)


def test_where_the_first_right_items_stand_comes_back_with_a_ranking(tmp_path):
    run, query = Run(tmp_path, RECIPE), unit(3)
    firsts = Firsts(*np.arange(12).reshape(4, 3))
    ids, scores = np.array([[1], [0], [0]]), np.zeros((3, 1), np.float32)
    run.save_embeddings(query)
    for kept in (firsts, None):
        run.save_neighbours(Ranking(ids, scores, query.labels, query.labels, True, kept))
        back = run.load_neighbours()
        assert (back.firsts is None) == (kept is None)
    run.save_neighbours(Ranking(ids, scores, query.labels, query.labels, True, firsts))
    for name, values in vars(run.load_neighbours().firsts).items():
        assert values.tolist() == getattr(firsts, name).tolist()
    with np.load(run.folder / "neighbours.npz") as saved:
        torn = {name: saved[name] for name in saved.files if name != "above"}
    np.savez(run.folder / "neighbours.npz", **torn)
    with pytest.raises(StoreError, match="places of other than 3 queries"):
        run.load_neighbours()


def test_neighbours_as_they_were_stored_before_are_read(tmp_path):
    run, query = Run(tmp_path, RECIPE), unit(3)
    ids = np.array([[1, 2], [0, 2], [1, 0]], np.int64)
    run.save_embeddings(query)
    np.savez(run.folder / "neighbours.npz", ids=ids, scores=np.zeros((3, 2), np.float32))
    back = run.load_neighbours()
    assert np.array_equal(back.ids, ids)
    assert back.firsts is None
    np.savez(run.folder / "neighbours.npz", ids=ids / 2, scores=np.zeros((3, 2), np.float32))
    with pytest.raises(StoreError, match=r"neighbours\.npz: expected what this run saved"):
        run.load_neighbours()


def test_neighbours_take_less_room_than_their_numbers(tmp_path):
    run, query = Run(tmp_path, RECIPE), unit(400)
    ids = np.random.default_rng(0).integers(0, 400, (400, 60))
    run.save_neighbours(
        Ranking(ids, np.ones((400, 60), np.float32), query.labels, query.labels, False)
    )
    assert (run.folder / "neighbours.npz").stat().st_size < ids.size * 4


def test_neighbours_of_other_embeddings_are_refused(tmp_path):
    run, query = Run(tmp_path, RECIPE), unit(3)
    ranking = Ranking(
        np.array([[1], [0], [2]]), np.zeros((3, 1), "f4"), query.labels, query.labels, 1
    )
    run.save_neighbours(ranking)
    run.save_embeddings(unit(5))
    with pytest.raises(StoreError, match="for 5 queries"):
        run.load_neighbours()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a zip", None])
def test_torn_embeddings_are_refused(tmp_path, content):
    run = finished(tmp_path)
    if content is not None:
        (run.folder / "embeddings.npz").write_bytes(content)
    with pytest.raises(StoreError, match=r"embeddings\.npz: expected what this run saved"):
        run.load_embeddings()


def test_pickles_are_never_opened(tmp_path):
    run = finished(tmp_path)
    np.savez(run.folder / "embeddings.npz", vectors=np.array([{}], object), labels=np.zeros(1))
    with pytest.raises(StoreError):
        run.load_embeddings()


def test_the_curve_is_a_line_an_epoch_and_replaced_whole(tmp_path):
    run = Run(tmp_path, RECIPE)
    run.write_curve([{"epoch": 1, "loss": np.float32(0.5)}])
    run.write_curve([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    lines = (run.folder / "curve.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]


def test_the_environment_tells_nothing_about_who_and_where(monkeypatch):
    argv = ["/home/ada/bin/dml-bench", "--data-root", "/home/ada/data", "--set=weights=/x/ada.pt"]
    monkeypatch.setattr(sys, "argv", argv)
    found = environment()
    assert found["command"] == "dml-bench --data-root PATH --set=weights=PATH"
    text = json.dumps(found)
    assert "ada" not in text
    assert os.uname().nodename not in text
    assert found["packages"]["torch"]
    assert found["cores"] >= 1


def test_a_package_outside_a_checkout_has_no_commit(tmp_path):
    assert environments._checkout(tmp_path) == {"commit": None, "dirty": None}


def test_a_file_of_the_package_that_git_does_not_know_makes_a_checkout_dirty(tmp_path):
    def git(*words):
        name = ("-c", "user.name=ada", "-c", "user.email=ada@example.org")
        subprocess.run(["git", "-C", tmp_path, *name, *words], check=True, capture_output=True)

    (tmp_path / "dml_bench").mkdir()
    (tmp_path / "dml_bench" / "old.py").write_text("")
    git("init")
    git("add", ".")
    git("commit", "--message", "first")
    (tmp_path / "notes.txt").write_text("no code")
    assert environments._checkout(tmp_path)["dirty"] is False
    (tmp_path / "dml_bench" / "new.py").write_text("")
    assert environments._checkout(tmp_path)["dirty"] is True
