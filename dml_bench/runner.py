"""A suite -> the runs that are missing; one that cannot be made does not stop the others."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dml_bench import bench, data, endings, recipes, suites
from dml_bench.engine import Say
from dml_bench.errors import BenchError, BusyError, RecipeError, RunError, UnknownNameError
from dml_bench.loggers import LoggerOf, silent
from dml_bench.methods import METHODS
from dml_bench.metric_table import metric
from dml_bench.plugins import is_plugin
from dml_bench.registry import unknown
from dml_bench.text import in_short
from dml_bench.types import Dataset, Recipe, RunResult


@dataclass(frozen=True)
class Failure:
    """A run that was not made: what a person calls it, why, and the exit status that says so."""

    run: str
    why: str
    status: int

    @property
    def line(self) -> str:
        """All of it that a person reads."""
        return f"{self.run}: {self.why}"


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


class Resolver:
    """Makes recipes of what is asked for; a dataset is read once, however often it is asked.

    Args:
        data_root: where the datasets are.
        device: "cpu" or "cuda".
    """

    def __init__(self, data_root: Path, device: str) -> None:
        self.data_root, self.device = data_root, device
        self.loaded: dict[str, Dataset | BenchError] = {}
        self.numbers: dict[str, int] = {}  # by key: what is laid over all may make two entries one

    def __call__(self, entry: Entry) -> tuple[Recipe, Dataset]:
        """Return the recipe of an entry, and its dataset.

        Raises:
            BenchError: the dataset is not there, or the recipe means nothing.
        """
        dataset = self._dataset(entry.wanted["dataset"])
        return recipes.resolve(entry.wanted, dataset, device=self.device), dataset

    def is_first(self, entry: Entry, recipe: Recipe) -> bool:
        """Return whether no entry with another number came to the same recipe before."""
        return self.numbers.setdefault(recipe.key, entry.number) == entry.number

    def _dataset(self, name: str) -> Dataset:
        if name not in self.loaded:
            try:
                self.loaded[name] = data.load(name, self.data_root)
            except BenchError as error:
                self.loaded[name] = error
        found = self.loaded[name]
        if isinstance(found, BenchError):
            raise found
        return found


def run_suite(
    suite: suites.Suite,
    over: Mapping[str, Any],
    *,
    data_root: Path,
    results: Path,
    device: str = "cpu",
    say: Say = print,
    logger: LoggerOf = silent,
) -> tuple[list[RunResult], list[Failure]]:
    """Make the runs of a suite that are missing, in this process.

    A run that cannot be made (its dataset is not there, say, or memory ends) does not stop the
    others, and is said once. One that another process is making is waited for at the end: several
    processes may work on one suite, and each run is made once.

    Args:
        suite: as `suites.load` read it.
        over: recipe fields laid over every run's; an untrained method's fixed ones excepted.
        data_root: where the datasets are.
        results: the root of all results.
        device: "cpu" or "cuda".
        say: tells a person what happens.
        logger: of a key -> who else is told of its epochs.

    Returns:
        All the suite's results, stored before or made now, and what stopped the others.
    """
    maker = _Maker(Resolver(data_root, device), results, say, logger)
    for entry in [entry for entry in entries(suite, over) if not maker.make(entry)]:
        maker.make(entry, wait=-1.0)
    return [maker.made[number] for number in sorted(maker.made)], maker.failed


class _Maker:
    """Makes the runs of one suite, each once; remembers what failed."""

    def __init__(self, resolve: Resolver, results: Path, say: Say, logger: LoggerOf) -> None:
        self.resolve, self.results, self.say, self.logger = resolve, results, say, logger
        self.made: dict[int, RunResult] = {}  # by the number of the entry
        self.failed: list[Failure] = []

    def make(self, entry: Entry, *, wait: float = 0.0) -> bool:
        """Make an entry's run, if it is missing; return False where another process is at it."""
        try:
            self._make(entry, wait)
        except BusyError:
            self.say(f"another process makes run {entry.title}; coming back to it")
            return False
        except Exception as error:
            if not endings.together():  # the others go on, and would wait for this process
                raise
            self.failed.append(failure_of(entry, error))
            self.say(f"not run: {self.failed[-1].line}")
        return True

    def _make(self, entry: Entry, wait: float) -> None:
        recipe, dataset = self.resolve(entry)
        if self.resolve.is_first(entry, recipe):
            self.made[entry.number] = bench.run(
                recipe,
                dataset,
                self.results,
                device=self.resolve.device,
                say=self.say,
                title=entry.title,
                wait=wait,
                logger=self.logger,
            )


def failure_of(entry: Entry, error: Exception) -> Failure:
    """Return what stopped a run, in words of one line, and the exit status that says so."""
    if isinstance(error, BenchError | RunError):
        return Failure(entry.name, str(error), 2 if isinstance(error, BenchError) else 1)
    return Failure(entry.name, in_short(error), 1)


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
