"""`compare`: paired query by query, whatever the order of the rows; nothing unlike is compared."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from test_report import run_of
from toys import SMALL, toy, toy_seen

from dml_bench import bench, recipes
from dml_bench.cli import main
from dml_bench.comparisons.comparison import compare
from dml_bench.comparisons.sides import Side, side_of
from dml_bench.errors import StoreError
from dml_bench.statistics import paired
from dml_bench.types import Embeddings, PerQuery

UNTRAINED = {"epochs": 0, "augmentation": "none"}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two untrained networks and one trained one, of one dataset."""
    root = tmp_path_factory.mktemp("results")
    said = [
        {**SMALL, **UNTRAINED, "method": "random"},
        {**SMALL, **UNTRAINED, "method": "random", "seed": 1},
        {**SMALL, "method": "triplet_semihard"},
    ]
    for one in said:
        recipe = recipes.resolve({**one, "dataset": "toy"}, toy())
        bench.run(recipe, toy(), root, say=lambda _: None)
    return root


def noisy(noise, seed=0, ids=True, each=6, n_classes=8):
    """Class centres and noise around them; the more noise, the worse."""
    draw = np.random.default_rng(5)
    centres = draw.standard_normal((n_classes, 8))
    labels = np.repeat(np.arange(n_classes), each)
    spread = np.random.default_rng(seed).standard_normal((len(labels), 8))
    names = np.array([f"image {n:03}" for n in range(len(labels))]) if ids else None
    return Embeddings(centres[labels] + noise * spread, labels, names)


def side(name, embeddings):
    return Side(name, embeddings, embeddings)


def shuffled(embeddings, seed=3):
    """The same rows in another order, with their ids, and the classes by other names."""
    order = np.random.default_rng(seed).permutation(len(embeddings))
    names = np.random.default_rng(seed).permutation(99)
    return Embeddings(
        embeddings.vectors[order], names[embeddings.labels[order]], embeddings.ids[order]
    )


def ran(*words):
    return main([str(word) for word in words])


def nearest(embeddings):
    cosine = embeddings.vectors.astype(float) @ embeddings.vectors.astype(float).T
    np.fill_diagonal(cosine, -2)
    return cosine.argmax(axis=1)


def test_flips_and_agreement_are_those_of_a_loop():
    a, b = noisy(0.6), noisy(1.2, seed=1)
    found = compare(side("a", a), side("b", b))
    right = [e.labels[nearest(e)] == e.labels for e in (a, b)]
    cases = list(zip(*right, strict=True))
    assert found.agreement == {
        "both": cases.count((True, True)),
        "only A": cases.count((True, False)),
        "only B": cases.count((False, True)),
        "neither": cases.count((False, False)),
    }
    for flip in found.flips:
        row = int(flip.id.split()[1])
        assert flip.right == ("A" if right[0][row] else "B")
        assert flip.nearest_a == a.ids[nearest(a)[row]]
        assert flip.nearest_b == b.ids[nearest(b)[row]]
    assert len(found.flips) == found.agreement["only A"] + found.agreement["only B"] > 3


def test_the_difference_is_paired_by_class():
    a, b = noisy(0.6), noisy(1.2, seed=1)
    found = {line.metric: line for line in compare(side("a", a), side("b", b)).metrics}
    right = [(e.labels[nearest(e)] == e.labels).astype(float) for e in (a, b)]
    asked = [PerQuery(values, np.ones(len(a), bool)) for values in right]
    assert found["recall@1"].difference == paired(*asked, a.labels)
    assert found["recall@1"].a == right[0].mean()


def test_classes_stand_from_the_largest_gain_to_the_largest_loss():
    a, b = noisy(0.6), noisy(1.2, seed=1)
    found = compare(side("a", a), side("b", b))
    gains = [line.a - line.b for line in found.classes]
    assert gains == sorted(gains, reverse=True)
    right = a.labels[nearest(a)] == a.labels
    for line in found.classes:
        assert line.a == right[a.labels == line.label].mean()
        assert line.queries == 6
        assert line.example == f"image {6 * line.label:03}"


def with_lone(embeddings):
    """The first four images each the only one of their class: they have no right answer."""
    labels = embeddings.labels.copy()
    labels[:4] = [90, 91, 92, 93]
    return Embeddings(embeddings.vectors, labels, embeddings.ids)


def test_queries_without_a_right_answer_stand_in_no_count_of_a_comparison():
    a, b = with_lone(noisy(0.6)), with_lone(noisy(1.2, seed=1))
    found = compare(side("a", a), side("b", b))
    assert sum(found.agreement.values()) == len(a) - 4
    assert not {f"image {n:03}" for n in range(4)} & {flip.id for flip in found.flips}
    assert sum(line.queries for line in found.classes) == len(a) - 4
    assert not {90, 91, 92, 93} & {line.label for line in found.classes}
    mixed = compare(side("a", shuffled(a)), side("b", shuffled(b, seed=4)))
    assert (mixed.agreement, mixed.flips) == (found.agreement, [
        replace(flip, label=mixed.flips[n].label) for n, flip in enumerate(found.flips)
    ])  # fmt: skip
    assert mixed.metrics == found.metrics


def test_classes_are_about_the_first_metric_that_is_asked_for():
    a, b = noisy(0.6), noisy(1.2, seed=1)
    found = compare(side("a", a), side("b", b), ["nmi", "recall@4", "recall@1"])
    assert found.by_class == "recall@4"
    whole = {line.metric: line for line in found.metrics}
    assert sum(line.a for line in found.classes) / 8 == pytest.approx(whole["recall@4"].a)
    assert compare(side("a", a), side("b", b), ["nmi"]).by_class == "recall@1"


def test_what_is_no_mean_over_queries_is_as_the_results_have_it(results):
    runs = [side_of(word, results) for word in ("toy-triplet", "toy-random-conv4-s0")]
    said = [run.result.metrics["nmi"] for run in runs]
    odd = [replace(run, result=replace(run.result, metrics={"nmi": n}))
           for run, n in zip(runs, (0.25, 0.75), strict=True)]  # fmt: skip
    (line,) = compare(*odd).metrics
    assert (line.a, line.b, line.difference.value) == (0.25, 0.75, -0.5)
    assert (line.difference.low, line.difference.p) == (None, None)
    files = [replace(run, result=None, ranking=None) for run in runs]
    (line,) = compare(*files, ["nmi"]).metrics
    assert [line.a, line.b] == said


def test_a_probe_that_has_to_be_trained_is_not_asked_anew_unless_it_is_named():
    apart = Embeddings(noisy(0.6).vectors, noisy(0.6).labels, np.char.add("g ", noisy(0.6).ids))
    sides = [Side(n, noisy(x), apart, None, None) for n, x in (("a", 0.6), ("b", 1.2))]
    run = run_of(metrics={"recall@1": 0.5, "linear": 0.25})
    runs = [replace(one, result=run) for one in sides]
    found = {line.metric: line for line in compare(*runs).metrics}
    assert (found["linear"].a, found["linear"].difference.low) == (0.25, None)
    (asked,) = compare(*runs, ["linear"]).metrics
    assert asked.a != 0.25
    assert asked.difference.low is not None


def test_a_probe_of_stored_runs_is_what_it_is_of_their_vectors(tmp_path):
    for seed in (0, 1):
        said = {**SMALL, **UNTRAINED, "method": "random", "dataset": "toy_seen", "seed": seed}
        bench.run(recipes.resolve(said, toy_seen()), toy_seen(), tmp_path, say=lambda _: None)
    runs = [side_of(f"toy_seen-random-conv4-s{seed}", tmp_path) for seed in (0, 1)]
    files = [replace(run, result=None, ranking=None) for run in runs]
    asked = ["recall@1", "linear"]
    assert compare(*runs, asked).metrics == compare(*files, asked).metrics
    found = compare(*runs, ["linear"]).metrics
    assert [line.a for line in found] == [runs[0].result.metrics["linear"]]


def test_runs_of_two_protocols_are_refused_whatever_their_images_are_called(results):
    run = side_of("toy-triplet", results)
    other = replace(run, name="other", result=replace(run.result, fingerprint="0" * 16))
    with pytest.raises(StoreError, match=r"two runs of one protocol, found \w{16} .* and 0{16}"):
        compare(run, other)


def test_the_order_of_rows_and_the_names_of_classes_change_nothing():
    a, b = noisy(0.6), noisy(1.2, seed=1)
    plain = compare(side("a", a), side("b", b))
    mixed = compare(side("a", a), side("b", shuffled(b)))
    assert mixed.metrics == plain.metrics
    assert mixed.flips == plain.flips
    assert mixed.classes == plain.classes


def test_a_run_is_not_better_than_itself():
    one = side("a", noisy(0.8))
    found = compare(one, one)
    assert found.flips == []
    assert {(line.difference.value, line.difference.p) for line in found.metrics} == {(0.0, 1.0)}


def test_the_stored_search_gives_what_a_new_one_does(results):
    runs = [side_of(word, results) for word in ("toy-random-conv4-s0", "toy-random-conv4-s1")]
    assert all(run.ranking is not None for run in runs)
    fresh = [Side(run.name, run.query, run.gallery, None, run.result) for run in runs]
    assert compare(*runs).metrics == compare(*fresh).metrics
    deep = ["recall@20"]
    assert compare(*runs, deep).metrics == compare(*fresh, deep).metrics


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (noisy(1, each=5), "expected the same query images on both sides, found 8 that only one"),
        (noisy(1, ids=False), "expected ids of one kind on both sides"),
        (
            Embeddings(noisy(1).vectors, np.roll(noisy(1).labels, 1), noisy(1).ids),
            "expected the same classes on both sides",
        ),
    ],
)
def test_what_was_not_asked_the_same_is_refused(other, message):
    with pytest.raises(StoreError, match=message):
        compare(side("a", noisy(0.5)), side("b", other))


def test_runs_by_other_conventions_of_the_metrics_are_refused(results):
    runs = [side_of(word, results) for word in ("toy-random-conv4-s0", "toy-random-conv4-s1")]
    older = replace(runs[1], result=replace(runs[1].result, conventions="0"))
    with pytest.raises(StoreError, match=r"one version of the metrics' conventions, found \d+ \(t"):
        compare(runs[0], older)


def test_runs_of_two_datasets_with_the_same_names_of_images_are_told_apart(tmp_path, capsys):
    for name in ("toy", "other"):
        said = {**SMALL, **UNTRAINED, "method": "random", "dataset": name}
        bench.run(recipes.resolve(said, toy(name)), toy(name), tmp_path, say=lambda _: None)
    assert ran("compare", "toy-random", "other-random", "--results", tmp_path) == 0
    assert "A is of toy, B of other: their images have the same ids" in capsys.readouterr().err
    assert ran("compare", "toy-random", "toy-random", "--results", tmp_path) == 0
    heard = capsys.readouterr()
    assert "A is of" not in heard.err
    assert "No class gains, none loses." in heard.out


def test_a_gallery_apart_is_not_compared_with_leaving_one_out():
    a = noisy(0.5)
    apart = Side("b", a, Embeddings(a.vectors, a.labels, np.char.add("g", a.ids)))
    with pytest.raises(StoreError, match="expected the same gallery images"):
        compare(side("a", a), apart)
    same = Side("b", a, Embeddings(a.vectors, a.labels, a.ids))
    with pytest.raises(StoreError, match="expected a gallery apart on both sides"):
        compare(side("a", a), same)


def test_the_command_shows_metrics_classes_and_flips(results, capsys):
    words = ["compare", "toy-triplet", "toy-random-*-s1-*", "--results", results]
    assert ran(*words, "--flips", "--classes", 2) == 0
    text = capsys.readouterr().out
    assert text.startswith("A = toy-triplet_semihard-conv4-s0-")
    assert "recall@1 by class" in text
    assert "The queries that flip" in text
    assert ran(*words, "--classes", 0) == 0
    text = capsys.readouterr().out
    assert "by class" not in text
    assert "The queries that flip" not in text


def test_files_get_fractions_in_full_precision(results, capsys):
    words = ["compare", "toy-triplet", "toy-random-conv4-s1", "--results", results]
    assert ran(*words, "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert "flips" not in found
    first = next(line for line in found["metrics"] if line["metric"] == "recall@1")
    assert ran(*words, "--format", "csv", "--flips") == 0
    tables = capsys.readouterr().out.split("\n\n")
    row = next(row for row in csv.DictReader(io.StringIO(tables[0])) if row["metric"] == "recall@1")
    assert float(row["A - B"]) == first["difference"]["value"] == first["a"] - first["b"]
    assert float(row["low"]) == first["difference"]["low"]
    assert len(tables) == 4
    assert ran(*words, "--format", "md") == 0
    assert "| recall@1 | " in capsys.readouterr().out


def test_files_of_embeddings_are_compared_and_their_ids_escaped(tmp_path, capsys):
    for name, noise in (("one", 0.6), ("two", 1.5)):
        found = noisy(noise)
        ids = np.array([f"\x1b[31m|{name}" for name in found.ids])
        np.savez(tmp_path / f"{name}.npz", vectors=found.vectors, labels=found.labels, ids=ids)
    words = ["compare", tmp_path / "one.npz", tmp_path / "two.npz", "--flips"]
    for form in ("table", "md", "csv"):
        assert ran(*words, "--format", form) == 0
        text = capsys.readouterr().out
        assert "image 0" in text
        assert "\x1b" not in text


CALLED = {
    "text": np.array(["wren", "kite", "owl", "rook"]),
    "beyond int64": np.arange(-4, 0).view("u8"),
}


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("kind", CALLED)
def test_classes_of_a_file_are_called_by_their_labels(tmp_path, capsys, kind, apart):
    for name, noise in (("one", 0.6), ("two", 1.5)):
        found = noisy(noise)
        labels = CALLED[kind][found.labels % 4]
        said = {"vectors": found.vectors, "labels": labels, "ids": found.ids}
        other = {
            "vectors": noisy(noise, 1).vectors,
            "labels": labels,
            "ids": np.char.add("g", found.ids),
        }
        more = {f"gallery_{key}": values for key, values in other.items()} if apart else {}
        np.savez(tmp_path / f"{name}.npz", **said, **more)
    words = ["compare", tmp_path / "one.npz", tmp_path / "two.npz", "--flips"]
    assert ran(*words, "--format", "json") == 0
    shown = json.loads(capsys.readouterr().out)
    rows = [(line["label"], line["example"]) for line in shown["classes"]]
    rows += [(line["label"], line["id"]) for line in shown["flips"]]
    assert len(rows) > 4
    assert rows == [(str(labels[found.ids.tolist().index(image)]), image) for _, image in rows]
    assert ran(*words) == 0
    assert f"\n{rows[0][0]} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["toy-random", "toy-triplet"], "expected one run, found 2 that 'toy-random' may mean"),
        (["nobody", "toy-triplet"], "expected a finished run 'nobody', found none among 3: toy-"),
        (["toy-triplet", "no.npz"], "expected a file, found none"),
        (["toy-triplet", "toy-triplet", "--metrics", "recal@1"], "no metric 'recal@1'"),
        (["toy-triplet", "toy-random-*-s1-*", "--metrics", "linear"], "expected a gallery apart"),
        (["toy-triplet", "toy-triplet", "--classes", "-1"], "--classes: expected 0 or more"),
    ],
)
def test_bad_input_is_one_line_and_status_two(results, capsys, words, message):
    assert ran("compare", *words, "--results", results) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]
