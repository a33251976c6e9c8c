"""Methods with a weight, a row or a queue of images, against slow loops and other libraries."""

import collections
import math

import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning.losses import (
    CrossBatchMemory,
    NormalizedSoftmaxLoss,
    NTXentLoss,
)
from scipy.special import softmax
from sklearn.metrics import log_loss

from dml_bench.errors import RecipeError, UnknownNameError
from dml_bench.methods.exemplar import Method as Exemplar
from dml_bench.methods.moco import Method as MoCo
from dml_bench.methods.nce import Method as Nce
from dml_bench.methods.nce import noise_contrast
from dml_bench.methods.npsoftmax import Method as NPSoftmax
from dml_bench.methods.simclr import Method as SimCLR
from dml_bench.types import Batch

N, D, IDS = 9, 4, (7, 2, 5)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def unit(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, dtype=torch.float64, generator=generator), dim=-1)


def batch(ids=IDS, **more):
    return Batch(torch.zeros(1), torch.tensor(ids), **more)


def value_and_slopes(loss, *leaves):
    return loss.item(), torch.autograd.grad(loss, leaves)


def agree(found, expected):
    assert found[0] == pytest.approx(expected[0], rel=1e-12)
    for one, other in zip(found[1], expected[1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def taught_batch(seed, size=3):
    return batch(tuple(range(size)), taught=unit(2, size, D, seed=seed))


MADE = {
    "exemplar": (lambda: Exemplar(N, D), 1),
    "npsoftmax": (lambda: NPSoftmax(N, D), 1),
    "nce": (lambda: Nce(N, D, negatives=5), 1),
    "moco": (lambda: MoCo(N, D, queue=6), 2),
}


@pytest.mark.parametrize("name", MADE)
def test_a_loss_changes_no_state_and_gives_the_memory_no_gradient(name):
    make, views = MADE[name]
    method = make().double()
    before = {key: value.clone() for key, value in method.state_dict().items()}
    method.loss(unit(views, 3, D).requires_grad_(), batch(taught=unit(2, 3, D, seed=1))).backward()
    assert all(torch.equal(before[key], value) for key, value in method.state_dict().items())
    assert all(buffer.grad is None for buffer in method.buffers())


# exemplar, npsoftmax


def slow_softmax(vectors, rows, ids, temperature):
    total = 0.0
    for vector, own in zip(vectors, ids, strict=True):
        e = [torch.exp(sum(a * b for a, b in zip(vector, row, strict=True)) / temperature)
             for row in rows]  # fmt: skip
        total = total - torch.log(e[own] / sum(e))
    return total / len(ids)


@pytest.mark.parametrize("temperature", [0.1, 0.7])
def test_exemplar_is_a_softmax_over_learned_weights(temperature):
    method = Exemplar(N, D, temperature=temperature).double()
    vectors = unit(1, 3, D).requires_grad_()
    expected = slow_softmax(vectors[0], method.weights, IDS, temperature)
    found = method.loss(vectors, batch())
    agree(
        value_and_slopes(found, vectors, method.weights),
        value_and_slopes(expected, vectors, method.weights),
    )


@pytest.mark.parametrize("make", [Exemplar, NPSoftmax])
@pytest.mark.parametrize("temperature", [0.1, 0.7])
def test_both_softmaxes_agree_with_scikit_learn(make, temperature):
    method = make(N, D, temperature=temperature).double()
    vectors = unit(1, 3, D)
    rows = next(iter(method.state_dict().values())).numpy()
    chances = softmax(vectors[0].numpy() @ rows.T / temperature, axis=1)
    expected = log_loss(IDS, chances, labels=range(N))
    assert method.loss(vectors, batch()).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("temperature", [0.1, 0.7])
def test_npsoftmax_is_a_softmax_over_the_memory(temperature):
    method = NPSoftmax(N, D, temperature=temperature).double()
    vectors = unit(1, 3, D).requires_grad_()
    expected = slow_softmax(vectors[0], method.memory, IDS, temperature)
    agree(
        value_and_slopes(method.loss(vectors, batch()), vectors),
        value_and_slopes(expected, vectors),
    )


def test_npsoftmax_agrees_with_pytorch_metric_learning():
    method = NPSoftmax(N, D, temperature=0.3).double()
    method.memory.copy_(unit(N, D, seed=3))
    other = NormalizedSoftmaxLoss(N, D, temperature=0.3).double()
    other.W.data = method.memory.T.clone()
    vectors = unit(1, 3, D)
    expected = other(vectors[0], torch.tensor(IDS))
    assert method.loss(vectors, batch()).item() == pytest.approx(expected.item(), rel=1e-12)


def test_exemplar_learns_weights_of_any_length_and_npsoftmax_remembers_unit_rows():
    exemplar, remembers = Exemplar(N, D).double(), NPSoftmax(N, D).double()
    assert [name for name, _ in exemplar.named_parameters()] == ["weights"]
    assert not list(exemplar.buffers())
    assert not list(remembers.parameters())
    assert [name for name, _ in remembers.named_buffers()] == ["memory"]
    lengths = exemplar.weights.norm(dim=1)
    assert lengths.max() > 1.1 * lengths.min()
    torch.testing.assert_close(remembers.memory.norm(dim=1), torch.ones(N, dtype=torch.float64))
    kept, moved = exemplar.weights.clone(), remembers.memory.clone()
    for method in (exemplar, remembers):
        method.after_step(unit(1, 3, D), batch())
    assert torch.equal(exemplar.weights, kept)
    assert not torch.allclose(remembers.memory, moved)


def slow_memory(memory, steps, keep):
    rows = [row.tolist() for row in memory]
    for vectors, ids in steps:
        for vector, own in zip(vectors.tolist(), ids, strict=True):
            mixed = [keep * a + (1 - keep) * b for a, b in zip(rows[own], vector, strict=True)]
            length = math.sqrt(sum(a * a for a in mixed))
            rows[own] = [a / length for a in mixed]
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("make", [NPSoftmax, lambda *a, **k: Nce(*a, negatives=3, **k)])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.8, 1.0])
def test_a_memory_moves_by_its_share_and_stays_of_unit_length(make, keep):
    method = make(N, D, keep=keep).double()
    start = method.memory.clone()
    steps = [(unit(3, D, seed=1), (7, 2, 5)), (unit(3, D, seed=2), (5, 0, 7))]
    for n, (vectors, ids) in enumerate(steps):
        method.loss(vectors[None], batch(ids))
        method.after_step(vectors[None], batch(ids))
        expected = slow_memory(start, steps[: n + 1], keep)
        torch.testing.assert_close(method.memory, expected, rtol=1e-12, atol=1e-12)


def test_an_image_is_classified_by_what_was_last_seen_of_it():
    method = NPSoftmax(N, D, keep=0.0).double()
    vectors = unit(1, 3, D)
    before = method.loss(vectors, batch())
    method.after_step(vectors, batch())
    assert method.loss(vectors, batch()) < before


# nce


def slow_nce(vectors, memory, ids, drawn, temperature, z=None):
    """Also returns the constant: given, or N times the mean exponential of the batch."""
    n, chance = len(memory), len(drawn[0]) / len(memory)
    hits = [torch.exp(v @ memory[own] / temperature) for v, own in zip(vectors, ids, strict=True)]
    misses = [[torch.exp(v @ memory[j] / temperature) for j in row]
              for v, row in zip(vectors, drawn, strict=True)]  # fmt: skip
    if z is None:
        every = [e.item() for e in hits] + [e.item() for row in misses for e in row]
        z = n * sum(every) / len(every)
    total = 0.0
    for hit, row in zip(hits, misses, strict=True):
        total = total - torch.log((hit / z) / (hit / z + chance))
        for miss in row:
            total = total - torch.log(chance / (miss / z + chance))
    return total / len(ids), z


@pytest.mark.parametrize("temperature", [0.1, 0.7])
@pytest.mark.parametrize(("n", "negatives"), [(9, 4), (9, 30), (40, 2)])
def test_nce_tells_the_own_row_from_rows_that_were_drawn(n, negatives, temperature):
    method = Nce(n, D, temperature=temperature, negatives=negatives).double()
    vectors = unit(1, 3, D).requires_grad_()
    for z in (None, 17.0):
        if z:
            method.normaliser.fill_(z)
        found = method.loss(vectors, batch())
        drawn = method.drawn.tolist()
        assert [len(row) for row in drawn] == [negatives] * 3
        expected, _ = slow_nce(vectors[0], method.memory, IDS, drawn, temperature, z)
        agree(value_and_slopes(found, vectors), value_and_slopes(expected, vectors))


def test_nce_is_the_logistic_loss_of_own_against_noise():
    own, noise = 5 * unit(3, seed=1).abs(), 5 * unit(3, 6, seed=2).abs()
    odds = torch.cat([own[:, None], noise], dim=1) / 2.5 / (6 / 50)  # model over 6 times noise
    true = torch.zeros(3, 7, dtype=torch.float64)
    true[:, 0] = 1
    expected = F.binary_cross_entropy_with_logits(odds.log(), true, reduction="sum") / 3
    found = noise_contrast(own, noise, 50, torch.tensor(2.5, dtype=torch.float64))
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)


def two_steps(method):
    """Returns the constants that each of two steps suggests, and the constants that are kept."""
    suggested, kept = [], []
    for seed, ids in ((1, (7, 2, 5)), (2, (5, 0, 7))):
        vectors = unit(1, 3, D, seed=seed)
        method.loss(vectors, batch(ids))
        drawn = method.drawn.tolist()
        _, z = slow_nce(vectors[0], method.memory, ids, drawn, method.temperature)
        method.after_step(vectors, batch(ids))
        suggested.append(z)
        kept.append(method.normaliser.item())
    return suggested, kept


def test_the_constant_is_taken_from_the_first_batch_and_kept():
    (first, second), kept = two_steps(Nce(N, D, negatives=4).double())
    assert first != pytest.approx(second)
    assert kept == pytest.approx([first, first])


@pytest.mark.parametrize("average_keep", [0.0, 0.9])
def test_the_constant_may_be_a_moving_average(average_keep):
    method = Nce(N, D, negatives=4, constant="average", average_keep=average_keep).double()
    (first, second), kept = two_steps(method)
    assert kept == pytest.approx([first, average_keep * first + (1 - average_keep) * second])


def test_nce_draws_evenly_from_all_images_and_the_own_one_too():
    method = Nce(5, D, negatives=4000)
    method.loss(unit(1, 2, D).float(), batch((0, 1)))
    for row in method.drawn:
        counts = row.bincount(minlength=5)
        assert len(counts) == 5
        assert counts.min() > 650
        assert counts.max() < 950


def test_a_row_that_was_not_drawn_matters_to_npsoftmax_and_not_to_nce():
    vectors = unit(1, 3, D)
    sampled, every = Nce(20, D, negatives=2).double(), NPSoftmax(20, D).double()
    sampled.normaliser.fill_(17.0)
    torch.manual_seed(0)
    before = sampled.loss(vectors, batch()), every.loss(vectors, batch())
    (changed, *_) = set(range(20)) - {*IDS, *sampled.drawn.flatten().tolist()}
    for method in (sampled, every):
        method.memory[changed] = vectors[0, 0]
    torch.manual_seed(0)
    assert torch.equal(sampled.loss(vectors, batch()), before[0])
    assert not torch.isclose(every.loss(vectors, batch()), before[1], rtol=1e-3)


# moco


def slow_queue(asking, wanted, queue, temperature):
    total = 0.0
    for one, own in zip(asking, wanted, strict=True):
        e = [torch.exp(one @ other / temperature) for other in [own, *queue]]
        total = total - torch.log(e[0] / sum(e))
    return total / len(asking)


@pytest.mark.parametrize("temperature", [0.07, 0.7])
def test_moco_asks_with_first_views_for_what_the_teacher_sees_in_second_ones(temperature):
    method = MoCo(N, D, temperature=temperature, queue=6).double()
    vectors, seen = unit(2, 3, D).requires_grad_(), taught_batch(1)
    found = value_and_slopes(method.loss(vectors, seen), vectors)
    expected = slow_queue(vectors[0], seen.taught[1], method.rows, temperature)
    agree(found, value_and_slopes(expected, vectors))
    assert torch.equal(found[1][0][1], torch.zeros(3, D, dtype=torch.float64))


def test_moco_agrees_with_pytorch_metric_learning():
    method = MoCo(N, D, temperature=0.2, queue=6).double()
    method.rows.copy_(unit(6, D, seed=3))
    vectors, seen = unit(2, 3, D), taught_batch(1)
    image, at = torch.arange(3), torch.arange(6)
    pairs = image, image, image.repeat_interleave(6), 3 + at.repeat(3)
    asked = torch.cat([seen.taught[1], method.rows])
    expected = NTXentLoss(temperature=0.2)(vectors[0], indices_tuple=pairs, ref_emb=asked)
    assert method.loss(vectors, seen).item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("size", [2, 3, 7, 11])
def test_the_queue_holds_the_last_images_also_when_it_wraps(size):
    method = MoCo(N, D, queue=7).double()
    last = collections.deque(method.rows.clone(), maxlen=7)
    for seed in range(5):
        seen = taught_batch(seed, size)
        method.after_step(unit(2, size, D, seed=9), seen)
        last.extend(seen.taught[1])
        oldest_first = method.rows.roll(-int(method.at), dims=0)
        assert torch.equal(oldest_first, torch.stack(list(last)))


def test_the_queue_is_laid_out_as_that_of_pytorch_metric_learning():
    method, other = MoCo(N, D, queue=7).double(), CrossBatchMemory(NTXentLoss(), D, 7)
    other.double()
    for seed in range(4):  # 12 rows into 7 places
        seen = taught_batch(seed)
        method.after_step(unit(2, 3, D), seen)
        other.add_to_memory(seen.taught[1], torch.arange(3), 3)
    assert torch.equal(method.rows, other.embedding_memory)
    assert int(method.at) == other.queue_idx


def test_the_queue_holds_unit_rows_from_the_start_and_no_more_than_there_are_images():
    rows = MoCo(N, D, queue=6).rows
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(6))
    assert len(MoCo(4, D, queue=6).rows) == 4


def test_the_other_images_of_a_batch_are_negatives_in_simclr_and_not_in_moco():
    vectors, seen = unit(2, 3, D).requires_grad_(), taught_batch(1)
    for method, apart in ((MoCo(N, D, queue=6).double(), True), (SimCLR(), False)):
        whole = method.loss(vectors, seen).item()
        alone = [
            method.loss(vectors[:, [i]], batch((i,), taught=seen.taught[:, [i]])).item()
            for i in range(3)
        ]
        assert (whole == pytest.approx(sum(alone) / 3)) == apart


def test_the_teacher_keeps_the_share_that_was_asked_for():
    assert MoCo(N, D).teacher_keep == 0.999
    assert MoCo(N, D, keep=0.9).teacher_keep == 0.9


@pytest.mark.parametrize(
    ("make", "chosen"),
    [
        *((make, {"temperature": t}) for make in (Exemplar, NPSoftmax, Nce, MoCo) for t in (0, -1)),
        *((make, {"keep": k}) for make in (NPSoftmax, Nce, MoCo) for k in (-0.1, 1.1)),
        (Nce, {"average_keep": 2.0}),
        (Nce, {"negatives": 0}),
        (MoCo, {"queue": 0}),
    ],
)
def test_a_value_that_means_nothing_is_refused_in_one_line(make, chosen):
    (name,) = chosen
    with pytest.raises(RecipeError, match=f"^option {name}: expected .*, found [^\n]*$"):
        make(N, D, **chosen)


def test_an_unknown_constant_is_refused_with_what_there_is():
    with pytest.raises(UnknownNameError, match="once, average"):
        Nce(N, D, constant="twice")
