"""The page is small enough to be sent: the suite `quick` as it would be stored, vectors drawn."""

import numpy as np
import pytest

from dml_bench import data, suites
from dml_bench.neighbours import rank
from dml_bench.pages import closeups, page
from dml_bench.pages.sections import sections
from dml_bench.recipes import resolve
from dml_bench.store import Run
from dml_bench.types import Embeddings, RunResult

pytestmark = pytest.mark.slow
MOST = 5_000_000
DEPTH = 15
"""Neighbours that a run on `glyphs` keeps: no class has more images."""


def store(results, recipe, dataset, number):
    """Store a run with vectors that find about half of the classes; return its result."""
    draw = np.random.default_rng(number)
    labels = dataset.query.labels
    centres = draw.normal(size=(labels.max() + 1, 16))
    vectors = centres[labels] + 1.5 * draw.normal(size=(len(labels), 16))
    query = Embeddings(vectors.astype(np.float32), labels, np.array(dataset.query.ids))
    found = rank(query, query, DEPTH)
    names = [*(f"recall@{k}" for k in (1, 2, 4, 8)), "r_precision", "map@r", "nmi", "ami"]
    result = RunResult(
        recipe=recipe,
        metrics=dict.fromkeys(names, float(found.hits[:, 0].mean())),
        curve=[{"epoch": n, "loss": 1 / n, "lr": 0.03} for n in range(1, recipe.epochs + 1)],
        counts={"query_images": len(labels), "query_classes": len(np.unique(labels))},
        fingerprint=dataset.fingerprint,
        supervision="unsupervised" if recipe.epochs else "none",
        seconds={"train": 10.0 + number},
        environment={"device": "cpu", "packages": {"torch": "2.0"}},
        finished="2025-01-02T03:04:05+00:00",
    )
    stored = Run(results, recipe)
    stored.save_embeddings(query)
    stored.save_neighbours(found)
    stored.begin()
    stored.finish(result)
    return result


def test_the_page_of_the_quick_suite_is_under_five_megabytes(tmp_path, monkeypatch):
    monkeypatch.setattr(  # where the points lie does not matter
        closeups, "project", lambda _, rows: np.random.default_rng(0).random((len(rows), 2))
    )
    dataset = data.load("glyphs", tmp_path / "data")
    recipes = [resolve(said, dataset) for said in suites.load("quick").runs]
    made = [store(tmp_path, recipe, dataset, n) for n, recipe in enumerate(recipes)]
    (section,) = sections(made, tmp_path, [], data_root=tmp_path / "data")
    text = page.html([section])
    assert len(section.closeups) == len(made) == 5
    assert all(len(closeup.points) > 400 for closeup in section.closeups)
    assert len(section.sheet.places) > 400  # their images are on the page
    assert 800_000 < len(text.encode()) < MOST
