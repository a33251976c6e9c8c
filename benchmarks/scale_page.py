"""`python -m benchmarks.scale_page`: write the numbers of docs/scale.md anew.

They come from the code (bytes), from benchmarks/results/scale.json (measured times) and from the
published records (how fast images are embedded). Nothing is typed.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.cost import (
    ENOUGH,
    GROWTH,
    INSTEAD,
    Fit,
    Machine,
    Sizes,
    burdens,
    bytes_of_one,
    first_too_much,
    fit,
)
from dml_bench.atomic import atomic_write
from dml_bench.errors import StoreError
from dml_bench.results import read_records
from dml_bench.types import RunResult

ROOT = Path(__file__).resolve().parent.parent
PAGE, POINTS = ROOT / "docs/scale.md", ROOT / "benchmarks/results/scale.json"
BEGIN, END = "<!-- numbers -->", "<!-- end of numbers -->"
POWERS = range(4, 10)
BACKBONE = "efficientnet_lite0"
UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
SPANS = (("s", 1), ("min", 60), ("h", 3600), ("days", 86400), ("years", 365 * 86400))
Grid = Sequence[Sequence[str]]


def main() -> int:
    """Write the page."""
    records = read_records(ROOT / "results/published")
    atomic_write(PAGE, renewed(PAGE.read_text(encoding="utf-8"), points(POINTS), pace(records)))
    print(PAGE)
    return 0


def points(path: Path) -> list[Mapping[str, Any]]:
    """Return the measured points; none where nobody measured."""
    found: list[Mapping[str, Any]] = json.loads(path.read_text("utf-8")) if path.exists() else []
    return found


def pace(records: Sequence[RunResult]) -> tuple[float, int]:
    """Return images that a core embeds in a second, and at what crop: the median of the records.

    Those of one backbone count, at the largest crop that there is.
    """
    own = [r for r in records if r.recipe.backbone == BACKBONE and r.seconds.get("embed")]
    crop = max((r.recipe.crop for r in own), default=0)
    paces = [
        _embedded(r) / r.seconds["embed"] / r.environment["cores"]
        for r in own
        if r.recipe.crop == crop
    ]
    return (median(paces) if paces else 0.0), crop


def _embedded(record: RunResult) -> int:
    """Return how many images a run embedded: where one is left out, the gallery is the queries."""
    query, gallery = (record.counts[f"{name}_images"] for name in ("query", "gallery"))
    return query + (gallery if gallery != query else 0)


def renewed(text: str, measured: Sequence[Mapping[str, Any]], paced: tuple[float, int]) -> str:
    """Return the page with what is computed between its marks.

    Raises:
        StoreError: a mark is missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise StoreError(f"{PAGE.name}: expected the marks {BEGIN} and {END}, found not both")
    return f"{before}{BEGIN}\n\n{numbers(measured, paced)}\n{END}{after}"


def numbers(measured: Sequence[Mapping[str, Any]], paced: tuple[float, int]) -> str:
    """Return the tables, and what each rests on."""
    counts = {what: sum(p["what"] == what for p in measured) for what in GROWTH}
    fits = {what: fit(measured, what) for what, count in counts.items() if count >= ENOUGH}
    sizes, machine = Sizes(), Machine()
    parts = [
        f"Vectors of {sizes.d} numbers, packs of {sizes.side} x {sizes.side} pixels, names of"
        f" {sizes.key} letters, the draws of `{sizes.augmentation}` in {sizes.views} views:",
        table(_sizes(sizes)),
        *_measured(measured),
        _rests_on(fits, paced),
        table(_times(fits, sizes, paced[0])),
        f"Against a machine of {size(machine.memory)} of memory, {size(machine.disk)} of disk and"
        f" {machine.cores} cores for {span(machine.patience)}, each thing for itself: from which N"
        " on it is too much, and what takes its place.",
        table(_limits(fits, sizes, paced[0], machine)),
        "And by how much at each power of ten, the worst first:",
        table(_breaks(fits, sizes, paced[0], machine)),
    ]
    return "\n\n".join(parts) + "\n"


def _sizes(sizes: Sizes) -> Grid:
    one = bytes_of_one(sizes)
    rows = [(power(p), *(size(10**p * n) for n in one.values())) for p in POWERS]
    return [("images", *one), *rows]


def _measured(points: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return each measured point as a row, with what an index found of the exact answer."""
    if not points:
        return []
    head = ("what", "images", "core-seconds", "peak memory", "lists looked at", "found of exact")
    rows = []
    for p in points:
        index = p.get("index", {})
        depths = sorted(int(name.partition("@")[2]) for name in index if "@" in name)
        found = [f"{100 * index[f'recall_of_exact@{k}']:.1f} % of {k}" for k in depths]
        lists = f"{index['nprobe']:,} of {index['nlist']:,}" if index else "-"
        cells = (f"{p['core_seconds']:,.1f}", size(p["peak_bytes"]), lists)
        rows.append((p["what"], f"{p['n']:,}", *cells, ", ".join(found) or "-"))
    caps = ", ".join(sorted({p["memory"] for p in points}))
    where = "; ".join(sorted({_machine(p) for p in points}))
    return [f"Measured with `--memory {caps}` on {where}:", table([head, *rows])]


def _machine(point: Mapping[str, Any]) -> str:
    made = point["environment"]
    return f"{made['processor']} ({', '.join(made['bf16_flags']) or 'no bf16'})"


def _times(fits: Mapping[str, Fit], sizes: Sizes, pace: float) -> Grid:
    works = [*(["embedding"] if pace else []), *fits]
    rows = []
    for p in POWERS:
        times = {what: found.core_seconds(10**p, sizes.d) for what, found in fits.items()}
        times |= {"embedding": 10**p / pace} if pace else {}
        rows.append((power(p), *(span(times[what]) for what in works)))
    return [("images", *(f"{what}, one core" for what in works)), *rows]


def _limits(fits: Mapping[str, Fit], sizes: Sizes, pace: float, machine: Machine) -> Grid:
    given = (sizes, fits, pace, machine)
    found = {what: first_too_much(what, *given) for what in burdens(1, *given)}
    order = sorted(found, key=lambda what: found[what])
    rows = [(what, f"{float(f'{found[what]:.2g}'):,.0f}", INSTEAD[what]) for what in order]
    return [("what", "images", "instead"), *rows]


def _breaks(fits: Mapping[str, Fit], sizes: Sizes, pace: float, machine: Machine) -> Grid:
    rows = []
    for p in POWERS:
        shares = burdens(10**p, sizes, fits, pace, machine)
        over = sorted((s for s in shares if shares[s] > 1), key=lambda s: -shares[s])
        rows.append((power(p), ", ".join(f"{s} ({shares[s]:,.1f}x)" for s in over) or "nothing"))
    return [("images", "what is too much"), *rows]


def _rests_on(fits: Mapping[str, Fit], paced: tuple[float, int]) -> str:
    pace, crop = paced
    said = [
        f"`{f.what}`: measured up to {f.largest:,}, off by {100 * f.off:.0f} % at most; made of"
        f" the smaller points alone it is off by {100 * f.foretold:.0f} % there"
        for f in fits.values()
    ]
    if pace:
        said.append(f"`embedding`: {pace:,.0f} images a second, `{BACKBONE}` at {crop} pixels")
    missing = [what for what in GROWTH if what not in fits]
    if missing:
        said.append(f"not measured yet: {', '.join(f'`{what}`' for what in missing)}")
    return "Time, from what was measured; beyond the largest point it is the model's word:\n\n" + (
        "\n".join(f"- {line}" for line in said)
    )


def table(grid: Grid) -> str:
    """Return rows as a table in Markdown; the first is its head."""
    head, *rows = grid
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def power(exponent: int) -> str:
    """Return a power of ten as a page shows it."""
    return f"10<sup>{exponent}</sup>"


def size(count: float) -> str:
    """Return bytes as a person writes them, of 1,000 each.

    Example:
        >>> size(5.12e11), size(80)
        ('512 GB', '80 B')
    """
    unit = 0
    while count >= 999.5 and unit < len(UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.3g} {UNITS[unit]}"


def span(seconds: float) -> str:
    """Return a time as a person says it.

    Example:
        >>> span(0.5), span(7200), span(4e10)
        ('0.5 s', '2 h', '1,270 years')
    """
    name, length = next(((n, s) for n, s in reversed(SPANS) if seconds >= 2 * s), SPANS[0])
    return f"{float(f'{seconds / length:.3g}'):,.10g} {name}"


if __name__ == "__main__":
    sys.exit(main())
