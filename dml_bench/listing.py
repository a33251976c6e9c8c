"""`list`: what there is of a kind, and what of it is present on this machine.

Each kind imports what it asks when it is asked: a list of suites needs no torch.
"""

import argparse
import inspect
import re
import sys
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from dml_bench import overview, typeset
from dml_bench.atomic import to_json
from dml_bench.errors import BenchError
from dml_bench.registry import unknown
from dml_bench.results import finished_runs
from dml_bench.suites import Suite
from dml_bench.terminal import left_out, say
from dml_bench.text import visible
from dml_bench.types import Dataset, Recipe

Line = Mapping[str, Any]
FORMATS = ("table", "tsv", "json")
NOTES = {"methods": "dml-bench list methods --format json: sources in full, options with defaults"}
"""What is said below a table for a person."""


def list_parts(args: argparse.Namespace) -> int:
    """Print what there is of one kind: a table for a person, a line each for a pipe."""
    form = args.format or ("table" if sys.stdout.isatty() else "tsv")
    if form not in FORMATS:
        raise unknown("format", form, FORMATS)
    if args.kind == "datasets" and not args.data_root.is_dir():
        say(f"no data root {args.data_root}: fetch makes it; --data-root names another")
    lines = lines_of(args.kind, args.data_root, args.results)
    if form == "json":
        print(to_json(lines).rstrip())
    elif form == "table":
        typeset.show(overview.grid(lines), Console(), args.kind, NOTES.get(args.kind, ""))
    else:
        for line in lines:
            print("\t".join(visible(overview.text(value)) for value in line.values()))
    return 0


def lines_of(kind: str, root: Path, results: Path) -> list[Line]:
    """Return what there is of a kind, a line each, all with the same names.

    Args:
        kind: "datasets", "methods", "backbones", "metrics", "suites" or "runs".
        root: the data root.
        results: the root of all results.

    Example:
        >>> [line["name"] for line in lines_of("metrics", Path("datasets"), Path("results"))][:2]
        ['recall@k', 'r_precision']
    """
    makers: Mapping[str, Callable[[], list[Line]]] = {
        "datasets": lambda: _datasets(root),
        "methods": _methods,
        "backbones": _backbones,
        "metrics": _metrics,
        "suites": lambda: _suites(root, results),
        "runs": lambda: _runs(results),
    }
    return makers[kind]()


def _datasets(root: Path) -> list[Line]:
    from dml_bench import data

    return [_dataset(name, state, root) for name, state in data.available(root).items()]


def _dataset(name: str, state: str, root: Path) -> Line:
    """Say what a dataset is; counts only of what can be read here."""
    from dml_bench import data

    found: Dataset | None = None
    if state == "present":
        try:
            found = data.load(name, root)
        except BenchError as error:
            state = f"present, not readable: {error}"
    counts = {
        f"{split}_{what}": len(getattr(found, side) if what == "images" else _classes(found, side))
        if found
        else None
        for split, side in (("train", "train"), ("test", "query"))
        for what in ("images", "classes")
    }
    origin = data.DATASETS[name].ORIGIN if name in data.DATASETS else found
    return {
        "name": name,
        "state": state,
        "protocol": found.protocol if found else "",
        **counts,
        "licence": origin.licence if origin else "",
    }


def _classes(dataset: Dataset, side: str) -> Any:
    return getattr(dataset, side).classes


def _methods() -> list[Line]:
    from dml_bench.methods import METHODS

    return [_method(name, METHODS[name]) for name in METHODS]


def _method(name: str, module: Any) -> Line:
    from dml_bench.methods.base import options

    text = inspect.cleandoc(module.__doc__)
    source = re.search(r"^Source:\s*(.*?)(?:\n\s*\n|\nDiffers|\Z)", text, re.DOTALL | re.MULTILINE)
    return {
        "name": name,
        "supervision": module.Method.supervision,
        "about": text.splitlines()[0],
        "source": " ".join(source[1].split()) if source else "",
        "options": " ".join(f"{k}={v}" for k, v in options(module.Method, {}).items()),
    }


def _backbones() -> list[Line]:
    from dml_bench.backbones import backbone_names
    from dml_bench.presence import weights_of

    return [{"name": name, "weights": weights_of(name)} for name in backbone_names()]


def _metrics() -> list[Line]:
    from dml_bench.metric_table import METRICS

    return [{"name": m.name, "of": m.needs, "meaning": m.meaning} for m in METRICS.values()]


def _suites(root: Path, results: Path) -> list[Line]:
    from dml_bench import suites

    made = [result.recipe for result in finished_runs(results, left_out)]
    known: dict[str, Dataset | None] = {}
    return [_suite(suites.load(name), root, made, known) for name in suites.names()]


def _suite(suite: Suite, root: Path, made: list[Recipe], known: dict[str, Dataset | None]) -> Line:
    """Count the runs of a suite that are finished here, as it would make them here."""
    like = {(Path(recipe.dataset).name, recipe.method) for recipe in made}
    keys = {_key(said, root, known) for said in _asked(suite, like)} & {
        recipe.key for recipe in made
    }
    missing = {said["dataset"] for said in suite.runs if _is_absent(said["dataset"], root, known)}
    return {
        "name": suite.name,
        "title": suite.title,
        "runs": len(suite.runs),
        "finished": len(keys),
        "missing": " ".join(sorted(missing)),
    }


def _asked(suite: Suite, like: Container[tuple[str, str]]) -> list[Mapping[str, Any]]:
    """Return the runs, as `run` lays them out, of datasets and methods that there are runs of."""

    def is_like(said: Mapping[str, Any]) -> bool:
        return (said["dataset"], said["method"]) in like

    if not any(map(is_like, suite.runs)):
        return []
    from dml_bench.entries import entries  # torch, when it is used

    return list(filter(is_like, (entry.wanted for entry in entries(suite, {}))))


def _is_absent(name: str, root: Path, known: dict[str, Dataset | None]) -> bool:
    from dml_bench import data

    return known[name] is None if name in known else data.state(name, root) != "present"


def _key(said: Mapping[str, Any], root: Path, known: dict[str, Dataset | None]) -> str:
    """Return the key of a run as it would be made here; empty if it cannot be."""
    from dml_bench import data, recipes
    from dml_bench.environment import device_of

    try:
        name = said["dataset"]
        if name not in known:
            known[name] = None
            known[name] = data.load(name, root)
        found = known[name]
        return recipes.resolve(said, found, device=device_of("auto")).key if found else ""
    except BenchError:
        return ""


def _runs(results: Path) -> list[Line]:
    found = sorted(finished_runs(results, left_out), key=lambda result: result.finished)
    return [
        {
            "key": result.recipe.key,
            "dataset": Path(result.recipe.dataset).name,
            "metric": next(iter(result.metrics), ""),
            "value": next(iter(result.metrics.values()), None),
            "epochs": result.recipe.epochs,
            "finished": result.finished,
        }
        for result in found
    ]
