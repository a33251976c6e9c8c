"""STML: the contextualised similarity, the losses, the teacher's head and the neighbourhoods."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.spatial.distance import cdist
from scipy.special import softmax
from scipy.stats import entropy

from dml_bench import draws
from dml_bench.errors import RecipeError
from dml_bench.methods.base import Network
from dml_bench.methods.invaspread import Method as InvaSpread
from dml_bench.methods.stml import (
    Method,
    neighbourhoods,
    relative,
    relaxed_contrast,
    self_taught,
    similarity,
)
from dml_bench.types import Batch

B, D, WIDTH, WIDE = 6, 4, 5, 7
IDS = (3, 0, 8, 3, 5, 7)  # 3 is twice in the batch


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def drawn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def unit(*shape, seed=0):
    return F.normalize(drawn(*shape, seed=seed), dim=-1)


def batch(seed=1, features=None):
    seen = drawn(2, B, WIDTH, seed=seed) if features is None else features
    return Batch(
        torch.zeros(1), torch.tensor(IDS), features=seen, taught_features=drawn(2, B, WIDTH, seed=2)
    )


# similarity


def slow_similarity(taught, ids, sigma, k):
    n = len(taught)
    pairwise = [[np.exp(-((a - b) ** 2).sum().item() / sigma) for b in taught] for a in taught]
    ranked = [
        sorted(range(n), key=lambda j: -1.0 if ids[i] == ids[j] else -pairwise[i][j])
        for i in range(n)
    ]
    near = [set(order[:k]) for order in ranked]
    mutual = [{j for j in near[i] if i in near[j]} for i in range(n)]
    shared = [
        [len(mutual[i] & mutual[j]) / len(mutual[i]) if j in mutual[i] else 0.0 for j in range(n)]
        for i in range(n)
    ]
    half = round(k / 2)
    context = [
        [sum(shared[h][j] for h in ranked[i][:half]) / half for j in range(n)] for i in range(n)
    ]
    found = [
        [(pairwise[i][j] + (context[i][j] + context[j][i]) / 2) / 2 for j in range(n)]
        for i in range(n)
    ]
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize("sigma", [1.0, 3.0])
@pytest.mark.parametrize("k", [4, 6, 9])
@pytest.mark.parametrize("seed", range(3))
def test_similarity_is_that_of_pairs_and_of_their_reciprocal_neighbours(seed, k, sigma):
    taught, ids = unit(14, 3, seed=seed), torch.arange(7).repeat(2)
    found = similarity(taught, ids, sigma, k)
    expected = slow_similarity(taught, ids.tolist(), sigma, k)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert found.min() >= 0
    assert found.max() <= 1
    torch.testing.assert_close(found, found.T)


def test_images_of_one_neighbourhood_are_more_similar_than_their_distance_says():
    angle = torch.tensor([0, 20, 40, 180, 200, 220, 110], dtype=torch.float64).deg2rad()
    taught = torch.stack([angle.cos(), angle.sin()], dim=1)
    pairwise = (-torch.cdist(taught, taught).square() / 3).exp()
    gain = 2 * similarity(taught, torch.arange(7), 3.0, 3) - pairwise  # the context's part
    assert gain[0, 1] > 0.5
    assert gain[0, 3] == 0


def test_two_views_of_an_image_count_as_nearest_wherever_they_lie():
    taught = torch.eye(6, dtype=torch.float64)
    taught[3] = -taught[0]
    apart, views = torch.arange(6), torch.tensor([0, 1, 2, 0, 4, 5])
    before, after = (similarity(taught, ids, 3.0, 2)[0, 3] for ids in (apart, views))
    assert after > before + 0.2


# losses


def slow_relative(vectors):
    rows = [[(a - b).norm() if i != j else (a * 0).sum() for j, b in enumerate(vectors)]
            for i, a in enumerate(vectors)]  # fmt: skip
    return [[d / (sum(row) / len(row)) for d in row] for row in rows]


def slow_relaxed(vectors, wanted, delta):
    apart, n, total = slow_relative(vectors), len(vectors), 0.0
    for i in range(n):
        for j in range(n):
            if i != j:
                short = delta - apart[i][j]
                total = total + wanted[i, j] * apart[i][j] ** 2
                if short > 0:
                    total = total + (1 - wanted[i, j]) * short**2
    return total / (n * (n - 1))


def slow_self_taught(small, wide):
    total = 0.0
    for asked, told in zip(slow_relative(small), slow_relative(wide), strict=True):
        q, p = ([torch.exp(-d) for d in row] for row in (asked, told))
        for one, other in zip(q, p, strict=True):
            share, target = one / sum(q), other / sum(p)
            total = total + target * torch.log(target / share)
    return total / len(small)


def agree(found, expected, *leaves):
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)
    slopes = (torch.autograd.grad(loss, leaves) for loss in (found, expected))
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("delta", [0.6, 1.0, 1.5])
def test_relaxed_contrast_is_that_of_the_definition(delta):
    vectors = drawn(B, D).requires_grad_()
    wanted = drawn(B, B, seed=3).sigmoid()
    agree(relaxed_contrast(vectors, wanted, delta), slow_relaxed(vectors, wanted, delta), vectors)


def test_self_distillation_is_the_divergence_of_the_definition():
    small, wide = drawn(B, D).requires_grad_(), drawn(B, WIDE, seed=1)
    agree(self_taught(small, wide), slow_self_taught(small, wide), small)


def test_both_agree_with_scipy():
    small, wide = drawn(B, D).numpy(), drawn(B, WIDE, seed=1).numpy()
    near, told = (cdist(v, v) / cdist(v, v).mean(axis=1, keepdims=True) for v in (small, wide))
    np.testing.assert_allclose(relative(torch.from_numpy(small)), near, atol=1e-12)
    expected = entropy(softmax(-told, axis=1), softmax(-near, axis=1), axis=1).mean()
    found = self_taught(torch.from_numpy(small), torch.from_numpy(wide)).item()
    assert found == pytest.approx(expected, rel=1e-9)
    wanted = drawn(B, B, seed=3).sigmoid().numpy()
    cost = wanted * near**2 + (1 - wanted) * np.clip(1 - near, 0, None) ** 2
    np.fill_diagonal(cost, 0)
    found = relaxed_contrast(torch.from_numpy(small), torch.from_numpy(wanted), 1.0).item()
    assert found == pytest.approx(cost.sum() / (B * (B - 1)), rel=1e-9)


# method


def slow_loss(method, vectors, seen, sigma, delta, k):
    small = vectors.flatten(0, 1)
    head, teachers = method.head, method.teachers
    wide = seen.features.flatten(0, 1) @ head.weight.T + head.bias
    wide = torch.stack([row / row.norm() for row in wide])
    taught = (seen.taught_features.flatten(0, 1) @ teachers.weight.T + teachers.bias).detach()
    taught = torch.stack([row / row.norm() for row in taught])
    wanted = slow_similarity(taught, 2 * IDS, sigma, k)
    both = slow_relaxed(small, wanted, delta) + slow_relaxed(wide, wanted, delta)
    return both / 2 + slow_self_taught(small, wide.detach())


@pytest.mark.parametrize(
    "chosen", [{}, {"sigma": 1.0}, {"delta": 0.6}, {"neighbours": 5}, {"wide": 3}]
)
def test_the_loss_is_that_of_the_definition(chosen):
    made = {"sigma": 3.0, "delta": 1.0, "neighbours": 4, "wide": WIDE} | chosen
    method = Method(9, WIDTH, **made).double()
    method.teachers.weight.data = drawn(made["wide"], WIDTH, seed=4)
    vectors, features = unit(2, B, D).requires_grad_(), drawn(2, B, WIDTH).requires_grad_()
    seen = batch(features=features)
    expected = slow_loss(
        method, vectors, seen, made["sigma"], made["delta"], 2 * made["neighbours"]
    )
    agree(method.loss(vectors, seen), expected, vectors, features, *method.head.parameters())
    assert method.head.weight.shape == (made["wide"], WIDTH)


def test_the_loss_changes_no_state_and_gives_the_teacher_no_gradient():
    method = Method(9, WIDTH, wide=WIDE).double()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    method.loss(unit(2, B, D).requires_grad_(), batch()).backward()
    assert all(torch.equal(before[name], value) for name, value in method.state_dict().items())
    assert all(weight.grad is None for weight in method.teachers.parameters())
    assert all(weight.grad is not None for weight in method.head.parameters())


def test_the_teachers_head_begins_as_the_others_and_follows_it_by_its_share():
    method = Method(9, WIDTH, wide=WIDE, keep=0.9).double()
    assert method.teacher_keep == 0.9
    assert Method(9, WIDTH).teacher_keep == 0.999
    assert torch.equal(method.teachers.weight, method.head.weight)
    turned = method.head.weight @ method.head.weight.T  # orthogonal: the shorter side's rows
    assert turned.trace().item() == pytest.approx(WIDTH, rel=1e-5)
    assert not method.head.bias.any()
    expected = [weight.detach().clone() for weight in method.head.parameters()]
    for step in range(2):
        for seed, weight in enumerate(method.head.parameters()):
            weight.data = drawn(*weight.shape, seed=10 * step + seed)
        method.after_step(unit(2, B, D), batch())
        students = [weight.detach() for weight in method.head.parameters()]
        expected = [0.9 * old + 0.1 * new for old, new in zip(expected, students, strict=True)]
        for found, mean in zip(method.teachers.parameters(), expected, strict=True):
            torch.testing.assert_close(found.detach(), mean, rtol=1e-12, atol=1e-12)


def test_what_the_teacher_sees_as_one_is_pulled_together_and_invaspread_pushes_it_apart():
    images = unit(3, D)
    images[1] = images[0] + 0.5 * images[1]
    vectors = F.normalize(images + 0.1 * drawn(2, 3, D, seed=1), dim=-1)
    same = torch.tensor([0, 0, 2]).repeat(2)
    wanted = (same[:, None] == same).double()
    cosine = {}
    for name, loss in (
        ("stml", lambda v: relaxed_contrast(v.flatten(0, 1), wanted, 1.0)),
        ("invaspread", lambda v: InvaSpread(3).loss(v, Batch(torch.zeros(1), torch.arange(3)))),
    ):
        leaf = vectors.clone().requires_grad_()
        loss(leaf).backward()
        moved = F.normalize(leaf - 1e-3 * leaf.grad, dim=-1).detach()
        cosine[name] = (moved[:, 0] * moved[:, 1] - vectors[:, 0] * vectors[:, 1]).sum()
    assert cosine["stml"] > 0 > cosine["invaspread"]


# neighbourhoods


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_neighbourhood_is_an_image_and_its_nearest(size):
    seen, first = drawn(12, 3).numpy().astype(np.float32), np.random.default_rng(0).permutation(12)
    rows = neighbourhoods(seen, size, first)
    unit_rows = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    cosine = unit_rows @ unit_rows.T
    expected = []
    for opens in first:
        others = sorted((j for j in range(12) if j != opens), key=lambda j: -cosine[opens, j])
        expected += [opens, *others[: size - 1]]
    assert rows.tolist() == expected[:12]


def test_a_neighbourhood_is_no_larger_than_all_there_is():
    rows = neighbourhoods(drawn(4, 3).numpy().astype(np.float32), 9, np.arange(4))
    assert sorted(rows.tolist()) == [0, 1, 2, 3]


def test_the_epochs_order_is_that_of_neighbours_as_the_wide_head_sees_them():
    features = drawn(10, WIDTH, seed=5).float()
    method = Method(10, WIDTH, wide=WIDE, neighbours=2)
    method.head.weight.data = drawn(WIDE, WIDTH, seed=6).float()
    network = Network(lambda head: pytest.fail("vectors") if head else features)
    for epoch in (0, 1):
        method.begin_epoch(epoch, 3, network)
        seen = method.head(features).detach().numpy()
        expected = neighbourhoods(seen, 2, draws.order(3, epoch, 10))
        assert np.array_equal(method.order(), expected)
        assert not np.array_equal(
            expected, neighbourhoods(features.numpy(), 2, draws.order(3, epoch, 10))
        )
    resumed = Method(10, WIDTH, wide=WIDE, neighbours=2)
    resumed.load_state_dict(method.state_dict())
    assert np.array_equal(resumed.order(), method.order())


@pytest.mark.parametrize(
    "chosen",
    [
        {"sigma": 0.0},
        {"delta": -1.0},
        {"neighbours": 0},
        {"wide": 0},
        {"keep": 1.1},
        {"keep": -0.1},
    ],
)
def test_a_value_that_means_nothing_is_refused_in_one_line(chosen):
    (name,) = chosen
    with pytest.raises(RecipeError, match=f"^option {name}: expected .*, found [^\n]*$"):
        Method(9, WIDTH, **chosen)
