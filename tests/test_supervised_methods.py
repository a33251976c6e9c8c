"""Supervised methods: each against slow loops over its source's definition, and its neighbours.

Slow loops run in float64 over (M, D) unit rows; `o` holds the options of the method. Gradients are
those of free rows that are made unit rows, as a model does: some criteria make them so once more.
"""

import math
from itertools import combinations, permutations, product

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dml_bench.engine import _groups
from dml_bench.errors import RecipeError
from dml_bench.methods import METHODS
from dml_bench.methods.base import make, options
from dml_bench.types import Batch

CLASSES, DIM = 4, 5
LABELS = torch.tensor([0, 1, 2, 3, 3, 2, 1, 0, 0, 1, 2, 3])

# What the sources say; where ours differs from the source, its docstring says so.
SOURCE = {
    "triplet_semihard": {"margin": 0.2},
    "contrastive": {"margin": 1.0},
    "lifted": {"margin": 1.0},
    "n_pair": {"scale": 4.0},
    "angular": {"alpha": 40.0},
    "margin": {"margin": 0.2, "beta": 1.2, "cutoff": 0.5},
    "multi_similarity": {"alpha": 2.0, "beta": 50.0, "base": 0.5, "epsilon": 0.1},
    "norm_softmax": {"temperature": 0.05, "proxy_rate": 1.0},
    "proxy_nca": {"temperature": 1 / 9, "proxy_rate": 100.0},
    "proxy_anchor": {"margin": 0.1, "alpha": 32.0, "proxy_rate": 100.0},
    "soft_triple": {
        "centres": 10,
        "scale": 20.0,
        "gamma": 0.1,
        "margin": 0.01,
        "tau": 0.2,
        "proxy_rate": 100.0,
    },
    "arcface": {"margin": 0.5, "scale": 64.0, "proxy_rate": 1.0},
    "supcon": {"temperature": 0.1},
}
NAMES = list(SOURCE)
WITH_PROXIES = [name for name in NAMES if "proxy_rate" in SOURCE[name]]

# One other value of each option that the loss depends on.
OTHER = [
    ("triplet_semihard", "margin", 0.6),
    ("contrastive", "margin", 1.4),
    ("lifted", "margin", 0.4),
    ("n_pair", "scale", 2.0),
    ("angular", "alpha", 55.0),
    ("margin", "margin", 0.5),
    ("margin", "beta", 0.9),
    ("margin", "cutoff", 1.1),
    ("multi_similarity", "alpha", 1.0),
    ("multi_similarity", "beta", 10.0),
    ("multi_similarity", "base", 0.2),
    ("multi_similarity", "epsilon", 0.5),
    ("norm_softmax", "temperature", 0.5),
    ("proxy_nca", "temperature", 1.0),
    ("proxy_anchor", "margin", 0.3),
    ("proxy_anchor", "alpha", 4.0),
    ("soft_triple", "centres", 3),
    ("soft_triple", "scale", 5.0),
    ("soft_triple", "gamma", 1.0),
    ("soft_triple", "margin", 0.4),
    ("soft_triple", "tau", 0.9),
    ("arcface", "margin", 2.0),  # carries most angles past pi
    ("arcface", "scale", 8.0),
    ("supcon", "temperature", 0.5),
]


def drawn(seed=0, views=1, size=12, dim=DIM):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(views, size, dim, dtype=torch.float64, generator=generator)
    return F.normalize(rows, dim=-1)


def made(name, **chosen):
    torch.manual_seed(7)
    method = METHODS[name].Method
    known = {"n_items": len(LABELS), "dim": DIM, "n_classes": CLASSES, "width": 6}
    return make(method, known, options(method, chosen)).double()


def loss_of(method, vectors, labels=LABELS):
    torch.manual_seed(11)  # for what `margin` draws
    return method.loss(vectors, Batch(torch.zeros(1), torch.arange(len(labels)), labels))


def slopes_of(loss, vectors, method):
    """Return the gradients with respect to the vectors, and to what the method learns."""
    return torch.autograd.grad(
        loss, [vectors, *method.parameters()], allow_unused=True, retain_graph=True
    )


# --- the definitions, in slow loops ---------------------------------------------------------------


def far(x, i, j):
    return torch.sqrt(((x[i] - x[j]) ** 2).sum())


def pairs(labels, same):
    """Return the ordered pairs of a class, or of two."""
    return [
        (i, j) for i, j in permutations(range(len(labels)), 2) if (labels[i] == labels[j]) == same
    ]


def mean_of_costs(costs):
    return torch.stack([cost for cost in costs if cost > 0]).mean()


def semihard(x, labels, margin):
    found = [(a, p, n) for a, p in pairs(labels, True) for b, n in pairs(labels, False) if a == b]
    return {(a, p, n) for a, p, n in found if 0 < far(x, a, n) - far(x, a, p) <= margin}


def slow_triplet_semihard(x, labels, method, o):
    chosen = semihard(x, labels, o["margin"])
    return mean_of_costs([o["margin"] + far(x, a, p) - far(x, a, n) for a, p, n in chosen])


def slow_contrastive(x, labels, method, o):
    near = mean_of_costs([far(x, i, j) for i, j in pairs(labels, True)])
    return near + mean_of_costs([o["margin"] - far(x, i, j) for i, j in pairs(labels, False)])


def slow_lifted(x, labels, method, o):
    """Equation 4, over each positive pair once."""
    once = [(i, j) for i, j in pairs(labels, True) if i < j]
    total = 0.0
    for i, j in once:
        apart = sum(
            torch.exp(o["margin"] - far(x, a, n)) for a, n in pairs(labels, False) if a in (i, j)
        )
        total = total + torch.relu(torch.log(apart) + far(x, i, j)) ** 2
    return total / (2 * len(once))


def slow_n_pair(x, labels, method, o):
    x = o["scale"] * x
    members = [[i for i in range(len(labels)) if labels[i] == c] for c in labels.unique()]
    asks, answers = [m[0] for m in members], [m[1] for m in members]
    costs = [
        torch.log(1 + sum(torch.exp(x[a] @ x[q] - x[a] @ x[p]) for q in answers if q != p))
        for a, p in zip(asks, answers, strict=True)
    ]
    return torch.stack(costs).mean()


def slow_angular(x, labels, method, o):
    square = math.tan(math.radians(o["alpha"])) ** 2
    costs = []
    for a, p in pairs(labels, True):
        bound = 2 * (1 + square) * x[a] @ x[p]
        others = [n for n in range(len(labels)) if labels[n] != labels[a]]
        spread = sum(torch.exp(4 * square * (x[a] + x[p]) @ x[n] - bound) for n in others)
        costs.append(torch.log(1 + spread))
    return torch.stack(costs).mean()


def slow_margin(x, labels, method, o):
    """Over the triplets that the miner draws: what it may draw is tested below."""
    torch.manual_seed(11)
    (beta,) = method.criterion.beta
    assert beta.item() == pytest.approx(o["beta"])
    total, n_costly = 0.0, 0
    for a, p, n in torch.stack(method.mine(x, labels)).T.tolist():
        for cost in (o["margin"] + far(x, a, p) - beta, o["margin"] + beta - far(x, a, n)):
            total, n_costly = total + torch.relu(cost), n_costly + int(cost > 0)
    return total / n_costly


def similar(x, labels, epsilon):
    """Return the positive and the negative pairs that multi-similarity mining keeps."""
    near = {(i, j): (x[i] @ x[j]).item() for i, j in permutations(range(len(x)), 2)}
    kept = {True: set(), False: set()}
    for i in range(len(x)):
        least = min(near[a, p] for a, p in pairs(labels, True) if a == i)
        most = max(near[a, n] for a, n in pairs(labels, False) if a == i)
        kept[True] |= {
            (a, p) for a, p in pairs(labels, True) if a == i and near[a, p] < most + epsilon
        }
        kept[False] |= {
            (a, n) for a, n in pairs(labels, False) if a == i and near[a, n] > least - epsilon
        }
    return kept[True], kept[False]


def slow_multi_similarity(x, labels, method, o):
    positives, negatives = similar(x, labels, o["epsilon"])
    total = 0.0
    for i in range(len(x)):
        p = sum(torch.exp(-o["alpha"] * (x[a] @ x[b] - o["base"])) for a, b in positives if a == i)
        n = sum(torch.exp(o["beta"] * (x[a] @ x[b] - o["base"])) for a, b in negatives if a == i)
        total = total + torch.log1p(torch.as_tensor(p)) / o["alpha"]
        total = total + torch.log1p(torch.as_tensor(n)) / o["beta"]
    return total / len(x)


def class_rows(method):
    """Return the unit row of each class, or of each centre of each class in turn."""
    (weight,) = method.parameters()
    return F.normalize(weight if weight.shape[1] == DIM else weight.T, dim=1)


def mean_choice(rows, labels):
    """Return the mean of -log softmax at the right class, rows being lists of C logits."""
    costs = [
        -torch.log(torch.exp(row[c]) / sum(torch.exp(logit) for logit in row))
        for row, c in zip(rows, labels.tolist(), strict=True)
    ]
    return torch.stack(costs).mean()


def slow_norm_softmax(x, labels, method, o):
    w = class_rows(method)
    return mean_choice([[row @ c / o["temperature"] for c in w] for row in x], labels)


def slow_proxy_nca(x, labels, method, o):
    w = class_rows(method)
    apart = [[((row - c) ** 2).sum() for c in w] for row in x]
    return mean_choice([[-d / o["temperature"] for d in row] for row in apart], labels)


def slow_proxy_anchor(x, labels, method, o):
    """Equation 4: a mean over the classes of the batch, and one over all classes."""
    pull, push = [], []
    for c, proxy in enumerate(class_rows(method)):
        own = [torch.exp(-o["alpha"] * (row @ proxy - o["margin"])) for row in x[labels == c]]
        rest = [torch.exp(o["alpha"] * (row @ proxy + o["margin"])) for row in x[labels != c]]
        pull += [torch.log(1 + sum(own))] if own else []
        push.append(torch.log(1 + torch.as_tensor(sum(rest))))
    return torch.stack(pull).mean() + torch.stack(push).mean()


def slow_soft_triple(x, labels, method, o):
    w = class_rows(method).view(CLASSES, o["centres"], DIM)
    rows = []
    for row, label in zip(x, labels.tolist(), strict=True):
        soft = []
        for centres in w:
            e = [torch.exp(row @ centre / o["gamma"]) for centre in centres]
            soft.append(sum(v * (row @ c) for v, c in zip(e, centres, strict=True)) / sum(e))
        rows.append([o["scale"] * (s - o["margin"] * (c == label)) for c, s in enumerate(soft)])
    apart = [far(centres, i, j) for centres in w for i, j in combinations(range(o["centres"]), 2)]
    return mean_choice(rows, labels) + o["tau"] * torch.stack(apart).mean() / 2


def slow_arcface(x, labels, method, o):
    rows = []
    for row, label in zip(x, labels.tolist(), strict=True):
        cosines = [row @ c for c in class_rows(method)]
        angle, m = torch.acos(cosines[label]), o["margin"]
        past = angle + m > math.pi
        cosines[label] = torch.cos(angle) - m * math.sin(m) if past else torch.cos(angle + m)
        rows.append([o["scale"] * cosine for cosine in cosines])
    return mean_choice(rows, labels)


def slow_supcon(x, labels, method, o):
    """Equation 2, averaged over the views that ask."""
    total = 0.0
    for i in range(len(x)):
        e = {j: torch.exp(x[i] @ x[j] / o["temperature"]) for j in range(len(x)) if j != i}
        own = [torch.log(e[j] / sum(e.values())) for j in e if labels[j] == labels[i]]
        total = total - sum(own) / len(own)
    return total / len(x)


SLOW = {name: globals()[f"slow_{name}"] for name in NAMES}
CASES = [(name, {}) for name in NAMES] + [(name, {option: value}) for name, option, value in OTHER]


# --- value, gradient, defaults, options -----------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("name", "chosen"), CASES)
def test_value_and_gradients_are_those_of_the_slow_loops(name, chosen, seed):
    method, free = made(name, **chosen), (3 * drawn(seed)).requires_grad_()
    vectors = F.normalize(free, dim=-1)
    found = loss_of(method, vectors)
    expected = SLOW[name](vectors[0], LABELS, method, {**SOURCE[name], **chosen})
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)
    assert found.item() > 0
    for slope, right in zip(
        slopes_of(found, free, method), slopes_of(expected, free, method), strict=True
    ):
        torch.testing.assert_close(slope, right, rtol=1e-7, atol=1e-9)
        assert chosen or right.norm() > 0


@pytest.mark.parametrize("name", WITH_PROXIES)
def test_classes_that_the_batch_lacks_count_as_defined(name):
    method, vectors, labels = made(name), drawn(), LABELS.clamp(max=2)
    expected = SLOW[name](vectors[0], labels, method, SOURCE[name])
    assert loss_of(method, vectors, labels).item() == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_those_of_the_source(name):
    assert options(METHODS[name].Method, {}) == pytest.approx(SOURCE[name])


def test_every_supervised_method_and_every_option_stand_in_the_tables():
    supervised = {n for n in METHODS if METHODS[n].Method.supervision == "supervised"}
    assert supervised == set(NAMES)
    listed = {(name, option) for name in NAMES for option in SOURCE[name]}
    assert {(n, o) for n, o, _ in OTHER} == {(n, o) for n, o in listed if o != "proxy_rate"}


@pytest.mark.parametrize(("name", "option", "value"), OTHER)
def test_every_option_changes_the_loss(name, option, value):
    usual, other = (loss_of(made(name, **o), drawn()) for o in ({}, {option: value}))
    assert usual.item() != pytest.approx(other.item(), rel=1e-3)


MAY_BE_ZERO = {("multi_similarity", "base"), ("soft_triple", "margin"), ("soft_triple", "tau")}
BAD = [
    (name, option, value)
    for name in NAMES
    for option, usual in SOURCE[name].items()
    for value in ((0, -1) if type(usual) is int else (-1.0, math.nan, math.inf, 0.0))
    if value != 0 or (name, option) not in MAY_BE_ZERO
]
TOO_MUCH = [
    ("angular", "alpha", 90.0),
    ("arcface", "margin", 28.6),  # degrees
    ("margin", "cutoff", 1.5),  # no negative could be drawn
    ("soft_triple", "margin", 1.5),
    ("multi_similarity", "base", 1.5),
]


@pytest.mark.parametrize(("name", "option", "value"), BAD + TOO_MUCH)
def test_a_value_that_cannot_be_is_refused_in_one_line(name, option, value):
    line = rf"^option {option}: expected [^\n]*, found {value}(; write one)?$"
    with pytest.raises(RecipeError, match=line):
        made(name, **{option: value})


@pytest.mark.parametrize(
    ("name", "deviation"),
    [
        ("norm_softmax", 1 / math.sqrt(3 * 64)),
        ("arcface", 0.01),
        ("proxy_nca", 1 / 8),
        ("proxy_anchor", math.sqrt(2 / 50)),
        ("soft_triple", 1 / math.sqrt(3 * 500)),
    ],
)
def test_proxies_start_as_in_the_authors_code(name, deviation):
    torch.manual_seed(0)
    (weight,) = METHODS[name].Method(n_classes=50, dim=64).parameters()
    assert weight.mean().item() == pytest.approx(0, abs=0.1 * deviation)
    assert weight.std().item() == pytest.approx(deviation, rel=0.05)


# --- what the miners choose -----------------------------------------------------------------------


@pytest.mark.parametrize("margin", [0.2, 0.6])
def test_the_semi_hard_triplets_are_those_of_the_definition(margin):
    found = made("triplet_semihard", margin=margin).mine(drawn()[0], LABELS)
    assert set(zip(*(ids.tolist() for ids in found), strict=True)) == semihard(
        drawn()[0], LABELS, margin
    )


@pytest.mark.parametrize("epsilon", [0.01, 0.1, 0.5])
def test_the_pairs_of_multi_similarity_are_those_of_the_definition(epsilon):
    found = made("multi_similarity", epsilon=epsilon).mine(drawn()[0], LABELS)
    a, p, b, n = (ids.tolist() for ids in found)
    chosen = set(zip(a, p, strict=True)), set(zip(b, n, strict=True))
    assert chosen == similar(drawn()[0], LABELS, epsilon)
    assert len(chosen[1]) < len(pairs(LABELS, False))


def shares(x, labels, cutoff, reach):
    """Return (M, M) the chance of each negative: one over the density of its distance."""
    chance = torch.zeros(len(x), len(x))
    for i, j in pairs(labels, False):
        d = max(far(x, i, j).item(), cutoff)
        if d < reach:
            chance[i, j] = 1 / (d ** (DIM - 2) * (1 - d * d / 4) ** ((DIM - 3) / 2))
    return chance / chance.sum(dim=1, keepdim=True)


@pytest.mark.parametrize("chosen", [{}, {"cutoff": 1.1}, {"margin": 0.1, "beta": 1.2}])
def test_negatives_are_drawn_by_the_inverse_density_of_their_distance(chosen):
    x, o = drawn()[0], {**SOURCE["margin"], **chosen}
    mine, counts = made("margin", **chosen).mine, torch.zeros(len(x), len(x))
    positives = set()
    torch.manual_seed(0)
    for _ in range(200):
        a, p, n = mine(x, LABELS)
        counts.index_put_((a, n), torch.ones(len(a)), accumulate=True)
        positives |= set(zip(a.tolist(), p.tolist(), strict=True))
    expected = shares(x, LABELS, o["cutoff"], o["margin"] + o["beta"])
    assert torch.equal(counts.sum(dim=1), torch.full((12,), 3 * 200.0))
    torch.testing.assert_close(counts / 600, expected, rtol=0, atol=0.08)
    assert not counts[expected == 0].any()
    assert positives == set(pairs(LABELS, True))


def test_an_image_without_a_negative_to_draw_is_left_out():
    x = torch.eye(4, 4, dtype=torch.float64)[[0, 0, 1, 1, 2, 2]]  # others are sqrt(2) away
    x[2:4] = F.normalize(x[2:4] + 0.5 * x[:2], dim=1)
    a, _, n = made("margin").mine(x, torch.tensor([0, 0, 1, 1, 2, 2]))
    assert set(a.tolist()) == {0, 1, 2, 3}
    assert set(n.tolist()) == {0, 1, 2, 3}


def test_one_near_negative_does_not_silence_the_other_images_in_many_dimensions():
    x = drawn(size=12, dim=512)[0].float()
    x = F.normalize(x + 0.5 * x.sum(dim=0), dim=1)  # negatives within reach of each other
    x[1] = F.normalize(x[0] + 0.2 * x[1], dim=0)
    assert LABELS[0] != LABELS[1]
    a, _, _ = METHODS["margin"].Method().mine(x, LABELS)
    assert set(a.tolist()) == set(range(12))


# --- what tells a method from its neighbour -------------------------------------------------------


def with_weights_of(method, other):
    for mine, theirs in zip(method.parameters(), other.parameters(), strict=True):
        mine.data = theirs.data.clone() if mine.shape == theirs.shape else theirs.data.T.clone()
    return method


@pytest.mark.parametrize(
    ("name", "like", "unlike", "temperature"),
    [
        ("arcface", {"margin": 1e-12, "scale": 20.0}, {"margin": 0.1, "scale": 20.0}, 1 / 20),
        ("proxy_nca", {"temperature": 0.2}, {"temperature": 0.1}, 0.1),
        (
            "soft_triple",
            {"centres": 1, "margin": 0.0, "scale": 20.0},
            {"centres": 1, "margin": 0.1, "scale": 20.0},
            1 / 20,
        ),
    ],
)
def test_a_neighbour_of_norm_softmax_is_it_in_one_case_and_in_no_other(
    name, like, unlike, temperature
):
    softmax, vectors = made("norm_softmax", temperature=temperature), drawn()
    same, other = (with_weights_of(made(name, **o), softmax) for o in (like, unlike))
    expected = loss_of(softmax, vectors).item()
    assert loss_of(same, vectors).item() == pytest.approx(expected, rel=1e-9)
    assert loss_of(other, vectors).item() != pytest.approx(expected, rel=1e-2)


def test_proxy_anchor_sums_within_a_class_where_proxy_nca_averages():
    once, twice = drawn(), drawn().repeat(1, 2, 1)
    anchor, nca = made("proxy_anchor"), made("proxy_nca")
    assert loss_of(nca, twice, LABELS.repeat(2)).item() == pytest.approx(loss_of(nca, once).item())
    more = loss_of(anchor, twice, LABELS.repeat(2)) - loss_of(anchor, once)
    assert more.item() > 0.5 * math.log(2)  # two terms, each log 2 where one image decides


def on_a_circle(*degrees):
    turns = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([turns.cos(), turns.sin()], dim=1)[None]


TWO_PAIRS = torch.tensor([0, 0, 1, 1])


@pytest.mark.parametrize(
    ("name", "degrees", "costs"),
    [
        # Classes that are apart cost nothing where there is a boundary, or where pairs are mined.
        ("contrastive", (0, 20, 180, 200), True),
        ("margin", (0, 20, 180, 200), False),
        ("triplet_semihard", (0, 20, 180, 200), False),
        ("multi_similarity", (0, 20, 180, 200), False),
        ("supcon", (0, 20, 180, 200), True),
        ("lifted", (0, 20, 180, 200), True),
        ("angular", (0, 20, 180, 200), True),
        # Negatives nearer than the positive are hard, not semi-hard.
        ("triplet_semihard", (0, 60, 25, 35), False),
        ("multi_similarity", (0, 60, 25, 35), True),
        ("margin", (0, 60, 25, 35), True),
        ("lifted", (0, 60, 25, 35), True),
    ],
)
def test_what_still_costs_tells_methods_apart(name, degrees, costs):
    loss = loss_of(made(name), on_a_circle(*degrees), TWO_PAIRS)
    assert (loss.item() > 0) is costs


@pytest.mark.parametrize("name", [n for n in NAMES if n != "triplet_semihard"])
def test_only_n_pair_takes_no_notice_of_the_third_image_of_a_class(name):
    vectors = drawn().requires_grad_()
    method = made(name)
    slope = slopes_of(loss_of(method, vectors), vectors, method)[0]
    third = range(8, 12)  # of LABELS
    assert bool(slope[0, third].any()) is (name != "n_pair")


# --- labels, views, learning rates, batches that lack something -----------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_labels_decide_the_gradient_and_their_names_do_not(name):
    method, vectors = made(name), drawn().requires_grad_()
    first, swapped = (
        slopes_of(loss_of(method, vectors, labels), vectors, method)[0]
        for labels in (LABELS, LABELS.roll(1))
    )
    assert not torch.allclose(first, swapped, rtol=0.1, atol=1e-3)
    if name not in WITH_PROXIES and name != "margin":
        renamed = slopes_of(loss_of(method, vectors, 40 - 3 * LABELS), vectors, method)[0]
        torch.testing.assert_close(first, renamed)


@pytest.mark.parametrize("name", NAMES)
def test_each_view_counts_as_an_image_of_its_class(name):
    method, vectors = made(name), drawn(views=2)
    expected = loss_of(method, vectors.flatten(0, 1)[None], LABELS.repeat(2))
    assert loss_of(method, vectors).item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_method_learns_is_in_the_optimiser_at_its_own_rate(name):
    method, network = made(name), nn.Linear(2, 2)
    groups = _groups(network, method, 0.01)
    learned = list(method.parameters())
    assert [len(g["params"]) for g in groups] == ([2, 1] if learned else [2])
    assert bool(learned) is (name in WITH_PROXIES or name == "margin")
    if learned:
        assert groups[1]["params"][0] is learned[0]
        assert groups[1]["lr"] == pytest.approx(0.01 * SOURCE[name].get("proxy_rate", 1.0))


@pytest.mark.parametrize("name", WITH_PROXIES)
def test_proxies_learn_at_the_rate_that_was_asked_for(name):
    method = made(name, proxy_rate=7.0)
    (weight,) = method.parameters()
    before, vectors = weight.detach().clone(), drawn()
    optimiser = torch.optim.SGD(_groups(nn.Linear(2, 2), method, 0.01), 0.01)
    loss_of(method, vectors).backward()
    optimiser.step()
    torch.testing.assert_close(weight.detach(), before - 0.07 * weight.grad)
    assert weight.grad.norm() > 0


LACKING = {
    "positives": (drawn(), torch.arange(12)),
    "negatives": (drawn(), torch.zeros(12, dtype=torch.int64)),
    "both": (drawn(size=1), torch.tensor([1])),
    "distance": (drawn(size=1).repeat(1, 12, 1), LABELS),
    "a mean": (torch.cat([drawn(size=6), -drawn(size=6)], dim=1), LABELS),
}


@pytest.mark.parametrize(("name", "lacking"), list(product(NAMES, LACKING)))
def test_a_batch_that_lacks_something_gives_finite_numbers(name, lacking):
    vectors, labels = LACKING[lacking]
    known = {"n_items": 12, "dim": DIM, "n_classes": 12, "width": 6}
    torch.manual_seed(0)
    method = make(METHODS[name].Method, known, options(METHODS[name].Method, {}))
    vectors = vectors.float().requires_grad_()
    loss = loss_of(method, vectors, labels)
    slopes = [slope for slope in slopes_of(loss, vectors, method) if slope is not None]
    assert torch.isfinite(loss)
    assert loss.item() >= 0
    assert all(torch.isfinite(slope).all() for slope in slopes)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in WITH_PROXIES])
@pytest.mark.parametrize("lacking", ["positives", "both"])
def test_without_a_positive_pair_nothing_is_learned_but_to_part(name, lacking):
    vectors, labels = LACKING[lacking]
    loss = loss_of(made(name), vectors, labels)
    parts = name == "contrastive" and lacking == "positives"
    assert (loss.item() > 0) is parts
