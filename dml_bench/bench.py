"""One recipe -> one result. The function to read first."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dml_bench import checkpoint, models, provenance, scoring
from dml_bench.data.batches import Batches
from dml_bench.embed import embed
from dml_bench.engine import Say, Training
from dml_bench.environment import device_name, environment
from dml_bench.errors import EmbeddingsError, RunError
from dml_bench.methods import METHODS
from dml_bench.methods.base import BaseMethod, make
from dml_bench.metrics import CONVENTIONS
from dml_bench.models import Model
from dml_bench.packs import Packs
from dml_bench.store import Run
from dml_bench.types import Dataset, Embeddings, Ints, Ranking, Recipe, RunResult, Split


def run(
    recipe: Recipe,
    dataset: Dataset,
    results: Path,
    *,
    device: str = "cpu",
    say: Say = print,
    anew: bool = False,
    title: str = "",
) -> RunResult:
    """Train, embed, rank and store what one recipe says, or return what is stored already.

    A run that was stopped goes on where it was, and ends in the same numbers.

    Args:
        recipe: as `recipes.resolve` made it.
        dataset: the one that it names.
        results: the root of all results.
        device: "cpu" or "cuda".
        say: tells a person what happens.
        anew: begin from the start where a stopped run would go on.
        title: what a person calls the run.

    Returns:
        The result, stored under `results`/runs/<key>/.

    Raises:
        StoreError: the folder cannot be written, another process is at work on it, or what it
            holds was made with other images.
        RecipeError: `anew`, and the run is finished.
        RunError: the loss, a vector or a metric is not finite.
    """
    stored, seen = Run(results, recipe), _marks(recipe, dataset)
    if stored.finished:
        return provenance.kept(stored, seen, anew=anew)
    with stored.lock():
        if stored.finished:  # by another process, a moment ago
            return provenance.kept(stored, seen, anew=anew)
        say(f"run {title} ({recipe.key})" if title else f"run {recipe.key}")
        code = provenance.begin(stored, seen, anew=anew)
        clock = Clock()
        pixels = Packs(dataset, recipe, results / "packs")
        pixels.make()
        clock.lap("pack")
        model, curve = train(recipe, dataset, pixels, stored, device=device, say=say)
        clock.lap("train", sum(row["seconds"] for row in curve))
        query, gallery = embeddings(model, recipe, dataset, pixels)
        stored.save_embeddings(query, gallery)
        clock.lap("embed")
        wanted = scoring.default_metrics(dataset.protocol, dataset.recall_at)
        metrics, ranking = scoring.evaluate(query, gallery, wanted)
        stored.save_neighbours(ranking)
        clock.lap("evaluate")
        result = _result(recipe, dataset, model, metrics, ranking, curve, clock, device, code)
        stored.finish(result)
        checkpoint.drop_state(stored.folder)
        provenance.end_sessions(stored.folder)
    return result


def _marks(recipe: Recipe, dataset: Dataset) -> dict[str, str]:
    return provenance.marks(dataset, METHODS[recipe.method].Method.supervision)


class Clock:
    """Wall time of the parts of a run, in seconds."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self.begun = time.monotonic()

    def lap(self, name: str, seconds: float | None = None) -> None:
        """Note the time since the last lap, or what was counted elsewhere."""
        now = time.monotonic()
        self.laps[name] = now - self.begun if seconds is None else float(seconds)
        self.begun = now


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
    """Return query and gallery; the same object twice where one is left out.

    Raises:
        RunError: a trained network gives vectors without a direction: it diverged.
        EmbeddingsError: an untrained one does.
    """

    def of(split: Split) -> Embeddings:
        label = f"embedding {split.name}"
        vectors = embed(
            model, pixels[split], crop=recipe.crop, precision=recipe.precision, label=label
        )
        try:
            return Embeddings(vectors, split.labels, np.array(split.ids))
        except EmbeddingsError as error:
            if not recipe.epochs:  # then the images are to blame: one is all black, say
                raise
            said = str(error).partition(";")[0]
            raise RunError(f"{recipe.key}: {label}: {said}; try a lower lr") from error

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
    found = _result(recipe, dataset, model, metrics, ranking, [], clock, device, {})
    return replace(found, training="")  # what the weights saw is not known here


def _result(
    recipe: Recipe,
    dataset: Dataset,
    model: Model,
    metrics: Mapping[str, float],
    ranking: Ranking,
    curve: Sequence[Mapping[str, float]],
    clock: Clock,
    device: str,
    code: Mapping[str, Any],
) -> RunResult:
    return RunResult(
        recipe=recipe,
        metrics=metrics,
        curve=curve,
        counts=counts(dataset, model, ranking.n_relevant),
        fingerprint=dataset.fingerprint,
        supervision=METHODS[recipe.method].Method.supervision,
        seconds=clock.laps,
        environment={**environment(), **code, "device": device_name(device)},
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        training=_marks(recipe, dataset)["training images"],
        conventions=CONVENTIONS,
        start=model.start,
    )
