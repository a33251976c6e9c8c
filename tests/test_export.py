"""What `export` and `card` write, and what they do not write over."""

import shlex

import numpy as np
import pytest
from refusals import write_mine

from dml_bench.cli import main

KEY = "mine-pixels"
SMALL = ["--set", "resize=16", "--set", "crop=16"]
ENDINGS = (".npz", ".safetensors", ".parquet")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = tmp_path_factory.mktemp("made")
    write_mine(place)
    roots = ["--data-root", str(place / "data"), "--results", str(place / "results")]
    assert main(["train", "--dataset", "mine", "--method", "pixels", *SMALL, *roots]) == 0
    return place


def call(home, command, to):
    return main([command, KEY, "--to", str(to), "--results", str(home / "results")])


def write_vectors(path):
    """Write a file of vectors that no export wrote."""
    vectors, labels = np.eye(4, dtype=np.float32), np.arange(4)
    if path.suffix == ".npz":
        np.savez(path, vectors=vectors, labels=labels, run="mine")
    elif path.suffix == ".safetensors":
        from safetensors.numpy import save_file

        save_file({"vectors": vectors, "labels": labels}, path, metadata={"run": "mine"})
    else:
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.table({"vector": list(vectors), "label": labels}), path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_export_is_written_over_by_the_next(home, tmp_path, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    file = tmp_path / f"vectors{ending}"
    assert call(home, "export", file) == 0
    first = file.stat().st_ino
    assert call(home, "export", file) == 0
    assert file.stat().st_ino != first


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("write", [write_vectors, lambda path: path.write_text("notes")])
def test_an_export_writes_over_no_other_file(home, tmp_path, capsys, ending, write):
    file = tmp_path / f"vectors{ending}"
    write(file)
    before = file.read_bytes()
    assert call(home, "export", file) == 2
    assert (
        f"error: {file}: expected no file, or an export of ours, found another; choose another"
        " file (--to), or move it"
    ) in capsys.readouterr().err
    assert file.read_bytes() == before


def test_an_export_writes_over_no_stored_vectors_of_a_run(home):
    (file,) = (home / "results" / "runs").glob("*/embeddings.npz")
    before = file.read_bytes()
    assert call(home, "export", file) == 2
    assert file.read_bytes() == before


@pytest.mark.parametrize("ending", ENDINGS)
def test_where_nothing_can_be_written_the_option_that_says_where_is_named(
    home, tmp_path, capsys, ending
):
    (tmp_path / "file").write_text("")
    assert call(home, "export", tmp_path / "file" / f"vectors{ending}") == 2
    assert "choose another folder (--to)" in capsys.readouterr().err
    assert call(home, "card", tmp_path / "file") == 2
    assert "choose another folder (--to)" in capsys.readouterr().err


def test_the_command_that_scores_an_export_is_whole_with_a_space_in_the_name(
    home, tmp_path, capsys
):
    assert call(home, "export", tmp_path / "exp random.npz") == 0
    line = capsys.readouterr().err.strip().splitlines()[-1]
    command = line.partition("to score it: dml-bench ")[2]
    assert main([*shlex.split(command), "--metrics", "recall@1"]) == 0


def test_a_card_is_written_over_by_the_next(home, tmp_path):
    assert call(home, "card", tmp_path) == 0
    written = (tmp_path / "README.md").read_text()
    (tmp_path / "README.md").write_text(written + "a remark\n")
    assert call(home, "card", tmp_path) == 0
    assert (tmp_path / "README.md").read_text() == written


@pytest.mark.parametrize("text", ["# My project\n", "", "---\nlibrary_name: timm\n---\n"])
def test_a_card_writes_over_no_other_readme(home, tmp_path, capsys, text):
    file = tmp_path / "README.md"
    file.write_text(text)
    assert call(home, "card", tmp_path) == 2
    assert (
        f"error: {file}: expected no file, or a card of ours, found another; choose another folder"
        " (--to), or move it"
    ) in capsys.readouterr().err
    assert file.read_text() == text
