"""A small place to write pages from: a dataset of its own, and runs whose vectors are drawn."""

from dataclasses import replace

import numpy as np
from PIL import Image

from dml_bench import data
from dml_bench.neighbours import rank
from dml_bench.recipes import resolve
from dml_bench.scoring import default_metrics, evaluate
from dml_bench.store import Run
from dml_bench.types import Embeddings, RunResult

HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)">'
SOURCE = "javascript:alert(3)//<b>Ye et al.</b>"
N_CLASSES, EACH = 6, 8
TOML = """
name = "bars"
title = "Bars on a colour"
listing = "labels.csv"
protocol = "unseen"
recall_at = [1, 2]
expect = { train_images = 16, train_classes = 2, test_images = 48, test_classes = 6 }
"""
SMALL = {"backbone": "conv4", "weights": "none", "resize": 16, "crop": 16, "dim": 8, "epochs": 3}


def write_dataset(root):
    """Six classes to ask for, the first with a name that would like to be a script."""
    folder = root / "bars"
    folder.mkdir(parents=True)
    lines = ["path,label,class_name,split"]
    for label in range(2 + N_CLASSES):
        name = HOSTILE if label == 2 else f"bar {label}"
        quoted = name.replace('"', '""')
        for number in range(EACH):
            path = f"{label}-{number}.png"
            pixels = np.full((20, 20, 3), 40 + 20 * label, np.uint8)
            pixels[2 * label : 2 * label + 3, : 4 + number] = (250, 200 - 9 * number, 0)
            Image.fromarray(pixels).save(folder / path)
            split = "train" if label < 2 else "test"
            lines.append(f'{path},{label},"{quoted}",{split}')
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    (folder / "dataset.toml").write_text(TOML)
    return data.load("bars", root)


def write_run(results, dataset, noise, **said):
    """Store a run whose classes lie apart, but for noise; return its result."""
    said = {**SMALL, "dataset": "bars", "method": "invaspread", **said}
    recipe = resolve(said, dataset)
    if recipe.epochs:
        recipe = replace(recipe, expect={"recall@1": 0.5}, source=SOURCE)
    draw = np.random.default_rng(5)
    labels = dataset.query.labels
    vectors = draw.normal(size=(100, 8))[labels] + noise * draw.normal(size=(len(labels), 8))
    query = Embeddings(vectors.astype(np.float32), labels, np.array(dataset.query.ids))
    metrics, _ = evaluate(query, query, default_metrics("unseen", (1, 2)))
    result = RunResult(
        recipe=recipe,
        metrics=metrics,
        curve=[
            {"epoch": e, "loss": 3 / e + recipe.seed / 9, "lr": 0.1, "seconds": 1.0,
             "images_per_second": 9.0, "recall@1": metrics["recall@1"] - (3 - e) / 50}
            for e in range(1, recipe.epochs + 1)
        ],
        counts={"parameters": 1000 * recipe.dim, "train_images": 16, "train_classes": 2,
                "query_images": 48, "query_classes": 6},
        fingerprint=dataset.fingerprint,
        supervision="none" if recipe.method == "random" else "unsupervised",
        seconds={"train": 10.0 * recipe.epochs * noise, "embed": 0.5},
        environment={"commit": "c0ffee" * 6, "dirty": False, "device": "cpu", "processor": "ABC",
                     "packages": {"torch": "2.0", "numpy": "2.1"}, "cores": 2, "threads": 1,
                     "python": "3.11", "platform": "Linux", "command": "dml-bench run mine"},
        finished="2025-01-02T03:04:05+00:00",
        training="" if not recipe.epochs else "beef",
    )  # fmt: skip
    stored = Run(results, recipe)
    stored.save_embeddings(query)
    stored.save_neighbours(rank(query, query, 9))
    stored.begin()
    stored.finish(result)
    return result


def write_place(root):
    """Write a dataset under `root`/data and five runs under `root`/results; return the results."""
    dataset = write_dataset(root / "data")
    results = root / "results"
    untrained = {"method": "random", "epochs": 0, "augmentation": "none"}
    return [
        write_run(results, dataset, 0.6, seed=0),
        write_run(results, dataset, 0.7, seed=1),
        write_run(results, dataset, 0.9, options={"temperature": 0.2}),
        write_run(results, dataset, 1.0, options={"temperature": 0.5}),
        write_run(results, dataset, 1.6, **untrained),
    ]
