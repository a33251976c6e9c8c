"""What the commands do; `cli` says how they are called."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from dml_bench import bench, checkpoint, data, recipes, records, report, scoring, store, suites
from dml_bench.atomic import atomic_write, to_json
from dml_bench.backbones import backbone_names
from dml_bench.data import fetch as bring
from dml_bench.errors import BenchError, RecipeError
from dml_bench.files import load_embeddings
from dml_bench.methods import METHODS
from dml_bench.metrics import metric, metric_names
from dml_bench.registry import unknown
from dml_bench.types import Recipe, RunResult

FORMATS = ("table", "csv", "md", "json", "tex")


def fetch(args: argparse.Namespace) -> int:
    """Bring a dataset, or verify the one that is there."""
    act = bring.check if args.check else bring.fetch
    act(args.dataset, args.data_root, say=_say)
    return 0


def train(args: argparse.Namespace) -> int:
    """Make one run and print its table."""
    formats = _formats(args, "table")
    said = _said(args, {"dataset": args.dataset, "method": args.method})
    dataset = data.load(said["dataset"], args.data_root)
    device = bench.device_of(args.device)
    recipe = recipes.resolve(said, dataset, device=device)
    stored = store.Run(args.results, recipe)
    if args.no_resume:
        checkpoint.drop_state(stored.folder)
    there = stored.finished
    result = bench.run(recipe, dataset, args.results, device=device, say=_say)
    _say(f"{'stored already' if there else 'stored'}: {stored.folder}")
    _show([result], formats)
    return 0


def run(args: argparse.Namespace) -> int:
    """Make the missing runs of suites and print their tables."""
    device = bench.device_of(args.device)
    asked = [suites.load(name) for name in args.suite]  # a mistyped name shows before any run
    failures: list[bench.Failure] = []
    for suite in asked:
        made, failed = bench.run_suite(
            suite,
            _said(args, {}),
            data_root=args.data_root,
            results=args.results,
            device=device,
            say=_say,
        )
        failures += failed
        _say(f"\n{suite.title}")
        _show(made, ["table"], published=suite.name.startswith("paper"))
    written = report.write(store.finished_runs(args.results), args.results / "tables")
    _say(f"tables: {args.results / 'tables'} ({len(written)} files)")
    for failure in failures:
        print(f"not run: {failure.line}", file=sys.stderr)
    return max((failure.status for failure in failures), default=0)


def report_tables(args: argparse.Namespace) -> int:
    """Write the tables of all stored runs."""
    results = store.finished_runs(args.results)
    published = store.published_runs(args.results) if args.published else []
    if not results and not published:
        raise RecipeError(
            f"expected finished runs under {args.results}, found none; run: dml-bench run quick"
        )
    for path in report.write(results, args.results / "tables", published):
        print(path)
    return 0


def publish(args: argparse.Namespace) -> int:
    """Copy the records of finished runs, and write the tables of all that is published."""
    for path in records.publish(args.results, args.runs, args.into):
        print(path)
    return 0


def evaluate(args: argparse.Namespace) -> int:
    """Score a file of embeddings, a checkpoint, or every stored run of a dataset."""
    for name in _with_recalls(args.metrics or (), args):
        metric(name)  # a mistyped name shows before any work
    if args.embeddings:
        return _evaluate_file(args)
    formats = _formats(args, "table")
    results = _of_checkpoint(args) if args.checkpoint else _of_dataset(args)
    _show(results, formats)
    name = Path(results[0].recipe.dataset).name
    report.write(results, args.results / "evaluations" / name, published=False)
    _say(f"written: {args.results / 'evaluations' / name}")
    return 0


def _evaluate_file(args: argparse.Namespace) -> int:
    if args.settings or args.seed is not None:
        raise RecipeError("--embeddings: expected no --set and no --seed, found one; leave it out")
    formats = _formats(args, "json")
    query, gallery = load_embeddings(args.embeddings)
    alone = query is gallery
    names = args.metrics or scoring.default_metrics(
        "unseen" if alone else "seen", args.k or (1, 2, 4, 8)
    )
    found = scoring.report(query, gallery, _with_recalls(names, args))
    frame = report.one_line({"method": args.embeddings.name, **found["metrics"]})
    for form in formats:
        print(to_json(found).rstrip() if form == "json" else _plain(frame, form))
    stem = args.results / "evaluations" / args.embeddings.stem
    stem.parent.mkdir(parents=True, exist_ok=True)
    for ending, text in (
        ("json", to_json(found)),
        ("csv", _plain(frame, "csv")),
        ("md", _plain(frame, "md")),
    ):
        atomic_write(stem.with_name(f"{stem.name}.{ending}"), text)
    return 0


def _plain(frame: report.Frame, form: str) -> str:
    writers = {"csv": report.to_csv, "tex": report.to_latex}
    return writers.get(form, report.to_markdown)(frame)


def _of_dataset(args: argparse.Namespace) -> list[RunResult]:
    """Return a dataset's runs with the metrics asked for; an untrained one if there is none."""
    dataset = data.load(args.dataset, args.data_root)
    said = _said(args, {})
    found = [
        result
        for result in store.finished_runs(args.results)
        if result.recipe.dataset == args.dataset
        and result.fingerprint == dataset.fingerprint
        and _is(result.recipe, said)
    ]
    found = found or [_untrained(args, said)]
    return [_rescored(result, args) for result in found]


def _is(recipe: Recipe, said: dict[str, Any]) -> bool:
    """Return whether a recipe has all the values that were said."""
    values = recipe.as_dict()
    options = {**values.pop("options"), "": None}
    wanted = dict(said)
    return all(options.get(k) == v for k, v in wanted.pop("options", {}).items()) and all(
        values[k] == v for k, v in wanted.items()
    )


def _untrained(args: argparse.Namespace, said: dict[str, Any]) -> RunResult:
    """Return the untrained network of a dataset, and say how to train it."""
    _say(
        f"no finished run of {args.dataset} like this: scoring the untrained network; to train:"
        f" dml-bench train --dataset {args.dataset} --method invaspread"
    )
    dataset = data.load(args.dataset, args.data_root)
    device = bench.device_of(args.device)
    whole = recipes.resolve(
        {**said, "dataset": args.dataset, "method": "invaspread"}, dataset, device=device
    )
    method = "random" if whole.weights == "none" else "init"
    fixed = METHODS[method].Method.defaults  # no epochs and no augmentation, whatever was said
    kept = {name: value for name, value in said.items() if name not in fixed}
    recipe = recipes.resolve(
        {**kept, "dataset": args.dataset, "method": method}, dataset, device=device
    )
    return bench.run(recipe, dataset, args.results, device=device, say=_say)


def _rescored(result: RunResult, args: argparse.Namespace) -> RunResult:
    """Return a stored run with the metrics asked for, computed from its embeddings."""
    query, gallery = store.Run(args.results, result.recipe).load_embeddings()
    names = args.metrics or list(result.metrics)
    if args.k and not args.metrics:
        names = [name for name in names if not name.startswith("recall@")]
    metrics, _ = scoring.evaluate(query, gallery, _with_recalls(names, args))
    return replace(result, metrics=metrics)


def _with_recalls(names: Sequence[str], args: argparse.Namespace) -> list[str]:
    """Put Recall@K for each K asked for before the other names."""
    asked = [f"recall@{k}" for k in args.k or ()]
    return [*asked, *(name for name in names if name not in asked)]


def _of_checkpoint(args: argparse.Namespace) -> list[RunResult]:
    """Return a run's result as its checkpoint gives it on a dataset."""
    said = _said(args, {})
    recipe = replace(checkpoint.read_recipe(args.checkpoint), **_only_dataset(said))
    dataset = data.load(recipe.dataset, args.data_root)
    device = bench.device_of(args.device)
    names = args.metrics or [
        *scoring.default_metrics(dataset.protocol, args.k or dataset.recall_at)
    ]
    return [
        bench.score_checkpoint(
            args.checkpoint,
            recipe,
            dataset,
            args.results,
            _with_recalls(names, args),
            device=device,
        )
    ]


def _only_dataset(said: dict[str, Any]) -> dict[str, Any]:
    if set(said) - {"dataset"}:
        raise RecipeError(
            "--checkpoint: expected no setting but dataset, found"
            f" {sorted(set(said) - {'dataset'})}; the checkpoint's recipe says the rest"
        )
    return said


def list_parts(args: argparse.Namespace) -> int:
    """Print what there is of one kind, a line each."""
    listings: dict[str, Callable[[], list[str]]] = {
        "datasets": lambda: [
            f"{name:16} {state}" for name, state in data.available(args.data_root).items()
        ],
        "methods": lambda: [_about(name) for name in METHODS],
        "backbones": backbone_names,
        "metrics": lambda: list(metric_names),
        "suites": lambda: [f"{name:16} {suites.load(name).title}" for name in suites.names()],
        "runs": lambda: [
            f"{r.recipe.key}  {r.finished}" for r in store.finished_runs(args.results)
        ],
    }
    for line in listings[args.kind]():
        print(line)
    return 0


def _about(method: str) -> str:
    """Return a method's name, what it is given, and the first line of what it says of itself."""
    module = METHODS[method]
    return f"{method:16} {module.Method.supervision:12} {module.__doc__.splitlines()[0]}"


def _said(args: argparse.Namespace, fixed: dict[str, Any]) -> dict[str, Any]:
    """Return what the command line says of a recipe."""
    said = recipes.merge(fixed, recipes.parse(args.settings))
    return said if args.seed is None else {**said, "seed": args.seed}


def _formats(args: argparse.Namespace, usual: str) -> list[str]:
    named = (args.format or usual).split(",")
    for name in named:
        if name not in FORMATS:
            raise unknown("format", name, FORMATS)
    return named


def _show(results: Sequence[RunResult], formats: Sequence[str], *, published: bool = False) -> None:
    """Print the tables of results, in each of the formats."""
    for form in formats:
        if form == "json":
            print(report.to_json_lines(results).rstrip())
            continue
        for heading, frame in report.tables(results, published=published).items():
            if form == "table":
                report.print_table(frame, Console(), heading)
            else:
                print(_plain(frame, form))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


__all__ = [
    "BenchError",
    "evaluate",
    "fetch",
    "list_parts",
    "publish",
    "report_tables",
    "run",
    "train",
]
