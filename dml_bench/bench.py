"""One recipe -> one result; a suite -> the runs that are missing. The function to read first."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dml_bench import checkpoint, data, models, recipes, scoring, suites
from dml_bench.data.batches import Batches
from dml_bench.data.pack import Pixels, pack
from dml_bench.embed import embed
from dml_bench.engine import Say, Training
from dml_bench.environment import environment
from dml_bench.errors import BenchError, RecipeError, RunError
from dml_bench.methods import METHODS
from dml_bench.methods.base import BaseMethod, make
from dml_bench.models import Model
from dml_bench.store import Run, read_result
from dml_bench.types import Dataset, Embeddings, Ints, Ranking, Recipe, RunResult, Split


def run(
    recipe: Recipe, dataset: Dataset, results: Path, *, device: str = "cpu", say: Say = print
) -> RunResult:
    """Train, embed, rank and store what one recipe says, or return what is stored already.

    A run that was stopped goes on where it was, and ends in the same numbers.

    Args:
        recipe: as `recipes.resolve` made it.
        dataset: the one that it names.
        results: the root of all results.
        device: "cpu" or "cuda".
        say: tells a person what happens.

    Returns:
        The result, stored under `results`/runs/<key>/.

    Raises:
        StoreError: the folder cannot be written, or another process is at work on it.
        RunError: the loss or a metric is not finite.
    """
    stored = Run(results, recipe)
    if stored.finished:
        return read_result(stored.folder / "result.json")
    say(f"run {recipe.key}")
    with stored.lock():
        stored.begin()
        clock = Clock()
        pixels = Packs(dataset, recipe, results / "packs")
        model, curve = train(recipe, dataset, pixels, stored, device=device, say=say)
        clock.lap("train")
        query, gallery = embeddings(model, recipe, dataset, pixels)
        stored.save_embeddings(query, gallery)
        clock.lap("embed")
        wanted = scoring.default_metrics(dataset.protocol, dataset.recall_at)
        metrics, ranking = scoring.evaluate(query, gallery, wanted)
        stored.save_neighbours(ranking)
        clock.lap("evaluate")
        result = _result(recipe, dataset, model, metrics, ranking, curve, clock, device)
        stored.finish(result)
        checkpoint.drop_state(stored.folder)
    return result


class Clock:
    """Wall time of the parts of a run, in seconds."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self.begun = time.monotonic()

    def lap(self, name: str) -> None:
        """Note the time since the last lap."""
        now = time.monotonic()
        self.laps[name], self.begun = now - self.begun, now


class Packs:
    """The pixels of a dataset's splits, packed when they are first asked for."""

    def __init__(self, dataset: Dataset, recipe: Recipe, folder: Path) -> None:
        self.dataset, self.recipe, self.folder = dataset, recipe, folder

    def __getitem__(self, split: Split) -> Pixels:
        return pack(
            split, self.folder, self.dataset.name, fit=self.recipe.fit, resize=self.recipe.resize
        )


def train(
    recipe: Recipe, dataset: Dataset, pixels: Packs, stored: Run, *, device: str, say: Say
) -> tuple[Model, list[dict[str, float]]]:
    """Return a recipe's trained model and its curve; an untrained one where it asks for none.

    The weights are written to the run's folder, and are read from there once training is over.
    """
    model = build(recipe, device)
    if not recipe.epochs:
        return model, []
    torch.manual_seed(recipe.seed)
    method = method_of(recipe, dataset).to(device)
    batches = Batches(
        pixels[dataset.train],
        class_numbers(dataset.train.labels) if method.supervision == "supervised" else None,
        recipe,
        method.views,
        torch.device(device),
    )
    monitor = _monitor(recipe, dataset, pixels)
    training = Training(model, method, batches, recipe, stored.folder, monitor=monitor, say=say)
    curve = training.run(stored.write_curve)
    checkpoint.save_weights(stored.folder, model, recipe)
    return model, curve


def build(recipe: Recipe, device: str) -> Model:
    """Return a recipe's model as it is before training."""
    model = models.build(
        recipe.backbone,
        recipe.weights,
        recipe.head,
        recipe.dim,
        crop=recipe.crop,
        mean=recipe.mean,
        std=recipe.std,
        seed=recipe.seed,
    )
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def method_of(recipe: Recipe, dataset: Dataset) -> BaseMethod:
    """Return a recipe's method for a dataset; one without labels is not told C either."""
    method: type[BaseMethod] = METHODS[recipe.method].Method
    given = {
        "n_items": len(dataset.train),
        "dim": recipe.dim,
        "width": models.width(recipe.backbone, recipe.crop),
    }
    if method.supervision == "supervised":
        given["n_classes"] = len(dataset.train.classes)
    return make(method, given, recipe.options)


def class_numbers(labels: Ints) -> Ints:
    """Return (N,) the classes as numbers from 0 to C - 1."""
    numbers: Ints = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return numbers


def embeddings(
    model: Model, recipe: Recipe, dataset: Dataset, pixels: Packs
) -> tuple[Embeddings, Embeddings]:
    """Return query and gallery; the same object twice where one is left out."""

    def of(split: Split) -> Embeddings:
        label = f"embedding {split.name}"
        vectors = embed(
            model, pixels[split], crop=recipe.crop, precision=recipe.precision, label=label
        )
        return Embeddings(vectors, split.labels, np.array(split.ids))

    query = of(dataset.query)
    return query, query if dataset.leave_one_out else of(dataset.gallery)


def _monitor(
    recipe: Recipe, dataset: Dataset, pixels: Packs
) -> Callable[[Model], Mapping[str, float]] | None:
    """Return what the curve shows after each epoch, on the test images; it selects nothing."""
    if recipe.monitor == "none":
        return None
    return lambda model: scoring.evaluate(
        *embeddings(model, recipe, dataset, pixels), [recipe.monitor]
    )[0]


def counts(dataset: Dataset, model: Model, n_relevant: Ints) -> dict[str, int]:
    """Return what the result counts: images, classes, lone queries, parameters."""
    found = {"parameters": models.parameters(model), "unanswerable": int((n_relevant == 0).sum())}
    for name in ("train", "query", "gallery"):
        split: Split = getattr(dataset, name)
        found |= {f"{name}_images": len(split), f"{name}_classes": len(split.classes)}
    return found


def device_of(wanted: str) -> str:
    """Return "cpu" or "cuda" for "auto", "cpu" or "cuda".

    Raises:
        RecipeError: another word, or no accelerator where one is asked for.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise RecipeError(f"--device: expected auto, cpu or cuda, found '{wanted}'")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise RecipeError("--device cuda: expected an accelerator, found none; take cpu or auto")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"


def device_name(device: str) -> str:
    """Return what a device is called: the accelerator's name, or "cpu"."""
    return torch.cuda.get_device_name() if device == "cuda" else "cpu"


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

    A run that cannot be made (its dataset is not there, say) does not stop the others.

    Args:
        suite: as `suites.load` read it.
        over: recipe fields laid over every run's.
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
    for said in suite.runs:
        wanted = recipes.merge(said, over)
        try:
            dataset = _loaded(wanted["dataset"], data_root, loaded)
            recipe = recipes.resolve(wanted, dataset, device=device)
            made.append(run(recipe, dataset, results, device=device, say=say))
        except (BenchError, RunError) as error:
            line = f"{wanted['dataset']} {wanted['method']}: {error}"
            failed.append(Failure(line, 2 if isinstance(error, BenchError) else 1))
            say(line)
    return made, failed


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


def score_checkpoint(
    path: Path,
    recipe: Recipe,
    dataset: Dataset,
    results: Path,
    names: Sequence[str],
    *,
    device: str = "cpu",
) -> RunResult:
    """Return what the weights of a checkpoint reach on a dataset; nothing is stored but packs.

    Args:
        path: a `checkpoint.safetensors`.
        recipe: the one that stands in it, with the dataset that is asked.
        dataset: that one.
        results: where packs are kept.
        names: of metrics.
        device: "cpu" or "cuda".

    Raises:
        StoreError: the weights are not of this recipe's model.
    """
    clock = Clock()
    model = build(replace(recipe, weights="none", weights_digest=""), device)
    checkpoint.load_weights(path, model)
    query, gallery = embeddings(model, recipe, dataset, Packs(dataset, recipe, results / "packs"))
    clock.lap("embed")
    metrics, ranking = scoring.evaluate(query, gallery, names)
    clock.lap("evaluate")
    return _result(recipe, dataset, model, metrics, ranking, [], clock, device)


def _result(
    recipe: Recipe,
    dataset: Dataset,
    model: Model,
    metrics: Mapping[str, float],
    ranking: Ranking,
    curve: Sequence[Mapping[str, float]],
    clock: Clock,
    device: str,
) -> RunResult:
    return RunResult(
        recipe=recipe,
        metrics=metrics,
        curve=curve,
        counts=counts(dataset, model, ranking.n_relevant),
        fingerprint=dataset.fingerprint,
        supervision=METHODS[recipe.method].Method.supervision,
        seconds=clock.laps,
        environment={**environment(), "device": device_name(device)},
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )
