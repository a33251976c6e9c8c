"""What a run came to: its counts, how sure its numbers are, and all that they were made with."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dml_bench import models, provenance, statistics
from dml_bench.data.splits import HeldOut
from dml_bench.environment import device_name, environment
from dml_bench.errors import BenchError, StoreError
from dml_bench.methods import METHODS
from dml_bench.metric_table import metric
from dml_bench.metrics import CONVENTIONS
from dml_bench.models import Model
from dml_bench.store import Run
from dml_bench.types import Dataset, Ints, PerQuery, Ranking, Recipe, RunResult, Split


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


def result_of(
    recipe: Recipe,
    dataset: Dataset,
    model: Model,
    scores: tuple[Mapping[str, float], Ranking, Mapping[str, PerQuery]],
    seconds: Mapping[str, float],
    device: str,
    *,
    curve: Sequence[Mapping[str, float]] = (),
    code: Mapping[str, Any] | None = None,
    held: HeldOut | None = None,
    lie: Mapping[str, float] | None = None,
    tied: Mapping[str, Mapping[str, float]] | None = None,
) -> RunResult:
    """Return what a run says once it is over.

    Args:
        recipe: what was asked for.
        dataset: with the training images that were trained on.
        model: with the weights that embedded the images.
        scores: as `scoring.answered` returns them.
        seconds: a lap each.
        device: "cpu" or "cuda".
        curve: an entry an epoch.
        code: the commits of its sessions; this process's where None.
        held: what was held out of training.
        lie: how the test vectors lie, as `spread.spread` says it.
        tied: what ties could make of each Recall@K, as `scoring.tied` says it.
    """
    metrics, ranking, each = scores
    seen = marks(recipe, dataset)
    return RunResult(
        recipe=recipe,
        metrics=metrics,
        curve=curve,
        counts={
            **counts(dataset, model, ranking.n_relevant),
            "images_seen": images_seen(curve),
            **_counts_of(held),
        },
        fingerprint=dataset.fingerprint,
        supervision=METHODS[recipe.method].Method.supervision,
        seconds=seconds,
        environment={**environment(), **(code or {}), "device": device_name(device)},
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        training=seen["training images"],
        files=seen["image files"],
        conventions=CONVENTIONS,
        start=model.start,
        end=models.state_digest(model, head=True),
        intervals=intervals(each, ranking.query_labels),
        spread=lie or {},
        ties=tied or {},
    )


def marks(recipe: Recipe, dataset: Dataset) -> dict[str, str]:
    """Return the fingerprints of what a recipe's method sees of a dataset."""
    return provenance.marks(dataset, METHODS[recipe.method].Method.supervision)


def intervals(each: Mapping[str, PerQuery], classes: Ints) -> dict[str, list[float]]:
    """Return [low, high] of each metric that is a mean over queries, where there is an interval.

    Args:
        each: name -> what each query answered.
        classes: (Q,) the class of each query.
    """
    found = {name: statistics.bootstrap(of, classes) for name, of in each.items()}
    return {
        name: [one.low, one.high]
        for name, one in found.items()
        if one.low is not None and one.high is not None
    }


def with_intervals(result: RunResult, results: Path) -> RunResult:
    """Return a result from before intervals with those that its stored neighbours give.

    Only those of metrics that the neighbours give to the last bit as the result has them.

    Args:
        result: of any run; one with intervals comes back as it is.
        results: the root of all results.
    """
    stored = Run(results, result.recipe)
    if result.intervals or not (stored.folder / "neighbours.npz").exists():
        return result
    try:
        ranking = stored.load_neighbours()
    except StoreError:  # torn: the table then says what the result alone says
        return result
    each = {name: _answers(name, ranking) for name in result.metrics}
    kept = {n: of for n, of in each.items() if of and of.mean() == result.metrics[n]}
    return replace(result, intervals=intervals(kept, ranking.query_labels))


def _answers(name: str, ranking: Ranking) -> PerQuery | None:
    try:
        found = metric(name)
        asked = found.needs == "ranking" and found.per_query
        return asked(ranking) if asked else None
    except BenchError:  # a name of another time, or a ranking too shallow for it
        return None


def counts(dataset: Dataset, model: Model, n_relevant: Ints) -> dict[str, int]:
    """Return what the result counts: images, classes, lone queries, parameters."""
    found = {"parameters": models.parameters(model), "unanswerable": int((n_relevant == 0).sum())}
    found["dimensions"] = model.dim
    for name in ("train", "query", "gallery"):
        split: Split = getattr(dataset, name)
        found |= {f"{name}_images": len(split), f"{name}_classes": len(split.classes)}
    return found


def images_seen(curve: Sequence[Mapping[str, float]]) -> int:
    """Return how many images all epochs showed, each counted once for all of its views.

    Example:
        >>> images_seen([{"seconds": 0.3, "images_per_second": 640 / 0.3}] * 2)
        1280
    """
    return sum(round(row["images_per_second"] * row["seconds"]) for row in curve)


def _counts_of(held: HeldOut | None) -> dict[str, int]:
    if held is None:
        return {}
    asked = held.asked.query
    return {"validation_images": len(asked), "validation_classes": len(asked.classes)}
