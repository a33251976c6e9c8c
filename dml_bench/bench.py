"""One recipe -> one result. The function to read first."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import torch

from dml_bench import checkpoint, dist, models, provenance, scoring
from dml_bench.assembly import build, class_numbers, method_of
from dml_bench.data.batches import Batches
from dml_bench.data.members import shards_of
from dml_bench.data.share import as_trained
from dml_bench.data.splits import HeldOut
from dml_bench.embed import embed
from dml_bench.engine import Say, Training
from dml_bench.environment import forget_peaks
from dml_bench.errors import EmbeddingsError, RunError, StoreError
from dml_bench.loggers import Logger, LoggerOf, silent
from dml_bench.models import Model
from dml_bench.norms import refuse_other_worlds
from dml_bench.outcomes import Clock, marks, result_of
from dml_bench.packs import Packs
from dml_bench.signals import Asked
from dml_bench.spread import spread
from dml_bench.store import Run
from dml_bench.types import Dataset, Embeddings, Recipe, RunResult, Split


def run(
    recipe: Recipe,
    dataset: Dataset,
    results: Path,
    *,
    device: str = "cpu",
    say: Say = print,
    anew: bool = False,
    title: str = "",
    wait: float = 0.0,
    logger: LoggerOf = silent,
) -> RunResult:
    """Train, embed, rank and store what one recipe says, or return what is stored already.

    A run that was stopped goes on where it was, and ends in the same numbers. Several processes
    share the work, and the leader alone writes.

    Args:
        recipe: as `recipes.resolve` made it.
        dataset: the one that it names.
        results: the root of all results.
        device: "cpu" or "cuda".
        say: tells a person what happens.
        anew: begin from the start where a stopped run would go on.
        title: what a person calls the run.
        wait: seconds to wait for another process at work on it; below zero waits for ever.
        logger: of a key -> who else is told of the epochs and the result; it changes no number.

    Returns:
        The result, stored under `results`/runs/<key>/; what the recipe expects (`expect`,
        `source`) is laid over what a stored one says, there too.

    Raises:
        BusyError: another process is at work on it.
        StoreError: the folder cannot be written, or what it holds was made with other images.
        RecipeError: `anew`, and the run is finished.
        RunError: the loss, a vector or a metric is not finite.
    """
    dataset, held = as_trained(dataset, recipe)
    stored, seen = Run(results, recipe), marks(recipe, dataset)
    if dist.first(lambda: stored.finished):
        return dist.first(
            lambda: _stored(stored, seen, anew=anew, wait=wait, log=logger(recipe.key))
        )
    with _alone(stored, wait):
        if dist.first(lambda: stored.finished):  # by others, a moment ago
            return dist.first(lambda: _kept(stored, seen, anew=anew))
        say(f"run {title} ({recipe.key})" if title else f"run {recipe.key}")
        models.width(recipe.backbone, recipe.crop)  # refused before an image is decoded
        refuse_other_worlds(recipe.batch_norm)
        log = logger(recipe.key) if dist.leader() else silent(recipe.key)
        code = dist.first(lambda: provenance.begin(stored, seen, anew=anew))
        forget_peaks()
        clock = Clock()
        pixels = Packs(dataset, recipe, results / "packs")
        dist.first(lambda: pixels.make(held))
        pixels.make(held)
        clock.lap("pack")
        model, curve = train(
            *(recipe, dataset, pixels, stored), held=held, device=device, say=say, log=log
        )
        clock.lap("train", sum(row["seconds"] for row in curve))
        query, gallery = embeddings(model, recipe, dataset, pixels)
        dist.first(lambda: stored.save_embeddings(query, gallery))
        clock.lap("embed")
        wanted = scoring.default_metrics(dataset.protocol, dataset.recall_at)
        scores = scoring.answered(query, gallery, wanted, device)
        dist.first(lambda: stored.save_neighbours(scores[1]))
        lie = spread(query)
        clock.lap("evaluate")
        made = (recipe, dataset, model, scores, clock.laps, device)
        tied = scoring.tied(query, gallery, scores[1], wanted)
        result = result_of(*made, curve=curve, code=code, held=held, lie=lie, tied=tied)
        return dist.first(lambda: _finish(stored, result, log))


@contextmanager
def _alone(stored: Run, wait: float) -> Iterator[None]:
    """Let the leader hold the lock, for all processes of this run."""
    with ExitStack() as held:
        dist.first(lambda: held.enter_context(stored.lock(wait=wait)))
        yield


def _kept(stored: Run, seen: Mapping[str, str], *, anew: bool) -> RunResult:
    return provenance.as_asked(stored, provenance.kept(stored, seen, anew=anew))


def _stored(
    stored: Run, seen: Mapping[str, str], *, anew: bool, wait: float, log: Logger
) -> RunResult:
    _sweep(stored)
    result = provenance.kept(stored, seen, anew=anew)
    result = provenance.as_asked(stored, result, stored.lock(wait=wait))
    log.finish(result)
    return result


def _finish(stored: Run, result: RunResult, log: Logger) -> RunResult:
    stored.finish(result)
    log.finish(result)
    provenance.end_sessions(stored.folder)
    checkpoint.drop_state(stored.folder)
    return result


def _sweep(stored: Run) -> None:
    """Remove what a process left that was killed when its run was whole, and not yet tidy."""
    if checkpoint.has_state(stored.folder):
        with suppress(StoreError), stored.lock():
            provenance.end_sessions(stored.folder)
            checkpoint.drop_state(stored.folder)


def train(
    recipe: Recipe,
    dataset: Dataset,
    pixels: Packs,
    stored: Run,
    *,
    held: HeldOut | None = None,
    device: str,
    say: Say,
    log: Logger | None = None,
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
        next(model.parameters()).device,
        shards_of(dataset.train.images),
    )
    monitor = _monitor(recipe, dataset, held, pixels)
    training = Training(model, method, batches, recipe, stored.folder, monitor=monitor, say=say)

    def on_epoch(rows: list[dict[str, float]]) -> None:
        dist.first(lambda: stored.write_curve(rows))
        if log:
            log(rows)

    with Asked() as asked:
        curve = training.run(on_epoch, asked)
    dist.first(lambda: checkpoint.save_weights(stored.folder, model, recipe))
    return model, curve


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
    recipe: Recipe, dataset: Dataset, held: HeldOut | None, pixels: Packs
) -> Callable[[Model], Mapping[str, float]] | None:
    """Return what the curve shows after each epoch: of the test images, and of the held-out ones.

    It selects nothing: the last epoch is the result, and `ledger` says what selection would give.
    """
    if recipe.monitor == "none":
        return None
    name = recipe.monitor
    asked = {name: dataset} | ({f"validation {name}": held.asked} if held else {})
    return lambda model: {
        said: scoring.evaluate(*embeddings(model, recipe, whom, pixels), [name])[0][name]
        for said, whom in asked.items()
    }
