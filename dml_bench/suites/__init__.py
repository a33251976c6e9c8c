"""Suites: TOML files that say which runs belong together, and what they should reach."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dml_bench.errors import RecipeError
from dml_bench.registry import unknown
from dml_bench.types import Recipe

FOLDER = Path(__file__).parent
RECIPE_FIELDS = tuple(field.name for field in fields(Recipe))
TOP = ("title", "about", "include", "defaults", "run")
KINDS: dict[str, type] = {
    "title": str,
    "about": str,
    "include": list,
    "defaults": dict,
    "run": list,
    "options": dict,
    "expect": dict,
    "source": str,
    "label": str,
    "seeds": list,
}


@dataclass(frozen=True)
class Suite:
    """Runs that belong together.

    Args:
        name: of the file, without its ending.
        title: as in a heading.
        about: a sentence or two for a person.
        runs: what a user says of each run: fields of `Recipe`, at least dataset and method; the
            rest is for `recipes.resolve` to fill in.
        labels: a name for each run, empty where the file gives none.
        own: what each run's own table says, not the suite's `[defaults]`.
    """

    name: str
    title: str
    about: str
    runs: tuple[dict[str, Any], ...]
    labels: tuple[str, ...]
    own: tuple[frozenset[str], ...]


def names() -> list[str]:
    """Return the suites that come with the package.

    Example:
        >>> "quick" in names()
        True
    """
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str | Path) -> Suite:
    """Read a suite.

    Args:
        name: one of `names()`, or the path of a TOML file.

    Returns:
        the suite, its seeds and its included suites expanded.

    Raises:
        UnknownNameError: no suite of the package, nor the path of a file; the message lists the
            suites.
        RecipeError: there is no such file, or it is no TOML, or says something that means nothing.

    Example:
        >>> load("quick").runs[0]["method"]
        'pixels'
    """
    return _read(_path(name, FOLDER), ())


def _path(name: str | Path, beside: Path) -> Path:
    """Find a suite: beside the file that includes it, in the package, or at that path."""
    for path in (beside / f"{name}.toml", FOLDER / f"{name}.toml", Path(name)):
        if path.suffix == ".toml" and path.is_file():
            return path
    if Path(name).suffix == ".toml" or Path(name).name != str(name):
        raise RecipeError(
            f"suite {name}: expected a file that ends in .toml, found none; mend its path, or name"
            f" one of {', '.join(names())}"
        )
    raise unknown("suite", str(name), names())


def _read(path: Path, above: tuple[Path, ...]) -> Suite:
    if path.resolve() in above:
        raise RecipeError(f"{path.name}: includes itself; take it out of `include`")
    top = _toml(path)
    _check(path.name, top, TOP, "the file")
    within = (*above, path.resolve())
    parts = [_read(_path(str(name), path.parent), within) for name in top.get("include", [])]
    runs = [run for part in parts for run in part.runs]
    labels = [label for part in parts for label in part.labels]
    own = [names for part in parts for names in part.own]
    for number, table in enumerate(top.get("run", []), start=1):
        expanded = _expand(path.name, f"run {number}", top.get("defaults", {}), table)
        runs += expanded
        labels += [table.get("label", "")] * len(expanded)
        own += [frozenset(table)] * len(expanded)
    if not runs:
        raise RecipeError(f"{path.name}: expected a [[run]] or an `include`, found neither")
    title = top.get("title", path.stem)
    about = top.get("about", "")
    return Suite(path.stem, title, about, tuple(runs), tuple(labels), tuple(own))


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise RecipeError(f"{path.name}: expected a suite in TOML, found: {reason}") from error


def _expand(file: str, where: str, defaults: Any, table: Any) -> list[dict[str, Any]]:
    """Return one run a seed, the defaults filled in; `options` are merged, name by name."""
    _check(file, defaults, RECIPE_FIELDS, "[defaults]")
    _check(file, table, (*RECIPE_FIELDS, "label", "seeds"), where)
    run = {**defaults, **table}
    if options := {**defaults.get("options", {}), **table.get("options", {})}:
        run["options"] = options
    for needed in ("dataset", "method"):
        if not isinstance(run.get(needed), str):
            raise RecipeError(f"{file}, {where}: expected `{needed}` in quotes, found none")
    _check_expect(file, where, run.get("expect", {}))
    run.pop("label", None)
    seeds = run.pop("seeds", None)
    if seeds is None:
        return [run]
    if bad := [seed for seed in seeds if type(seed) is not int or seed < 0]:
        raise RecipeError(f"{file}, {where}: expected seeds of 0 or more, found {bad[0]!r}")
    if "seed" in table or not seeds or len(set(seeds)) != len(seeds):
        raise RecipeError(
            f"{file}, {where}: expected either `seed` or different `seeds`, found {seeds}"
        )
    return [{**run, "options": dict(options), "seed": seed} for seed in seeds]


def _check(file: str, table: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(table, Mapping):
        raise RecipeError(f"{file}, {where}: expected a table, found {table!r}")
    for name, value in table.items():
        if name not in known:
            raise RecipeError(f"{file}, {where}: unknown '{name}'; there is {', '.join(known)}")
        if name in KINDS and not isinstance(value, KINDS[name]):
            raise RecipeError(
                f"{file}, {where}: expected `{name}` to be {KINDS[name].__name__}, found {value!r}"
            )


def _check_expect(file: str, where: str, expect: Mapping[str, Any]) -> None:
    for name, value in expect.items():
        if type(value) not in (int, float) or not 0 <= value <= 1:
            raise RecipeError(
                f"{file}, {where}: expected `{name}` as a fraction in 0 to 1, found {value!r}"
            )
