"""Cyclic: what is mined against slow loops, what is drawn, and the loss."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import sparse

from dml_bench.errors import RecipeError
from dml_bench.methods import cyclic as module
from dml_bench.methods.base import Network
from dml_bench.methods.cyclic import Method, closed, cyclic, distant, edges, one, paths, told_apart
from dml_bench.methods.mom import Method as MoM
from dml_bench.neighbours import rank
from dml_bench.types import Batch, Embeddings


def pointing(n, k, seed):
    """Whom each row points at: k others, drawn."""
    draw = np.random.default_rng(seed)
    others = [np.delete(np.arange(n), row) for row in range(n)]
    return np.stack([draw.permutation(rest)[:k] for rest in others])


def slow_cycles(ids, length):
    """Every closed walk of different rows, one step after the other."""
    found = set()

    def walk(path):
        if len(path) == length:
            if path[0] in ids[path[-1]]:
                found.add(tuple(path))
            return
        for onward in ids[path[-1]]:
            if onward not in path:
                walk([*path, int(onward)])

    for start in range(len(ids)):
        walk([start])
    return found


def slow_positives(ids, length):
    """Both rows of every pair of every cycle."""
    together = [set() for _ in ids]
    for cycle in slow_cycles(ids, length):
        for a in cycle:
            together[a] |= set(cycle) - {a}
    return together


def members(pool):
    return [{int(row) for row in line if row >= 0} for line in pool]


def features(n=40, width=6, seed=0):
    """Rows of any length, in four loose heaps."""
    draw = np.random.default_rng(seed)
    heaps = draw.normal(size=(4, width))[np.arange(n) % 4]
    return (3 * (heaps + 0.4 * draw.normal(size=(n, width)))).astype(np.float32)


def items(n=40, seed=0):
    return Embeddings(features(n, seed=seed), np.zeros(n, np.int64))


def begun(method, epoch=0, seed=0, seen=None):
    seen = torch.from_numpy(features() if seen is None else seen)
    method.begin_epoch(epoch, seed, Network(lambda head: pytest.fail("head") if head else seen))
    return method


@pytest.mark.parametrize("length", [2, 3, 4])
@pytest.mark.parametrize("seed", range(4))
def test_cycles_are_the_closed_walks_of_different_images(monkeypatch, length, seed):
    monkeypatch.setattr(module, "STARTS", 5)  # more than one block
    ids = pointing(14, 3, seed)
    expected = slow_cycles(ids, length)
    found = {tuple(map(int, row)) for row in closed(ids, np.arange(14), length)}
    assert found == expected
    assert expected
    pools = cyclic(ids, length, 13)
    assert members(pools) == slow_positives(ids, length)
    assert all(list(line[line >= 0]) == sorted(line[line >= 0]) for line in pools)
    assert all((line[(line >= 0).sum() :] == -1).all() for line in pools)


def test_a_ring_is_one_cycle_and_a_chain_none():
    ring = np.array([[1], [2], [3], [0], [0]])  # the last row points in, nobody points at it
    assert members(cyclic(ring, 4, 4)) == [{1, 2, 3}, {0, 2, 3}, {0, 1, 3}, {0, 1, 2}, set()]
    assert members(cyclic(ring, 3, 4)) == [set()] * 5


def slow_paths(steps):
    """Floyd and Warshall: is it shorter through a third?"""
    n = len(steps)
    lengths = [
        [0.0 if a == b else min(steps[a][b], steps[b][a]) for b in range(n)] for a in range(n)
    ]
    for third in range(n):
        for a in range(n):
            for b in range(n):
                through = lengths[a][third] + lengths[third][b]
                lengths[a][b] = min(lengths[a][b], through)
    return lengths


@pytest.mark.parametrize("seed", range(3))
def test_paths_are_the_shortest_along_edges_of_squared_distance(seed):
    rows = items(18, seed)
    vectors = rows.vectors.astype(np.float64)
    steps = [[math.inf] * 18 for _ in range(18)]
    for a in range(18):
        squares = {b: ((vectors[a] - vectors[b]) ** 2).sum() for b in range(18) if b != a}
        for b in sorted(squares, key=squares.get)[:2]:
            steps[a][b] = squares[b]
    found = paths(edges(rows, 2), np.arange(18))
    np.testing.assert_allclose(found, slow_paths(steps), atol=1e-6)
    assert np.isinf(found).any()  # heaps that no path joins


def test_duplicates_are_neighbours_still():
    rows = Embeddings(features(2, 5)[[0, 0, 1, 1]], np.zeros(4, np.int64))
    found = paths(edges(rows, 1), np.arange(4))
    np.testing.assert_array_equal(np.isinf(found), [[0, 0, 1, 1]] * 2 + [[1, 1, 0, 0]] * 2)
    assert found[0, 1] == 0


@pytest.mark.parametrize("beyond", [0.0, 0.5, 0.9])
def test_negatives_are_far_along_the_graph_and_no_positives(monkeypatch, beyond):
    monkeypatch.setattr(module, "STARTS", 7)
    rows, seen = np.arange(1, 40, 2), items()
    near = rows[cyclic(pointing(20, 3, 0), 4, 19)]
    near[cyclic(pointing(20, 3, 0), 4, 19) < 0] = -1
    toss = np.random.default_rng(1).random((20, 400), np.float32)
    found = distant(seen, rows, near, toss, 3, beyond)
    part = Embeddings(seen.vectors[rows], seen.labels[rows])
    lengths = slow_paths(np.where((dense := edges(part, 3).toarray()) == 0, np.inf, dense).tolist())
    for place in range(20):
        others = [x for n, x in enumerate(lengths[place]) if n != place and x < math.inf]
        cut = np.quantile(others, beyond)
        far = {int(rows[n]) for n, x in enumerate(lengths[place]) if cut < x < math.inf}
        assert members(found)[place] == far - members(near)[place] - {int(rows[place])}


def test_what_cannot_be_reached_is_no_negative():
    rows = Embeddings(np.eye(4)[[0, 0, 1, 1]], np.zeros(4, np.int64))
    nobody = np.full((4, 1), -1)
    toss = np.zeros((4, 2), np.float32)
    assert (distant(rows, np.arange(4), nobody, toss, 1, 0.5) == -1).all()
    assert (distant(rows, np.arange(1), nobody[:1], toss[:1], 1, 0.5) == -1).all()


def test_mining_looks_for_cycles_among_nearest_and_for_negatives_in_blocks(monkeypatch):
    monkeypatch.setattr(module, "TOGETHER", 15)
    calls = []
    honest = module.distant
    monkeypatch.setattr(module, "distant", lambda *given: calls.append(given) or honest(*given))
    method = begun(Method(40, 4, neighbours=3, graph=4))
    ids = rank(items(), items(), 3, leave_one_out=True).ids
    assert members(method.near.numpy()) == slow_positives(ids, 4)
    assert {given[4:] for given in calls} == {(4, 0.5)}
    calls = [rows for _, rows, *_ in calls]
    assert sorted(map(len, calls)) == [13, 13, 14]
    assert sorted(np.concatenate(calls)) == list(range(40))
    assert not np.array_equal(np.concatenate(calls), np.arange(40))
    for block in calls:
        for row in block:
            assert members(method.far.numpy())[row] <= set(block.tolist()) - {int(row)}


def test_pairs_are_drawn_from_what_was_mined_and_each_epoch_anew():
    method = begun(Method(40, 4))
    near, far = members(method.near.numpy()), members(method.far.numpy())
    drawn = []
    for epoch in range(120):
        begun(method, epoch)
        positives, negatives = method.partners()
        for row in range(40):
            assert positives[row] in near[row] if near[row] else positives[row] == row
            assert negatives[row] in far[row] if far[row] else negatives[row] == row
        drawn.append(method.partners())
    assert members(np.stack(drawn)[:, 0].T) == [n or {r} for r, n in enumerate(near)]
    assert members(np.stack(drawn)[:, 1].T) == [n or {r} for r, n in enumerate(far)]
    assert not np.array_equal(drawn[0], drawn[1])


def test_only_images_on_a_cycle_are_visited_and_equally_often():
    method = begun(Method(40, 4, neighbours=2))
    there = [row for row, pool in enumerate(members(method.near.numpy())) if pool]
    assert 0 < len(there) < 40
    times = np.bincount(method.order(), minlength=40)
    assert len(method.order()) == 40
    assert set(np.flatnonzero(times)) == set(there)
    assert np.ptp(times[there]) <= 1
    first = method.order()
    assert not np.array_equal(first, begun(method, 1).order())


def test_the_graph_is_mined_once_and_the_seed_decides():
    first, again, other = (begun(Method(40, 4), seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.far, again.far)
    assert not torch.equal(first.far, other.far)
    mined = first.far.clone()
    first.begin_epoch(1, 0, Network(lambda head: pytest.fail("computed again")))
    assert torch.equal(first.far, mined)


def test_what_is_remembered_comes_back_from_a_checkpoint():
    method = begun(Method(40, 4))
    fresh = Method(40, 4)
    fresh.load_state_dict(method.state_dict())
    vectors = F.normalize(torch.randn(3, 40, 4), dim=-1)
    batch = Batch(torch.zeros(1), torch.arange(40))
    for epoch in (None, 1):
        for one_of in (method, fresh) if epoch else ():
            begun(one_of, epoch)
        assert np.array_equal(method.partners(), fresh.partners())
        assert np.array_equal(method.order(), fresh.order())
        assert torch.equal(method.loss(vectors, batch), fresh.loss(vectors, batch))


def test_one_draws_evenly_and_the_row_itself_from_nobody():
    pool = np.array([[5, 7, -1], [-1, -1, -1], [1, 2, 3]])
    tosses = (np.arange(60, dtype=np.float32) + 0.5) / 60
    drawn = np.stack([one(pool, np.full(3, toss)) for toss in tosses]).T
    assert [np.bincount(line)[np.unique(line)].tolist() for line in drawn] == [
        [30, 30],
        [60],
        [20, 20, 20],
    ]
    assert set(drawn[1]) == {1}


def slow_loss(alike, apart, counted):
    """The cross-entropy of each pair that there is, one after the other."""
    costs = [math.log(math.exp(a) + math.exp(b)) - b for a, b in alike]
    costs += [math.log(math.exp(a) + math.exp(b)) - a for (a, b), on in zip(apart, counted) if on]  # noqa: B905
    return sum(costs) / len(costs)


def test_the_loss_is_the_cross_entropy_of_the_pairs_that_there_are():
    draw = torch.Generator().manual_seed(0)
    alike, apart = torch.randn(2, 6, 2, dtype=torch.float64, generator=draw)
    counted = torch.tensor([True, False, True, True, False, True])
    alike.requires_grad_()
    apart.requires_grad_()
    loss = told_apart(alike, apart, counted)
    loss.backward()
    assert loss.item() == pytest.approx(slow_loss(alike.tolist(), apart.tolist(), counted))
    for logits, right, on in ((alike, 1, torch.ones(6)), (apart, 0, counted)):
        expected = (logits.detach().softmax(1) - F.one_hot(torch.full((6,), right), 2)) / 10
        torch.testing.assert_close(logits.grad, expected * on[:, None])


def test_the_classifier_sees_both_vectors_of_a_pair_in_a_row():
    method = Method(5, 3).double()
    vectors = F.normalize(torch.randn(3, 5, 3, dtype=torch.float64), dim=-1).requires_grad_()
    method.picked[1] = torch.tensor([1, 1, 0, 2, 4])  # rows 1 and 4 have no negative
    ids = torch.tensor([4, 0, 2, 1])
    first, second = method.judge[0], method.judge[2]
    assert (first.weight.shape, second.weight.shape) == ((64, 6), (2, 64))

    def judged(a, b):
        hidden = first.weight @ torch.cat([a, b]) + first.bias
        return second.weight @ hidden.clamp(min=0) + second.bias

    costs = []
    for place, row in enumerate(ids):
        anchor, positive, negative = vectors[:, place]
        costs.append(-judged(anchor, positive).log_softmax(0)[1])
        if row not in (1, 4):
            costs.append(-judged(anchor, negative).log_softmax(0)[0])
    expected = torch.stack(costs).mean()
    found = method.loss(vectors[:, :4], Batch(torch.zeros(1), ids))
    assert len(costs) == 6
    torch.testing.assert_close(found, expected)
    slopes = [
        torch.autograd.grad(loss, [vectors, *method.parameters()]) for loss in (found, expected)
    ]
    for mine, slow in zip(*slopes, strict=True):
        torch.testing.assert_close(mine, slow)
    assert method.rate == 5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"neighbours": 0}, "option neighbours: expected 1 or more, found 0"),
        ({"graph": 0}, "option graph: expected 1 or more"),
        ({"negatives": 0}, "option negatives: expected 1 or more"),
        ({"hidden": 0}, "option hidden: expected 1 or more"),
        ({"length": 1}, "option length: expected 2 or more, found 1"),
        ({"beyond": 1.0}, "option beyond: expected a share below 1, found 1.0"),
        ({"beyond": -0.1}, "option beyond: expected a share"),
        ({"beyond": math.nan}, "option beyond: expected a share"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, said):
    with pytest.raises(RecipeError, match=said):
        Method(10, 4, **options)


def test_a_graph_without_a_cycle_is_refused_in_one_line():
    with pytest.raises(RecipeError, match="expected cycles of 4 among 1 neighbours") as caught:
        begun(Method(40, 4, neighbours=1))
    assert "\n" not in str(caught.value)


def test_positives_may_be_near_in_a_straight_line_where_those_of_mom_never_are():
    ours, mom = begun(Method(40, 4)), MoM(40, neighbours=8, positives=6, negatives=8)
    mom.mine(features())
    straight = members(rank(items(), items(), 5, leave_one_out=True).ids)
    assert sum(len(a & b) for a, b in zip(members(ours.near.numpy()), straight, strict=True)) > 40
    assert not any(a & b for a, b in zip(members(mom.near.numpy()), straight, strict=True))
    assert not list(mom.parameters())
    assert list(ours.parameters())


def test_the_transposed_graph_has_the_same_paths():
    roads = edges(items(), 3)
    backwards = sparse.csr_array(roads.T)
    np.testing.assert_array_equal(paths(roads, np.arange(40)), paths(backwards, np.arange(40)))
