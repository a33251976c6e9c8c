"""What the weights of a checkpoint reach on a dataset."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dml_bench import bench, checkpoint, dist, scoring
from dml_bench.assembly import build
from dml_bench.data.share import some
from dml_bench.outcomes import Clock, result_of
from dml_bench.packs import Packs
from dml_bench.types import Dataset, Recipe, RunResult


def score(
    path: Path,
    recipe: Recipe,
    dataset: Dataset,
    results: Path,
    names: Sequence[str],
    *,
    device: str = "cpu",
    memory: int | None = None,
) -> RunResult:
    """Return what the weights of a checkpoint reach on a dataset; nothing is stored but packs.

    Several processes call this alike, and share the work.

    Args:
        path: a `checkpoint.safetensors`.
        recipe: the one that stands in it, with the dataset that is asked.
        dataset: that one.
        results: where packs are kept.
        names: of metrics.
        device: "cpu" or "cuda".
        memory: bytes that scoring may use.

    Raises:
        StoreError: the weights are not of this recipe's model.
    """
    clock = Clock()
    dataset = some(dataset, recipe.share)
    model = build(replace(recipe, weights="none", weights_digest=""), device)
    checkpoint.load_weights(path, model)
    pixels = Packs(dataset, recipe, results / "packs")
    dist.first(pixels.make_asked)
    query, gallery = bench.embeddings(model, recipe, dataset, pixels)
    clock.lap("embed")
    scores = scoring.answered(query, gallery, names, device, memory=memory)
    clock.lap("evaluate")
    found = result_of(recipe, dataset, model, scores, clock.laps, device)
    return replace(found, training="")  # what the weights saw is not known here
