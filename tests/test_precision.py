"""Whether bfloat16 pays is measured, once a machine."""

import json

import pytest
import torch
from toys import toy

from dml_bench import precision, recipes


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """Ask anew, and remember in a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    precision.fast_at_bf16.cache_clear()
    yield tmp_path / "dml_bench" / "bf16.json"
    precision.fast_at_bf16.cache_clear()


def able(monkeypatch, gains, depthwise=()):
    kinds = {False: gains, True: list(depthwise)}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setattr(precision, "gain", lambda *, depthwise: kinds[depthwise].pop(0))


@pytest.mark.parametrize(("gain", "pays"), [(2.5, True), (1.2, True), (1.1, False), (0.4, False)])
def test_it_pays_where_a_step_is_so_much_faster(memory, monkeypatch, gain, pays):
    able(monkeypatch, [gain])
    assert precision.fast_at_bf16("cpu") is pays


def test_a_busy_moment_later_changes_nothing(memory, monkeypatch):
    able(monkeypatch, [2.5, 0.4])
    assert precision.fast_at_bf16("cpu")
    precision.fast_at_bf16.cache_clear()
    assert precision.fast_at_bf16("cpu")
    assert list(json.loads(memory.read_text()).values()) == [2.5]


def test_a_network_with_depthwise_convolutions_is_asked_by_itself(memory, monkeypatch):
    able(monkeypatch, [2.5], [0.6])
    for _ in range(2):
        assert precision.fast_at_bf16("cpu")
        assert not precision.fast_at_bf16("cpu", depthwise=True)
        precision.fast_at_bf16.cache_clear()
    assert sorted(json.loads(memory.read_text()).values()) == [0.6, 2.5]


@pytest.mark.parametrize(
    ("backbone", "device", "gains", "found"),
    [
        ("resnet18_cifar", "cpu", (True, False), "bf16"),
        ("conv4", "cpu", (False, True), "fp32"),
        ("efficientnet_lite0", "cpu", (True, False), "fp32"),
        ("efficientnet_lite0", "cpu", (True, True), "bf16"),
        ("efficientnet_lite0", "cuda", (True, False), "bf16"),
    ],
)
def test_the_usual_precision_follows_from_network_and_device(
    backbone, device, gains, found, monkeypatch
):
    def fast(_, *, depthwise=False):
        return gains[depthwise]

    monkeypatch.setattr(recipes, "fast_at_bf16", fast)
    said = {"dataset": "toy", "method": "random", "backbone": backbone, "precision": "auto"}
    assert recipes.resolve(said, toy(), device=device).precision == found


@pytest.mark.parametrize("torn", ["", "[]", '{"a": 1.0}', '{"', "\0"])
def test_a_torn_memory_is_asked_anew(memory, monkeypatch, torn):
    memory.parent.mkdir()
    memory.write_text(torn)
    able(monkeypatch, [2.5])
    assert precision.fast_at_bf16("cpu")
    assert 2.5 in json.loads(memory.read_text()).values()


def test_a_home_that_cannot_be_written_is_no_error(memory, monkeypatch):
    memory.parent.write_text("a file where a folder should be")
    able(monkeypatch, [2.5])
    assert precision.fast_at_bf16("cpu")


def test_without_a_home_there_is_still_an_answer(memory, monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(precision.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError))
    monkeypatch.setattr(precision.tempfile, "gettempdir", lambda: str(tmp_path))
    able(monkeypatch, [2.5])
    assert precision.fast_at_bf16("cpu")
    assert memory.exists()


def test_a_processor_without_the_instructions_is_not_asked(memory, monkeypatch):
    able(monkeypatch, [])
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert precision.fast_at_bf16("cpu") is False


def test_the_gain_leaves_threads_and_draws_as_they_were():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    assert all(0.01 < precision.gain(depthwise=kind) < 100 for kind in (False, True))
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("native", [True, False])
def test_an_accelerator_that_emulates_bfloat16_is_not_fast_at_it(memory, monkeypatch, native):
    def supported(including_emulation=True):
        return native or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert precision.fast_at_bf16("cuda") is native
