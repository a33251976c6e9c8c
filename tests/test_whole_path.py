"""From images to a table, through the commands, as a user calls them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dml_bench.cli import main

SMALL = [
    *("--set", "backbone=conv4", "--set", "weights=none", "--set", "resize=16", "--set", "crop=16"),
    *("--set", "batch=16", "--set", "dim=16", "--set", "augmentation=affine", "--set", "lr=0.01"),
    *("--set", "precision=fp32", "--set", "schedule=constant"),
]
TOML = """
name = "shapes_{protocol}"
title = "Bars on a colour"
listing = "labels.csv"
protocol = "{protocol}"
recall_at = [1, 2, 4]
expect = {{ train_images = 64, train_classes = {train}, test_images = 48, test_classes = 6 }}
"""


def drawing(label, number):
    """A bar whose place says the class, on noise."""
    draw = np.random.default_rng([label, number])
    pixels = draw.integers(0, 120, (20, 24, 3), dtype=np.uint8)
    pixels[2 * label % 20 : 2 * label % 20 + 3] += 100
    return Image.fromarray(pixels)


def write_dataset(root, protocol="unseen"):
    """64 images of 8 classes to train on; 48 of 6 others, or of the same, to ask for."""
    folder = root / f"shapes_{protocol}"
    folder.mkdir(parents=True)
    first = 8 if protocol == "unseen" else 0
    listing = [("train", c, n) for c in range(8) for n in range(8)]
    listing += [("test", first + c, 100 + n) for c in range(6) for n in range(8)]
    lines = ["path,label,class_name,split"]
    for split, label, number in listing:
        path = f"{split}-{label}-{number}.png"
        drawing(label, number).save(folder / path)
        lines.append(f"{path},{label},class {label},{split}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    (folder / "dataset.toml").write_text(TOML.format(protocol=protocol, train=8))
    return folder.name


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("place")
    for protocol in ("unseen", "seen"):
        write_dataset(root / "data", protocol)
    return root


def roots(place, results="results"):
    return ["--data-root", str(place / "data"), "--results", str(place / results)]


def ran(*words):
    """Run a command in this process; return its exit status."""
    return main([str(word) for word in words])


def train(place, *more, results="results", dataset="shapes_unseen", method="invaspread"):
    words = ["train", "--dataset", dataset, "--method", method, *SMALL, "--set", "epochs=2"]
    return ran(*words, *roots(place, results), *more)


def folders(place, results="results"):
    return sorted((place / results / "runs").iterdir())


def test_a_training_leaves_a_whole_run(place, capsys):
    assert train(place, "--set", "monitor=recall@1") == 0
    (folder,) = folders(place)
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert names == {
        *("recipe.json", "curve.jsonl", "checkpoint.safetensors"),
        *("embeddings.npz", "neighbours.npz", "result.json"),
    }
    result = json.loads((folder / "result.json").read_text())
    assert result["recipe"] == json.loads((folder / "recipe.json").read_text())
    assert result["counts"]["query_images"] == 48
    assert set(result["metrics"]) >= {"recall@1", "recall@2", "recall@4", "nmi", "ami", "map@r"}
    curve = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in curve] == [1, 2]
    assert all("recall@1" in row for row in curve)
    assert "invaspread" in capsys.readouterr().out


def test_a_second_call_changes_nothing(place, capsys):
    (folder,) = folders(place)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert train(place, "--set", "monitor=recall@1") == 0
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert "stored already" in capsys.readouterr().err


def test_the_checkpoint_reaches_what_the_run_says(place, capsys):
    (folder,) = folders(place)
    words = ["evaluate", "--checkpoint", folder / "checkpoint.safetensors", "--format", "json"]
    assert ran(*words, *roots(place)) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["metrics"] == json.loads((folder / "result.json").read_text())["metrics"]


def test_evaluate_scores_the_stored_run_at_the_depths_that_are_asked_for(place, capsys):
    words = ["evaluate", "--dataset", "shapes_unseen", "--k", 1, 3, "--format", "json"]
    assert ran(*words, *roots(place)) == 0
    (found,) = json.loads(capsys.readouterr().out)
    (folder,) = folders(place)
    stored = json.loads((folder / "result.json").read_text())["metrics"]
    assert found["metrics"]["recall@1"] == stored["recall@1"]
    assert stored["recall@2"] <= found["metrics"]["recall@3"] <= stored["recall@4"]
    assert "recall@2" not in found["metrics"]


def test_evaluate_scores_the_embeddings_of_the_run_alike(place, capsys):
    (folder,) = folders(place)
    words = ["evaluate", "--embeddings", folder / "embeddings.npz", "--k", 1, 2, 4]
    assert ran(*words, *roots(place)) == 0
    found = json.loads(capsys.readouterr().out)["metrics"]
    stored = json.loads((folder / "result.json").read_text())["metrics"]
    assert found == stored


def test_without_a_run_the_untrained_network_is_scored_and_training_explained(place, capsys):
    words = ["evaluate", "--dataset", "shapes_unseen", "--k", 1, *SMALL]
    assert ran(*words, *roots(place, "empty")) == 0
    heard = capsys.readouterr()
    assert "dml-bench train --dataset shapes_unseen" in heard.err
    assert "random" in heard.out


def test_the_seen_protocol_asks_the_training_images(place, capsys):
    assert train(place, dataset="shapes_seen", results="seen") == 0
    (folder,) = folders(place, "seen")
    metrics = json.loads((folder / "result.json").read_text())["metrics"]
    assert metrics["knn@200"] > 1 / 6
    assert "linear" in metrics


def test_labels_of_the_training_images_leave_an_unsupervised_run_as_it_is(place):
    """Same images, labels permuted: the weights are the same to the last bit."""
    renamed = place / "permuted" / "shapes_unseen"
    renamed.parent.mkdir()
    (place / "data" / "shapes_unseen").copy(renamed) if sys.version_info >= (3, 14) else None
    if not renamed.exists():
        import shutil

        shutil.copytree(place / "data" / "shapes_unseen", renamed)
    lines = (renamed / "labels.csv").read_text().splitlines()
    rows = [line.split(",") for line in lines[1:]]
    order = np.random.default_rng(0).permutation(64)
    mixed = [[rows[n][0], *rows[order[n]][1:]] for n in range(64)] + rows[64:]
    (renamed / "labels.csv").write_text("\n".join([lines[0], *map(",".join, mixed)]) + "\n")
    for results, data in (("plain", "data"), ("mixed", "permuted")):
        words = ["train", "--dataset", "shapes_unseen", "--method", "invaspread", *SMALL]
        words += ["--set", "epochs=2", "--data-root", place / data, "--results", place / results]
        assert ran(*words) == 0
    first, second = (folders(place, results)[0] for results in ("plain", "mixed"))
    assert first.name == second.name
    weights = [(folder / "checkpoint.safetensors").read_bytes() for folder in (first, second)]
    assert weights[0] == weights[1]


SUITE = """
title = "Two methods"
about = "As small as can be."
[defaults]
dataset = "shapes_unseen"
backbone = "conv4"
weights = "none"
resize = 16
crop = 16
[[run]]
label = "chance"
method = "random"
seeds = [0, 1]
[[run]]
method = "triplet_semihard"
epochs = 1
batch = 16
expect = { "recall@1" = 0.5 }
source = "nobody"
"""


def test_a_suite_makes_what_is_missing_and_then_only_prints(place, capsys):
    suite = place / "two.toml"
    suite.write_text(SUITE)
    assert ran("run", suite, *roots(place, "suite")) == 0
    first = capsys.readouterr()
    assert len(folders(place, "suite")) == 3
    assert "run 1/3: chance (shapes_unseen-random-" in first.err
    assert "run 3/3: triplet_semihard (shapes_unseen-" in first.err
    before = [p.stat().st_mtime_ns for f in folders(place, "suite") for p in f.iterdir()]
    assert ran("run", suite, *roots(place, "suite")) == 0
    second = capsys.readouterr()
    assert second.out == first.out
    assert "run 1/3" not in second.err
    assert [p.stat().st_mtime_ns for f in folders(place, "suite") for p in f.iterdir()] == before
    tables = {path.name for path in (place / "suite" / "tables").iterdir()}
    assert {"shapes_unseen.csv", "shapes_unseen.md", "shapes_unseen.tex"} <= tables


def test_published_records_never_stand_in_for_a_run_made_here(place, capsys):
    import shutil

    done = place / "suite" / "runs"
    shutil.copytree(done, place / "elsewhere" / "published")
    assert ran("run", place / "two.toml", *roots(place, "elsewhere")) == 0
    assert len(folders(place, "elsewhere")) == 3
    assert capsys.readouterr().err.count("(shapes_unseen-") == 3


def test_a_dataset_that_is_missing_stops_its_runs_and_not_the_others(place, capsys):
    suite = place / "half.toml"
    suite.write_text(SUITE + '[[run]]\ndataset = "nowhere"\nmethod = "random"\n')
    assert ran("run", suite, *roots(place, "suite")) == 2
    heard = capsys.readouterr()
    assert heard.err.count("not run: nowhere random: no dataset 'nowhere'") == 1
    assert "1 of 4 runs were not made" in heard.err
    assert "triplet_semihard" in heard.out


BAD = {
    "dataset": (
        ["train", "--dataset", "nowhere", "--method", "invaspread"],
        "no dataset 'nowhere'",
    ),
    "method": (
        ["train", "--dataset", "shapes_unseen", "--method", "invasread"],
        "did you mean 'invaspread'",
    ),
    "setting": (
        ["train", "--dataset", "shapes_unseen", "--method", "random", "--set", "x"],
        "expected name=value",
    ),
    "device": (
        ["train", "--dataset", "shapes_unseen", "--method", "random", "--device", "tpu"],
        "auto, cpu or cuda",
    ),
    "suite": (["run", "quik"], "did you mean 'quick'"),
    "embeddings": (["evaluate", "--embeddings", "nowhere.npz"], "nowhere.npz"),
    "checkpoint": (["evaluate", "--checkpoint", "nowhere.safetensors"], "nowhere.safetensors"),
    "format": (["evaluate", "--dataset", "shapes_unseen", "--format", "xls"], "no format 'xls'"),
    "metric": (
        ["evaluate", "--dataset", "shapes_unseen", "--metrics", "recal@1", *SMALL],
        "recal@1",
    ),
    "k": (["evaluate", "--dataset", "shapes_unseen", "--k", "0", *SMALL], "0"),
    "report": (["report"], "expected finished runs"),
}


@pytest.mark.parametrize(("words", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_gets_one_line_and_status_two(place, tmp_path, capsys, words, message):
    given = [*words, "--results", tmp_path / "results"]
    given += [] if words[0] == "report" else ["--data-root", place / "data"]
    assert ran(*given) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("error: ")
    assert message in line


def command(place, results, epochs):
    words = ["-m", "dml_bench.train", "--dataset", "shapes_unseen", "--method", "invaspread"]
    words += [*SMALL, "--set", f"epochs={epochs}", *roots(place, results)]
    return [sys.executable, *words]


def test_a_killed_training_ends_in_the_same_embeddings(place):
    """SIGKILL in the middle, then the same command again."""
    whole = subprocess.run(command(place, "whole", 40), capture_output=True, text=True, check=False)
    assert whole.returncode == 0, whole.stderr
    killed = subprocess.Popen(
        command(place, "killed", 40), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    curve = place / "killed" / "runs" / folders(place, "whole")[0].name / "curve.jsonl"
    until = time.monotonic() + 120
    while not (curve.exists() and len(curve.read_text().splitlines()) >= 5):
        assert killed.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.005)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (curve.parent / "result.json").exists()
    again = subprocess.run(
        command(place, "killed", 40), capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert "going on at epoch" in again.stderr
    first, second = (
        np.load(folders(place, results)[0] / "embeddings.npz") for results in ("whole", "killed")
    )
    assert np.array_equal(first["vectors"], second["vectors"])
    assert np.array_equal(first["labels"], second["labels"])


def test_the_modules_names_are_commands():
    for module in ("dml_bench", "dml_bench.evaluate", "dml_bench.train"):
        words = [sys.executable, "-m", module, "--help"]
        heard = subprocess.run(words, capture_output=True, text=True, check=True)
        assert "example: dml-bench" in heard.stdout


def test_help_needs_neither_torch_nor_faiss():
    code = (
        "import sys, dml_bench.cli as c; c.parser(); print({'torch', 'faiss'} & set(sys.modules))"
    )
    heard = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert heard.stdout.strip() == "set()"


def test_list_says_what_there_is(place, capsys):
    said = {}
    for kind in ("datasets", "methods", "backbones", "metrics", "suites", "runs"):
        assert ran("list", kind, *roots(place)) == 0
        said[kind] = capsys.readouterr().out
    assert "shapes_unseen" in said["datasets"]
    assert "invaspread" in said["methods"]
    assert "resnet18_cifar" in said["backbones"]
    assert "recall@k" in said["metrics"]
    assert "quick" in said["suites"]
    assert Path(folders(place)[0]).name in said["runs"]
