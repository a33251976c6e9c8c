"""A suite -> the runs that are missing; one that cannot be made does not stop the others."""

import traceback
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dml_bench import bench, data, recipes, suites
from dml_bench.engine import Say
from dml_bench.errors import BenchError, RunError
from dml_bench.methods import METHODS
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
) -> tuple[list[RunResult], list[Failure]]:
    """Make the runs of a suite that are missing.

    A run that cannot be made (its dataset is not there, say, or memory ends) does not stop the
    others, and is said once.

    Args:
        suite: as `suites.load` read it.
        over: recipe fields laid over every run's; an untrained method's fixed ones excepted.
        data_root: where the datasets are.
        results: the root of all results.
        device: "cpu" or "cuda".
        say: tells a person what happens.

    Returns:
        All the suite's results, stored before or made now, and what stopped the others.
    """
    made: list[RunResult] = []
    failed: list[Failure] = []
    loaded: dict[str, Dataset | BenchError] = {}
    keys: set[str] = set()  # what is laid over all may make two entries one
    entries = zip(suite.runs, suite.labels, suite.own, strict=True)
    for number, (said, label, own) in enumerate(entries, start=1):
        wanted = laid_over(said, over, own)
        title = f"{number}/{len(suite.runs)}: {label or wanted['method']}"
        try:
            dataset = _loaded(wanted["dataset"], data_root, loaded)
            recipe = recipes.resolve(wanted, dataset, device=device)
            if recipe.key not in keys:
                keys.add(recipe.key)
                result = bench.run(recipe, dataset, results, device=device, say=say, title=title)
                made.append(result)
        except Exception as error:
            failed.append(_failure(wanted, label, error))
            say(f"not run: {failed[-1].line}")
    return made, failed


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
    at = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())
    return Failure(
        f"{name}: {type(error).__name__}: {text} ({Path(at.filename).name}:{at.lineno})", 1
    )


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
