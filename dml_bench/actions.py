"""What the commands do; `cli` says how they are called."""

import argparse

from rich.console import Console

from dml_bench import audit as inspection
from dml_bench import (
    bench,
    data,
    outcomes,
    page,
    recipes,
    records,
    report,
    runner,
    store,
    suites,
    typeset,
)
from dml_bench.atomic import to_json
from dml_bench.card import card
from dml_bench.compare import compare
from dml_bench.completion import code
from dml_bench.data import fetch as bring
from dml_bench.environment import device_of
from dml_bench.errors import RecipeError
from dml_bench.evaluations import evaluate
from dml_bench.explain import explain
from dml_bench.export import export
from dml_bench.listing import list_parts
from dml_bench.loggers import logger_of
from dml_bench.published import read_published
from dml_bench.rerun import rerun
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
    logger = logger_of(args.logger, args.results)
    stored = store.Run(args.results, recipe)
    there = stored.finished
    result = bench.run(
        *(recipe, dataset, args.results), device=device, say=say, anew=args.no_resume, logger=logger
    )
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
            suite,
            over,
            data_root=args.data_root,
            results=args.results,
            device=device,
            say=say,
            logger=logger_of(args.logger, args.results),
        )
        failures += failed
        say(f"\n{suite.title}")
        show_runs(made, ["table"], published=suite.name.startswith("paper"))
    everything = _finished(args)
    written = report.write(everything, args.results / "tables")
    say(f"tables: {args.results / 'tables'} ({len(written)} files)")
    say(f"page: {page.write(everything, args.results, data_root=args.data_root)[-1]}")
    if failures:
        n_runs = sum(len(suite.runs) for suite in asked)
        say(f"{len(failures)} of {n_runs} runs were not made; the lines 'not run:' above say why")
    return max((failure.status for failure in failures), default=0)


def report_tables(args: argparse.Namespace) -> int:
    """Write the tables, plots and page of all stored runs."""
    results = _finished(args)
    published = _published(args) if args.published or args.records else []
    if not results and not published:
        raise RecipeError(
            f"expected finished runs under {args.results}, found none; run: dml-bench run quick"
        )
    printed = read_published(args.published_table) if args.published_table else ()
    written = report.write(results, args.results / "tables", published, printed=printed)
    for path in [*written, *page.write(results, args.results, published, data_root=args.data_root)]:
        print(path)
    return 0


def _finished(args: argparse.Namespace) -> list[RunResult]:
    found = finished_runs(args.results, left_out)
    return [outcomes.with_intervals(result, args.results) for result in found]


def _published(args: argparse.Namespace) -> list[RunResult]:
    folder = args.records or records.home()
    found = read_records(folder, left_out)
    if not found:
        say(f"no published records in {folder}; name their folder with --records")
    return found


def completion(args: argparse.Namespace) -> int:
    """Print a shell's code."""
    print(code(args.shell))
    return 0


def publish(args: argparse.Namespace) -> int:
    """Copy the records of finished runs, and write the tables of all that is published."""
    for path in records.publish(args.results, args.runs, args.into):
        print(path)
    return 0


def audit(args: argparse.Namespace) -> int:
    """Say whether a file of embeddings is comparable with published numbers."""
    found = inspection.audit(args.file, near=args.near)
    title, verdict = f"audit of {found.file}", f"{found.verdict}: {found.because}"
    if args.format == "json":
        print(to_json(found.as_dict()).rstrip())
    elif args.format == "md":
        print(typeset.markdown(found.grid(), title, verdict).rstrip())
    else:
        typeset.show(found.grid(), Console(), title, verdict)
    return 0


__all__ = [
    "audit",
    "card",
    "compare",
    "completion",
    "evaluate",
    "explain",
    "export",
    "fetch",
    "list_parts",
    "publish",
    "report_tables",
    "rerun",
    "run",
    "train",
]
