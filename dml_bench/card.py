"""`card`: a run's model card: what it is, how it was made and what it reaches, from its result."""

import argparse
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dml_bench import records, typeset
from dml_bench.again import again
from dml_bench.atomic import atomic_write
from dml_bench.comparisons.locate import locate
from dml_bench.errors import StoreError
from dml_bench.metric_table import METRICS
from dml_bench.plugins import short
from dml_bench.results import read_result
from dml_bench.text import shown
from dml_bench.types import Recipe, RunResult

OURS = 'library_name: "dml_bench"'
"""The first line of a card's front matter."""
FACTS = ("backbone", "weights", "dim", "crop", "batch", "epochs", "optimiser", "lr", "seed")


def card(args: argparse.Namespace) -> int:
    """Write a folder's README.md: the card of a run, or of a published record."""
    result = read_result(locate(args.run, [args.results / "runs", records.home()]))
    path = args.to / "README.md"
    _be_new_or_ours(path)
    atomic_write(path, text(result), option="--to")
    print(path)
    return 0


def _be_new_or_ours(path: Path) -> None:
    """Refuse to write over a file that somebody else wrote.

    Raises:
        StoreError: there is one.
    """
    if path.is_file() and not path.read_bytes().startswith(f"---\n{OURS}\n".encode()):
        raise StoreError(
            f"{path}: expected no file, or a card of ours, found another; choose another folder"
            " (--to), or move it"
        )


def text(result: RunResult) -> str:
    """Return a model card in Markdown, its results as metadata that the Hugging Face Hub reads.

    Args:
        result: of a run; nothing else is looked at.
    """
    recipe = result.recipe
    title = f"{short(recipe.method)} on {Path(recipe.dataset).name}"
    return "\n".join(
        [
            *("---", *_metadata(result), "---", ""),
            f"# {shown(title).translate(typeset.MARKDOWN)}",
            "",
            f"An embedding of images, {_trained(result)}; measured with dml_bench on classes that"
            f" it has {'never' if _unseen(result) else 'already'} seen. Metrics in per cent.",
            "",
            typeset.markdown(_metrics(result)),
            "## How it was made",
            "",
            typeset.markdown(_facts(result)),
            "The same run again:",
            "",
            *(f"    {shown(again(_without_folders(recipe)))}", ""),
        ]
    )


def _without_folders(recipe: Recipe) -> Recipe:
    """Return a recipe without the folders of the machine that its files lie on."""
    names: dict[str, Any] = {
        name: Path(getattr(recipe, name)).name for name in ("dataset", "weights")
    }
    own = {name: short(getattr(recipe, name)) for name in ("backbone", "method")}
    return replace(recipe, **(names | own))


def _trained(result: RunResult) -> str:
    words = {"none": "not trained", "supervised": "trained with labels"}
    return words.get(result.supervision, "trained without labels")


def _unseen(result: RunResult) -> bool:
    return "linear" not in result.metrics and not any(n.startswith("knn@") for n in result.metrics)


def _metrics(result: RunResult) -> typeset.Grid:
    rows = [
        [name, f"{100 * value:.1f}", _interval(result, name), _meaning(name)]
        for name, value in result.metrics.items()
    ]
    return typeset.Grid(["metric", "value", "95 %", "meaning"], rows, frozenset({1, 2}))


def _interval(result: RunResult, name: str) -> str:
    ends = result.intervals.get(name, ())
    return " to ".join(f"{100 * end:.1f}" for end in ends)


def _meaning(name: str) -> str:
    entry = METRICS.get(re.sub(r"@\d+$", "@k", name))
    return entry.meaning if entry else ""


def _facts(result: RunResult) -> typeset.Grid:
    """Return what decided the numbers, without the folders of the machine that made them."""
    said = {name: getattr(result.recipe, name) for name in FACTS}
    said |= {"backbone": short(said["backbone"]), "weights": Path(said["weights"]).name}
    said |= dict(result.recipe.options)
    about = {name: result.environment.get(name) for name in ("commit", "processor", "device")}
    said |= {name: value for name, value in about.items() if value}
    said |= {"finished": result.finished, "test images (fingerprint)": result.fingerprint}
    return typeset.Grid(["what", "value"], [[name, str(value)] for name, value in said.items()])


def _metadata(result: RunResult) -> list[str]:
    """Return lines of YAML; every value is JSON, which is YAML that nothing can break out of."""
    name = Path(result.recipe.dataset).name
    measured = [
        {"type": metric, "name": metric, "value": value} for metric, value in result.metrics.items()
    ]
    entry: Mapping[str, Any] = {
        "name": result.recipe.key,
        "results": [
            {
                "task": {"type": "image-feature-extraction"},
                "dataset": {"name": name, "type": re.sub(r"[^\w.-]+", "_", name)},
                "metrics": measured,
            }
        ],
    }
    values = {
        "pipeline_tag": "image-feature-extraction",
        "tags": ["metric-learning", "image-retrieval", result.supervision],
        "model-index": [entry],
    }
    rest = [f"{key}: {json.dumps(value, ensure_ascii=True)}" for key, value in values.items()]
    return [OURS, *rest]
