"""Muon steps a network's matrices as torch's own does, and AdamW the rest, at one rate."""

import pytest
import torch
from test_engine import trained
from torch import nn

from dml_bench.engine import _groups
from dml_bench.muon import Muon, as_matrix, is_matrix

LR, MOMENTUM, DECAY, STEPS = 0.01, 0.9, 0.1, 3


class MadeOf(nn.Module):
    """Stands for a method that learns weights of its own."""

    rate = 1.0

    def __init__(self, part):
        super().__init__()
        self.part = part


def muon(*groups):
    return Muon([{"lr": LR, **group} for group in groups], LR, MOMENTUM, DECAY)


def drawn(*shape, layout=torch.contiguous_format):
    made = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    return nn.Parameter(made.contiguous(memory_format=layout))


def stepped(optimiser, weights):
    """The weights after some steps, each along a slope that is drawn for it."""
    for step in range(STEPS):
        for weight in weights:
            slope = torch.randn(weight.shape, generator=torch.Generator().manual_seed(step))
            weight.grad = torch.empty_like(weight).copy_(slope)
        optimiser.step()
    return [weight.detach() for weight in weights]


def by_torch(weight):
    """What torch's own Muon makes of the same weight as a plain matrix."""
    plain = nn.Parameter(weight.detach().flatten(1).clone())
    optimiser = torch.optim.Muon([plain], LR, DECAY, MOMENTUM, adjust_lr_fn="match_rms_adamw")
    for step in range(STEPS):
        slope = torch.randn(weight.shape, generator=torch.Generator().manual_seed(step))
        plain.grad = slope.flatten(1)
        optimiser.step()
    return plain.detach().view(weight.shape)


def test_a_matrix_is_stepped_as_torch_steps_it():
    weight = drawn(6, 8)
    wanted = by_torch(weight)
    (found,) = stepped(muon({"params": [weight]}), [weight])
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_convolution_is_stepped_where_it_lies(layout):
    """In another order of columns the sums are rounded otherwise, in bfloat16."""
    weight = drawn(6, 4, 3, 3, layout=layout)
    before, wanted = weight.detach().clone(), by_torch(weight)
    (found,) = stepped(muon({"params": [weight]}), [weight])
    assert (wanted - before).abs().max() > 0.01
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-3)


def test_a_step_is_nearly_orthogonal_and_as_large_as_adamws():
    weight = drawn(6, 8)
    before = weight.detach().clone()
    optimiser = Muon([{"params": [weight], "lr": LR}], LR, MOMENTUM, 0.0)
    weight.grad = torch.randn(6, 8, generator=torch.Generator().manual_seed(7))
    optimiser.step()
    step = (before - weight.detach()) / LR
    spread = torch.linalg.svdvals(step) / (0.2 * 8**0.5)
    assert spread.min() > 0.5
    assert spread.max() < 1.3
    assert 0.1 < step.square().mean().sqrt() < 0.25


@pytest.mark.parametrize("shape", [(5,), (5, 1, 3, 3), (1, 7, 4)])
def test_what_is_no_matrix_is_stepped_by_adamw(shape):
    weight, plain = drawn(*shape), drawn(*shape)
    (found,) = stepped(muon({"params": [weight]}), [weight])
    adamw = torch.optim.AdamW([plain], LR, (MOMENTUM, 0.999), weight_decay=DECAY)
    (wanted,) = stepped(adamw, [plain])
    assert torch.equal(found, wanted)


def test_a_methods_matrix_is_stepped_by_adamw_at_its_own_rate():
    network, proxies, plain = drawn(5, 4), drawn(6, 4), drawn(6, 4)
    optimiser = muon({"params": [network]}, {"params": [proxies], "lr": 7 * LR, "method": True})
    _, found = stepped(optimiser, [network, proxies])
    adamw = torch.optim.AdamW([plain], 7 * LR, (MOMENTUM, 0.999), weight_decay=DECAY)
    assert torch.equal(found, stepped(adamw, [plain])[0])


def test_a_rate_that_is_set_counts_for_both_parts():
    matrix, scale = drawn(5, 4), drawn(5)
    before = [weight.detach().clone() for weight in (matrix, scale)]
    optimiser = muon({"params": [matrix, scale]})
    for group in optimiser.param_groups:
        group["lr"] = 0.0
    after = stepped(optimiser, [matrix, scale])
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))


def test_a_weight_with_gaps_in_its_memory_is_no_matrix():
    assert not is_matrix(torch.zeros(6, 4, 3, 6)[..., ::2])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_weight_as_a_matrix_lies_in_the_same_memory(layout):
    weight = drawn(6, 4, 3, 3, layout=layout)
    assert as_matrix(weight, weight).data_ptr() == weight.data_ptr()
    assert as_matrix(weight, weight).shape == (6, 36)


@pytest.mark.parametrize("method", ["invaspread", "norm_softmax"])
def test_a_network_is_trained(tmp_path, method):
    _, curve = trained(tmp_path, method=method, optimiser="muon", lr=0.01, epochs=4)
    assert curve[-1]["loss"] < 0.9 * curve[0]["loss"]


def test_what_a_method_brings_is_told_from_the_network():
    network, method = nn.Linear(4, 3), MadeOf(nn.Linear(5, 6))
    optimiser = Muon(_groups(network, method, LR), LR, MOMENTUM, DECAY)
    matrices, *others = [group["params"] for group in optimiser.param_groups]
    assert [tuple(weight.shape) for weight in matrices] == [(3, 4)]
    assert {id(w) for some in others for w in some} == {
        id(w) for w in (network.bias, *method.parameters())
    }
