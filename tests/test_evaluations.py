"""What is there already is scored as it was made, and a slip of the fingers is named."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from test_whole_path import SMALL, ran, roots, train, write_dataset

from dml_bench.cli import main
from dml_bench.files import load_embeddings
from dml_bench.scoring import score

PUBLISHED = Path(__file__).parents[1] / "results" / "published"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A finished run of two epochs, and its dataset."""
    root = tmp_path_factory.mktemp("place")
    write_dataset(root / "data")
    assert train(root) == 0
    return root


def folder(place):
    (found,) = (place / "results" / "runs").iterdir()
    return found


def refused(capsys, *words, status=2):
    assert ran(*words) == status
    *_, last = capsys.readouterr().err.strip().splitlines()
    assert last.startswith("error: ")
    return last


@pytest.fixture
def apart(tmp_path):
    """A file with a gallery apart; and what is in it."""
    draw = np.random.default_rng(0)
    arrays = {
        "vectors": draw.normal(size=(12, 4)).astype("f4"),
        "labels": np.arange(12) % 3,
        "gallery_vectors": draw.normal(size=(30, 4)).astype("f4"),
        "gallery_labels": np.arange(30) % 3,
    }
    np.savez(tmp_path / "mine.npz", **arrays)
    return tmp_path / "mine.npz", arrays


def scored(capsys, path, *words):
    assert ran("evaluate", "--embeddings", path, "--results", path.parent / "out", *words) == 0
    return json.loads(capsys.readouterr().out)


def test_a_file_with_a_gallery_is_scored_as_in_python(apart, capsys):
    path, arrays = apart
    found = scored(capsys, path)
    assert found == score(**arrays)
    assert {"map@r", "r_precision"} < set(found["metrics"])
    assert found["protocol"]["classes"] == "unseen"


def test_the_metrics_of_seen_classes_are_asked_for(apart, capsys):
    path, arrays = apart
    found = scored(capsys, path, "--protocol", "seen")
    assert found == score(**arrays, protocol="seen")
    assert {"knn@200", "linear"} < set(found["metrics"])
    assert found["protocol"]["classes"] == "seen"


def test_evaluations_of_two_files_of_one_name_are_two_files(apart, tmp_path, capsys):
    path, _ = apart
    other = tmp_path / "b" / "mine.npz"
    other.parent.mkdir()
    shutil.copy(path, other)
    for file in (path, other, path):
        words = ["--embeddings", file, "--results", tmp_path / "out"]
        assert ran("evaluate", *words) == 0
    names = [file.name for file in (tmp_path / "out" / "evaluations").glob("mine-*.json")]
    assert len(set(names)) == 2


def test_a_table_of_embeddings_is_the_table_for_a_person(apart, tmp_path, capsys):
    path, _ = apart
    assert ran("evaluate", "--embeddings", path, "--results", tmp_path, "--format", "table") == 0
    heard = capsys.readouterr().out
    assert "recall@1" in heard
    assert "| ---" not in heard.replace("|---", "| ---")


def test_results_that_cannot_be_written_are_one_line(apart, capsys):
    path, _ = apart
    (path.parent / "file").write_text("")
    words = ["evaluate", "--embeddings", path, "--results", path.parent / "file"]
    assert "expected to write there" in refused(capsys, *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "expected --dataset, --checkpoint or --embeddings, found none"),
        (["--embeddings", "x.npz", "--dataset", "y"], "--embeddings: expected no --dataset"),
        (["--embeddings", "x.npz", "--checkpoint", "y"], "--embeddings: expected no --checkpoint"),
        (["--embeddings", "x.npz", "--seed", "1"], "expected no --set and no --seed"),
        (["--embeddings", "x.npz", "--format", ""], "no format ''"),
        (["--embeddings", "x.npz", "--format", "csv,csv"], "found csv twice"),
        (["--dataset", "shapes_unseen", "--protocol", "seen"], "with --embeddings only"),
    ],
)
def test_options_that_contradict_are_refused(place, capsys, words, said):
    assert said in refused(capsys, "evaluate", *words, *roots(place))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("colour=red", "colour"),
        ("method=invasread", "did you mean 'invaspread'"),
        ("epochs=many", "epochs: expected int, found 'many'"),
        ("form=7", "form"),
        ("dataset=glyphs", "dataset: expected it said once, found --dataset"),
        ("fit=stretch", "fit"),
    ],
)
def test_a_mistyped_setting_is_named_before_any_work(place, capsys, setting, said):
    words = ["evaluate", "--dataset", "shapes_unseen", "--set", setting, *roots(place)]
    assert said in refused(capsys, *words)
    assert len(list((place / "results" / "runs").iterdir())) == 1


def test_settings_of_one_method_choose_among_the_stored_runs(place, capsys):
    words = ["evaluate", "--dataset", "shapes_unseen", "--format", "json", *roots(place)]
    assert ran(*words, "--set", "form=code", "--set", "epochs=2") == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["recipe"]["method"] == "invaspread"


def test_stored_runs_are_scored_without_their_images(place, capsys):
    words = ["evaluate", "--dataset", "shapes_unseen", "--results", place / "results"]
    assert ran(*words, "--data-root", place / "nothing", "--format", "json") == 0
    heard = capsys.readouterr()
    (found,) = json.loads(heard.out)
    assert found["metrics"] == json.loads((folder(place) / "result.json").read_text())["metrics"]
    assert "shapes_unseen is not there" in heard.err
    assert found["fingerprint"] in heard.err


def test_runs_of_images_that_changed_are_named_and_left_out(place, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(place / "data", data)
    listing = data / "shapes_unseen" / "labels.csv"
    text = listing.read_text()
    listing.write_text(text.replace("test-8-100.png,8,class 8", "test-8-100.png,9,class 9"))
    shutil.copytree(place / "results", tmp_path / "results")
    words = ["evaluate", "--dataset", "shapes_unseen", "--data-root", data, *SMALL]
    assert ran(*words, "--results", tmp_path / "results") == 0
    heard = capsys.readouterr().err
    assert f"left out: {folder(place).name}: expected protocol" in heard
    assert "scoring the untrained network" in heard


def test_a_checkpoint_is_asked_on_another_dataset(place, tmp_path, capsys):
    shutil.copytree(place / "data" / "shapes_unseen", tmp_path / "other")
    file = tmp_path / "other" / "dataset.toml"
    file.write_text(file.read_text().replace("shapes_unseen", "other"))
    words = ["evaluate", "--checkpoint", folder(place) / "checkpoint.safetensors"]
    words += ["--dataset", "other", "--data-root", tmp_path, "--results", tmp_path / "results"]
    assert ran(*words, "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)[0]["recipe"]["dataset"] == "other"


@pytest.mark.parametrize("recipe", ["not json", "[]", "7", '{"dataset": "x"}'])
def test_a_checkpoint_whose_recipe_cannot_be_read_is_one_line(tmp_path, capsys, recipe):
    file = tmp_path / "checkpoint.safetensors"
    save_file({"weight": np.zeros(2, "f4")}, file, metadata={"recipe": recipe})
    last = refused(capsys, "evaluate", "--checkpoint", file, "--results", tmp_path)
    assert "expected a recipe in its metadata, found: " in last


def test_a_torn_result_blocks_no_command(place, tmp_path, capsys):
    results = tmp_path / "results"
    shutil.copytree(place / "results", results)
    torn = results / "runs" / "torn"
    torn.mkdir()
    (torn / "result.json").write_text("{")
    for words in (
        ["report"],
        ["list", "runs"],
        ["evaluate", "--dataset", "shapes_unseen", "--data-root", place / "data"],
    ):
        assert ran(*words, "--results", results) == 0
        heard = capsys.readouterr()
        assert "left out: torn/result.json: expected a whole result" in heard.err
        assert heard.out


def test_published_records_are_shown_beside_any_results(place, tmp_path, capsys, monkeypatch):
    records = tmp_path / "records"
    shutil.copytree(folder(place), records / folder(place).name)
    assert ran("report", "--records", records, "--results", tmp_path / "results") == 0
    table = (tmp_path / "results" / "tables" / "shapes_unseen.md").read_text()
    assert "published run" in table
    record = next(PUBLISHED.glob("cub100_crops-random-*"))
    shutil.copytree(record, tmp_path / "results" / "published" / record.name)
    monkeypatch.chdir(tmp_path)
    assert ran("report", "--published", "--results", tmp_path / "results") == 0
    assert "cub100_crops.md" in capsys.readouterr().out


def test_a_folder_without_records_is_refused_before_anything_is_written(place, tmp_path, capsys):
    shutil.copytree(place / "results" / "runs", tmp_path / "results" / "runs")
    words = ["report", "--results", tmp_path / "results", "--records", tmp_path / "nope"]
    assert "nope: expected published records, found none" in refused(capsys, *words)
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["runs"]


@pytest.mark.parametrize("name", ["dataset=glyphs", "method=random", "seed=2"])
def test_a_training_is_told_each_thing_once(place, capsys, name):
    words = ["train", "--dataset", "shapes_unseen", "--method", "invaspread", "--seed", 1]
    last = refused(capsys, *words, "--set", name, *roots(place))
    assert f"{name.partition('=')[0]}: expected it said once" in last


def test_a_finished_run_is_not_begun_anew(place, capsys):
    assert train(place, "--no-resume") == 2
    assert "found a finished one: runs/shapes_unseen-invaspread" in capsys.readouterr().err


def test_the_version_is_said(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith("dml-bench 0.")


def test_a_missing_data_root_is_named(tmp_path, capsys):
    assert ran("list", "datasets", "--data-root", tmp_path / "nowhere") == 0
    heard = capsys.readouterr()
    assert "no data root" in heard.err
    assert "glyphs" in heard.out


def test_a_run_that_diverged_ends_with_status_one(place, monkeypatch, capsys):
    from dml_bench import bench

    monkeypatch.setattr(bench, "embed", lambda *_, **__: np.full((48, 16), np.nan, "f4"))
    assert train(place, results="diverged") == 1
    assert "expected finite vectors" in capsys.readouterr().err.splitlines()[-1]


def test_embeddings_of_a_run_are_read_as_a_file(place):
    query, gallery = load_embeddings(folder(place) / "embeddings.npz")
    assert query is gallery
