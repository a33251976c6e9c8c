"""Records to a page that a person reads: pure functions of what was kept."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.pairs import paces, peaks, ratios, spread

HEADINGS = ("what", "peer", "ours", "peer's", "times as fast", "target", "peak memory", "share")
PACKAGES = ("torch", "torchvision", "faiss-cpu", "pytorch-metric-learning", "pillow")


def records(folder: Path, names: Iterable[str]) -> list[Mapping[str, Any]]:
    """Return the records that a folder keeps, in the order of the names."""
    paths = (folder / f"{name}.json" for name in names)
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]


def page(kept: Sequence[Mapping[str, Any]]) -> str:
    """Return some records as a table in Markdown, and where, when and with what they were made."""
    rows = [HEADINGS, ["---"] * len(HEADINGS), *map(_row, kept)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    made = dict.fromkeys(map(_about, kept))
    return "\n".join([*lines, "", *(f"- {said}" for said in made)]) + "\n"


def _row(record: Mapping[str, Any]) -> tuple[str, ...]:
    least, middle, most = spread(ratios(record))
    ours, theirs = (spread(peaks(record, side))[1] for side in ("ours", "peer"))
    room = f" (within {record['room']:.2f})" if record["room"] else ""
    return (
        record["title"],
        record["peer"],
        _pace(record, "ours"),
        _pace(record, "peer"),
        f"**{middle:.2f}** ({least:.2f} to {most:.2f})",
        f"{record['target']:g}",
        f"{ours / 2**30:.2f} of {theirs / 2**30:.2f} GiB" if theirs else "-",
        f"{ours / theirs:.2f}{room}" if theirs else "-",
    )


def _pace(record: Mapping[str, Any], side: str) -> str:
    middle = spread(paces(record, side))[1]
    return f"{middle:,.4g} {record['unit']}/s" if record["unit"] else f"{1 / middle:.3g} s"


def _about(record: Mapping[str, Any]) -> str:
    made = record["environment"]
    flags = ", ".join(made["bf16_flags"]) or "no bf16"
    packages = ", ".join(f"{name} {made['packages'][name]}" for name in PACKAGES)
    changed = " with changes" if made["dirty"] else ""
    return (
        f"{made['processor']} ({flags}), {made['cores']} cores, device {made['device']};"
        f" {packages}; commit {(made['commit'] or 'unknown')[:7]}{changed};"
        f" {len(record['runs']['ours'])} pairs a case; {record['finished'][:10]}."
    )
