"""What a run says of itself: intervals it stored, or that its stored neighbours still give."""

import json
from dataclasses import replace

import numpy as np
import pytest
from toys import SMALL, toy

from dml_bench import bench, recipes
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


def test_images_seen_are_counted_over_all_epochs():
    rows = [{"seconds": s, "images_per_second": 96 / s} for s in (0.7, 0.3, 1 / 3)]
    assert images_seen(rows) == 288
    assert images_seen([]) == 0
