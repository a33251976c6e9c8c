"""Results read back, checked: of one run, or of all that a folder holds."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dml_bench.errors import BenchError, RunError, StoreError
from dml_bench.types import Recipe, RunResult

Say = Callable[[str], None]
ELSEWHERE = "elsewhere"
"""Where in a folder of records those of its recipes lie that another processor made, too."""
KINDS: dict[str, type] = {
    "recipe": dict,
    "metrics": dict,
    "curve": list,
    "counts": dict,
    "fingerprint": str,
    "supervision": str,
    "seconds": dict,
    "environment": dict,
    "finished": str,
    "training": str,
    "conventions": str,
    "start": str,
    "end": str,
    "intervals": dict,
    "spread": dict,
    "files": str,
    "ties": dict,
}
LATER = {
    "training": "",
    "conventions": "1",
    "start": "",
    "end": "",
    "intervals": {},
    "spread": {},
    "files": "",
    "ties": {},
}
"""Fields younger than the first published records, and what goes without saying there."""


def read_result(path: Path) -> RunResult:
    """Read and check a `result.json`.

    Args:
        path: the file; its folder is named by the recipe's key.

    Raises:
        StoreError: the file is missing, torn or incomplete, or its recipe is not the folder's.
    """
    name = f"{path.parent.name}/{path.name}"
    try:
        values = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
        result = _result(values)
        key = result.recipe.key
    except OSError as error:
        raise StoreError(
            f"{name}: expected a result, found: {error.strerror}; run the recipe first"
        ) from error
    except (ValueError, TypeError, AttributeError, RecursionError, BenchError, RunError) as error:
        reason = " ".join(str(error).split())
        raise StoreError(
            f"{name}: expected a whole result, found: {reason}; delete the folder and run it again"
        ) from error
    if key != path.parent.name:
        raise StoreError(
            f"{name}: expected the recipe of its folder, found that of {key};"
            " rename the folder, or delete it and run it again"
        )
    return result


def _warn(line: str) -> None:
    sys.stderr.write(f"left out: {line}\n")


def finished_runs(results: Path, say: Say = _warn) -> list[RunResult]:
    """Return the results of the whole runs made here, sorted by key; `say` names torn ones."""
    return read_records(Path(results) / "runs", say)


def read_records(folder: Path, say: Say | None = None) -> list[RunResult]:
    """Return the records that a folder holds, one folder each, sorted by key.

    Args:
        folder: of folders.
        say: is told of each record that is torn, which is then left out.

    Raises:
        StoreError: a record is torn, and there is nobody to tell.
    """
    found = []
    for path in sorted(folder.glob("*/result.json")):
        try:
            found.append(read_result(path))
        except StoreError as error:
            if say is None:
                raise
            say(str(error))
    return found


def _result(values: Any) -> RunResult:
    """Make a result of what `finish` wrote; any kind of value that it never wrote is refused."""
    values = {**LATER, **values} if isinstance(values, dict) else values
    for name, kind in KINDS.items():
        if not isinstance(values, dict) or not isinstance(values.get(name), kind):
            raise ValueError(f"no {kind.__name__} '{name}'")
    parts = ("metrics", "seconds", "spread")
    numbers = {f"{part} {k}": v for part in parts for k, v in values[part].items()}
    for name, value in numbers.items():
        if type(value) not in (int, float):
            raise ValueError(f"{name} is {value!r}, no number")
    for name, ends in values["intervals"].items():
        if not (isinstance(ends, list) and [type(end) for end in ends] == [float, float]):
            raise ValueError(f"the interval of {name} is {ends!r}, no two numbers")
    for name, shares in values["ties"].items():
        if not (isinstance(shares, dict) and {type(v) for v in shares.values()} <= {int, float}):
            raise ValueError(f"the ties of {name} are {shares!r}, no shares by name")
    recipe = Recipe.from_dict(values["recipe"])
    return RunResult(**{**{name: values[name] for name in KINDS}, "recipe": recipe})


def _no_constant(text: str) -> float:
    raise ValueError(f"a number that is not finite: {text}")
