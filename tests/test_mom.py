"""Mining on manifolds: the graph, the diffusion, the pools, the draw and the loss."""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import sparse
from scipy.sparse.linalg import cg

from dml_bench import draws
from dml_bench.errors import RecipeError
from dml_bench.methods.base import Network
from dml_bench.methods.mom import Method, diffused, nearest_first, pools, transition
from dml_bench.methods.triplet import Method as Triplet
from dml_bench.types import Batch, Embeddings

N, WIDTH = 18, 4  # 20 rounds of conjugate gradients solve 18 equations exactly
SMALL = {"neighbours": 7, "positives": 6, "negatives": 8, "pool": 3}


def items(n=N, width=WIDTH, seed=0):
    drawn = np.random.default_rng(seed).normal(size=(n, width)) + 0.5
    return Embeddings(drawn, np.zeros(n, np.int64))


def sees(found, vectors=None):
    vectors = found.vectors if vectors is None else vectors
    return Network(lambda head: torch.from_numpy(vectors if head else found.vectors))


# graph and diffusion


def order_by(similar, first):
    """The row itself, then the others, the most similar first."""
    return [
        first,
        *sorted((j for j in range(len(similar)) if j != first), key=lambda j: -similar[j]),
    ]


def slow_transition(vectors, neighbours):
    n = len(vectors)
    cosine = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    near = [set(order_by(cosine[i], i)[:neighbours]) for i in range(n)]
    w = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j and i in near[j] and j in near[i]:
                w[i, j] = max(cosine[i, j], 0) ** 3
    degree = w.sum(axis=1)
    s = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if w[i, j]:
                s[i, j] = w[i, j] / np.sqrt(degree[i] * degree[j])
    return s


@pytest.mark.parametrize("neighbours", [2, 4, 7, 30])
def test_the_graph_joins_mutual_neighbours_by_the_cube_of_their_cosine(neighbours):
    found = transition(items(), neighbours).toarray()
    expected = slow_transition(items().vectors, min(neighbours, N))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (found == 0).sum() > N  # an image is joined to fewer than all


def laplacian(found, neighbours, alpha):
    n = len(found)
    return sparse.csr_array(sparse.eye_array(n) - alpha * transition(found, neighbours))


@pytest.mark.parametrize("alpha", [0.5, 0.99])
def test_the_diffusion_solves_the_equations(alpha):
    system, rows = laplacian(items(), 7, alpha), np.array([4, 0, 17])
    expected = np.linalg.solve(system.toarray(), np.eye(N)[:, rows]).T
    np.testing.assert_allclose(diffused(system, rows), expected, rtol=1e-6, atol=1e-8)


def test_the_diffusion_stops_after_the_rounds_that_scipy_makes():
    system = laplacian(items(300), 8, 0.99)
    found = diffused(system, np.array([0, 123]))
    for row, column in zip((0, 123), found, strict=True):
        start = np.eye(300)[row]
        twenty, unfinished = cg(system, start, rtol=1e-10, maxiter=20)
        assert unfinished == 20
        np.testing.assert_allclose(column, twenty, rtol=1e-6, atol=1e-9)


def test_an_image_without_a_neighbour_spreads_to_nobody():
    alone = sparse.csr_array(sparse.eye_array(3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(diffused(alone, np.array([1])), [[0, 1, 0]])


# pools


def slow_pools(found, neighbours, alpha, positives, negatives, pool):
    vectors = found.vectors.astype(np.float64)
    n, cosine = len(vectors), vectors @ vectors.T
    manifold = np.linalg.inv(np.eye(n) - alpha * slow_transition(found.vectors, neighbours))
    near, weights, far = [], [], []
    for i in range(n):
        straight = order_by(cosine[i], i)
        along = [j for j in order_by(manifold[i], i) if manifold[i, j] > 1e-12]
        near.append([j for j in along[:positives] if j not in straight[:positives]])
        weights.append([manifold[i, j] for j in near[-1]])
        k = min(negatives, -(-n // 2))
        far.append([j for j in straight[:k] if j not in along[:k]][:pool])
    return near, weights, far


@pytest.mark.parametrize(
    "changed", [{}, {"neighbours": 5}, {"alpha": 0.3}, {"positives": 9}, {"negatives": 30},
                {"pool": 1}]
)  # fmt: skip
def test_pools_are_those_of_equation_6(changed):
    chosen = {"alpha": 0.99, **SMALL, **changed}
    near, weights, far = pools(items(), **chosen)
    expected = slow_pools(items(), **chosen)
    assert near.shape == weights.shape == (N, chosen["positives"])
    assert far.shape == (N, chosen["pool"])
    for row in range(N):
        n_near, n_far = len(expected[0][row]), len(expected[2][row])
        assert near[row].tolist() == expected[0][row] + [-1] * (chosen["positives"] - n_near)
        np.testing.assert_allclose(weights[row, :n_near], expected[1][row], rtol=1e-5)
        assert not weights[row, n_near:].any()
        assert far[row].tolist() == expected[2][row] + [-1] * (chosen["pool"] - n_far)
    assert any(expected[0])
    assert any(expected[2])


@pytest.mark.parametrize(
    ("changed", "moved"),
    [
        ({"neighbours": 4}, "near weights far"),
        ({"alpha": 0.3}, "near weights"),
        ({"positives": 9}, "near weights"),
        ({"negatives": 5}, "far"),
        ({"pool": 1}, "far"),
    ],
)
def test_each_option_of_the_mining_changes_the_pools_that_it_names(changed, moved):
    was, now = Method(N, **SMALL), Method(N, **{**SMALL, **changed})
    for method in (was, now):
        method.begin_epoch(0, 0, sees(items()))
    differ = {
        name for name in ("near", "weights", "far")
        if not torch.equal(getattr(was, name), getattr(now, name))
    }  # fmt: skip
    assert differ >= set(moved.split())
    if "alpha" not in changed and "neighbours" not in changed:
        assert differ == set(moved.split())


def test_along_two_curves_positives_stay_on_the_own_one_and_negatives_lie_on_the_other():
    along = np.linspace(0, 2.5, 40)
    curve = np.stack([np.cos(along), np.sin(along), np.zeros(40)], axis=1)
    aside = np.array([0, 0, 0.12])
    both = np.concatenate([curve + aside, curve - aside])
    found = Embeddings(both, np.zeros(80, np.int64))
    near, _, far = pools(found, neighbours=5, alpha=0.99, positives=12, negatives=20, pool=9)
    for row in range(80):
        mine = row // 40
        assert all(j // 40 == mine for j in near[row] if j >= 0)
        assert all(j // 40 != mine for j in far[row] if j >= 0)
    assert (near >= 0).any(axis=1).all()
    assert (far >= 0).any(axis=1).all()


# draw


def slow_draw(near, weights, far, vectors, toss):
    cosine = vectors.astype(np.float64) @ vectors.T
    picked, weighed = [], []
    for i in range(len(near)):
        pool = [j for j in near[i].tolist() if j >= 0]
        at = int(toss[0, i] * len(pool))
        positive, weight = (pool[at], float(weights[i, at])) if pool else (i, 1.0)
        pool = [j for j in far[i].tolist() if j >= 0]
        pool = sorted(pool, key=lambda j: -cosine[i, j])[:10]
        negative = pool[int(toss[1, i] * len(pool))] if pool else i
        picked.append((positive, negative))
        weighed.append(weight if pool else 0.0)
    return np.array(picked).T, np.array(weighed)


def test_an_epoch_draws_a_positive_and_one_of_the_ten_negatives_that_are_nearest_now():
    found, now = items(60), items(60, seed=5).vectors
    method = Method(60, neighbours=7, positives=20, negatives=30, pool=20)
    method.begin_epoch(0, 3, sees(found, now))
    near, weights, far = method.near.numpy(), method.weights.numpy(), method.far.numpy()
    assert (far >= 0).sum(axis=1).max() > 10
    for epoch in (0, 1):
        method.begin_epoch(epoch, 3, sees(found, now))
        toss = draws.table(3, epoch, "pools", (2, 60))
        picked, weighed = slow_draw(near, weights, far, now, toss)
        assert np.array_equal(method.partners(), picked)
        np.testing.assert_allclose(method.weighed, weighed, rtol=1e-6)
    for one in range(60):
        assert method.partners()[0, one] in near[one] or not (near[one] >= 0).any()


def test_an_image_without_a_positive_takes_itself_and_one_without_a_negative_has_no_weight():
    method = Method(3, positives=2, pool=2)
    method.near.copy_(torch.tensor([[1, -1], [-1, -1], [0, 1]]))
    method.weights.copy_(torch.tensor([[0.3, 0], [0, 0], [0.5, 0.4]]))
    method.far.copy_(torch.tensor([[2, -1], [0, 2], [-1, -1]]))
    vectors = np.eye(3, dtype=np.float32)
    picked, weights = method.draw(vectors, np.full((2, 3), 0.999, np.float32))
    assert picked[0].tolist() == [1, 1, 1]
    assert picked[1, [0, 2]].tolist() == [2, 2]
    assert weights.tolist() == pytest.approx([0.3, 1.0, 0.0])


def test_nearest_first_leaves_the_ends_of_pools_last():
    vectors = np.array([[1, 0], [-1, 0], [0, 1], [0.8, 0.6]], np.float32)
    found = nearest_first(vectors, np.array([[1, 2, 3], [0, -1, -1], [-1, -1, -1], [1, 0, -1]]))
    assert found.tolist() == [[3, 2, 1], [0, -1, -1], [-1, -1, -1], [0, 1, -1]]


def test_pools_are_mined_once_before_training_and_kept_in_the_state():
    method, resumed = Method(N, **SMALL), Method(N, **SMALL)
    method.begin_epoch(0, 0, sees(items()))
    resumed.load_state_dict(method.state_dict())
    later = items(seed=8).vectors
    for one in (method, resumed):
        one.begin_epoch(
            1, 0, Network(lambda head: torch.from_numpy(later) if head else pytest.fail("mined"))
        )
    assert np.array_equal(method.partners(), resumed.partners())
    assert torch.equal(method.weighed, resumed.weighed)


# loss


def unit(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, dtype=torch.float64, generator=generator), dim=-1)


def weighing(margin=0.5):
    method = Method(N, margin=margin, **SMALL).double()
    method.weighed.copy_(torch.linspace(0, 2, N))
    return method, Batch(torch.zeros(1), torch.tensor([17, 0, 5, 9]))


@pytest.mark.parametrize("margin", [0.1, 0.5, 3.0])
def test_the_loss_is_the_weighted_hinge_on_squared_distances(margin):
    method, batch = weighing(margin)
    vectors = unit(3, 4, 3).requires_grad_()
    expected = 0.0
    for b, row in enumerate(batch.ids):
        anchor, positive, negative = vectors[:, b]
        cost = margin + ((anchor - positive) ** 2).sum() - ((anchor - negative) ** 2).sum()
        expected = expected + method.weighed[row] * max(cost, 0 * cost) / 4
    found = method.loss(vectors, batch)
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    slopes = [torch.autograd.grad(loss, vectors)[0] for loss in (found, expected)]
    torch.testing.assert_close(*slopes, rtol=1e-9, atol=1e-12)


def test_the_loss_agrees_with_torch():
    method, batch = weighing()
    vectors = unit(3, 4, 3)
    costs = F.triplet_margin_with_distance_loss(
        *vectors, distance_function=lambda a, b: 2 - 2 * F.cosine_similarity(a, b),
        margin=0.5, reduction="none",
    )  # fmt: skip
    expected = (costs * method.weighed[batch.ids]).mean().item()
    assert method.loss(vectors, batch).item() == pytest.approx(expected, rel=1e-9)


def test_mom_takes_the_triplets_that_were_mined_and_triplet_those_of_the_batch():
    method, batch = weighing()
    vectors, mixed = unit(3, 4, 3), [1, 2, 3, 0]
    method.weighed.fill_(1.0)
    alone = [
        method.loss(vectors[:, [b]], Batch(torch.zeros(1), batch.ids[[b]])).item()
        for b in range(4)
    ]  # fmt: skip
    assert method.loss(vectors, batch).item() == pytest.approx(sum(alone) / 4)
    pairs = [Triplet().loss(vectors[:2, [b]], batch).item() for b in mixed]
    assert Triplet().loss(vectors[:2], batch).item() > sum(pairs) == 0


@pytest.mark.parametrize(
    "chosen",
    [
        {"margin": 0.0},
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"neighbours": 1},
        {"positives": 1},
        {"negatives": 1},
        {"pool": 0},
    ],
)
def test_a_value_that_means_nothing_is_refused_in_one_line(chosen):
    (name,) = chosen
    with pytest.raises(RecipeError, match=f"^option {name}: expected .*, found [^\n]*$"):
        Method(N, **chosen)
