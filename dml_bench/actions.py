"""What the commands do; `cli` says how they are called."""

import argparse
from collections.abc import Callable

from dml_bench import bench, data, recipes, records, report, runner, store, suites
from dml_bench.backbones import backbone_names
from dml_bench.data import fetch as bring
from dml_bench.environment import device_of
from dml_bench.errors import RecipeError
from dml_bench.evaluations import evaluate
from dml_bench.methods import METHODS
from dml_bench.metrics import metric_names
from dml_bench.results import finished_runs, read_records
from dml_bench.terminal import formats, left_out, said, say, show_runs
from dml_bench.types import RunResult


def fetch(args: argparse.Namespace) -> int:
    """Bring a dataset, or verify the one that is there."""
    act = bring.check if args.check else bring.fetch
    act(args.dataset, args.data_root, say=say)
    return 0


def train(args: argparse.Namespace) -> int:
    """Make one run and print its table."""
    forms = formats(args, "table")
    wanted = said(args, {"dataset": args.dataset, "method": args.method})
    dataset = data.load(args.dataset, args.data_root)
    device = device_of(args.device)
    recipe = recipes.resolve(wanted, dataset, device=device)
    stored = store.Run(args.results, recipe)
    there = stored.finished
    result = bench.run(recipe, dataset, args.results, device=device, say=say, anew=args.no_resume)
    say(f"{'stored already' if there else 'stored'}: {stored.folder}")
    show_runs([result], forms)
    return 0


def run(args: argparse.Namespace) -> int:
    """Make the missing runs of suites and print their tables."""
    device = device_of(args.device)
    over = said(args, {})
    asked = [suites.load(name) for name in args.suite]  # a mistyped name shows before any run
    failures: list[runner.Failure] = []
    for suite in asked:
        made, failed = runner.run_suite(
            suite, over, data_root=args.data_root, results=args.results, device=device, say=say
        )
        failures += failed
        say(f"\n{suite.title}")
        show_runs(made, ["table"], published=suite.name.startswith("paper"))
    everything = finished_runs(args.results, left_out)
    written = report.write(everything, args.results / "tables")
    say(f"tables: {args.results / 'tables'} ({len(written)} files)")
    if failures:
        n_runs = sum(len(suite.runs) for suite in asked)
        say(f"{len(failures)} of {n_runs} runs were not made; the lines 'not run:' above say why")
    return max((failure.status for failure in failures), default=0)


def report_tables(args: argparse.Namespace) -> int:
    """Write the tables of all stored runs."""
    results = finished_runs(args.results, left_out)
    published = _published(args) if args.published or args.records else []
    if not results and not published:
        raise RecipeError(
            f"expected finished runs under {args.results}, found none; run: dml-bench run quick"
        )
    for path in report.write(results, args.results / "tables", published):
        print(path)
    return 0


def _published(args: argparse.Namespace) -> list[RunResult]:
    folder = args.records or records.home()
    found = read_records(folder, left_out)
    if not found:
        say(f"no published records in {folder}; name their folder with --records")
    return found


def publish(args: argparse.Namespace) -> int:
    """Copy the records of finished runs, and write the tables of all that is published."""
    for path in records.publish(args.results, args.runs, args.into):
        print(path)
    return 0


def list_parts(args: argparse.Namespace) -> int:
    """Print what there is of one kind, a line each."""
    if args.kind == "datasets" and not args.data_root.is_dir():
        say(f"no data root {args.data_root}: fetch makes it; --data-root names another")
    listings: dict[str, Callable[[], list[str]]] = {
        "datasets": lambda: [
            f"{name:16} {state}" for name, state in data.available(args.data_root).items()
        ],
        "methods": lambda: [_about(name) for name in METHODS],
        "backbones": backbone_names,
        "metrics": lambda: list(metric_names),
        "suites": lambda: [f"{name:16} {suites.load(name).title}" for name in suites.names()],
        "runs": lambda: [
            f"{r.recipe.key}  {r.finished}" for r in finished_runs(args.results, left_out)
        ],
    }
    for line in listings[args.kind]():
        print(line)
    return 0


def _about(method: str) -> str:
    """Return a method's name, what it is given, and the first line of what it says of itself."""
    module = METHODS[method]
    return f"{method:16} {module.Method.supervision:12} {module.__doc__.splitlines()[0]}"


__all__ = [
    "evaluate",
    "fetch",
    "list_parts",
    "publish",
    "report_tables",
    "run",
    "train",
]
