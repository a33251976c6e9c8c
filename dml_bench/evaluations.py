"""`evaluate`: scores what is there already: stored runs, a checkpoint, anybody's embeddings."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dml_bench import (
    bench,
    checkpoint,
    checkpoint_scores,
    data,
    dist,
    endings,
    outcomes,
    provenance,
    recipes,
    report,
    scoring,
    store,
)
from dml_bench.data.share import as_trained
from dml_bench.entries import laid_over
from dml_bench.environment import device_of
from dml_bench.errors import BenchError, RecipeError, StoreError
from dml_bench.file_scores import evaluate_file, with_recalls
from dml_bench.memory import size_of
from dml_bench.methods import METHODS
from dml_bench.methods.base import options
from dml_bench.metric_table import metric
from dml_bench.metrics import CONVENTIONS
from dml_bench.plugins import verify
from dml_bench.results import finished_runs
from dml_bench.terminal import formats, left_out, said, say, show_runs
from dml_bench.types import Dataset, Recipe, RunResult


def evaluate(args: argparse.Namespace) -> int:
    """Score a file of embeddings, a checkpoint, or every stored run of a dataset.

    Several processes share the work, and the leader tells of it.
    """
    for name in with_recalls(args.metrics or (), args):
        metric(name)  # a mistyped name shows before any work
    _one_source(args)
    args.memory = None if args.memory is None else size_of(args.memory)
    if args.embeddings:
        return evaluate_file(args)
    forms = formats(args, "table")
    results = _of_checkpoint(args) if args.checkpoint else _of_dataset(args)
    dist.first(lambda: _tell(results, args, forms))
    return 0


def _tell(results: Sequence[RunResult], args: argparse.Namespace, forms: Sequence[str]) -> None:
    """Print the tables of results, and write them under the results."""
    show_runs(results, forms)
    name = Path(results[0].recipe.dataset).name
    report.write(results, args.results / "evaluations" / name, published=False)
    say(f"written: {args.results / 'evaluations' / name}")


def _one_source(args: argparse.Namespace) -> None:
    """Refuse no source, or two that contradict; a checkpoint may be asked on another dataset."""
    named = [n for n in ("dataset", "checkpoint", "embeddings") if getattr(args, n) is not None]
    if not named:
        raise RecipeError(
            "evaluate: expected --dataset, --checkpoint or --embeddings, found none; give one"
        )
    if "embeddings" in named and len(named) > 1:
        raise RecipeError(f"--embeddings: expected no --{named[0]}, found one; leave it out")
    only = {
        "--protocol": (args.protocol, "a dataset says its own"),
        "--index ivf": (args.index == "ivf", "tables of runs are exact"),
    }
    for option, (said_so, why) in only.items():
        if said_so and "embeddings" not in named:
            raise RecipeError(
                f"{option}: expected it with --embeddings only ({why}), found it"
                f" with --{named[0]}; leave it out"
            )


def _of_dataset(args: argparse.Namespace) -> list[RunResult]:
    """Return a dataset's runs with the metrics asked for; an untrained one if there is none."""
    wanted = said(args, {"dataset": args.dataset})
    stored = [
        result
        for result in dist.first(lambda: finished_runs(args.results, left_out))
        if result.recipe.dataset == args.dataset
    ]
    dataset = _loaded(args, stored)
    if dataset:
        _check(wanted, dataset)
        stored = [result for result in stored if _of_these_images(result, dataset)]
    found = [result for result in stored if _is(result.recipe, wanted)]
    return _all_rescored(found or [_untrained(args, wanted)], args)


def _loaded(args: argparse.Namespace, stored: Sequence[RunResult]) -> Dataset | None:
    """Return the dataset; None where it is not there, but runs of it are."""
    try:
        return data.load(args.dataset, args.data_root)
    except BenchError as error:
        if not stored:
            raise
        marks = ", ".join(sorted({result.fingerprint for result in stored}))
        say(f"{args.dataset} is not there ({error}): protocol {marks} as the stored runs say")
        return None


def _of_these_images(result: RunResult, dataset: Dataset) -> bool:
    """Return whether a run saw the images that are there now; say it where it did not."""
    trained, _ = as_trained(dataset, result.recipe)
    now = provenance.marks(trained, result.supervision)
    changed = provenance.difference(provenance.marks_of(result), now)
    if changed:
        left_out(f"{result.recipe.key}: {changed}")
    return not changed


def _check(wanted: Mapping[str, Any], dataset: Dataset) -> None:
    """Refuse settings that no recipe of the dataset can have.

    Raises:
        UnknownNameError, RecipeError: what the likeliest method says of them.
    """
    names = [wanted["method"]] if "method" in wanted else ["invaspread", *METHODS]
    problems = [problem for name in names if (problem := _problem(wanted, dataset, name))]
    if len(problems) == len(names):
        raise problems[0]


def _problem(wanted: Mapping[str, Any], dataset: Dataset, method: str) -> BenchError | None:
    try:
        options(METHODS[method].Method, wanted.get("options", {}))
        recipes.resolve({**wanted, "method": method}, dataset)
    except BenchError as error:
        return error
    return None


def _is(recipe: Recipe, wanted: Mapping[str, Any]) -> bool:
    """Return whether a recipe has all the values that were said."""
    values = recipe.as_dict()
    asked = {**wanted.get("options", {})}
    fields = {name: value for name, value in wanted.items() if name != "options"}
    return all(k in values["options"] and values["options"][k] == v for k, v in asked.items()) and (
        all(values[k] == (list(v) if isinstance(v, tuple) else v) for k, v in fields.items())
    )


def _untrained(args: argparse.Namespace, wanted: Mapping[str, Any]) -> RunResult:
    """Return the untrained network of a dataset, and say how to train it."""
    dataset = data.load(args.dataset, args.data_root)
    say(
        f"no finished run of {args.dataset} like this: scoring the untrained network; to train:"
        f" dml-bench train --dataset {args.dataset} --method invaspread"
    )
    device = device_of(args.device)
    fields = {name: value for name, value in wanted.items() if name not in ("method", "options")}
    whole = recipes.resolve({**fields, "method": "invaspread"}, dataset, device=device)
    method = "random" if whole.weights == "none" else "init"
    recipe = recipes.resolve(laid_over({"method": method}, fields), dataset, device=device)
    return bench.run(recipe, dataset, args.results, device=device, say=say)


def _all_rescored(results: Sequence[RunResult], args: argparse.Namespace) -> list[RunResult]:
    """Return stored runs with the metrics asked for; one with torn vectors is named and left out.

    Raises:
        StoreError: the vectors of all of them are torn.
    """
    whole, torn = [], []
    for result in results:
        try:
            whole.append(_rescored(result, args))
        except StoreError as error:
            if not endings.together():  # the others go on, and would wait for this process
                raise
            torn.append(error)
    if not whole:
        raise torn[0]
    for problem in torn:
        left_out(str(problem))
    return whole


def _rescored(result: RunResult, args: argparse.Namespace) -> RunResult:
    """Return a stored run with the metrics asked for, computed from its embeddings."""
    query, gallery = store.Run(args.results, result.recipe).load_embeddings()
    names = args.metrics or list(result.metrics)
    if args.k and not args.metrics:
        names = [name for name in names if not name.startswith("recall@")]
    asked = with_recalls(names, args)
    device = device_of(args.device)
    metrics, _, each = scoring.answered(query, gallery, asked, device, memory=args.memory)
    sure = outcomes.intervals(each, query.labels)
    return replace(result, metrics=metrics, intervals=sure, conventions=CONVENTIONS)


def _of_checkpoint(args: argparse.Namespace) -> list[RunResult]:
    """Return a run's result as its checkpoint gives it on a dataset."""
    recipe = _asked_of(checkpoint.read_recipe(args.checkpoint), args)
    dataset = data.load(recipe.dataset, args.data_root)
    device = device_of(args.device)
    names = args.metrics or scoring.default_metrics(dataset.protocol, args.k or dataset.recall_at)
    asked = with_recalls(names, args)
    return [
        checkpoint_scores.score(
            *(args.checkpoint, recipe, dataset, args.results, asked),
            device=device,
            memory=args.memory,
        )
    ]


def _asked_of(recipe: Recipe, args: argparse.Namespace) -> Recipe:
    """Return a checkpoint's recipe for the dataset that is asked.

    A user's own code runs only where the user names it: a checkpoint may come from anybody.
    """
    wanted = said(args, {"dataset": args.dataset})
    own = [n for n in ("backbone", "method") if getattr(recipe, f"{n}_digest")]
    if others := sorted(set(wanted) - {"dataset", *own}):
        raise RecipeError(
            f"--checkpoint: expected no setting but dataset, found {others}; the checkpoint's"
            " recipe says the rest"
        )
    for name in own:
        if name not in wanted:
            raise RecipeError(
                f"--checkpoint: expected your word for running code, {getattr(recipe, name)},"
                f" found none; add --set {name}={getattr(recipe, name)}"
            )
        verify(wanted[name], getattr(recipe, f"{name}_digest"))
    return replace(recipe, **wanted)
