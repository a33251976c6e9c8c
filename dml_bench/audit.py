"""Is a file of embeddings comparable with published numbers? Each finding says what it means."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dml_bench import files, findings, geometry
from dml_bench.answers import recalls
from dml_bench.errors import EmbeddingsError, MetricError
from dml_bench.findings import Arrays, Finding
from dml_bench.neighbours import rank
from dml_bench.readers import read_arrays
from dml_bench.ties import recall_ties
from dml_bench.types import Embeddings, Ranking
from dml_bench.typeset import Grid

NEAR = 0.999
DEEP = 10  # neighbours that hubness counts
FEW = 0.01  # share of images with an exact twin, and of ties, that a real test split may have


@dataclass(frozen=True)
class Audit:
    """What was found in a file, and what follows.

    Args:
        file: its name.
        verdict: "comparable", "not comparable" or "unknown".
        because: one sentence.
        findings: in the order of the page.
    """

    file: str
    verdict: str
    because: str
    findings: tuple[Finding, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the page as JSON has it: the findings by name."""
        page = {f.name: {**f.values, "says": f.says} for f in self.findings}
        return {
            "file": self.file,
            "verdict": self.verdict,
            "because": self.because,
            "findings": page,
        }

    def grid(self) -> Grid:
        """Return the page as a table."""
        rows = [[f.name, _in_words(f.values), f.says] for f in self.findings]
        return Grid(["what", "found", "which means"], rows)


def audit(path: str | Path, *, near: float = NEAR) -> Audit:
    """Look at a file of embeddings as a reviewer would, and say what it can be compared with.

    It is comparable if it has the counts of a known test split and nothing stands in the way: each
    `Finding.obstacle` does, such as a query without a right answer, or exact twins or ties beyond
    1 %.
    Rows that no metric can be computed from (NaN, infinity, zero) are counted and left out, where
    scoring refuses the file.

    Args:
        path: as `files.load_embeddings` takes it.
        near: the cosine above which two images count as near-duplicates, 0 to 1.

    Raises:
        EmbeddingsError: a file that cannot be read, or has no rows of numbers with a label each.
        MetricError: a threshold that is no cosine.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "mine.npz")
        >>> np.savez(file, vectors=[[9, 0], [9, 1], [0, 9], [1, 9]], labels=[1, 1, 2, 2])
        >>> audit(file).because
        'no known test split has 4 images in 2 classes'
    """
    if not 0 < near < 1:
        raise MetricError(f"expected a cosine between 0 and 1, found {near}; write 0.999")
    path = Path(path)
    arrays = read_arrays(path)
    try:
        found = tuple(_findings(arrays, near))
    except (EmbeddingsError, MetricError) as problem:
        raise type(problem)(f"{path.name}: {problem}") from problem
    known = next(f for f in found if f.name == "known split")
    obstacles = [f.obstacle for f in found if f.obstacle]
    verdict = "not comparable" if obstacles else "comparable" if known.values else "unknown"
    return Audit(path.name, verdict, "; ".join(obstacles) or known.says, found)


def _findings(arrays: Arrays, near: float) -> Iterator[Finding]:
    """Yield each finding, those that need no search first."""
    findings.refuse_shapeless(arrays)
    yield findings.counts(arrays)
    yield findings.known_split(arrays)
    yield findings.broken_rows(arrays)
    yield findings.norms(arrays)
    yield findings.labels(arrays)
    arrays, doubled, both = findings.usable(arrays)
    yield findings.ids(arrays, doubled, both)
    if not all(len(values) for name, values in arrays.items() if name.endswith("vectors")):
        return
    query, gallery = files.paired(arrays)
    yield _rank(query)
    there = len(gallery) - (query is gallery)
    if there:
        yield from _searched(query, gallery, rank(query, gallery, min(DEEP, there)), near)


def _searched(
    query: Embeddings, gallery: Embeddings, ranking: Ranking, near: float
) -> Iterator[Finding]:
    """Yield what a search shows."""
    yield _lone(ranking)
    yield _duplicates(query, gallery)
    yield _near(query, gallery, ranking, near)
    yield _hubs(ranking)
    if (ranking.n_relevant > 0).any():
        yield _ties(query, gallery, ranking)
        yield _by_rank(query, gallery, ranking)


def _rank(query: Embeddings) -> Finding:
    used, most_of = geometry.effective_rank(query.vectors), min(query.vectors.shape)
    values = {"effective_rank": used, "of": most_of}
    says = f"the vectors spread over about {used:.0f} of {most_of} dimensions (Roy, Vetterli 2007)"
    return Finding("effective rank", values, says)


def _lone(ranking: Ranking) -> Finding:
    lone = int((ranking.n_relevant == 0).sum())
    values = {"queries": lone, "share": lone / len(ranking.ids)}
    says = "every query has a right answer"
    out = f"{lone} queries have no right answer and are left out; other tools count them as wrong"
    if not lone:
        return Finding("lone queries", values, says)
    return Finding("lone queries", values, out, f"{lone} queries have no right answer")


def _duplicates(query: Embeddings, gallery: Embeddings) -> Finding:
    sides = [query] if query is gallery else [query, gallery]
    vectors, labels = (
        np.concatenate([getattr(s, n) for s in sides]) for n in ("vectors", "labels")
    )
    found = geometry.duplicates(vectors, labels)
    if not found.images:
        return Finding("duplicates", asdict(found), "no two rows are equal")
    says = f"{found.images} images have an exact twin, {found.across} groups of twins span classes"
    share = found.images / len(labels)
    many = f"{100 * share:.1f} % of the images have an exact twin" if share > FEW else ""
    return Finding("duplicates", asdict(found), says, many)


def _near(query: Embeddings, gallery: Embeddings, ranking: Ranking, near: float) -> Finding:
    found = geometry.near_duplicates(query, gallery, ranking, near)
    says = (
        f"{found.queries} queries have another image beyond a cosine of {near:g},"
        f" {found.across} of them one of another class"
    )
    none = f"no query has another image beyond a cosine of {near:g}"
    return Finding("near-duplicates", asdict(found), says if found.queries else none)


def _hubs(ranking: Ranking) -> Finding:
    found = geometry.hubness(ranking)
    says = (
        f"{100 * found.anti_hubs:.1f} % of the images are nobody's neighbour; the greatest hub is"
        f" among the {found.k} nearest of {found.largest} (Radovanović et al. 2010)"
    )
    return Finding("hubness", asdict(found), says)


def _ties(query: Embeddings, gallery: Embeddings, ranking: Ranking) -> Finding:
    found = recall_ties(query, gallery, ranking, 1)
    if not found.mass:
        return Finding("tie mass", asdict(found), "no order of equal scores could move Recall@1")
    share = f"{100 * found.mass:.2f} %"
    says = f"the order of exactly equal scores, not the embedding, decides {share} of the queries"
    many = f"ties decide {share} of Recall@1" if found.mass > FEW else ""
    return Finding("tie mass", asdict(found), says, many)


def _by_rank(query: Embeddings, gallery: Embeddings, ranking: Ranking) -> Finding:
    by_id = recalls(ranking, 1)
    values: dict[str, float] = {"by_id": by_id.mean()}
    if query is not gallery:
        return _apart(query, gallery, values)
    unnamed = replace(query, ids=None)  # the same images on both sides, on purpose
    second = rank(unnamed, gallery, 2, leave_one_out=False).ids[:, 1]
    hits = (query.labels[second] == query.labels).astype(np.float64)
    values["by_rank"] = replace(by_id, values=hits).mean()
    gap = 100 * (values["by_rank"] - values["by_id"])
    same = "a tool that drops the first answer, whatever it is, gives the same number"
    other = f"a tool that drops the first answer, whatever it is, is off by {gap:+.2f} points"
    return Finding("recall@1", values, other if gap else same)


def _apart(query: Embeddings, gallery: Embeddings, values: Mapping[str, float]) -> Finding:
    """Say whether a query can find itself in a gallery apart; ids that differ say it cannot."""
    unnamed = query.ids is None or gallery.ids is None
    both = geometry.rows_in_both(query, gallery) if unnamed else 0
    if not both:
        return Finding("recall@1", values, "the gallery is apart: no image can find itself")
    said = f"{both} queries have the vector of a row of the gallery"
    says = f"{said}, and no ids say that they are other images: they may find themselves"
    return Finding("recall@1", {**values, "in_gallery": both}, says, said)


def _in_words(values: Mapping[str, Any]) -> str:
    """Return values on one line."""
    texts = {n: f"{v:.4g}" if isinstance(v, float) else _plain(v) for n, v in values.items()}
    return ", ".join(f"{name.replace('_', ' ')} {text}" for name, text in texts.items())


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value)
