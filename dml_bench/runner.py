"""A suite -> the runs that are missing; one that cannot be made does not stop the others."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dml_bench import bench, data, recipes, suites
from dml_bench.engine import Say
from dml_bench.errors import BenchError, BusyError, RunError
from dml_bench.loggers import LoggerOf, silent
from dml_bench.methods import METHODS
from dml_bench.text import in_short
from dml_bench.types import Dataset, RunResult


@dataclass(frozen=True)
class Failure:
    """A run that was not made: why, and the exit status that says so."""

    line: str
    status: int


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
    """Make the runs of a suite that are missing.

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
    maker = _Maker(suite, over, data_root, results, device, say, logger)
    numbers = range(len(suite.runs))
    for number in [number for number in numbers if not maker.make(number)]:
        maker.make(number, wait=-1.0)
    return [maker.made[number] for number in sorted(maker.made)], maker.failed


class _Maker:
    """Makes the runs of one suite, each once; remembers the datasets and what failed."""

    def __init__(
        self,
        suite: suites.Suite,
        over: Mapping[str, Any],
        data_root: Path,
        results: Path,
        device: str,
        say: Say,
        logger: LoggerOf,
    ) -> None:
        self.suite, self.over, self.data_root = suite, over, data_root
        self.results, self.device, self.say, self.logger = results, device, say, logger
        self.made: dict[int, RunResult] = {}  # by the number of the entry
        self.failed: list[Failure] = []
        self.loaded: dict[str, Dataset | BenchError] = {}
        self.numbers: dict[str, int] = {}  # by key: what is laid over all may make two entries one

    def make(self, number: int, *, wait: float = 0.0) -> bool:
        """Make an entry's run, if it is missing; return False where another process is at it."""
        said, label = self.suite.runs[number], self.suite.labels[number]
        wanted = laid_over(said, self.over, self.suite.own[number])
        title = f"{number + 1}/{len(self.suite.runs)}: {label or wanted['method']}"
        try:
            self._make(wanted, number, title, wait)
        except BusyError:
            self.say(f"another process makes run {title}; coming back to it")
            return False
        except Exception as error:
            self.failed.append(_failure(wanted, label, error))
            self.say(f"not run: {self.failed[-1].line}")
        return True

    def _make(self, wanted: dict[str, Any], number: int, title: str, wait: float) -> None:
        dataset = _loaded(wanted["dataset"], self.data_root, self.loaded)
        recipe = recipes.resolve(wanted, dataset, device=self.device)
        if self.numbers.setdefault(recipe.key, number) == number:
            self.made[number] = bench.run(
                recipe,
                dataset,
                self.results,
                device=self.device,
                say=self.say,
                title=title,
                wait=wait,
                logger=self.logger,
            )


def laid_over(
    said: Mapping[str, Any], over: Mapping[str, Any], own: Collection[str] = ()
) -> dict[str, Any]:
    """Return a run's settings with others laid over them.

    What is fixed for an untrained method (it has no epochs) is meant for the others, and left out
    of what is said for many; where its own entry says it, it stays, for the recipe to refuse.

    Args:
        said: of this run.
        over: laid over it.
        own: names of `said` that were said for this run alone.

    Example:
        >>> laid_over({"method": "random", "epochs": 3}, {"epochs": 9, "dim": 64})
        {'method': 'random', 'dim': 64}
    """
    name = over.get("method", said["method"])
    if name not in METHODS or METHODS[name].Method.supervision != "none":
        return recipes.merge(said, over)
    fixed = METHODS[name].Method.defaults
    mine = {k: v for k, v in said.items() if k not in fixed or k in own}
    return recipes.merge(mine, {k: v for k, v in over.items() if k not in fixed})


def _failure(wanted: Mapping[str, Any], label: str, error: Exception) -> Failure:
    name = f"{wanted['dataset']} {label or wanted['method']}"
    if isinstance(error, BenchError | RunError):
        return Failure(f"{name}: {error}", 2 if isinstance(error, BenchError) else 1)
    return Failure(f"{name}: {in_short(error)}", 1)


def _loaded(name: str, root: Path, loaded: dict[str, Dataset | BenchError]) -> Dataset:
    """Return a dataset, read once however often it is asked for, present or not."""
    if name not in loaded:
        try:
            loaded[name] = data.load(name, root)
        except BenchError as error:
            loaded[name] = error
    found = loaded[name]
    if isinstance(found, BenchError):
        raise found
    return found
