"""What selecting an epoch gives, by curves that are drawn so that each number has one cause."""

from dataclasses import replace

import pytest
from test_report import run_of

from dml_bench.selection import ledger

BEST, OVER_LAST = "recall@1 (best on test)", "recall@1 (inflation over last)"
SELECTED, OVER_SELECTED = "recall@1 (selected)", "recall@1 (inflation over selected)"


def told(test, held=()):
    """The ledger of a run whose curve shows this on the test set, and on held-out images."""
    rows = [{"epoch": n, "loss": 1.0, "recall@1": value} for n, value in enumerate(test, start=1)]
    for row, value in zip(rows, held, strict=False):
        row["validation recall@1"] = value
    run = run_of(monitor="recall@1", metrics={"recall@1": test[-1]})
    return ledger(replace(run, curve=rows))


def test_four_epochs_by_eye():
    found = told([0.5, 0.75, 0.625, 0.25], [0.1, 0.2, 0.4, 0.3])
    assert found == {
        "recall@1": 0.25,
        BEST: 0.75,
        OVER_LAST: 0.5,
        SELECTED: 0.625,
        OVER_SELECTED: 0.125,
    }


@pytest.mark.parametrize("best", range(4))
def test_the_best_epoch_may_be_any_one_the_last_too(best):
    test = [0.5 + 0.25 * (n == best) for n in range(4)]
    found = told(test, [0.0] * 4)
    assert found[BEST] == 0.75
    assert found[OVER_LAST] == (0.0 if best == 3 else 0.25)
    assert found[SELECTED] == test[0]  # the first of equals


@pytest.mark.parametrize("chosen", range(4))
def test_held_out_images_choose_and_the_test_set_does_not(chosen):
    test = [0.125, 0.5, 0.25, 0.375]
    found = told(test, [0.3 + 0.1 * (n == chosen) for n in range(4)])
    assert found[SELECTED] == test[chosen]
    assert found[OVER_SELECTED] == 0.5 - test[chosen]


def test_a_curve_that_asked_the_held_out_images_of_some_epochs_only_selects_nothing():
    assert set(told([0.5, 0.25, 0.5], [0.1, 0.2])) == {"recall@1", BEST, OVER_LAST}


def test_the_best_of_a_distance_is_the_lowest():
    rows = [(0.5, 0.2), (0.25, 0.1), (0.75, 0.3)]
    curve = [{"alignment": test, "validation alignment": held} for test, held in rows]
    found = ledger(replace(run_of(monitor="alignment"), curve=curve))
    assert found == {
        "alignment": 0.75,
        "alignment (best on test)": 0.25,
        "alignment (inflation over last)": -0.5,
        "alignment (selected)": 0.25,
        "alignment (inflation over selected)": 0.0,
    }


def test_without_a_monitor_there_is_nothing_to_say():
    assert ledger(run_of()) == {}
    rows = [{"epoch": 1, "loss": 0.5, "recall@2": 0.5}]
    assert ledger(replace(run_of(monitor="recall@1"), curve=rows)) == {}
