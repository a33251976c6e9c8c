"""What N images cost: the model finds the rates that made its points; the page says no others."""

import tracemalloc

import numpy as np
import pytest

from benchmarks.cost import (
    GROWTH,
    INSTEAD,
    Machine,
    Sizes,
    burdens,
    bytes_of_one,
    first_too_much,
    fit,
)
from benchmarks.scale import draw
from benchmarks.scale_page import PAGE, POINTS, ROOT, numbers, pace, points, renewed, size, span
from dml_bench import memory, neighbours
from dml_bench.data.addresses import Place
from dml_bench.data.members import Members, Shard
from dml_bench.data.tars import Contents
from dml_bench.errors import MetricError, StoreError
from dml_bench.products import InvertedLists
from dml_bench.results import read_records
from dml_bench.types import Embeddings, Split

RATES = {"search": (2.0, 3e-7, 5e-10), "evaluate": (0.0, 1e-6, 2e-9)}
RATES |= {"kmeans": (1.0, 0.0, 4e-10), "ivf": (5.0, 2e-8, 3e-9)}


def made(what, ns=(10**3, 10**4, 10**5, 10**6), ds=(64, 128), noise=0.0):
    draw = np.random.default_rng(0)
    found = []
    for n in ns:
        for d in ds:
            seconds = float(np.dot(RATES[what], GROWTH[what](n, d)))
            seconds *= 1 + noise * draw.uniform(-1, 1)
            point = {"what": what, "n": n, "d": d, "core_seconds": seconds, "peak_bytes": 10**9}
            point |= {"memory": "4GB", "environment": {"processor": "some processor"}}
            point["environment"] |= {"bf16_flags": []}
            index = {"kind": "ivf", "nlist": 40, "nprobe": 8, "recall_of_exact@1": 0.97}
            found.append(point | ({"index": index} if what == "ivf" else {}))
    return found


@pytest.mark.parametrize("what", GROWTH)
def test_the_fit_finds_the_rates_that_made_the_points(what):
    others = [p | {"core_seconds": 1.0} for name in GROWTH if name != what for p in made(name)]
    found = fit([*others, *made(what)], what)
    assert found.rates == pytest.approx(RATES[what], rel=1e-6, abs=1e-14)
    assert found.off < 1e-6
    assert found.largest == 10**6
    wanted = np.dot(RATES[what], GROWTH[what](10**9, 128))
    assert found.core_seconds(10**9, 128) == pytest.approx(wanted, rel=1e-6)


def test_points_that_scatter_give_about_the_same_and_say_by_how_much_it_is_off():
    found = fit(made("search", noise=0.1), "search")
    wanted = np.dot(RATES["search"], GROWTH["search"](10**9, 128))
    assert found.core_seconds(10**9, 128) == pytest.approx(wanted, rel=0.2)
    assert 0.01 < found.off < 0.3
    assert 0.0 < found.foretold < 0.4


def test_how_wrong_the_model_is_beyond_its_points_is_told_by_the_largest():
    """A largest point of twice the time is not foretold; the fit to all halves the surprise."""
    points = made("search", ds=(128,))
    points[-1] |= {"core_seconds": 2 * points[-1]["core_seconds"]}
    found = fit(points, "search")
    assert found.foretold == pytest.approx(0.5, abs=0.01)
    assert found.off < found.foretold


def test_no_rate_is_below_zero():
    points = [p | {"core_seconds": 100.0 / p["n"]} for p in made("search")]  # faster with more
    assert min(fit(points, "search").rates) >= 0


def test_too_few_points_are_refused():
    with pytest.raises(StoreError, match="search: expected 4 measured points or more, found 3"):
        fit(made("search")[:3], "search")


def held(n, shards):
    """The training split of a dataset in shards, of names of 12 letters."""
    parts = []
    for part in range(shards):
        keys = tuple(f"{part:04}{row:08}" for row in range(n // shards))
        numbers = [np.arange(len(keys)) for _ in range(3)]
        parts.append(Shard(Place("none.tar"), "", Contents(keys, *numbers, {})))
    labels = np.concatenate([part.held.labels for part in parts])
    ids = tuple(key for part in parts for key in part.held.keys)
    return Split("train", Members(parts), labels, ids)


def test_names_and_index_take_the_memory_that_is_counted():
    pytest.importorskip("fsspec")
    held(100, 10)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    split = held(50_000, 10)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    counted = bytes_of_one(Sizes())["names and index"]
    assert (after - before) / len(split) == pytest.approx(counted, rel=0.1)


@pytest.mark.parametrize("k", [1, 10, 100])
def test_an_answer_takes_the_memory_that_is_counted(k):
    """Of vectors that stay on disk a search needs that, and what it works in; no byte less."""
    items = Embeddings(np.ones((5000, 2), np.float32), np.zeros(5000, np.int64))
    needed = 5000 * bytes_of_one(Sizes(deep=k))["answers"] + memory.resident(items) + memory.LEAST
    assert neighbours.searching_room(items, items, k, needed) > 0
    with pytest.raises(MetricError, match="memory: expected"):
        neighbours.searching_room(items, items, k, needed - 1)


def test_the_lists_of_ivf_hold_what_is_counted():
    """By what FAISS itself says of the codes and the ids in its lists."""
    draw = np.random.default_rng(0)
    lists = InvertedLists(draw.standard_normal((4000, 32), np.float32), 0)
    held = lists.index.invlists
    codes = sum(held.list_size(i) * (held.code_size + 8) for i in range(held.nlist))
    assert codes <= 4000 * bytes_of_one(Sizes(d=32))["lists of ivf"] <= 1.2 * codes


def test_each_burden_is_what_it_takes_by_what_there_is():
    fits = {what: fit(made(what), what) for what in GROWTH}
    sizes, machine = Sizes(d=100, side=10), Machine(memory=1000, disk=6000, cores=2, patience=50)
    found = burdens(10, sizes, fits, 4.0, machine)
    assert found["pack"] == 10 * 300 / 6000
    assert found["vectors"] == 10 * 400 / 6000
    assert found["embedding"] == 10 / 4 / 100
    assert found["search"] == pytest.approx((2 + 3e-4 + 5e-6) / 100)
    assert set(found) == set(INSTEAD)


def test_what_is_first_too_much_is_so_from_there_on():
    fits = {what: fit(made(what), what) for what in GROWTH}
    given = (Sizes(), fits, 50.0, Machine())
    for what in INSTEAD:
        edge = first_too_much(what, *given)
        assert burdens(edge * 1.01, *given)[what] > 1
        assert burdens(edge * 0.99, *given)[what] < 1


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.25, "0.25 s"),
        (119, "119 s"),
        (120, "2 min"),
        (2 * 86400, "2 days"),
        (1e12, "31,700 years"),
    ],
)
def test_a_time_is_said_as_a_person_says_it(seconds, said):
    assert span(seconds) == said


def test_bytes_are_said_in_the_unit_that_fits():
    assert [size(n) for n in (1, 999, 999.6, 1.5e9, 2e20)] == [
        *("1 B", "999 B", "1 kB", "1.5 GB", "200 EB"),
    ]


def test_a_page_without_measured_points_says_what_is_missing():
    found = numbers([], (0.0, 0))
    assert "not measured yet: `search`, `evaluate`, `kmeans`, `ivf`" in found
    assert "search, one core" not in found
    with pytest.raises(StoreError, match="expected the marks"):
        renewed("no marks", [], (0.0, 0))


def test_a_page_of_measured_points_shows_each_work():
    measured = [point for what in GROWTH for point in made(what)]
    found = numbers(measured, (50.0, 128))
    assert "not measured yet" not in found
    assert "`kmeans`: measured up to 1,000,000, off by 0 % at most" in found
    assert "| ivf | 1,000 | 5.0 | 1 GB | 8 of 40 | 97.0 % of 1 |" in found
    assert "Measured with `--memory 4GB` on some processor (no bf16):" in found
    exact = np.dot(RATES["search"], GROWTH["search"](10**9, 128))
    assert span(exact) in found


def test_the_plot_of_the_page_is_that_of_the_kept_points(tmp_path):
    draw(points(POINTS), tmp_path / "scale.svg")
    kept = PAGE.with_name("scale.svg").read_text(encoding="utf-8")
    assert (tmp_path / "scale.svg").read_text(encoding="utf-8") == kept, "benchmarks.scale --plot"
    assert "$" not in kept


def test_the_page_is_what_the_command_writes():
    text = PAGE.read_text(encoding="utf-8")
    records = read_records(ROOT / "results/published")
    assert renewed(text, points(POINTS), pace(records)) == text, "python -m benchmarks.scale_page"
