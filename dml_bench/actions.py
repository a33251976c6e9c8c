"""What the commands do that have no file of their own; `cli` says how they are called."""

import argparse
from pathlib import Path

from rich.console import Console

from dml_bench import audit as inspection
from dml_bench import bench, data, outcomes, recipes, records, report, store, typeset
from dml_bench.atomic import to_json
from dml_bench.data import fetch as bring
from dml_bench.environment import device_of
from dml_bench.errors import RecipeError, StoreError
from dml_bench.ledger import account
from dml_bench.loggers import logger_of
from dml_bench.published import read_published
from dml_bench.results import ELSEWHERE, finished_runs, read_records
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


def write_all(args: argparse.Namespace) -> None:
    """Write the tables and the page of all finished runs."""
    from dml_bench.pages import page

    everything = _finished(args)
    written = report.write(everything, args.results / "tables")
    say(f"tables: {args.results / 'tables'} ({len(written)} files)")
    say(f"page: {page.write(everything, args.results, data_root=args.data_root)[-1]}")


def report_tables(args: argparse.Namespace) -> int:
    """Write the tables, plots and page of all stored runs."""
    from dml_bench.pages import page

    results = _finished(args)
    published = _published(args) if args.published or args.records else []
    if not results and not published:
        raise RecipeError(
            f"expected finished runs under {args.results}, found none; run: dml-bench run quick"
        )
    printed = read_published(args.published_table) if args.published_table else ()
    written = report.write(results, args.results / "tables", published, printed=printed)
    drawn = page.write(
        results,
        args.results,
        published,
        twins=read_records(_records(args) / ELSEWHERE, left_out) if published else (),
        data_root=args.data_root,
        printed=printed,
    )
    for path in [*written, *drawn]:
        print(path)
    return 0


def _finished(args: argparse.Namespace) -> list[RunResult]:
    found = finished_runs(args.results, left_out)
    return [outcomes.with_intervals(result, args.results) for result in found]


def _records(args: argparse.Namespace) -> Path:
    return args.records or records.home()


def _published(args: argparse.Namespace) -> list[RunResult]:
    folder = _records(args)
    found = read_records(folder, left_out)
    if not found and args.records:
        raise _no_records(folder)
    if not found:
        say(f"no published records in {folder}; name their folder with --records")
    return found


def _no_records(folder: Path) -> StoreError:
    return StoreError(
        f"--records {folder}: expected published records, found none; name their folder"
    )


def publish(args: argparse.Namespace) -> int:
    """Copy the records of finished runs, and write the tables of all that is published."""
    for path in records.publish(args.results, args.runs, args.into, elsewhere=args.elsewhere):
        print(path)
    if (args.into.parent / account.NAME).exists():  # it says what is published: no less, no more
        _tell(args.into)
    return 0


def ledger(args: argparse.Namespace) -> int:
    """Write what the published records decide: the ledger, its plots, their page."""
    folder = _records(args)
    if not any(folder.glob("*/result.json")):
        raise _no_records(folder)
    _tell(folder)
    return 0


def _tell(folder: Path) -> None:
    """Write all that is said of a folder of records, and name the files."""
    from dml_bench.pages import page

    found, twins = read_records(folder), read_records(folder / ELSEWHERE)
    told = account.write(found, folder, twins)
    for path in [*told, *page.write_records(found, folder, twins)]:
        print(path)


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
