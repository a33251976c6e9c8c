"""A suite -> the runs that are missing; one that cannot be made does not stop the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dml_bench import bench, data, endings, recipes, suites
from dml_bench.engine import Say
from dml_bench.entries import Entry, entries
from dml_bench.errors import BenchError, BusyError, RunError
from dml_bench.loggers import LoggerOf, silent
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
