"""Results -> tables: pure functions of the results (and of what papers printed)."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import pandas as pd
from rich.console import Console

from dml_bench import cells, typeset
from dml_bench.atomic import atomic_write, to_json
from dml_bench.locks import only_writer
from dml_bench.published import Published
from dml_bench.published import published as papers
from dml_bench.rows import (
    COUNTS,
    HERE,
    HIGH,
    LONE,
    LOW,
    RECORD,
    TEXTS,
    Row,
    columns,
    groups,
    headings,
    labels_of,
    one_place,
    order,
    place,
    printed_rows,
    row_of,
)
from dml_bench.selection import ledger
from dml_bench.text import formula_free
from dml_bench.types import Recipe, RunResult

Frame = pd.DataFrame


def tables(
    results: Sequence[RunResult],
    records: Sequence[RunResult] = (),
    *,
    published: bool = True,
    printed: Sequence[Published] = (),
) -> dict[str, pd.DataFrame]:
    """Return one table a dataset and protocol, by heading.

    Args:
        results: of the runs made here.
        records: of the runs that the project publishes.
        published: show what papers printed as rows of their own.
        printed: what other papers printed: a table that a user brings.

    Returns:
        heading -> table; the heading is the dataset, with the protocol's fingerprint where the
        dataset was asked in more than one way.
    """
    found = {}
    for at, heading in headings([*results, *records]).items():
        ours = [result for result in results if place(result) == at]
        theirs = [result for result in records if place(result) == at]
        found[heading] = wide(ours, theirs, published=published, printed=printed)
    return found


def wide(
    results: Sequence[RunResult],
    records: Sequence[RunResult] = (),
    *,
    published: bool = True,
    printed: Sequence[Published] = (),
) -> pd.DataFrame:
    """Return a line a recipe, its seeds together, and a column a metric.

    Args:
        results: of the runs made here; of one dataset and protocol.
        records: of the runs that the project publishes; of the same.
        published: add what papers printed; their numbers stand in columns of their own.
        printed: added too, where it is about this dataset.

    Raises:
        StoreError: two datasets or protocols, a run that is there twice, or no run at all.
    """
    dataset, _ = one_place([*results, *records])
    recipes = [(HERE, group) for group in groups(results)]
    recipes += [(RECORD, group) for group in groups(records)]
    labels = labels_of([group[0].recipe for _, group in recipes])
    rows = [row_of(*both, label) for both, label in zip(recipes, labels, strict=True)]
    rows += printed_rows(papers(dataset) if published else ())
    rows += printed_rows(cell for cell in printed if cell.dataset == dataset)
    rows.sort(key=order)
    names = list(dict.fromkeys(name for row in rows for name in row))
    frame = pd.DataFrame(rows, columns=columns(names))
    whole = [name for name in (*COUNTS, LONE) if name in frame]
    return frame.astype(dict.fromkeys(whole, "Int64"))


def tidy(results: Sequence[RunResult], records: Sequence[RunResult] = ()) -> pd.DataFrame:
    """Return a line a run and metric, values as fractions, with the run's interval over classes."""
    lines = []
    for origin, result in _with_origin(results, records):
        recipe = result.recipe
        about = {
            "origin": origin,
            "key": recipe.key,
            "dataset": place(result)[0],
            "fingerprint": result.fingerprint,
            "method": recipe.method,
            "options": json.dumps(recipe.as_dict()["options"], sort_keys=True),
            "supervision": result.supervision,
            "backbone": recipe.backbone,
            "weights": PurePath(recipe.weights).name,
            **{name: getattr(recipe, name) for name in ("dim", "crop", "batch", "epochs", "seed")},
        }
        for metric, value in {**ledger(result), **result.metrics}.items():
            said = {"published": recipe.expect.get(metric)}
            said |= dict(zip((LOW, HIGH), result.intervals.get(metric, (None, None)), strict=True))
            lines.append({**about, "metric": metric, "value": value, **said})
    return pd.DataFrame(lines)


def one_line(values: Mapping[str, Any]) -> Frame:
    """Return a table with one line."""
    return pd.DataFrame([dict(values)])


def to_csv(frame: pd.DataFrame) -> str:
    """Return comma-separated values in full precision; no text in them is a formula."""
    free = frame.map(formula_free).rename(columns=formula_free)
    return free.to_csv(index=False, lineterminator="\n")


def to_json_lines(results: Sequence[RunResult], records: Sequence[RunResult] = ()) -> str:
    """Return every run's recipe and metrics as one JSON list, in full precision."""
    return to_json(
        [
            {
                "key": result.recipe.key,
                "origin": origin,
                "fingerprint": result.fingerprint,
                "supervision": result.supervision,
                "metrics": dict(result.metrics),
                "intervals": dict(result.intervals),
                "selection": ledger(result),
                "recipe": _shown(result.recipe),
            }
            for origin, result in _with_origin(results, records)
        ]
    )


def to_markdown(frame: pd.DataFrame, title: str = "") -> str:
    """Return a Markdown table, per cent with one decimal."""
    return typeset.markdown(grid(frame), title, cells.note(frame.columns))


def to_latex(frame: pd.DataFrame, title: str = "") -> str:
    """Return a LaTeX table (booktabs), best in bold, second underlined."""
    return typeset.latex(grid(frame), title, cells.note(frame.columns))


def print_table(frame: pd.DataFrame, console: Console, title: str = "") -> None:
    """Print a table; what is the same in every row is said once, below it."""
    typeset.show(grid(frame.drop(columns=shared(frame))), console, title, note(frame))


def shared(frame: pd.DataFrame) -> dict[str, str]:
    """Return what is the same in every row of the set-up, where there are several: name -> text."""
    known = ("origin", *TEXTS[2:], *COUNTS, LONE, "source")
    setup = [c for c in frame.columns if c in known]
    same = [c for c in setup if len(frame) > 1 and frame[c].nunique(dropna=False) == 1]
    values = {name: frame[name].iloc[0] for name in same}
    return {name: "" if pd.isna(value) else str(value) for name, value in values.items()}


def note(frame: pd.DataFrame) -> str:
    """Return what is said below a table that leaves out what is the same in every row."""
    said = [f"{name} {text}" for name, text in shared(frame).items() if text]
    return " ".join([cells.note(frame.columns), *([f"All: {', '.join(said)}."] if said else [])])


def write(
    results: Sequence[RunResult],
    folder: Path,
    records: Sequence[RunResult] = (),
    *,
    published: bool = True,
    printed: Sequence[Published] = (),
    each_run: bool = True,
) -> list[Path]:
    """Write each table as CSV, Markdown and LaTeX, and all runs as results.csv and results.json.

    Args:
        results: of the runs made here.
        folder: where.
        records: of the runs that the project publishes.
        published: add what papers printed.
        printed: added too: a table that a user brings.
        each_run: write results.csv and results.json; they say again what records say.

    Returns:
        the files, in the order in which they were written.

    Raises:
        StoreError: the folder cannot be written.
    """
    texts = {}
    if each_run:
        texts["results.csv"] = to_csv(tidy(results, records))
        texts["results.json"] = to_json_lines(results, records)
    for heading, frame in tables(results, records, published=published, printed=printed).items():
        name = _slug(heading)
        texts[f"{name}.csv"] = to_csv(frame)
        texts[f"{name}.md"] = to_markdown(frame, heading)
        texts[f"{name}.tex"] = to_latex(frame, heading)
    with only_writer(folder):
        for name, text in texts.items():
            atomic_write(folder / name, text)
    return [folder / name for name in texts]


def grid(frame: pd.DataFrame) -> typeset.Grid:
    """Return a table's cells as print: per cent with one decimal, and the interval behind it."""
    filled = frame.astype(object).where(frame.notna(), None)
    return cells.grid(list(frame.columns), filled.to_dict("records"))


def _with_origin(
    results: Sequence[RunResult], records: Sequence[RunResult]
) -> list[tuple[str, RunResult]]:
    both = [(HERE, result) for result in results] + [(RECORD, result) for result in records]
    return sorted(both, key=lambda pair: (place(pair[1]), pair[1].recipe.key, pair[0]))


def _shown(recipe: Recipe) -> Row:
    """Return a recipe without the folders of the machine that ran it."""
    values = recipe.as_dict(beside=True)
    return values | {name: PurePath(values[name]).name for name in ("dataset", "weights")}


def _slug(heading: str) -> str:
    """Return a file's name for a heading; two headings never share one."""
    name = re.sub(r"[^\w.-]+", "_", heading, flags=re.ASCII).strip("_.")
    if re.sub(r" \(protocol (\w+)\)$", r"_protocol_\1", heading) == name and name != "results":
        return name
    return f"{name}-{hashlib.sha256(heading.encode()).hexdigest()[:6]}"
