"""Several processes: what each gets of the others, and what one process gets of itself."""

import numpy as np
import pytest
import ranks
import torch
from torch import nn
from torchruns import noted
from toys import SMALL, toy

from dml_bench import bench, dist, endings, exchange, recipes
from dml_bench.errors import RecipeError, UnknownNameError
from dml_bench.norms import GlobalNorm, moments

WORLD = 3


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each of three processes got."""
    return noted(tmp_path_factory.mktemp("exchanges"), "exchanges", processes=WORLD)


def same(first, second):
    return all(torch.equal(*both) for both in zip(first, second, strict=True))


def test_the_parts_of_all_processes_make_up_the_whole_in_order(found):
    assert [list(range(7))[each["part"]] for each in found] == [[0, 1], [2, 3], [4, 5, 6]]


def test_the_rows_of_all_are_gathered_in_order_and_a_gradient_reaches_the_own(found):
    for rank, each in enumerate(found):
        assert torch.equal(each["gathered"], torch.tensor([[0, 0], [1, 1], [2, 2]]))
        assert torch.equal(each["slopes"], torch.full((2, 3), 2.0 * (rank + 1)))


def test_rows_of_which_each_has_a_part_are_joined(found):
    for each in found:
        for got, step in zip(each["joined"], (1, 4), strict=True):
            assert got.dtype == ranks.whole(step).dtype
            assert np.array_equal(got, ranks.whole(step))


def test_each_gets_what_all_have_for_its_part_of_the_rows(found):
    for each in found:
        expected = [ranks.wide(rank)[each["part"]] for rank in range(WORLD)]
        for got, wanted in zip(each["exchanged"], expected, strict=True):
            assert got.dtype == wanted.dtype
            assert np.array_equal(got, wanted)


def test_parts_of_rows_are_completed_in_place_in_whole_steps(found):
    for each in found:
        assert each["completed"] == [[0, 0, 1, 1, 2, 2, 2], [1, 1, 1, 1, 2, 2, 2]]


def test_sums_and_the_leaders_numbers_reach_all(found):
    for each in found:
        assert torch.equal(each["summed"], torch.tensor([[1 + 2 + 3], [3]]))
        assert same(each["led"], [torch.full((2,), 0.5), torch.tensor([0])])


def test_all_get_what_the_leader_did_or_what_it_met(found):
    for each in found:
        assert each["first"] == "of 0"
        (kind, text), (other, in_short) = each["errors"]
        assert (kind, text) == ("RecipeError", "no such batch")
        assert other == "RunError"
        assert in_short.startswith("KeyError: 'a'")


@pytest.mark.parametrize("kind", [0, 1], ids=["PyTorch's", "timm's with an activation inside"])
def test_batch_norm_over_all_processes_is_that_of_one(found, kind):
    expected = ranks.normed(kind, slice(None))
    for each in found:
        for got, wanted in zip(each["norms"][kind], expected, strict=True):
            assert torch.allclose(got, wanted, rtol=1e-12, atol=1e-12)


def test_vectors_that_processes_make_in_parts_are_those_of_one_to_the_last_bit(found):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    expected = ranks.embedded()
    torch.set_num_threads(threads)
    assert all(np.array_equal(each["vectors"], expected) for each in found)


def test_processes_know_whether_all_came(found):
    assert [each["together"] for each in found] == [(True, False)] * WORLD


def test_one_process_gets_its_own_and_counts_as_usual():
    rows = torch.ones(2, 3)
    assert exchange.gather(rows, 1) is rows
    own = rows.numpy()
    assert exchange.joined(own, 2) is own
    assert exchange.collected(own)[0] is own
    assert dist.part(5) == slice(0, 5)
    assert dist.first(lambda: rows) is rows
    assert (dist.rank(), dist.world(), dist.leader()) == (0, 1, True)
    assert endings.together()
    layer, images = nn.BatchNorm2d(3), torch.randn(4, 3, 2, 2)
    with GlobalNorm():
        found = layer(images)
    assert torch.equal(found, nn.BatchNorm2d(3)(images))


def test_a_number_without_a_world_names_no_other_process(monkeypatch):
    monkeypatch.setenv("RANK", "3")
    dist.begin("cpu")
    assert dist.leader()


def test_a_world_without_a_place_to_meet_is_refused_in_one_line(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    try:
        with pytest.raises(RecipeError, match="WORLD_SIZE 2: expected what torchrun sets") as met:
            dist.begin("cpu")
    finally:
        dist.end()
    assert "\n" not in str(met.value)


@pytest.mark.parametrize("shape", [(48, 8, 40, 40), (50, 8, 9, 9), (13, 8)])
def test_the_moments_of_many_numbers_far_from_zero_are_those_of_float64(shape):
    """Summed one by one in float32, as batch norm does it, they would be off by far more."""
    draw = torch.Generator().manual_seed(0)
    rows = 20 + torch.randn(shape, generator=draw)
    if len(shape) == 4:
        rows = rows.contiguous(memory_format=torch.channels_last)
    wide = rows.double().transpose(0, 1).flatten(1)
    mean, variance = moments(rows)
    torch.testing.assert_close(mean.double(), wide.mean(1), rtol=1e-6, atol=0)
    torch.testing.assert_close(variance.double(), wide.var(1, correction=0), rtol=2e-5, atol=0)


def resolved(batch_norm):
    said = {"dataset": "toy", "method": "invaspread", **SMALL, "batch_norm": batch_norm}
    return recipes.resolve(said, toy())


def test_the_own_part_of_one_process_is_the_whole():
    assert resolved("local").key == resolved("train").key
    assert resolved("local:1").key == resolved("train").key


def test_how_many_processes_count_alone_decides_the_numbers_and_so_the_key():
    assert len({resolved(word).key for word in ("train", "local:2", "local:4")}) == 3


@pytest.mark.parametrize("word", ["local:", "local:x", "local:0", "local:-1", "local:²"])
def test_a_number_of_processes_that_is_none_is_refused(word):
    with pytest.raises(RecipeError, match="batch_norm: expected local, or local:2"):
        resolved(word)


def test_a_batch_norm_that_is_unknown_lists_the_known():
    with pytest.raises(UnknownNameError, match="train, frozen, local"):
        resolved("global:2")


def test_a_recipe_of_other_processes_is_not_made_by_these(tmp_path):
    with pytest.raises(
        RecipeError, match="expected 2 processes, found 1; start them with torchrun"
    ):
        bench.run(resolved("local:2"), toy(), tmp_path, say=lambda _: None)
    assert list(tmp_path.glob("runs/*/result.json")) == []
