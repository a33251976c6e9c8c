"""python -m dml_bench.readme: writes the README's table and picture, from the published records."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from dml_bench import cells, typeset
from dml_bench.atomic import atomic_write
from dml_bench.errors import StoreError
from dml_bench.pages import figures, plots
from dml_bench.pages.charts import Entry, entries
from dml_bench.results import read_records
from dml_bench.rows import place
from dml_bench.types import RunResult

BEGIN, END = "<!-- table: glyphs -->", "<!-- end of table -->"
PICTURE = Path("docs/glyphs.svg")
METRICS = ("recall@1", "recall@8", "map@r", "ami")
SHOWN = {"none": 4, "unsupervised": 5, "supervised": 5}
"""How many of each kind the table shows: those with the highest Recall@1."""


def main(root: Path = Path()) -> int:
    """Write the README of a checkout anew."""
    path = root / "README.md"
    records = read_records(root / "results/published")
    atomic_write(path, renewed(path.read_text(encoding="utf-8"), records))
    atomic_write(root / PICTURE, picture(records))
    print(f"{path}\n{root / PICTURE}")
    return 0


def renewed(text: str, records: Sequence[RunResult]) -> str:
    """Return a README with the table of these records between its two marks.

    Raises:
        StoreError: a mark is missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise StoreError(f"README.md: expected the marks {BEGIN} and {END}, found not both")
    return f"{before}{BEGIN}\n\n{table(records)}\n{END}{after}"


def table(records: Sequence[RunResult]) -> str:
    """Return the table: of each kind of supervision those with the highest Recall@1."""
    found = _glyphs(records)
    best = sorted(found, key=lambda entry: -entry.row["recall@1"])
    chosen = {
        id(entry)
        for kind, most in SHOWN.items()
        for entry in [e for e in best if e.row["supervision"] == kind][:most]
    }
    shown = [entry for entry in best if id(entry) in chosen]
    names = ["method", "supervision", "seeds", *METRICS]
    rows = [{**entry.row, "method": entry.label} for entry in shown]
    intervals = [f"{name} (95 %)" for name in METRICS if any(f"{name} (95 %)" in r for r in rows)]
    columns = [*names, *intervals]
    grid = cells.grid(columns, [{name: row.get(name) for name in columns} for row in rows])
    return typeset.markdown(grid)


def picture(records: Sequence[RunResult]) -> str:
    """Return the picture: Recall@1 of every method, with its interval."""
    return figures.to_svg(plots.standing(_glyphs(records), "recall@1"), "glyphs")


def _glyphs(records: Sequence[RunResult]) -> list[Entry]:
    """Return the rows of glyphs, untrained ones and those of one budget: that of most methods."""
    own = [record for record in records if place(record)[0] == "glyphs"]
    methods = {(r.recipe.epochs, r.recipe.method) for r in own if r.recipe.epochs}
    budgets = Counter(epochs for epochs, _ in methods).most_common(1)
    shown = {0, *(epochs for epochs, _ in budgets)}
    return entries([], [record for record in own if record.recipe.epochs in shown])


if __name__ == "__main__":
    sys.exit(main())
