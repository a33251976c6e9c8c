"""The criterion against slow loops written from its definition, in both forms."""

import math

import pytest
import torch
import torch.nn.functional as F

from dml_bench.errors import RecipeError
from dml_bench.losses import invariance_spread

T = 0.1


def views(size=5, dim=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(2, size, dim, dtype=torch.float64, generator=generator)
    return tuple(F.normalize(v, dim=1).requires_grad_() for v in drawn)


def slow_code(first, second, weight=1.0, detach=True):
    """Row i asks; its partner is the same image's other view; keys give no gradient."""
    rows = [*first, *second]
    keys = [r.detach() if detach else r for r in rows]
    n, half = len(rows), len(first)
    total = 0.0
    for i in range(n):
        partner = (i + half) % n
        e = [torch.exp(rows[i] @ keys[j] / T) for j in range(n)]
        bottom = e[partner] + weight * sum(e[j] for j in range(n) if j not in (i, partner))
        total = total + torch.log(e[partner] / bottom)
        for j in range(n):
            if j not in (i, partner):
                total = total + weight * torch.log(1 - e[j] / bottom)
    return -total / n


def slow_paper(first, second):
    """Equations 3, 4 and 7, letter by letter."""
    m = len(first)
    total = 0.0
    for i in range(m):
        e = [torch.exp(first[k] @ second[i] / T) for k in range(m)]
        total = total + torch.log(e[i] / sum(e))
        for j in range(m):
            if j != i:
                among = [torch.exp(first[k] @ first[j] / T) for k in range(m)]
                total = total + torch.log(1 - among[i] / sum(among))
    return -total


def value_and_gradients(function, *args, **kwargs):
    first, second = views(*args)
    loss = function(first, second, **kwargs)
    loss.backward()
    return loss.item(), torch.cat([first.grad, second.grad])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("slow", "choices"),
    [
        (slow_code, {}),
        (lambda a, b: slow_code(a, b, weight=2.5), {"negative_weight": 2.5}),
        (lambda a, b: slow_code(a, b, detach=False), {"detach_keys": False}),
        (slow_paper, {"form": "paper"}),
    ],
)
def test_value_and_gradient_are_those_of_the_slow_loops(slow, choices, seed):
    expected, slope = value_and_gradients(slow, 5, 7, seed)
    found, found_slope = value_and_gradients(invariance_spread, 5, 7, seed, **choices)
    assert found == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(found_slope, slope, rtol=1e-9, atol=1e-12)


def test_the_two_forms_and_the_stop_gradient_are_told_apart():
    code, code_slope = value_and_gradients(invariance_spread)
    paper, _ = value_and_gradients(invariance_spread, form="paper")
    same, other_slope = value_and_gradients(invariance_spread, detach_keys=False)
    assert code != pytest.approx(paper, rel=0.1)
    assert same == pytest.approx(code)
    assert not torch.allclose(code_slope, other_slope, rtol=0.1)


def drawn_rows(first, second, keep):
    """The code form by eye: each row's partner, and only the negatives that `keep` chooses."""
    rows = torch.cat([first, second])
    n = len(rows)
    total = 0.0
    for i in range(n):
        partner = (i + n // 2) % n
        others = [j for j in range(n) if j not in (i, partner)]
        near_first = sorted(others, key=lambda j: -float(rows[i] @ rows[j]))
        half = len(others) // 2
        kept = near_first[:half] if keep == "hard" else near_first[-half:]
        e = {j: torch.exp(rows[i] @ rows[j].detach() / T) for j in [partner, *kept]}
        total = total + torch.log(e[partner] / sum(e.values()))
        total = total + sum(torch.log(1 - e[j] / sum(e.values())) for j in kept)
    return -total / n


@pytest.mark.parametrize("keep", ["hard", "easy"])
def test_half_of_the_negatives_are_the_nearest_or_the_farthest(keep):
    first, second = views()
    found = invariance_spread(first, second, negatives=keep)
    assert found.item() == pytest.approx(drawn_rows(first, second, keep).item(), rel=1e-12)


@pytest.mark.parametrize("common", [0.0, 0.5])  # spread out, and about one way
def test_without_stop_gradient_a_step_is_twice_as_long_the_same_way(common):
    def slopes(detached):
        torch.manual_seed(0)
        middle = torch.randn(64, 128) + common
        drawn = [middle + 0.5 * torch.randn(64, 128) for _ in range(2)]
        both = [F.normalize(view, dim=1).requires_grad_() for view in drawn]
        invariance_spread(*both, detach_keys=detached).backward()
        return torch.cat([view.grad for view in both]).flatten()

    one, two = slopes(detached=True), slopes(detached=False)
    assert float(two.norm() / one.norm()) == pytest.approx(2, abs=0.2)
    assert float(F.cosine_similarity(one, two, dim=0)) > 0.9


def test_hard_negatives_cost_more_than_easy_ones():
    first, second = views()
    hard, every, easy = (
        invariance_spread(first, second, negatives=n).item() for n in ("hard", "all", "easy")
    )
    assert hard > easy
    assert every > easy


COLLAPSED = torch.ones(6, 4) / 2
SPREAD = torch.eye(6)


@pytest.mark.parametrize("form", ["code", "paper"])
@pytest.mark.parametrize("negatives", ["all", "hard", "easy"])
@pytest.mark.parametrize("temperature", [0.1, 0.001])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("first", "second"),
    [(SPREAD, SPREAD), (COLLAPSED, COLLAPSED), (SPREAD, -SPREAD), (COLLAPSED, -COLLAPSED)],
)
def test_value_and_gradient_stay_finite_at_the_extremes(
    form, negatives, temperature, dtype, first, second
):
    first, second = (v.to(dtype).clone().requires_grad_() for v in (first, second))
    loss = invariance_spread(first, second, temperature, form, negatives=negatives)
    loss.backward()
    assert torch.isfinite(loss)
    assert loss >= 0
    assert torch.isfinite(first.grad).all()
    assert torch.isfinite(second.grad).all()


def test_perfect_views_cost_nothing_and_collapsed_ones_what_the_definition_says():
    perfect = invariance_spread(SPREAD.double(), SPREAD.double(), 0.01)
    assert perfect.item() == pytest.approx(0, abs=1e-9)
    collapsed = invariance_spread(COLLAPSED.double(), COLLAPSED.double())
    others = 2 * len(COLLAPSED) - 1
    expected = math.log(others) - (others - 1) * math.log(1 - 1 / others)
    assert collapsed.item() == pytest.approx(expected)


@pytest.mark.parametrize(
    "choices", [{"form": "both"}, {"negatives": "some"}], ids=["form", "negatives"]
)
def test_an_unknown_form_or_choice_is_refused_with_what_there_is(choices):
    first, second = views()
    with pytest.raises(RecipeError, match="expected"):
        invariance_spread(first, second, **choices)
