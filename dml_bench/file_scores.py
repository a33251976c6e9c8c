"""`evaluate --embeddings`: anybody's vectors and labels, scored."""

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dml_bench import dist, report, scoring
from dml_bench.atomic import atomic_write, to_json
from dml_bench.errors import MetricError, RecipeError
from dml_bench.files import load_embeddings
from dml_bench.geometry import rows_in_both
from dml_bench.locks import only_writer
from dml_bench.metric_table import metric
from dml_bench.rows import LONE
from dml_bench.terminal import formats, plain, say, show
from dml_bench.types import Embeddings


def evaluate_file(args: argparse.Namespace) -> int:
    """Score a file of embeddings; print it, and write it under the results.

    Several processes search a part of the gallery each, and the leader tells of it.

    Raises:
        RecipeError: a setting or a seed, which a file has not.
        BenchError: a file or a metric that is refused.
    """
    if args.settings or args.seed is not None:
        raise RecipeError("--embeddings: expected no --set and no --seed, found one; leave it out")
    forms = formats(args, "json")
    query, gallery = load_embeddings(args.embeddings)
    protocol = args.protocol or "unseen"
    names = args.metrics or scoring.default_metrics(protocol, args.k or (1, 2, 4, 8))
    how = {"device": args.device, "memory": args.memory, "index": args.index}
    wanted = with_recalls(names, args)
    for name in wanted:
        metric(name)  # a slip in a name is none of the file's
    try:
        found = scoring.report(query, gallery, wanted, protocol, **how)
    except MetricError as problem:
        raise MetricError(f"{args.embeddings.name}: {problem}") from problem
    dist.first(lambda: _warn(query, gallery))
    dist.first(lambda: _tell(found, args, forms))
    return 0


def _warn(query: Embeddings, gallery: Embeddings) -> None:
    """Say where queries may find themselves in a gallery apart, for nothing names the images."""
    unnamed = query.ids is None or gallery.ids is None
    if query is not gallery and unnamed and (both := rows_in_both(query, gallery)):
        say(
            f"queries in the gallery: {both} of {len(query)} have the vector of a row of it, and"
            " may find themselves; give ids and gallery_ids, or take them out of the gallery"
        )


def _tell(found: Mapping[str, Any], args: argparse.Namespace, forms: Sequence[str]) -> None:
    """Print what was found, and write it under the results."""
    for name, ties in found.get("ties", {}).items():
        say(_of_ties(name, ties))
    title, stem = args.embeddings.name, args.results / "evaluations" / _own_name(args.embeddings)
    if index := found.get("index"):
        say(_of_index(index))
        title, stem = f"{title} ({index['kind']})", stem.with_name(f"{stem.name}-{index['kind']}")
    lone = {LONE: found["counts"][LONE]} if found["counts"][LONE] else {}
    frame = report.one_line({"method": title, **lone, **found["metrics"]})
    for form in forms:
        if form == "json":
            print(to_json(found).rstrip())
        else:
            show(frame, form, title)
    texts = {"json": to_json(found), "csv": plain(frame, "csv"), "md": plain(frame, "md")}
    with only_writer(stem.parent):
        for ending, text in texts.items():
            atomic_write(stem.with_name(f"{stem.name}.{ending}"), text)
    say(f"written: {stem}.json, .csv, .md")


def _of_ties(name: str, ties: Mapping[str, float]) -> str:
    """Say how far the order of equal scores could move a Recall@K."""
    shares = {what: f"{100 * share:.2f}" for what, share in ties.items()}
    return (
        f"ties: equal scores decide {shares['mass']} % of the queries of {name}: from"
        f" {shares['against']} (broken against) to {shares['in_favour']} (for),"
        f" {shares['expected']} expected"
    )


def _of_index(index: Mapping[str, Any]) -> str:
    """Say how nearly an approximate search finds what an exact one does."""
    found = [f"{100 * v:.2f} % at {n.split('@')[1]}" for n, v in index.items() if "@" in n]
    return (
        f"index {index['kind']}: approximate: of {index['sample']} queries' exact neighbours it"
        f" finds {', '.join(found)} ({index['nprobe']} of {index['nlist']} lists)"
    )


def _own_name(path: Path) -> str:
    """Return a name that no other file's evaluation has, wherever that file lies."""
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()
    return f"{path.stem}-{digest[:8]}"


def with_recalls(names: Sequence[str], args: argparse.Namespace) -> list[str]:
    """Return the names with Recall@K for each K asked for before the others.

    Example:
        >>> with_recalls(["nmi", "recall@1"], argparse.Namespace(k=[1, 10]))
        ['recall@1', 'recall@10', 'nmi']
    """
    asked = [f"recall@{k}" for k in args.k or ()]
    return [*asked, *(name for name in names if name not in asked)]
