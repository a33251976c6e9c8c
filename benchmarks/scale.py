"""`python -m benchmarks.scale`: time and memory against the number of images, and their plot.

    python -m benchmarks.scale                            every work, 10^4 to 10^6 images (hours)
    python -m benchmarks.scale search ivf --most 100000   two of them, up to 10^5
    python -m benchmarks.scale --plot                     measure nothing, draw what is kept

Vectors lie in a file and stay there: each work maps it, within `--memory`. Every point is a process
of its own; points that are kept are replaced. Processor time is kept beside the wall's, for it
does not count what else the machine does.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import pictures
from benchmarks.__main__ import HERE
from benchmarks.child import peak_bytes
from dml_bench import approximate, clusters, neighbours, scoring
from dml_bench.atomic import atomic_write, to_json
from dml_bench.environment import environment
from dml_bench.errors import BenchError
from dml_bench.files import load_embeddings
from dml_bench.memory import size_of
from dml_bench.types import Embeddings

SIZES = (10_000, 31_623, 56_234, 100_000, 316_228, 1_000_000)
OF_IVF_ALONE = (56_234,)  # its smallest, for there it begins
DIM = 128
IN_A_CLASS = 5  # images, as in Stanford Online Products
SPREAD, LATENT = 0.5, 16  # as `pictures.clustered` takes them
DEEP = 10
DOCS = HERE.parent.parent / "docs"
NAMES = ("recall@1", "recall@10", "recall@100", "recall@1000", "r_precision", "map@r")
Found = Mapping[str, Any]


def _search(items: Embeddings, memory: int) -> Found:
    neighbours.rank(items, items, DEEP, memory=memory)
    return {}


def _evaluate(items: Embeddings, memory: int) -> Found:
    return {"metrics": scoring.report(items, items, NAMES, memory=memory)["metrics"]}


def _kmeans(items: Embeddings, memory: int) -> Found:
    clusters.kmeans(items, len(items) // IN_A_CLASS, seeds=[0], memory=memory)
    return {}


def _ivf(items: Embeddings, memory: int) -> Found:
    return {"index": approximate.rank(items, items, DEEP, memory=memory).index}


WORKS: Mapping[str, Callable[[Embeddings, int], Found]] = {
    "search": _search,
    "evaluate": _evaluate,
    "kmeans": _kmeans,
    "ivf": _ivf,
}


def point(what: str, path: Path, memory: str) -> dict[str, Any]:
    """Do one work on the embeddings of a file, in this process."""
    items, _ = load_embeddings(path)
    begun, busy = time.perf_counter(), time.process_time()
    found = WORKS[what](items, size_of(memory))
    n, d = items.vectors.shape
    return {
        "what": what,
        "n": n,
        "d": d,
        "memory": memory,
        "seconds": time.perf_counter() - begun,
        "core_seconds": time.process_time() - busy,
        "peak_bytes": peak_bytes(),
        "cores": environment()["cores"],
        "environment": environment(),
        **found,
    }


def _measured(what: str, n: int, memory: str) -> dict[str, Any]:
    """Do one work in a process of its own, on vectors that are drawn for it.

    Raises:
        BenchError: it failed; its last words are given.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drawn.npz"
        vectors, labels = pictures.clustered(n, n // IN_A_CLASS, DIM, SPREAD, LATENT)
        np.savez(path, vectors=vectors, labels=labels)
        del vectors
        words = ["-m", "benchmarks.scale", what, "--point", str(path), "--memory", memory]
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"{what} of {n}: {(done.stderr.strip() or '?').splitlines()[-1]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _keep(path: Path, new: Mapping[str, Any]) -> None:
    """Put a point among those that are kept, in place of one of the same work and size."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    others = [p for p in kept if (p["what"], p["n"], p["d"]) != (new["what"], new["n"], new["d"])]
    order = list(WORKS)
    ordered = sorted([*others, new], key=lambda p: (order.index(p["what"]), p["d"], p["n"]))
    atomic_write(path, to_json(ordered))


def draw(points: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw time and memory against the number of images."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import StrMethodFormatter

    from dml_bench.pages import figures

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    marks = dict(zip(WORKS, "os^D", strict=True))
    for what in dict.fromkeys(p["what"] for p in points):
        own = [p for p in points if p["what"] == what]
        ns = [p["n"] for p in own]
        left.plot(ns, [p["core_seconds"] for p in own], marker=marks[what], label=what)
        right.plot(ns, [p["peak_bytes"] / 1e9 for p in own], marker=marks[what], label=what)
    left.set(xscale="log", yscale="log", xlabel="images", ylabel="seconds of one core")
    right.set(
        xscale="log", xlabel="images", ylabel="peak memory of the process (GB)", ylim=(0, None)
    )
    for axis in (left.xaxis, left.yaxis, right.xaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    title = f"N vectors of {DIM} dimensions, --memory {points[0]['memory']}"
    drawing = figures.Drawing("scale", title, title, figure)
    atomic_write(path, figures.to_svg(drawing, "evaluation"))


def main(words: Sequence[str] | None = None) -> int:
    """Measure, keep and draw."""
    args = _parser().parse_args(words)
    if args.point:
        print(json.dumps(point(args.work[0], args.point, args.memory)), flush=True)
        return 0
    path = args.into / "scale.json"
    for n in [] if args.plot else [n for n in SIZES if args.least <= n <= args.most]:
        for what in args.work or WORKS:
            if n < approximate.LEAST if what == "ivf" else n in OF_IVF_ALONE:
                continue
            new = _measured(what, n, args.memory)
            _keep(path, new)
            print(f"{what}, {n:,}: {new['seconds']:.1f} s, {new['peak_bytes'] / 1e9:.2f} GB")
    plot = DOCS / "scale.svg" if args.into == HERE else args.into / "scale.svg"
    draw(json.loads(path.read_text(encoding="utf-8")), plot)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("work", nargs="*", help=f"of {', '.join(WORKS)}; all, if none is named")
    parser.add_argument("--least", type=int, default=SIZES[0], help="images")
    parser.add_argument("--most", type=int, default=SIZES[-1], help="images")
    parser.add_argument("--memory", default="4GB", help="what a process may use")
    parser.add_argument("--plot", action="store_true", help="measure nothing, draw what is kept")
    parser.add_argument("--into", type=Path, default=HERE, help="the folder of the records")
    parser.add_argument("--point", type=Path, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
