"""What a suite asks for, a user's settings laid over it; what means nothing shows at once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dml_bench import recipes, suites
from dml_bench.errors import BenchError, RecipeError, UnknownNameError
from dml_bench.methods import METHODS
from dml_bench.metric_table import metric
from dml_bench.plugins import is_plugin
from dml_bench.registry import unknown


@dataclass(frozen=True)
class Entry:
    """A run of a suite as it is asked for, before a recipe is made of it.

    Args:
        wanted: recipe fields.
        label: what the suite calls it, if anything.
        number: of it in the suite, from 0.
        total: how many there are.
    """

    wanted: Mapping[str, Any]
    label: str
    number: int
    total: int

    @property
    def name(self) -> str:
        """Its dataset, and its label or its method."""
        return f"{self.wanted['dataset']} {self.label or self.wanted['method']}"

    @property
    def seeded(self) -> str:
        """Its name, and its seed where it says one."""
        return self.name + (f", seed {self.wanted['seed']}" if "seed" in self.wanted else "")

    @property
    def title(self) -> str:
        """Its place in the suite, and its label or its method."""
        return f"{self.number + 1}/{self.total}: {self.label or self.wanted['method']}"


def entries(suite: suites.Suite, over: Mapping[str, Any]) -> list[Entry]:
    """Return what a suite asks for, with recipe fields laid over every run's."""
    said = zip(suite.runs, suite.labels, suite.own, strict=True)
    return [
        Entry(laid_over(run, over, own), label, number, len(suite.runs))
        for number, (run, label, own) in enumerate(said)
    ]


def load(names: Sequence[str], over: Mapping[str, Any]) -> list[suites.Suite]:
    """Read suites; a mistyped name, of one or of a method or metric in it, shows before any run.

    Args:
        names: as `suites.load` takes them.
        over: recipe fields laid over every run's.

    Raises:
        BenchError: there is no such suite, it is not in order, or it asks for an unknown method, or
            expects something of an unknown metric.
    """
    asked = [suites.load(name) for name in names]
    for suite in asked:
        for entry in entries(suite, over):
            method = str(entry.wanted["method"])
            if method not in METHODS and not is_plugin(method):
                problem = unknown("method", method, METHODS)
                raise UnknownNameError(f"suite {suite.name}, run {entry.title}: {problem}")
            _refuse_unknown_metrics(f"suite {suite.name}, run {entry.title}", entry)
    return asked


def _refuse_unknown_metrics(where: str, entry: Entry) -> None:
    for name in entry.wanted.get("expect", {}):
        try:
            metric(name)
        except BenchError as error:
            raise RecipeError(f"{where}: expect: {error}") from error


def laid_over(
    said: Mapping[str, Any], over: Mapping[str, Any], own: Collection[str] = ()
) -> dict[str, Any]:
    """Return a run's settings with others laid over them.

    What is fixed for an untrained method (it has no epochs), or where there is no head (`dim`), is
    meant for the others, and left out of what is said for many; where its own entry says it, it
    stays, for the recipe to refuse.

    Args:
        said: of this run.
        over: laid over it.
        own: names of `said` that were said for this run alone.

    Example:
        >>> laid_over({"method": "random", "epochs": 3}, {"epochs": 9, "dim": 64})
        {'method': 'random', 'dim': 64}
    """
    name = over.get("method", said["method"])
    if name not in METHODS:
        return recipes.merge(said, over)
    method = METHODS[name].Method
    laid = _but(method.defaults if method.supervision == "none" else (), said, over, own)
    headless = {**method.defaults, **laid}.get("head") == "none"
    return _but(("dim",), laid, {}, own) if headless else laid


def _but(
    fixed: Collection[str], said: Mapping[str, Any], over: Mapping[str, Any], own: Collection[str]
) -> dict[str, Any]:
    """Return settings with others laid over them, without what is fixed and was said for many."""
    mine = {k: v for k, v in said.items() if k not in fixed or k in own}
    return recipes.merge(mine, {k: v for k, v in over.items() if k not in fixed})
