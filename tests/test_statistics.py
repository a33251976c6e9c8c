"""Intervals: by slow loops, by an independent library, and by how often they hold the truth."""

import math
from statistics import fmean

import numpy as np
import pytest
from scipy import stats

from dml_bench import statistics
from dml_bench.errors import MetricError
from dml_bench.statistics import Interval, bootstrap, over_seeds, paired
from dml_bench.types import PerQuery

N_CLASSES, EACH = 40, 25


def answers(values, counted=None):
    values = np.asarray(values, float)
    return PerQuery(values, np.ones(len(values), bool) if counted is None else np.array(counted))


def correlated(draw, n_classes=N_CLASSES, shift=0.0):
    """Right or wrong for `EACH` queries a class; a class is easy or hard as a whole."""
    easy = draw.beta(1, 1, n_classes)[:, None]
    right = draw.random((n_classes, EACH)) < np.clip(easy + shift, 0, 1)
    return right.astype(float).ravel(), np.repeat(np.arange(n_classes), EACH)


def resampled(found, classes, draws, seed):
    """The definition, in loops: classes drawn with replacement, the mean over all their queries."""
    kept = [(c, v) for c, v, k in zip(classes, found.values, found.counted, strict=True) if k]
    groups = {c: [v for d, v in kept if d == c] for c, _ in kept}
    pool = sorted(groups.values(), key=lambda values: (math.fsum(values), len(values)))
    taken = np.random.default_rng(seed).integers(0, len(pool), (draws, len(pool)))
    return np.array([fmean([v for one in row for v in pool[one]]) for row in taken])


def slowly(found, classes, draws, seed):
    means = resampled(found, classes, draws, seed)
    return np.quantile(means, 0.025), np.quantile(means, 0.975)


def test_the_interval_over_seeds_is_students():
    values = [0.41, 0.52, 0.47, 0.44]
    mean, half = over_seeds(values)
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high), abs=1e-12)


def test_one_seed_has_no_interval():
    assert over_seeds([0.5]) == (0.5, None)


def test_two_equal_seeds_have_an_interval_of_no_width():
    assert over_seeds([0.5, 0.5]) == (0.5, 0.0)


def test_the_bootstrap_is_that_of_slow_loops():
    draw = np.random.default_rng(3)
    classes = draw.integers(0, 7, 60)
    found = answers(draw.random(60), draw.random(60) < 0.8)
    interval = bootstrap(found, classes, draws=300, seed=5)
    assert interval.value == pytest.approx(found.values[found.counted].mean())
    assert (interval.low, interval.high) == pytest.approx(slowly(found, classes, 300, 5))


def test_the_interval_holds_the_truth_as_often_as_it_says_and_a_naive_one_does_not():
    """Classes easy or hard as a whole, mean 1/2: resampling queries is far too sure of itself."""
    draw = np.random.default_rng(0)
    held = {"classes": 0, "queries": 0}
    for _ in range(200):
        values, classes = correlated(draw)
        for name, units in (("classes", classes), ("queries", np.arange(len(values)))):
            found = bootstrap(answers(values), units, draws=300)
            held[name] += found.low <= 0.5 <= found.high
    assert 0.90 <= held["classes"] / 200 <= 0.99
    assert held["queries"] / 200 < 0.60


@pytest.mark.parametrize(("n_classes", "least", "most"), [(3, 0.6, 0.85), (10, 0.85, 0.97)])
def test_with_few_classes_the_interval_is_too_sure_of_itself(n_classes, least, most):
    """Percentiles of a few classes lie too close together; with ten it hardly matters any more."""
    draw = np.random.default_rng(n_classes)
    held = 0
    for _ in range(300):
        values, classes = correlated(draw, n_classes)
        found = bootstrap(answers(values), classes, draws=300)
        held += found.low <= 0.5 <= found.high
    assert least <= held / 300 <= most


def test_a_paired_interval_leaves_out_what_a_class_costs_both():
    draw = np.random.default_rng(1)
    values, classes = correlated(draw)
    better = np.where(draw.random(len(values)) < 0.1, 1.0, values)
    apart = paired(answers(better), answers(values), classes)
    alone = bootstrap(answers(better), classes)
    assert apart.low < better.mean() - values.mean() < apart.high
    assert apart.high - apart.low < (alone.high - alone.low) / 3
    assert apart.low > 0
    assert apart.p < 0.01


def test_a_paired_difference_of_nothing_is_found_as_often_as_it_says():
    """Two methods that are equally good: about one in twenty is called different."""
    draw = np.random.default_rng(2)
    called = 0
    for _ in range(200):
        easy = np.repeat(draw.random(N_CLASSES), EACH)
        both = [(draw.random(len(easy)) < easy).astype(float) for _ in range(2)]
        apart = paired(*map(answers, both), np.repeat(np.arange(N_CLASSES), EACH), draws=300)
        called += apart.p < 0.05
    assert called / 200 <= 0.1


def test_p_is_twice_the_share_beyond_zero_one_resample_more_than_were_drawn():
    draw = np.random.default_rng(9)
    classes = draw.integers(0, 12, 90)
    one, other = answers(draw.random(90) < 0.6), answers(draw.random(90) < 0.45)
    means = resampled(answers(one.values - other.values), classes, 400, 2)
    beyond = min(sum(means <= 0), sum(means >= 0))
    assert 2 < beyond < 100
    found = paired(one, other, classes, draws=400, seed=2)
    assert found.p == pytest.approx(2 * (beyond + 1) / 401)
    turned = paired(other, one, classes, draws=400, seed=3)
    assert (turned.value, turned.p) == (-found.value, pytest.approx(found.p, abs=0.06))


def test_p_is_about_that_of_a_t_test_over_classes_of_one_size():
    """An independent judge: the mean difference of each class, scipy's test that they are zero."""
    draw = np.random.default_rng(10)
    for shift in (0.0, 0.005, 0.01, 0.02):
        easy = np.repeat(draw.random(200), EACH)
        classes = np.repeat(np.arange(200), EACH)
        one = (draw.random(len(easy)) < np.clip(easy + shift, 0, 1)).astype(float)
        other = (draw.random(len(easy)) < easy).astype(float)
        judged = stats.ttest_1samp((one - other).reshape(200, EACH).mean(axis=1), 0).pvalue
        assert paired(answers(one), answers(other), classes).p == pytest.approx(judged, abs=0.04)


def test_two_runs_compared_twice_differ_by_the_same_interval():
    draw = np.random.default_rng(11)
    one, classes = correlated(draw)
    other, _ = correlated(draw)
    found = [paired(answers(one), answers(other), classes) for _ in range(2)]
    assert found[0] == found[1] == paired(answers(one), answers(other), classes, seed=0)


def test_the_same_answers_do_not_differ():
    values, classes = correlated(np.random.default_rng(4))
    assert paired(answers(values), answers(values), classes) == statistics.Difference(0, 0, 0, 1)


def test_a_difference_turned_round_is_its_own_negative():
    draw = np.random.default_rng(6)
    one, classes = correlated(draw)
    other, _ = correlated(draw, shift=0.05)
    there, back = (paired(answers(a), answers(b), classes) for a, b in ((one, other), (other, one)))
    assert there.value == -back.value
    assert there.p == pytest.approx(back.p, abs=0.05)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=0.02)


def test_neither_the_order_of_rows_nor_the_names_of_classes_change_a_bit():
    draw = np.random.default_rng(7)
    classes = draw.integers(0, 9, 80)
    found = answers(draw.random(80), draw.random(80) < 0.9)
    order = draw.permutation(80)
    mixed = answers(found.values[order], found.counted[order])
    names = draw.permutation(9) * 10**12 - 5
    assert bootstrap(found, classes) == bootstrap(mixed, names[classes[order]])


def test_a_class_that_does_not_count_is_not_drawn():
    found = answers([1, 0, 1, 0, 9], [True, True, True, True, False])
    assert bootstrap(found, np.array([0, 0, 1, 1, 2])) == Interval(0.5, 0.5, 0.5)


def test_one_class_has_no_interval_and_no_query_is_refused():
    assert bootstrap(answers([1, 0]), np.zeros(2, int)) == Interval(0.5)
    assert paired(answers([1, 0]), answers([0, 0]), np.zeros(2, int)).p is None
    with pytest.raises(MetricError, match="expected a query"):
        bootstrap(answers([1, 0], [False, False]), np.zeros(2, int))


def test_the_blocks_in_which_resamples_are_drawn_change_nothing(monkeypatch):
    values, classes = correlated(np.random.default_rng(8))
    whole = bootstrap(answers(values), classes)
    monkeypatch.setattr(statistics, "CELLS", 999)
    assert bootstrap(answers(values), classes) == whole
