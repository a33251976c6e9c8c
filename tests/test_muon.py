"""Muon steps a network's matrices as torch's own does, and AdamW the rest, at one rate."""

import pytest
import torch
from test_engine import same, stopped_and_resumed, trained
from torch import nn

from dml_bench.muon import Matrices, Muon, matrices, orthogonal

LR, MOMENTUM, DECAY, STEPS = 0.01, 0.9, 0.1, 3
THEIRS = pytest.mark.skipif(
    not hasattr(torch.optim, "Muon"), reason="torch has a Muon of its own from 2.9 on"
)


def drawn(*shape, layout=torch.contiguous_format, seed=0):
    made = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return nn.Parameter(made.contiguous(memory_format=layout))


def muon(weights, whole, kind=torch.float32, **group):
    return Muon([{"params": weights, "lr": LR, **group}], whole, LR, MOMENTUM, DECAY, kind)


def adamw(weights, lr=LR):
    return torch.optim.AdamW(weights, lr, (MOMENTUM, 0.999), weight_decay=DECAY)


def stepped(optimiser, weights, steps=range(STEPS)):
    """The weights after some steps, each along a slope that is drawn for it."""
    for step in steps:
        for weight in weights:
            slope = torch.randn(weight.shape, generator=torch.Generator().manual_seed(step))
            weight.grad = torch.empty_like(weight).copy_(slope)
        optimiser.step()
    return [weight.detach() for weight in weights]


def by_torch(weight):
    """What torch's own Muon makes of the same weight as a plain matrix."""
    plain = nn.Parameter(weight.detach().flatten(1).clone())
    theirs = torch.optim.Muon([plain], LR, DECAY, MOMENTUM, adjust_lr_fn="match_rms_adamw")
    for step in range(STEPS):
        slope = torch.randn(weight.shape, generator=torch.Generator().manual_seed(step))
        plain.grad = slope.flatten(1)
        theirs.step()
    return plain.detach().view(weight.shape)


@THEIRS
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(6, 4, 3, 3), (40, 4, 3, 3)])
def test_in_bfloat16_a_convolution_ends_in_the_bits_of_torchs_own(shape, layout):
    weight = drawn(*shape, layout=layout)
    wanted = by_torch(weight)
    (found,) = stepped(muon([weight], [weight], torch.bfloat16), [weight])
    assert torch.equal(found, wanted)


@THEIRS
def test_in_float32_a_matrix_ends_where_torchs_own_does_to_rounding():
    weight = drawn(6, 8)
    before, wanted = weight.detach().clone(), by_torch(weight)
    (found,) = stepped(muon([weight], [weight]), [weight])
    assert (wanted - before).abs().max() > 0.01
    assert not torch.equal(found, wanted)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-3)


@pytest.mark.parametrize("shape", [(6, 8), (8, 6), (5, 5)])
def test_a_direction_becomes_nearly_orthogonal_and_keeps_its_axes(shape):
    direction = drawn(*shape).detach()
    left, values, right = torch.linalg.svd(orthogonal(direction), full_matrices=False)
    assert values.min() > 0.6
    assert values.max() < 1.25
    wide = torch.linalg.svd(direction, full_matrices=False)
    nearest = wide[0] @ wide[2]
    assert (left @ right - nearest).abs().max() < 1e-3


def test_a_step_is_a_fifth_of_the_rate_in_root_mean_square():
    weight = drawn(60, 80)
    before = weight.detach().clone()
    optimiser = Matrices([{"params": [weight]}], LR, MOMENTUM, 0.0, torch.float32)
    (after,) = stepped(optimiser, [weight], range(1))
    assert ((after - before) / LR).square().mean().sqrt() == pytest.approx(0.2, rel=0.2)


def test_what_is_no_matrix_is_stepped_by_adamw_at_its_own_rate():
    matrix, scale, proxies, plain, rows = (
        *(drawn(5, 4), drawn(5), drawn(6, 4)),
        *(drawn(5), drawn(6, 4)),
    )
    groups = [{"params": [matrix, scale], "lr": LR}, {"params": [proxies], "lr": 7 * LR}]
    optimiser = Muon(groups, [matrix], LR, MOMENTUM, DECAY, torch.float32)
    before = matrix.detach().clone()
    _, found, theirs = stepped(optimiser, [matrix, scale, proxies])
    assert torch.equal(found, stepped(adamw([plain]), [plain])[0])
    assert torch.equal(theirs, stepped(adamw([rows], 7 * LR), [rows])[0])
    assert not torch.equal(matrix, before)


def test_a_matrix_whose_first_slope_comes_later_is_stepped_then():
    early, late = drawn(4, 3), drawn(4, 3, seed=1)
    optimiser, before = muon([early, late], [early, late]), late.detach().clone()
    stepped(optimiser, [early])
    assert torch.equal(late, before)
    stepped(optimiser, [late])
    assert not torch.equal(late, before)
    optimiser.zero_grad()
    assert early.grad is None
    assert late.grad is None


def test_a_rate_that_is_set_counts_for_both_parts():
    matrix, scale = drawn(5, 4), drawn(5)
    before = [weight.detach().clone() for weight in (matrix, scale)]
    optimiser = muon([matrix, scale], [matrix])
    assert len(optimiser.param_groups) == 2
    for group in optimiser.param_groups:
        group["lr"] = 0.0
    after = stepped(optimiser, [matrix, scale])
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))


def test_a_state_goes_on_to_the_same_bits(tmp_path):
    whole, begun = ([drawn(5, 4), drawn(5)] for _ in range(2))
    wanted = stepped(muon(whole, whole[:1]), whole)
    first = muon(begun, begun[:1])
    stepped(first, begun, range(1))
    torch.save(first.state_dict(), tmp_path / "state.pt")
    again = muon(begun, begun[:1])
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    found = stepped(again, begun, range(1, STEPS))
    assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))


def test_matrices_are_the_weights_of_linear_layers_and_of_convolutions_without_groups():
    network = nn.ModuleDict(
        {
            "linear": nn.Linear(4, 3),
            "plain": nn.Conv2d(3, 8, 3),
            "depthwise": nn.Conv2d(8, 8, 3, groups=8),
            "transposed": nn.ConvTranspose2d(8, 4, 3),
            "norm": nn.BatchNorm2d(8),
            "attention": nn.MultiheadAttention(4, 2),
        }
    )
    wanted = [network["linear"], network["plain"], network["attention"].out_proj]
    assert [id(some) for some in matrices(network)] == [id(part.weight) for part in wanted]


@pytest.mark.parametrize("method", ["norm_softmax", "deepcluster"])
def test_a_methods_weights_go_to_adamw_and_are_forgotten_where_they_are_made_anew(
    tmp_path, monkeypatch, method
):
    made = []
    monkeypatch.setattr(
        "dml_bench.optimisation.Muon", lambda *said: made.append(Muon(*said)) or made[-1]
    )
    trained(tmp_path, method=method, optimiser="muon", lr=0.01, epochs=2)
    (optimiser,) = made
    steps = {float(kept["step"]) for kept in optimiser.state.values()}
    assert len(steps) == (2 if method == "deepcluster" else 1)  # its classifier is drawn each epoch


def test_a_training_that_was_stopped_ends_in_the_same_bits(tmp_path, monkeypatch):
    said = {"optimiser": "muon", "lr": 0.005, "epochs": 2}
    whole, _ = trained(tmp_path / "whole", **said)
    found, _ = stopped_and_resumed(tmp_path / "cut", monkeypatch, 3, **said)
    assert same(whole, found)


def test_an_optimiser_of_no_weights_steps_nothing():
    optimiser = Muon([], [], LR, MOMENTUM, DECAY, torch.float32)
    optimiser.step()
    assert optimiser.param_groups == []
    assert optimiser.state == {}
