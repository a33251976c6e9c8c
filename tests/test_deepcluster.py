"""DeepCluster: the whitening, the clusters, the order and the classifier."""

from collections import Counter

import faiss
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.special import softmax
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, log_loss

from dml_bench.errors import RecipeError
from dml_bench.methods.base import Network
from dml_bench.methods.deepcluster import Method, balanced, whitened
from dml_bench.methods.exemplar import Method as Exemplar
from dml_bench.types import Batch

N, D, WIDTH = 30, 4, 6


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def drawn(n=N, width=WIDTH, seed=0):
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


def sees(features):
    """A network whose features are these, and whose vectors nobody may ask for."""
    return Network(lambda head: pytest.fail("vectors") if head else torch.from_numpy(features))


def started(features, epoch=0, seed=0, **chosen):
    method = Method(len(features), D, **chosen)
    method.begin_epoch(epoch, seed, sees(features))
    return method


def cosines(rows):
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit @ unit.T


# whitening


def test_whitened_features_have_unit_variance_and_no_correlation():
    mixed = drawn() @ np.diag([9, 5, 3, 1, 0.5, 0.1]).astype(np.float32) + 7
    found = whitened(mixed, 256)
    np.testing.assert_allclose(np.cov(found.T), np.eye(WIDTH), atol=1e-4)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-4)


@pytest.mark.parametrize("components", [2, 4, 6])
def test_the_whitening_is_that_of_faiss_which_the_source_takes(components):
    mixed = drawn(200) @ np.diag([9, 5, 3, 2, 1, 0.5]).astype(np.float32) @ drawn(6, seed=1)
    matrix = faiss.PCAMatrix(WIDTH, components, -0.5)
    matrix.train(mixed)
    np.testing.assert_allclose(
        cosines(whitened(mixed, components)), cosines(matrix.apply(mixed)), atol=2e-3
    )


@pytest.mark.parametrize("components", [3, 6])
def test_the_whitening_is_that_of_a_singular_value_decomposition(components):
    features = drawn().astype(np.float64)
    left, _, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    expected = left[:, :components] * np.sqrt(N - 1)
    found = whitened(features, components)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-4)


def test_no_more_components_are_kept_than_there_are():
    assert whitened(drawn(), 4).shape == (N, 4)
    assert whitened(drawn(), 256).shape == (N, WIDTH)
    assert whitened(drawn(5), 256).shape == (5, 4)


def test_features_that_do_not_vary_are_not_blown_up():
    features, still = drawn(), np.full((N, 2), [0, 3], np.float32)
    summed = features[:, :1] + features[:, 1:2]
    found = whitened(np.hstack([features, still, summed]), 256)
    assert found.shape == (N, WIDTH)
    np.testing.assert_allclose(np.cov(found.T), np.eye(WIDTH), atol=1e-4)


# clusters


def in_threes(spread=0.05, seed=0):
    """Three classes along three axes, after a dull direction of great variance."""
    labels = np.arange(N) % 3
    rows = np.eye(3)[labels] + spread * drawn(width=3, seed=seed)
    dull = 50 * drawn(width=1, seed=1)
    return np.hstack([dull, rows]).astype(np.float32), labels


def test_the_clusters_are_those_of_scikit_learn_on_whitened_unit_rows():
    features, _ = in_threes()
    method = started(features, clusters=3)
    centred = features - features.mean(axis=0)
    left, _, _ = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    unit = left / np.linalg.norm(left, axis=1, keepdims=True)
    expected = KMeans(3, n_init=10, random_state=0).fit_predict(unit)
    assert adjusted_rand_score(method.pseudo, expected) == 1
    without = KMeans(3, n_init=10, random_state=0).fit_predict(
        features / np.linalg.norm(features, axis=1, keepdims=True)
    )
    assert adjusted_rand_score(without, expected) < 0.5  # so the whitening was needed


def test_components_and_clusters_decide_what_is_found():
    features, labels = in_threes()
    assert adjusted_rand_score(started(features, clusters=3, components=1).pseudo, labels) < 0.5
    assert len(started(features, clusters=5).pseudo.unique()) == 5
    assert len(started(features, clusters=99).weights) == N


def test_each_epoch_has_clusters_an_order_and_a_classifier_of_its_own():
    first, same, next_one = (started(drawn(), epoch, clusters=5) for epoch in (0, 0, 1))
    other = started(drawn(), seed=7, clusters=5)
    assert torch.equal(first.pseudo, same.pseudo)
    assert np.array_equal(first.order(), same.order())
    for found in (next_one, other):
        assert not torch.equal(first.pseudo, found.pseudo)
        assert not np.array_equal(first.order(), found.order())


def test_the_order_is_drawn_anew_where_the_clusters_stay():
    orders = [started(drawn(), epoch, clusters=1).order() for epoch in (0, 1)]
    assert all(sorted(order) == list(range(N)) for order in orders)
    assert not np.array_equal(*orders)


def test_the_classifier_is_drawn_anew_and_the_optimiser_is_told():
    method = started(drawn(400, 8), clusters=400)
    before = method.weights.detach().clone()
    method.begin_epoch(1, 0, sees(drawn(400, 8)))
    assert [id(weight) for weight in method.remade()] == [id(method.weights)]
    assert not torch.equal(method.weights, before)
    assert method.weights.std().item() == pytest.approx(0.01, rel=0.1)
    assert method.weights.mean().item() == pytest.approx(0, abs=0.001)


# order


def test_clusters_are_visited_equally_often_and_their_images_in_turn():
    pseudo = np.array([0] * 8 + [1] * 2 + [4] * 2)  # clusters 2 and 3 have no image
    rows = balanced(0, 0, pseudo)
    assert len(rows) == 12
    assert Counter(pseudo[rows]) == {0: 4, 1: 4, 4: 4}
    times = Counter(rows.tolist())
    assert [times[row] for row in (8, 9, 10, 11)] == [2, 2, 2, 2]
    assert sorted(times[row] for row in range(8)) == [0] * 4 + [1] * 4


def test_the_order_of_an_epoch_mixes_its_clusters():
    method = started(in_threes()[0], clusters=3)
    seen = method.pseudo[torch.from_numpy(method.order())]
    assert len(seen) == N
    assert set(seen.bincount(minlength=3).tolist()) == {10}
    assert (seen[1:] != seen[:-1]).sum() > 10


def test_what_an_epoch_needs_is_in_the_state():
    method, resumed = started(drawn(), clusters=5), Method(N, D, clusters=5)
    resumed.load_state_dict(method.state_dict())
    vectors, batch = unit_vectors(), Batch(torch.zeros(1), torch.tensor(IDS))
    assert torch.equal(resumed.double().loss(vectors, batch), method.double().loss(vectors, batch))
    assert np.array_equal(resumed.order(), method.order())


# loss

IDS = (3, 0, 17, 3)


def unit_vectors():
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(1, len(IDS), D, dtype=torch.float64, generator=generator)
    return F.normalize(drawn, dim=-1)


@pytest.mark.parametrize("temperature", [0.1, 0.7])
def test_the_loss_is_a_softmax_over_clusters(temperature):
    method = started(drawn(), clusters=5, temperature=temperature).double()
    torch.nn.init.normal_(method.weights, std=0.3)
    vectors, batch = unit_vectors().requires_grad_(), Batch(torch.zeros(1), torch.tensor(IDS))
    expected = 0.0
    for vector, row in zip(vectors[0], IDS, strict=True):
        e = [torch.exp(vector @ weight / temperature) for weight in method.weights]
        expected = expected - torch.log(e[method.pseudo[row]] / sum(e)) / len(IDS)
    found = method.loss(vectors, batch)
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    leaves = [vectors, method.weights]
    slopes = torch.autograd.grad(found, leaves), torch.autograd.grad(expected, leaves)
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
    chances = softmax((vectors[0] @ method.weights.T / temperature).detach().numpy(), axis=1)
    other = log_loss(method.pseudo[list(IDS)], chances, labels=range(5))
    assert found.item() == pytest.approx(other, rel=1e-12)


def test_with_as_many_clusters_as_images_it_is_exemplar_and_with_fewer_it_is_not():
    vectors, batch = unit_vectors(), Batch(torch.zeros(1), torch.tensor(IDS))
    exemplar = Exemplar(N, D).double()
    for clusters, same in ((N, True), (N // 2, False)):
        method = started(drawn(), clusters=clusters).double()
        torch.nn.init.normal_(method.weights)
        exemplar.weights.data = method.weights.data[method.pseudo]
        one, other = method.loss(vectors, batch).item(), exemplar.loss(vectors, batch).item()
        assert (one == pytest.approx(other)) == same


@pytest.mark.parametrize(
    "chosen", [{"clusters": 0}, {"components": 0}, {"temperature": 0.0}, {"temperature": -1.0}]
)
def test_a_value_that_means_nothing_is_refused_in_one_line(chosen):
    (name,) = chosen
    with pytest.raises(RecipeError, match=f"^option {name}: expected .*, found [^\n]*$"):
        Method(N, D, **chosen)
