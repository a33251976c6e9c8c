"""Records to a page that a person reads: pure functions of what was kept."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.pairs import summary

HEADINGS = (
    *("what", "peer", "ours", "peer's", "times as fast", "target", "peak memory", "share"),
    *("commit", "made"),
)
PACKAGES = ("torch", "torchvision", "faiss-cpu", "pytorch-metric-learning", "pillow")
Record = Mapping[str, Any]


def records(folder: Path, names: Iterable[str]) -> dict[str, Record]:
    """Return the records that a folder keeps by name, in the order of the names."""
    paths = {name: folder / f"{name}.json" for name in names}
    return {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name, path in paths.items()
        if path.exists()
    }


def page(kept: Iterable[Record]) -> str:
    """Return some records as tables in Markdown, one for each machine, which stands above it."""
    places: dict[str, list[Record]] = {}
    for record in kept:
        places.setdefault(place(record["environment"]), []).append(record)
    return "\n".join(f"{where}\n\n{_table(own)}" for where, own in places.items())


def summaries(kept: Mapping[str, Record]) -> list[dict[str, Any]]:
    """Return the same for a program: a row each, with its name and where it was made."""
    return [
        {"name": name, **summary(record), "machine": place(made), "commit": commit(made)}
        for name, record in kept.items()
        for made in [record["environment"]]
    ]


def _table(kept: Sequence[Record]) -> str:
    rows = [HEADINGS, ["---"] * len(HEADINGS), *map(_row, kept)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(record: Record) -> tuple[str, ...]:
    told = summary(record)
    ratio, held = told["ratio"], told["peak_bytes"]
    room = f" (within {record['room']:.2f})" if record["room"] else ""
    within = f"; {record['within']:g} s" if record.get("within") else ""
    both = f"{held['ours'] / 2**30:.2f} of {held['peer'] / 2**30:.2f} GiB" if held else "-"
    return (
        record["title"],
        record["peer"],
        _pace(told["ours"], record["unit"]),
        _pace(told["peer"], record["unit"]),
        f"**{ratio['median']:.2f}** ({ratio['least']:.2f} to {ratio['most']:.2f})",
        (f"{record['target']:g}" if record["target"] else "-") + within,
        both,
        f"{held['ours'] / held['peer']:.2f}{room}" if held else "-",
        commit(record["environment"]),
        f"{record['finished'][:10]}, {len(record['runs']['ours'])} pairs",
    )


def _pace(pace: float, unit: str) -> str:
    return f"{pace:,.4g} {unit}/s" if unit else f"{1 / pace:.3g} s"


def commit(made: Record) -> str:
    """Return the commit of an environment, and whether it was changed."""
    return (made["commit"] or "unknown")[:7] + (" with changes" if made["dirty"] else "")


def place(made: Record) -> str:
    """Return the machine and the packages of an environment as a sentence."""
    flags = ", ".join(made["bf16_flags"]) or "no bf16"
    packages = ", ".join(f"{name} {made['packages'][name]}" for name in PACKAGES)
    where = f"{made['processor']} ({flags}), {made['cores']} cores, device {made['device']}"
    return f"{where}; {packages}."
