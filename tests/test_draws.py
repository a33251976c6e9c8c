"""Draws depend on (seed, epoch, purpose) and nothing else."""

import numpy as np

from dml_bench import draws

LABELS = np.array([5] * 7 + [9] * 4 + [2])


def test_an_order_visits_each_image_once():
    assert sorted(draws.order(0, 0, 100)) == list(range(100))
    assert not np.array_equal(draws.order(0, 0, 100), draws.order(0, 1, 100))


def test_a_balanced_order_goes_in_runs_of_one_class_and_leaves_nobody_out():
    order = draws.balanced_order(1, 2, LABELS, per_class=4)
    runs = LABELS[order].reshape(-1, 4)
    assert (runs == runs[:, :1]).all()
    assert set(order) == set(range(len(LABELS)))
    assert len(order) == 8 + 4 + 4


def test_a_balanced_order_does_not_hang_on_the_names_of_classes():
    renamed = LABELS * 3 + 1
    first, second = (draws.balanced_order(1, 2, labels, 4) for labels in (LABELS, renamed))
    assert np.array_equal(first, second)


def test_another_purpose_draws_other_numbers():
    first, second = (draws.table(0, 0, purpose, (20,)) for purpose in ("one", "two"))
    assert not np.array_equal(first, second)
    assert first.dtype == np.float32
