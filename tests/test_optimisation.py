"""A step in one pass is the step in many, to rounding; what was begun in many goes on so."""

import pytest
import torch
from torch import nn

from dml_bench.optimisation import OPTIMISERS

STEPS = 6
MANY = {
    "adam": lambda weights: torch.optim.Adam(weights, 0.01, (0.8, 0.999), weight_decay=0.1),
    "adamw": lambda weights: torch.optim.AdamW(weights, 0.01, (0.8, 0.999), weight_decay=0.1),
}


def network():
    torch.manual_seed(0)
    first = nn.Conv2d(3, 8, 3, bias=False)  # before a batch norm its slope is rounding alone
    made = nn.Sequential(first, nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(288, 5))
    return made.to(memory_format=torch.channels_last)


def made(name, weights):
    return OPTIMISERS[name]([{"params": list(weights), "lr": 0.01}], 0.01, 0.8, 0.1)


def trained(model, optimiser, steps=range(STEPS)):
    """The weights after some steps, the rate another at each."""
    for step in steps:
        images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(step))
        optimiser.param_groups[0]["lr"] = 0.01 / (1 + step)
        optimiser.zero_grad(set_to_none=True)
        model(images.contiguous(memory_format=torch.channels_last)).square().mean().backward()
        optimiser.step()
    return [weight.detach().clone() for weight in model.parameters()]


@pytest.mark.parametrize("name", MANY)
def test_a_step_in_one_pass_is_the_step_in_many_to_rounding(name):
    first, second = network(), network()
    optimiser = made(name, first.parameters())
    assert optimiser.param_groups[0]["fused"]
    found = trained(first, optimiser)
    plain = trained(second, MANY[name](second.parameters()))
    start = list(network().parameters())
    for one, many, before in zip(found, plain, start, strict=True):
        assert (many - before).abs().max() > 1e-3
        torch.testing.assert_close(one, many, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", MANY)
def test_a_state_of_before_goes_on_to_the_bits_that_it_would_have_come_to(name):
    plain = network()
    wanted = trained(plain, MANY[name](plain.parameters()))
    model = network()
    begun = MANY[name](model.parameters())
    trained(model, begun, range(2))
    again = made(name, model.parameters())
    again.load_state_dict(begun.state_dict())
    found = trained(model, again, range(2, STEPS))
    assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))


@pytest.mark.parametrize("name", MANY)
def test_a_state_in_one_pass_goes_on_to_the_same_bits(name, tmp_path):
    whole = network()
    wanted = trained(whole, made(name, whole.parameters()))
    model = network()
    begun = made(name, model.parameters())
    trained(model, begun, range(2))
    torch.save(begun.state_dict(), tmp_path / "state.pt")
    again = made(name, model.parameters())
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    found = trained(model, again, range(2, STEPS))
    assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))


@pytest.mark.parametrize("name", MANY)
def test_a_weight_with_gaps_in_its_memory_is_stepped_as_ever(name):
    """One pass over memory would read what lies in the gaps."""
    found, plain = (nn.Parameter(torch.arange(24.0).view(4, 6)[:, ::2]) for _ in range(2))
    for weight, make in ((found, lambda w: made(name, w)), (plain, MANY[name])):
        optimiser = make([weight])
        weight.square().sum().backward()
        optimiser.step()
    assert torch.equal(found, plain)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_weight_whose_first_slope_comes_later_is_stepped(name):
    early, late = (nn.Parameter(torch.ones(3)) for _ in range(2))
    optimiser = made(name, [early, late])
    early.sum().backward()
    optimiser.step()
    assert torch.equal(late, torch.ones(3))
    late.sum().backward()
    optimiser.step()
    assert (late < 1).all()
