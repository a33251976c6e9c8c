"""The project's own recipe beside the released one, at as many looks, and both beside a goal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dml_bench.ledger import verdicts
from dml_bench.ledger.budgets import (
    BUDGET,
    EVERY,
    Group,
    Where,
    alike,
    budget,
    primary,
    setting,
    views,
)
from dml_bench.ledger.claims import LOSS, MORE, PLAIN, Goal
from dml_bench.ledger.naming import OWN, own_unsaid
from dml_bench.ledger.orders import STANDS_FOR
from dml_bench.ledger.reckonings import of_result
from dml_bench.ledger.released import SHAPE, meets, released
from dml_bench.ledger.starts import Gain
from dml_bench.ledger.verdicts import Line, line
from dml_bench.methods import METHODS
from dml_bench.methods.base import options
from dml_bench.rows import place
from dml_bench.statistics import over_seeds
from dml_bench.types import Recipe, RunResult

LOOKS = BUDGET - {"epochs", "batch", "head", "batch_norm", "dim"}
STEPS = BUDGET - {"epochs"} | {"lr", "optimiser"}
OPTIMISER = frozenset({"optimiser", "momentum", "weight_decay"})
AIM = Goal(
    "Sprint reaches {} % weighted kNN in one epoch of CIFAR-10, two views an image",
    0.6,
    epochs=1,
    said="the aim",
)


@dataclass(frozen=True)
class Own:
    """The project's own recipe beside the released one, at as many looks at images.

    Args:
        released: over InvaSpread as released.
        optimised: by its optimiser over the same by SGD.
        alike: over the released loss with the own recipe's optimiser, rate, head, batch norm and
            batch.
        risen: over the network that its training began with.
        stepped: the released loss by Muon over the same by SGD.
        slower: the released loss by SGD at the own recipe's rate and batch over the released ones.
        tried: other settings of the own recipe over InvaSpread as released: they were tried on the
            way, and decide nothing.
        aim: over `AIM`, after one epoch of CIFAR-10 in two views.
    """

    released: Sequence[Line]
    optimised: Sequence[Line]
    alike: Sequence[Line]
    risen: Sequence[Line]
    stepped: Sequence[Line]
    slower: Sequence[Line]
    tried: Sequence[Line]
    aim: Sequence[Line]

    @property
    def claims(self) -> Mapping[str, Sequence[Line]]:
        """A claim -> what was compared for it."""
        other = "the released loss with its network, optimiser, rate and batch"
        rate = "Sprint's rate and batch than at its own"
        return {
            f"Sprint does better than {other}, each with its schedule": self.alike,
            "Sprint does better than InvaSpread as released": self.released,
            "Sprint ends above what it started from": self.risen,
            "Sprint does better by Muon than by SGD, each with its schedule": self.optimised,
            "The released loss does better by Muon than by SGD, all else alike": self.stepped,
            f"By SGD, the released loss does better at {rate}": self.slower,
        }


def own(groups: Sequence[Group], gains: Sequence[Gain]) -> Own:
    """Return what the records say of the project's own recipe.

    Args:
        groups: the runs of each recipe, one a seed.
        gains: each trained recipe beside what it started from.
    """
    mine = [g for g in groups if g[0].recipe.method == OWN]
    whole = [g for g in groups if released(g[0])]
    same = [g for g in groups if meets(g[0].recipe, {**LOSS, **SHAPE})]
    stands = [g for g in mine if as_it_stands(g[0])]
    tried = [g for g in mine if not as_it_stands(g[0])]
    plain = [g for g in same if meets(g[0].recipe, PLAIN)]
    muon, sgd = ([g for g in plain if g[0].recipe.optimiser == name] for name in ("muon", "sgd"))
    tuned = {(g[0].recipe.lr, g[0].recipe.batch) for g in stands if g[0].recipe.weights == "none"}
    slower = [g for g in sgd if (g[0].recipe.lr, g[0].recipe.batch) in tuned]
    slower = [g for g in slower if g[0].recipe.weights == "none"]
    return Own(
        released=_beside(stands, whole, LOOKS),
        optimised=_beside(
            [g for g in stands if g[0].recipe.optimiser == "muon"],
            [g for g in tried if g[0].recipe.optimiser == "sgd" and not _unusual(g[0].recipe)],
            STEPS - {"optimiser"},
        ),
        alike=[one for near in (True, False) for one in _alike(stands, same, near)],
        risen=[_risen(gain.start) for gain in gains if as_own(gain.start.a[0])],
        stepped=_beside(muon, sgd, EVERY - OPTIMISER),
        slower=_beside(slower, whole, EVERY - {"lr", "batch"}),
        tried=_beside(tried, whole, LOOKS),
        aim=reached(stands, AIM),
    )


def _risen(one: Line) -> Line:
    return replace(one, where=setting(one.a[0]))


def _alike(mine: Sequence[Group], others: Sequence[Group], near: bool) -> list[Line]:
    """Return recipes beside the released loss, both with the neighbour or both without."""
    mine, others = (
        [g for g in some if g[0].recipe.options["neighbour"] is near] for some in (mine, others)
    )
    return _beside(mine, others, STEPS)


def as_own(result: RunResult) -> bool:
    """Return whether a run is the project's own method as it stands."""
    return result.recipe.method == OWN and as_it_stands(result)


def reached(groups: Sequence[Group], goal: Goal) -> list[Line]:
    """Return the recipes that a goal may be asked of, each beside it.

    Args:
        groups: the runs of each recipe that it is a goal of, one a seed.
        goal: what is to be reached.
    """
    return [_over(g, goal.value) for g in groups if _on_cifar(g[0], goal.epochs)]


def as_it_stands(result: RunResult) -> bool:
    """Return whether a run of the project's own method has what goes without saying there.

    What differs was tried on the way to it.
    """
    recipe = result.recipe
    return not _unusual(recipe) and meets(recipe, {**own_unsaid(recipe), **SHAPE})


def _unusual(recipe: Recipe) -> Mapping[str, Any]:
    """Return the options of a run of the project's own method that do not go without saying.

    From pretrained weights the neighbour does: it is said beside it, as head and batch norm are.
    """
    usual = options(METHODS[OWN].Method, {})
    free = set() if recipe.weights == "none" else {"neighbour"}
    found = {name: value for name, value in recipe.options.items() if name not in free}
    return {name: value for name, value in found.items() if value != usual[name]}


def _beside(mine: Sequence[Group], others: Sequence[Group], same: frozenset[str]) -> list[Line]:
    found = []
    for a in mine:
        for b in others:
            if _looks(a[0].recipe) == _looks(b[0].recipe) and alike(a[0], b[0], same):
                found.append(line(a, b, (primary(a[0]), of_result), where=_where(a[0], b[0])))
    known = [one for one in found if one]
    return sorted(known, key=lambda one: (str(one.where), -one.difference))


def _where(a: RunResult, b: RunResult) -> Where:
    """Return the budget of two runs, and what is not as released of both or, named, of one."""
    mine, theirs = setting(a), setting(b)
    if mine.kept == theirs.kept or not mine.kept:
        return mine
    return replace(mine, kept=f"{a.recipe.method} with {mine.kept}")


def _looks(recipe: Recipe) -> int:
    return recipe.epochs * views(recipe)


def _on_cifar(result: RunResult, epochs: int) -> bool:
    """Return whether a run looked at all of CIFAR-10 in two views, so many times."""
    recipe = result.recipe
    cifar = place(result)[0] in STANDS_FOR["cifar10"]
    looks = recipe.share == 1 and _looks(recipe) == 2 * epochs
    return cifar and looks and "knn@200" in result.metrics


def _over(group: Group, goal: float) -> Line:
    values = [result.metrics["knn@200"] for result in group]
    mean, half = over_seeds(values)
    verdict = verdicts.judged(mean - goal, half, MORE)
    where = budget(group[0])
    return Line(group, (), where, "knn@200", (mean, goal), mean - goal, half, MORE, verdict)
