"""A training of two processes is that of one: losses, gradients, memories and weights."""

import math
import re
from pathlib import Path

import pytest
import torch
from torchruns import noted
from toys import LESS

from dml_bench.methods import METHODS

PAGE = Path(__file__).parents[1] / "docs" / "torchrun.md"
TRAINED = [name for name in METHODS if METHODS[name].Method.supervision != "none"]
OTHERS = {
    "frozen": {"method": "invaspread", "batch_norm": "frozen"},
    "head": {"method": "simclr", "trained": "head"},
    "adam": {"method": "proxy_anchor", "optimiser": "adam", "lr": 0.001},
    "muon": {"method": "proxy_anchor", "optimiser": "muon", "lr": 0.001},
    "tail": {"method": "byol", "batch": 12},
}
"""Recipes that leave a path of their own through the step."""
KEPT = ("losses", "slopes", "own slopes", "memories", "weights")
LOCAL = {name: {"method": name, "batch": 16} for name in ("invaspread", "byol")}
SEES = """
from dml_bench.methods.simclr import Method as SimCLR

class Method(SimCLR):
    uses_images = {uses}

    def loss(self, vectors, batch):
        lightness = batch.images.mean((2, 3, 4))  # (V, B), or (V, 0) for who did not ask
        more = (lightness[..., None] * vectors).sum() if {uses} else lightness.numel()
        return super().loss(vectors, batch) + more
"""


def said(name, **more):
    """A recipe of a method on four batches in two epochs; few images where rows near each other
    would be compared by products (`torch.cdist` beyond 25 rows), which squares every rounding.
    """
    batch = 8 if name == "stml" else 16
    return {"method": name, "batch": batch, "options": LESS.get(name, {}), **more}


def apart(one, other):
    """How far two vectors are apart, relative to the length of the first; no number is missing."""
    assert torch.isfinite(one).all()
    assert torch.isfinite(other).all()
    gap = (one.double() - other.double()).norm()
    return float(gap / one.double().norm()) if gap else 0.0


def furthest(one, two, steps=None):
    """What of two trainings is furthest apart, over its steps: {what: how far}."""
    found = {what: [] for what in KEPT}
    for what in KEPT:
        for mine, its in list(zip(one[what], two[what], strict=True))[:steps]:
            if what != "memories":
                found[what].append(apart(mine, its))
                continue
            found[what] += [apart(memory, its[name]) for name, memory in mine.items()]
    return {what: max(gaps, default=0.0) for what, gaps in found.items()}


def alike(first, second):
    """Whether two processes hold the same to the last bit."""
    steps = (zip(first[what], second[what], strict=True) for what in KEPT)
    return all(equal(*pair) for pairs in steps for pair in pairs)


def equal(one, other):
    """Whether two tensors, or two collections of them by name, are the same to the last bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def table():
    """The bounds that the page states: {method: {column: bound}}."""
    lines = [line for line in PAGE.read_text().splitlines() if re.match(r"\| `\w+` \| \de-", line)]
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: {"double": float(row[1]), "single": float(row[2])} for row in rows}


def notes(*losses):
    """What is written down of a training that has a loss and nothing else."""
    return {
        **{what: [] for what in KEPT},
        "losses": [torch.tensor([x], dtype=torch.float64) for x in losses],
    }


@pytest.mark.parametrize("nan", [(0.1, math.nan), (math.nan, 0.1)])
def test_a_number_that_is_none_is_never_near_another(nan):
    for pair in [(nan, nan), (nan, (0.1, 0.1)), ((0.1, 0.1), nan)]:
        with pytest.raises(AssertionError):
            furthest(*(notes(*losses) for losses in pair))


def test_alike_is_to_the_last_bit_even_where_a_distance_vanishes():
    least = math.nextafter(0.0, 1.0)  # its square is 0
    first, second = notes(0.0), notes(least)
    assert not alike(first, second)
    assert alike(first, first)


@pytest.fixture(scope="module")
def jobs():
    return {name: said(name) for name in TRAINED}


@pytest.fixture(scope="module")
def doubles(tmp_path_factory, jobs):
    """Trainings by one process, and by each of two, in float64: of every method, and of others."""
    folder = tmp_path_factory.mktemp("doubles")
    jobs = jobs | {name: {"batch": 16, **job} for name, job in OTHERS.items()}
    for name, uses in (("sees", True), ("blind", False)):
        (folder / f"{name}.py").write_text(SEES.format(uses=uses))
        jobs[name] = {"method": str(folder / f"{name}.py"), "batch": 16}
    alone = noted(folder / "one", "trainings_in_doubles", jobs, processes=1)[0]
    jobs |= {f"local {name}": {**job, "batch_norm": "local"} for name, job in LOCAL.items()}
    return alone, noted(folder / "two", "trainings_in_doubles", jobs)


@pytest.fixture(scope="module")
def singles(tmp_path_factory, jobs):
    """The methods' trainings as they are shipped, in float32."""
    folder = tmp_path_factory.mktemp("singles")
    one = noted(folder / "one", "trainings", jobs, processes=1)[0]
    return one, noted(folder / "two", "trainings", jobs)


def test_the_page_states_a_bound_for_every_method_and_no_other():
    assert list(table()) == TRAINED


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_two_processes_train_as_one_in_float64(doubles, name):
    one, two = doubles
    found = furthest(one[name], two[0][name])
    assert max(found.values()) <= table()[name]["double"] <= 1e-5, found
    assert alike(two[0][name], two[1][name])
    assert apart(one[name]["state"], two[0][name]["state"]) < 1e-5
    assert apart(one[name]["vectors"], two[0][name]["vectors"]) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_two_processes_take_the_first_step_as_one_in_float32(singles, name):
    one, two = singles
    found = furthest(one[name], two[0][name], steps=1)
    assert max(found.values()) <= table()[name]["single"], found
    assert alike(two[0][name], two[1][name])


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_recipes_train_as_one_process_too(doubles, name):
    one, two = doubles
    assert max(furthest(one[name], two[0][name]).values()) < 1e-9
    assert alike(two[0][name], two[1][name])


@pytest.mark.slow
def test_a_method_that_asks_for_images_gets_those_of_all_processes(doubles):
    one, two = doubles
    assert max(furthest(one["sees"], two[0]["sees"]).values()) < 1e-9
    assert not alike(one["sees"], one["simclr"])


@pytest.mark.slow
def test_a_method_that_does_not_ask_for_images_is_given_none_rather_than_a_part(doubles):
    _, two = doubles
    assert alike(two[0]["blind"], two[0]["simclr"])


@pytest.mark.slow
@pytest.mark.parametrize("name", LOCAL)
def test_batch_norm_of_the_own_part_is_that_of_a_network_that_sees_the_halves_apart(
    tmp_path, doubles, name
):
    one, two = doubles
    halves = noted(tmp_path, "trainings_in_halves", {name: LOCAL[name]}, processes=1)[0][name]
    found = two[0][f"local {name}"]
    assert max(furthest(halves, found).values()) < 1e-9
    assert apart(halves["state"], found["state"]) < 1e-9
    assert alike(found, two[1][f"local {name}"])
    assert not alike(found, one[name])
