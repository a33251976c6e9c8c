"""Alignment and uniformity, against slow loops and what Wang and Isola's own lines give."""

import numpy as np
import pytest
import torch
from toys import SMALL, toy, toy_seen

from dml_bench import bench, recipes, score, spread
from dml_bench.cli import main
from dml_bench.errors import MetricError
from dml_bench.results import read_result
from dml_bench.types import Embeddings


def drawn(n=600, dim=7, classes=9, seed=0):
    draw = np.random.default_rng(seed)
    return Embeddings(draw.normal(size=(n, dim)), draw.integers(0, classes, n))


def test_alignment_is_the_mean_over_all_pairs_of_one_class():
    images = drawn(60)
    rows = images.vectors.astype(np.float64)
    pairs = [
        ((rows[i] - rows[j]) ** 2).sum()
        for i in range(60)
        for j in range(60)
        if i != j and images.labels[i] == images.labels[j]
    ]
    assert spread.alignment(images) == pytest.approx(np.mean(pairs), abs=1e-9)


def test_they_are_what_the_authors_lines_give():
    """Their `align_loss` of the ordered pairs of a class, and their `uniform_loss`."""
    images = drawn()
    rows = torch.from_numpy(images.vectors).double()
    same = images.labels[:, None] == images.labels
    first, second = np.nonzero(same & ~np.eye(len(same), dtype=bool))
    align = (rows[first] - rows[second]).norm(p=2, dim=1).pow(2).mean()
    uniform = torch.pdist(rows, p=2).pow(2).mul(-2).exp().mean().log()
    assert spread.alignment(images) == pytest.approx(align.item(), abs=1e-9)
    assert spread.uniformity(images) == pytest.approx(uniform.item(), abs=1e-9)


@pytest.mark.parametrize("n", [2, 255, 256, 257, 513])
def test_the_edges_of_blocks_lose_no_pair(n):
    images = drawn(n)
    uniform = torch.pdist(torch.from_numpy(images.vectors).double()).pow(2).mul(-2).exp()
    assert spread.uniformity(images) == pytest.approx(uniform.mean().log().item(), abs=1e-9)


def test_drawn_cases():
    one_point = Embeddings(np.ones((4, 3)), np.zeros(4, int))
    assert spread.spread(one_point) == {"alignment": 0.0, "uniformity": 0.0}
    cross = Embeddings(np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]]), np.array([0, 1, 0, 1]))
    assert spread.alignment(cross) == 4.0
    # 4 of 6 pairs at squared distance 2, 2 of them at 4
    assert spread.uniformity(cross) == pytest.approx(np.log((4 * np.exp(-4) + 2 * np.exp(-8)) / 6))


def test_neither_the_order_of_the_rows_nor_the_names_of_the_classes_changes_a_bit():
    images = drawn()
    rows = np.random.default_rng(1).permutation(len(images))
    other = Embeddings(images.vectors[rows], 100 - images.labels[rows])
    assert spread.spread(other) == spread.spread(images)


def test_what_cannot_be_said_is_refused_or_left_out():
    apart = Embeddings(np.eye(3), np.arange(3))
    with pytest.raises(MetricError, match="expected a class with two images, found none"):
        spread.alignment(apart)
    assert list(spread.spread(apart)) == ["uniformity"]
    with pytest.raises(MetricError, match="expected two images or more, found one"):
        spread.uniformity(Embeddings(np.ones((1, 2)), np.zeros(1, int)))


def test_they_are_metrics_by_name():
    images = drawn(40)
    names = ["alignment", "uniformity"]
    found = score(images.vectors, images.labels, metrics=names)["metrics"]
    assert found == spread.spread(images)


def test_print_shows_them_as_they_are_and_never_in_per_cent(tmp_path, capsys):
    own = tmp_path / "own.py"
    own.write_text("def far(ranking):\n    return 3.25\n")
    files = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for seed, file in enumerate(files):
        images = drawn(60, seed=seed)
        np.savez(file, vectors=images.vectors, labels=drawn(60).labels)
    names = ["alignment", "uniformity", f"{own}:far"]
    found = [score(**np.load(file), metrics=names[:2])["metrics"] for file in files]
    assert main(["compare", *map(str, files), "--metrics", *names, "--results", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    for name in names[:2]:
        a, b = (values[name] for values in found)
        line = next(line for line in text.splitlines() if line.startswith(name))
        assert line.split()[1:] == [f"{a:.3f}", f"{b:.3f}", f"{a - b:+.3f}"]
    assert next(line for line in text.splitlines() if "own.py:far" in line).split()[1:] == [
        *("3.250", "3.250", "+0.000")
    ]
    assert "Alignment is a squared distance, as it is" in text
    assert "Metrics in per cent" not in text
    words = ["evaluate", "--embeddings", str(files[0]), "--format", "table", "--metrics", *names]
    assert main([*words, "recall@1", "--results", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "3.250" in text
    assert "Metrics in per cent." in text
    assert "A metric of the user's own is shown as it is" in text


@pytest.mark.parametrize("dataset", [toy, toy_seen])
def test_a_run_says_how_the_test_images_lie(tmp_path, dataset):
    there = dataset()
    recipe = recipes.resolve({"dataset": there.name, "method": "invaspread", **SMALL}, there)
    result = bench.run(recipe, there, tmp_path, say=lambda _: None)
    query, _ = bench.Run(tmp_path, recipe).load_embeddings()
    assert result.spread == spread.spread(query)
    stored = tmp_path / "runs" / recipe.key / "result.json"
    assert read_result(stored).spread == result.spread
