"""`python -m benchmarks`: measure every case against its peer, print the table, keep the records.

    python -m benchmarks                           all cases, five pairs each
    python -m benchmarks train input-32            two of them
    python -m benchmarks --device cuda             on an accelerator
    python -m benchmarks --table                   measure nothing: the table of what is kept
    python -m benchmarks --table --json            the same for a program

Ours and the peer's run in turn, each in a process of its own, so that a machine whose speed drifts
treats both alike; the table gives the median ratio of the pairs, and the least and the greatest.
Leave the machine alone meanwhile. README.md and table.json beside the records hold the table.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import tables
from benchmarks.cases import Work, cases
from benchmarks.pairs import measure
from dml_bench.atomic import atomic_write, to_json
from dml_bench.environment import device_of, environment

HERE = Path(__file__).resolve().parent / "results"


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print and keep."""
    args = _parser().parse_args(words)
    folder = args.into / args.device
    for name in [] if args.table else args.case or cases():
        case = cases()[name]
        if why := case.unable(args.device):
            print(f"{name}: left out, {why}", file=sys.stderr)
            continue
        record = measure(case, Work(args.small, args.device), args.pairs, print)
        record |= {
            "environment": environment(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        atomic_write(folder / f"{name}.json", to_json(record))
    kept = tables.records(folder, cases())
    page, rows = tables.page(kept.values()), json.dumps(tables.summaries(kept), indent=2) + "\n"
    print(rows if args.json else page)
    atomic_write(folder / "README.md", page)
    atomic_write(folder / "table.json", rows)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("case", nargs="*", help=f"of {', '.join(cases())}; all, if none is named")
    parser.add_argument("--pairs", type=int, default=5, help="repetitions of both sides")
    parser.add_argument("--device", type=device_of, default="cpu", help="auto, cpu or cuda")
    parser.add_argument("--small", action="store_true", help="seconds' worth, to see that it runs")
    parser.add_argument("--table", action="store_true", help="measure nothing, print what is kept")
    parser.add_argument("--json", action="store_true", help="print JSON, not Markdown")
    parser.add_argument("--into", type=Path, default=HERE, help="the folder of the records")
    return parser


if __name__ == "__main__":
    sys.exit(main())
