"""Methods that compare the views of a batch, against slow loops and other libraries."""

import math

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning.losses import NTXentLoss

from dml_bench.errors import RecipeError
from dml_bench.methods.byol import Method as Byol
from dml_bench.methods.invaspread import Method as InvaSpread
from dml_bench.methods.simclr import Method as SimCLR
from dml_bench.methods.sprint import Method as Sprint
from dml_bench.methods.triplet import Method as Triplet
from dml_bench.methods.triplet_hard import Method as TripletHard
from dml_bench.types import Batch

B, D = 4, 5


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def unit(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, dtype=torch.float64, generator=generator), dim=-1)


def batch(size=B, taught=None):
    return Batch(torch.zeros(1), torch.arange(size), taught=taught)


def value_and_slope(function, vectors):
    leaf = vectors.clone().requires_grad_()
    loss = function(leaf)
    return loss.item(), torch.autograd.grad(loss, leaf)[0]


def agree(method, slow, vectors, seen=None):
    found, slope = value_and_slope(lambda v: method.loss(v, seen or batch()), vectors)
    expected, slow_slope = value_and_slope(slow, vectors)
    assert found == pytest.approx(expected, rel=1e-9)
    torch.testing.assert_close(slope, slow_slope, rtol=1e-7, atol=1e-9)


def rows_of(views):
    """Yields a row, its partner and the views of other images, for each of the 2B."""
    size = views.shape[1]
    for v in range(2):
        for i in range(size):
            others = [views[w, j] for w in range(2) for j in range(size) if j != i]
            yield views[v, i], views[1 - v, i], others


def distance(a, b):
    return (a / a.norm() - b / b.norm()).square().sum().sqrt()


def slow_triplets(views, margin):
    costs = [margin + distance(a, p) - distance(a, n) for a, p, ns in rows_of(views) for n in ns]
    return torch.stack([cost for cost in costs if cost > 0]).mean()


def slow_hardest(views, margin):
    costs = [
        margin + distance(a, p) - min(distance(a, n) for n in ns) for a, p, ns in rows_of(views)
    ]
    return torch.stack([cost.clamp(min=0) for cost in costs]).mean()


@pytest.mark.parametrize("margin", [0.1, 0.5, 3.0])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("make", "slow"), [(Triplet, slow_triplets), (TripletHard, slow_hardest)])
def test_triplets_are_those_of_the_definition(make, slow, seed, margin):
    agree(make(margin=margin), lambda v: slow(v, margin), unit(2, B, D, seed=seed))


def test_triplets_agree_with_torch():
    vectors = unit(2, B, D)
    triplets = [[a, p, n] for a, p, ns in rows_of(vectors) for n in ns]
    anchor, partner, other = map(torch.stack, zip(*triplets, strict=True))
    costs = F.triplet_margin_loss(anchor, partner, other, 0.5, eps=0, reduction="none")
    found = Triplet(margin=0.5).loss(vectors, batch()).item()
    assert found == pytest.approx(costs[costs > 0].mean().item(), rel=1e-9)
    nearest = costs.view(2 * B, -1).max(dim=1).values
    found = TripletHard(margin=0.5).loss(vectors, batch()).item()
    assert found == pytest.approx(nearest.mean().item(), rel=1e-9)


def on_a_circle(*degrees):
    """Both views of each image are the same."""
    angle = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angle.cos(), angle.sin()], dim=1).repeat(2, 1, 1)


def test_the_hardest_negative_counts_alone_and_satisfied_views_count():
    near = 2 * math.sin(math.radians(15))
    far = 2 * math.sin(math.radians(45))
    vectors = on_a_circle(0, 30, -90)  # distances: near, far (2 * sin 45), and 2 * sin 60
    every, hard = (m.loss(vectors, batch(3)).item() for m in (Triplet(1.0), TripletHard(1.0)))
    assert every == pytest.approx(1 - near)  # the mean over what is not satisfied
    assert hard == pytest.approx((1 - near) * 4 / 6)  # and over all who ask
    every, hard = (m.loss(vectors, batch(3)).item() for m in (Triplet(3.0), TripletHard(3.0)))
    wide = 2 * math.sin(math.radians(60))
    assert every == pytest.approx(3 - (near + far + wide) / 3)
    assert hard == pytest.approx(3 - (near + near + far) / 3)


@pytest.mark.parametrize("make", [Triplet, TripletHard])
def test_satisfied_triplets_cost_nothing_and_have_a_gradient_of_zero(make):
    value, slope = value_and_slope(
        lambda v: make(margin=0.5).loss(v, batch(3)), on_a_circle(0, 90, 180)
    )
    assert value == 0
    assert torch.equal(slope, torch.zeros(2, 3, 2, dtype=torch.float64))


# simclr


def cosine(a, b):
    return a @ b / (a.norm() * b.norm())


def slow_nt_xent(views, temperature):
    total = 0.0
    for a, p, ns in rows_of(views):
        e = [torch.exp(cosine(a, other) / temperature) for other in [p, *ns]]
        total = total - torch.log(e[0] / sum(e))
    return total / (2 * views.shape[1])


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_simclr_is_the_normalised_cross_entropy_of_the_definition(seed, temperature):
    slow = lambda v: slow_nt_xent(v, temperature)  # noqa: E731
    agree(SimCLR(temperature=temperature), slow, unit(2, B, D, seed=seed))


def test_simclr_agrees_with_torch():
    vectors = unit(2, B, D)
    flat = vectors.flatten(0, 1)
    logits = (flat @ flat.T / 0.5).fill_diagonal_(-torch.inf)
    expected = F.cross_entropy(logits, torch.arange(2 * B).roll(B))
    assert SimCLR().loss(vectors, batch()).item() == pytest.approx(expected.item(), rel=1e-9)


def test_simclr_agrees_with_the_nt_xent_of_pytorch_metric_learning():
    vectors, images = unit(2, B, D), torch.arange(B).repeat(2)
    found, slope = value_and_slope(lambda v: SimCLR(temperature=0.3).loss(v, batch()), vectors)
    library = NTXentLoss(temperature=0.3)
    expected, other = value_and_slope(lambda v: library(v.flatten(0, 1), images), vectors)
    assert found == pytest.approx(expected, rel=1e-9)
    torch.testing.assert_close(slope, other, rtol=1e-7, atol=1e-12)


def test_simclr_by_eye():
    collapsed = torch.ones(2, B, D, dtype=torch.float64)
    assert SimCLR().loss(collapsed, batch()).item() == pytest.approx(math.log(2 * B - 1))
    apart = torch.eye(B, dtype=torch.float64).repeat(2, 1, 1)
    expected = math.log(1 + (2 * B - 2) * math.exp(-1 / 0.2))
    assert SimCLR(temperature=0.2).loss(apart, batch()).item() == pytest.approx(expected)


def test_invaspread_is_simclr_and_a_spread_term_and_asks_without_gradient():
    vectors, t = unit(2, B, D), 0.3
    invaspread = InvaSpread(B, temperature=t)
    spread = 0.0
    for a, p, ns in rows_of(vectors):
        e = [torch.exp(a @ other / t) for other in [p, *ns]]
        spread = spread - sum(torch.log(1 - x / sum(e)) for x in e[1:])
    simclr, slope = value_and_slope(lambda v: SimCLR(temperature=t).loss(v, batch()), vectors)
    found, other_slope = value_and_slope(lambda v: invaspread.loss(v, batch()), vectors)
    assert found - simclr == pytest.approx(spread.item() / (2 * B), rel=1e-9)
    assert not torch.allclose(slope, other_slope, rtol=0.1)


# byol


def foretold(method, rows):
    """Two layers with a batch norm between them, by hand."""
    first, norm, _, last = method.predictor
    hidden = rows @ first.weight.T + first.bias
    mean = hidden.mean(dim=0)
    variance = (hidden - mean).square().mean(dim=0)
    hidden = (hidden - mean) / (variance + norm.eps).sqrt() * norm.weight + norm.bias
    return hidden.clamp(min=0) @ last.weight.T + last.bias


def slow_byol(method, views, taught):
    total = 0.0
    for v in range(2):
        for told, seen in zip(foretold(method, views[v]), taught[1 - v], strict=True):
            total = total + (told / told.norm() - seen).square().sum() / views.shape[1]
    return total


@pytest.mark.parametrize("hidden", [3, 8])
def test_byol_is_the_squared_distance_of_both_directions(hidden):
    method, taught = Byol(D, hidden=hidden).double(), unit(2, B, D, seed=1)
    agree(method, lambda v: slow_byol(method, v, taught), unit(2, B, D), batch(taught=taught))
    weights = list(method.parameters())
    assert [w.shape for w in weights[:2]] == [(hidden, D), (hidden,)]
    vectors = unit(2, B, D)
    found = torch.autograd.grad(method.loss(vectors, batch(taught=taught)), weights)
    expected = torch.autograd.grad(slow_byol(method, vectors, taught), weights)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)


def test_byol_agrees_with_torch():
    method, taught, vectors = Byol(D, hidden=8).double(), unit(2, B, D, seed=1), unit(2, B, D)
    alike = [F.cosine_similarity(method.predictor(vectors[v]), taught[1 - v]) for v in range(2)]
    expected = 4 - 2 * (alike[0] + alike[1]).mean().item()
    found = method.loss(vectors, batch(taught=taught)).item()
    assert found == pytest.approx(expected, rel=1e-9)


def test_byol_has_no_negatives_and_simclr_has():
    vectors, taught = unit(2, B, D), unit(2, B, D, seed=1)
    for method, apart in ((Byol(D, hidden=8).double().eval(), True), (SimCLR(), False)):
        alone = [method.loss(vectors[:, [i]], batch(1, taught[:, [i]])).item() for i in range(B)]
        whole = method.loss(vectors, batch(taught=taught)).item()
        assert (whole == pytest.approx(sum(alone) / B)) == apart


def test_the_teacher_keeps_the_share_that_was_asked_for():
    assert Byol(D).teacher_keep == 0.996
    assert Byol(D, keep=0.9).teacher_keep == 0.9


@pytest.mark.parametrize(
    ("make", "chosen"),
    [
        (Triplet, {"margin": 0.0}),
        (TripletHard, {"margin": -1.0}),
        (SimCLR, {"temperature": 0.0}),
        (lambda **k: Byol(D, **k), {"hidden": 0}),
        (lambda **k: Byol(D, **k), {"keep": 1.5}),
    ],
)
def test_a_value_that_means_nothing_is_refused_in_one_line(make, chosen):
    (name,) = chosen
    with pytest.raises(RecipeError, match=f"^option {name}: expected .*, found [^\n]*$"):
        make(**chosen)


def test_sprint_is_the_spread_with_gradient_on_both_sides_over_all_pairs_of_views():
    views = unit(3, B, D)
    alone = InvaSpread(n_items=B, detach_keys="no")
    pairs = [(0, 1), (0, 2), (1, 2)]
    agree(
        Sprint(B, views=3),
        lambda v: sum(alone.loss(v[list(pair)], batch()) for pair in pairs) / 3,
        views,
    )
    assert Sprint(B, views=3).views == 3
    with pytest.raises(RecipeError, match="option views: expected 2 or more, found 1"):
        Sprint(B, views=1)
