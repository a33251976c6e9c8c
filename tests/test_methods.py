"""Methods: what each does with what it is given."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dml_bench import losses
from dml_bench.errors import DataError, RecipeError, UnknownNameError
from dml_bench.methods import METHODS
from dml_bench.methods.base import Network, make, options
from dml_bench.methods.invaspread import Method as InvaSpread
from dml_bench.methods.sprint import Method as Sprint
from dml_bench.methods.triplet_semihard import Method as Triplet
from dml_bench.types import Batch


def drawn(views, size=12, dim=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(views, size, dim, generator=generator), dim=-1)


def batch(size=12, labels=None):
    return Batch(torch.zeros(1), torch.arange(size), labels)


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_says_its_source_and_where_it_differs(name):
    text = METHODS[name].__doc__
    assert "Source: " in text
    assert "Differs from the source: " in text


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_is_made_from_its_defaults(name):
    method = METHODS[name].Method
    made = make(method, {"n_items": 4, "dim": 3, "n_classes": 2, "width": 5}, options(method, {}))
    assert made.supervision in ("none", "unsupervised", "supervised")


def test_a_users_method_whose_supervision_is_none_of_the_words_is_refused(tmp_path):
    own = tmp_path / "own.py"
    text = "from dml_bench.methods.base import BaseMethod\n\nclass Method(BaseMethod):\n"
    for word in ("semi", "Supervised"):
        own.write_text(f"{text}    supervision = '{word}'\n")
        with pytest.raises(DataError, match="expected supervision to be one of none, unsup"):
            METHODS[str(own)]
    own.write_text(f"{text}    supervision = 'supervised'\n    def loss(self, *given): ...\n")
    assert METHODS[str(own)].Method.supervision == "supervised"


OWN = """
from dml_bench.methods.base import BaseMethod

class Method(BaseMethod):
    supervision, views = {supervision!r}, {views!r}

    def __init__(self, {arguments}):
        super().__init__()

    def loss(self, vectors, batch):
        return vectors.sum()
"""


def own(tmp_path, arguments="", supervision="unsupervised", views=2):
    """A user's method in a file of its own; the name of the file."""
    file = tmp_path / "own.py"
    file.write_text(OWN.format(arguments=arguments, supervision=supervision, views=views))
    return str(file)


@pytest.mark.parametrize("name", ["momentum", "seed", "options", "source"])
def test_a_users_option_by_the_name_of_a_recipe_field_is_refused(tmp_path, name):
    said = f"own.py: expected option names that no recipe field has, found '{name}'; rename"
    with pytest.raises(DataError, match=said):
        METHODS[own(tmp_path, f"{name}=0.99")]


def test_a_users_method_without_a_loss_is_refused_unless_it_is_not_trained(tmp_path):
    file = tmp_path / "own.py"
    text = "from dml_bench.methods.base import BaseMethod\n\nclass Method(BaseMethod):\n"
    file.write_text(f"{text}    supervision = 'unsupervised'\n")
    with pytest.raises(DataError, match=r"own.py: expected a function loss\(self, vectors, batch"):
        METHODS[str(file)]
    file.write_text(f"{text}    supervision = 'none'\n")
    assert METHODS[str(file)].Method.supervision == "none"
    file.write_text("from dml_bench.methods.simclr import Method as S\nclass Method(S): ...\n")
    assert METHODS[str(file)].Method.views == 2  # another's loss is one


@pytest.mark.parametrize("views", [0, -1, 1.5, True, "2", None])
def test_views_that_are_no_whole_number_are_refused(tmp_path, views):
    with pytest.raises(DataError, match=r"own\.py: expected views to be a whole number"):
        METHODS[own(tmp_path, views=views)]


def test_only_a_supervised_method_may_ask_for_the_number_of_classes(tmp_path):
    for supervision in ("unsupervised", "none"):
        with pytest.raises(DataError, match="expected supervision = 'supervised' of a method that"):
            METHODS[own(tmp_path, "n_classes", supervision)]
    assert METHODS[own(tmp_path, "n_classes", "supervised")].Method.supervision == "supervised"


@pytest.mark.parametrize("default", ["None", "(1, 2)", "{}", "print"])
def test_a_default_that_no_setting_is_like_is_refused(tmp_path, default):
    with pytest.raises(DataError, match="option 'spread': expected a default that is a number, a"):
        METHODS[own(tmp_path, f"spread={default}")]


@pytest.mark.parametrize("default", [True, 2, 0.5, "paper", [1, 2]])
def test_a_default_of_a_kind_that_a_setting_has_is_taken(tmp_path, default):
    assert options(METHODS[own(tmp_path, f"spread={default!r}")].Method, {}) == {"spread": default}


def test_a_fraction_for_a_whole_default_says_what_to_write_in_a_users_file(tmp_path):
    made = METHODS[own(tmp_path, "spread=1")].Method
    said = "found 1.5; write one like it, or write 1.0 as the default in own.py if it may be a"
    with pytest.raises(RecipeError, match=re.escape(said)):
        options(made, {"spread": 1.5})
    with pytest.raises(RecipeError, match=r"found 'much'; write one like it$"):
        options(made, {"spread": "much"})
    with pytest.raises(RecipeError, match=r"found 2\.5; write one like it$"):  # no file of theirs
        options(Sprint, {"views": 2.5})


def test_what_is_given_to_a_users_method_may_be_called_like_a_field(tmp_path):
    assert options(METHODS[own(tmp_path, "dim, n_items, keep=0.9")].Method, {}) == {"keep": 0.9}


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"form": "paper"},
        {"temperature": 0.3},
        {"negative_weight": 2.0},
        {"negatives": "hard"},
        {"detach_keys": "no"},
    ],
)
def test_invaspread_hands_its_options_to_the_criterion(chosen):
    vectors = drawn(2).requires_grad_()
    said = {**chosen}
    if "detach_keys" in said:
        said["detach_keys"] = False
    expected = losses.invariance_spread(vectors[0], vectors[1], **said)
    (slope,) = torch.autograd.grad(expected, vectors)
    found = InvaSpread(12, **chosen).loss(vectors, batch())
    (found_slope,) = torch.autograd.grad(found, vectors)
    assert torch.equal(found, expected)
    assert torch.equal(found_slope, slope)


def test_invaspread_does_not_look_at_labels():
    vectors = drawn(2)
    labelled = InvaSpread(12).loss(vectors, batch(labels=torch.zeros(12)))
    assert torch.equal(labelled, InvaSpread(12).loss(vectors, batch()))


@pytest.mark.parametrize("kind", [InvaSpread, Sprint])
def test_the_neighbour_stands_in_for_about_half_of_the_second_views(kind):
    method = kind(400, neighbour=True)
    features = 3.0 * drawn(1, 400, dim=8)[0]  # of any length
    method.begin_epoch(0, 0, Network(lambda head: features))
    second = method.partners()
    apart = (F.normalize(features, dim=1) @ F.normalize(features, dim=1).T).fill_diagonal_(-2)
    stands_in = second != np.arange(400)
    assert 0.4 < stands_in.mean() < 0.6
    assert np.array_equal(second[stands_in], apart.argmax(dim=1).numpy()[stands_in])
    method.begin_epoch(1, 0, Network(lambda head: features))
    assert not np.array_equal(second, method.partners())


@pytest.mark.parametrize("kind", [InvaSpread, Sprint])
def test_without_neighbours_no_feature_is_ever_computed(kind):
    method = kind(4)
    method.begin_epoch(0, 0, Network(lambda head: pytest.fail("computed")))
    assert method.partners() is None


def slow_triplets(vectors, labels, margin):
    """Every positive pair with every negative that is farther, but by less than the margin."""
    distance = torch.cdist(vectors, vectors)
    n, costs = len(vectors), []
    for a in range(n):
        for p in range(n):
            for g in range(n):
                if a != p and labels[a] == labels[p] and labels[a] != labels[g]:
                    gap = distance[a, g] - distance[a, p]
                    if 0 < gap <= margin:
                        costs.append(margin - gap)
    return torch.stack([c for c in costs if c > 0]).mean()


def test_semi_hard_triplets_are_those_of_the_definition():
    vectors, labels = drawn(1, 12)[0], torch.arange(12) % 3
    found = Triplet(margin=0.2).loss(vectors[None], batch(labels=labels))
    assert found.item() == pytest.approx(slow_triplets(vectors, labels, 0.2).item(), rel=1e-4)


def test_a_batch_without_a_triplet_costs_nothing_and_still_has_a_gradient():
    vectors = torch.eye(4, requires_grad=True)
    loss = Triplet().loss(vectors[None], batch(labels=torch.arange(4)))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(vectors.grad, torch.zeros(4, 4))


def test_an_unknown_method_lists_the_methods():
    with pytest.raises(UnknownNameError, match="did you mean 'invaspread'"):
        METHODS["invasprd"]
