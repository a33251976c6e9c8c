"""What a run says of itself: intervals it stored, or that its stored neighbours still give."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from toys import SMALL, Squares, toy

from dml_bench import bench, models, outcomes, recipes
from dml_bench.assembly import build
from dml_bench.cli import main
from dml_bench.errors import StoreError
from dml_bench.outcomes import images_seen, with_intervals
from dml_bench.results import read_result
from dml_bench.statistics import bootstrap
from dml_bench.store import Run
from dml_bench.types import PerQuery


def hard():
    """Classes that no network can tell apart: each holds images of all colours."""
    whole = toy()
    dealt = np.random.default_rng(0).permutation(whole.query.labels)
    test = replace(whole.query, labels=dealt)
    return replace(whole, query=test, gallery=test)


@pytest.fixture
def made(tmp_path):
    said = {**SMALL, "epochs": 0, "augmentation": "none", "method": "random", "dataset": "toy"}
    recipe = recipes.resolve(said, hard())
    return bench.run(recipe, hard(), tmp_path, say=lambda _: None)


def path_of(result, root):
    return root / "runs" / result.recipe.key / "result.json"


def test_the_stored_interval_is_the_bootstrap_of_the_stored_neighbours(made, tmp_path):
    ranking = Run(tmp_path, made.recipe).load_neighbours()
    right = PerQuery(ranking.hits[:, 0].astype(float), np.ones(len(ranking.ids), bool))
    expected = bootstrap(right, ranking.query_labels)
    assert made.intervals["recall@1"] == [expected.low, expected.high]
    assert expected.low < expected.value == made.metrics["recall@1"] < expected.high
    assert set(made.intervals) == {n for n in made.metrics if "mi" not in n}  # nmi, ami: none


def test_an_old_result_gets_the_intervals_that_its_neighbours_give(made, tmp_path):
    old = replace(made, intervals={})
    assert with_intervals(old, tmp_path).intervals == made.intervals
    assert with_intervals(made, tmp_path) is made


def test_a_metric_that_the_neighbours_no_longer_give_gets_none(made, tmp_path):
    other = replace(made, intervals={}, metrics={**made.metrics, "recall@1": 0.123, "gone@9": 0.5})
    found = with_intervals(other, tmp_path).intervals
    assert "recall@2" in found
    assert not {"recall@1", "gone@9"} & set(found)


def test_without_neighbours_a_result_stays_as_it_is(made, tmp_path):
    old = replace(made, intervals={})
    neighbours = path_of(made, tmp_path).parent / "neighbours.npz"
    neighbours.write_bytes(b"torn")
    assert with_intervals(old, tmp_path) is old
    neighbours.unlink()
    assert with_intervals(old, tmp_path) is old


def test_a_report_shows_them(made, tmp_path, capsys):
    path = path_of(made, tmp_path)
    said = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in said.items() if k not in ("intervals", "end")}))
    assert main(["report", "--results", str(tmp_path)]) == 0
    low, high = made.intervals["recall@1"]
    assert rf"\[{100 * low:.1f}, {100 * high:.1f}\]" in (tmp_path / "tables" / "toy.md").read_text()


@pytest.mark.parametrize("interval", [[0.1], [0.1, "x"], "ab", [0.1, True], None])
def test_an_interval_that_is_none_is_refused(made, tmp_path, interval):
    path = path_of(made, tmp_path)
    said = json.loads(path.read_text())
    said["intervals"]["recall@1"] = interval
    path.write_text(json.dumps(said))
    with pytest.raises(StoreError, match=r"the interval of recall@1 is .*, no two numbers"):
        read_result(path)


def test_queries_without_a_right_answer_are_counted_and_no_others(tmp_path):
    """Classes of one image, of two and of more: only the first have no right answer."""
    whole = toy()
    labels = np.array([90, 91, 92, 93, 93, 94, 94, *[95] * (len(whole.query) - 7)])
    test = replace(whole.query, labels=labels)
    dataset = replace(whole, query=test, gallery=test)
    said = {**SMALL, "epochs": 0, "augmentation": "none", "method": "random", "dataset": "toy"}
    recipe = recipes.resolve(said, dataset)
    counted = bench.run(recipe, dataset, tmp_path, say=lambda _: None).counts
    assert counted["unanswerable"] == 3
    assert counted["query_classes"] == counted["gallery_classes"] == 6


def test_the_digest_at_the_end_is_of_all_weights_the_head_among_them(made):
    model = build(made.recipe, "cpu")
    assert made.end == models.state_digest(model, head=True) != models.state_digest(model)
    with torch.no_grad():
        next(model.head.parameters()).add_(1.0)
    assert made.end != models.state_digest(model, head=True)


def test_a_result_says_which_published_weights_it_began_with(made, tmp_path, monkeypatch):
    def brought(recipe, device):
        model = build(recipe, device)
        model.start = "ab" * 32
        return model

    monkeypatch.setattr(bench, "build", brought)
    found = bench.run(made.recipe, hard(), tmp_path / "other", say=lambda _: None)
    assert (found.start, made.start) == ("ab" * 32, "")


def test_a_result_says_what_ties_could_make_of_it_and_nothing_where_they_could_not(made, tmp_path):
    assert made.ties == {}
    whole = toy()
    pictures = Squares(np.zeros(len(whole.query), int))
    pictures.pixels[:] = pictures.pixels[0]  # one picture, over and over: all scores are equal
    test = replace(whole.query, images=pictures)
    dataset = replace(whole, query=test, gallery=test)
    bench.run(made.recipe, dataset, tmp_path / "equal", say=lambda _: None)
    path = path_of(made, tmp_path / "equal")
    ties = read_result(path).ties
    assert set(ties) == {name for name in made.metrics if name.startswith("recall@")}
    assert ties["recall@1"]["mass"] == 1.0
    assert ties["recall@1"]["expected"] == pytest.approx(7 / 23)  # 3 classes of 8
    said = json.loads(path.read_text())
    said["ties"]["recall@1"] = [0.5]
    path.write_text(json.dumps(said))
    with pytest.raises(StoreError, match=r"the ties of recall@1 are \[0.5\], no shares by name"):
        read_result(path)


def test_a_lap_begins_where_the_one_before_it_ended(monkeypatch):
    times = iter([10.0, 13.0, 14.5, 20.0])
    monkeypatch.setattr(outcomes.time, "monotonic", lambda: next(times))
    clock = outcomes.Clock()
    clock.lap("pack")
    clock.lap("train", 99)  # counted elsewhere
    clock.lap("embed")
    assert clock.laps == {"pack": 3.0, "train": 99.0, "embed": 5.5}


def test_images_seen_are_counted_over_all_epochs():
    rows = [{"seconds": s, "images_per_second": 96 / s} for s in (0.7, 0.3, 1 / 3)]
    assert images_seen(rows) == 288
    assert images_seen([]) == 0
