"""What the commands share: what was said of recipes and formats, and how tables are shown."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dml_bench.errors import RecipeError
from dml_bench.registry import unknown
from dml_bench.text import visible
from dml_bench.types import RunResult

if TYPE_CHECKING:
    from dml_bench import report  # pandas is imported when a table is shown

FORMATS = ("table", "csv", "md", "json", "tex")


def said(args: argparse.Namespace, named: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the command line says of a recipe.

    Args:
        args: with `settings` and `seed`.
        named: what options of their own say (`--dataset`); None where they were not given.

    Raises:
        RecipeError: `--set` says it too.
    """
    from dml_bench import recipes

    fixed = {k: v for k, v in {**named, "seed": args.seed}.items() if v is not None}
    settings = recipes.parse(args.settings)
    if twice := [name for name in fixed if name in settings]:
        raise RecipeError(
            f"{twice[0]}: expected it said once, found --{twice[0]} {fixed[twice[0]]} and --set"
            f" {twice[0]}={settings[twice[0]]}; leave one out"
        )
    return recipes.merge(fixed, settings)


def formats(args: argparse.Namespace, usual: str) -> list[str]:
    """Return the formats that were asked for.

    Raises:
        UnknownNameError: one that is not known; the message lists what is.
        RecipeError: one that was asked for twice.
    """
    named = (usual if args.format is None else args.format).split(",")
    for name in named:
        if name not in FORMATS:
            raise unknown("format", name, FORMATS)
        if named.count(name) > 1:
            raise RecipeError(f"--format: expected each once, found {name} twice; leave one out")
    return named


def plain(frame: "report.Frame", form: str) -> str:
    """Return a table as text in a format."""
    from dml_bench import report

    writers = {"csv": report.to_csv, "tex": report.to_latex}
    return writers.get(form, report.to_markdown)(frame)


def show(frame: "report.Frame", form: str, heading: str) -> None:
    """Print a table in a format; "table" is for a person."""
    if form == "table":
        from rich.console import Console

        from dml_bench import report

        report.print_table(frame, Console(), heading)
    else:
        print(plain(frame, form))


def show_runs(
    results: Sequence[RunResult], forms: Sequence[str], *, published: bool = False
) -> None:
    """Print the tables of results, in each of the formats."""
    from dml_bench import report

    for form in forms:
        if form == "json":
            print(report.to_json_lines(results).rstrip())
            continue
        for heading, frame in report.tables(results, published=published).items():
            show(frame, form, heading)


def say(line: str) -> None:
    """Tell a person something that is no result."""
    for part in line.split("\n"):
        print(visible(part), file=sys.stderr, flush=True)


def left_out(line: str) -> None:
    """Tell a person what is not looked at, and why."""
    say(f"left out: {line}")
