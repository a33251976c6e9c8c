"""What a file of embeddings shows before anything is searched, a sentence each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dml_bench.data import DATASETS
from dml_bench.files import check_names, paired
from dml_bench.neighbours import in_both

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

OTHER_SPLITS = {
    (5_794, 200): "the classification test half of CUB-200-2011, whose classes training has seen",
    (11_788, 200): "all of CUB-200-2011, the training classes among them",
    (8_041, 196): "the classification test half of Cars196, whose classes training has seen",
    (16_185, 196): "all of Cars196, the training classes among them",
    (120_053, 22_634): "all of Stanford Online Products, the training classes among them",
}
"""(images, classes) that published numbers are about too, but not those of unseen classes."""

SEEN = {"cifar10": "cifar10", "stl10": "stl10", "stl10_105k": "stl10"}
"""Datasets whose test classes are seen in training, and whose training split is the gallery."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        name: what was looked at.
        values: what was found, by name.
        says: one sentence of what it means.
        obstacle: why numbers of this file are not comparable with published ones; "" if they are,
            as far as this finding goes.
    """

    name: str
    values: Mapping[str, Any]
    says: str
    obstacle: str = ""


def refuse_shapeless(arrays: Arrays) -> None:
    """Refuse arrays that do not fit each other, with the words of scoring."""
    check_names(arrays)
    sides = [side for side in ("", "gallery_") if f"{side}vectors" in arrays]
    if not all(_in_shape(arrays, side) for side in sides):
        paired({name: _whole(values) for name, values in arrays.items()})


def _in_shape(arrays: Arrays, side: str) -> bool:
    """Return whether the vectors of a side are rows of numbers, with a label and an id each."""
    vectors = arrays[f"{side}vectors"]
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu" or not vectors.size:
        return False
    beside = [arrays[name] for name in (f"{side}labels", f"{side}ids") if name in arrays]
    return all(a.shape == vectors.shape[:1] and a.dtype.kind in "iuUS" for a in beside)


def _whole(values: Array) -> Array:
    """Return ones for rows of numbers: rows without a direction are counted, not refused."""
    return np.ones_like(values) if values.ndim == 2 and values.dtype.kind in "fiu" else values


def usable(arrays: Arrays) -> tuple[Arrays, int, list[str]]:
    """Return the rows that have a direction, how many ids are there twice, and those on both sides.

    Ids that no search would take are left out.
    """
    kept, doubled = dict(arrays), 0
    for side in ("", "gallery_"):
        if f"{side}vectors" not in arrays:
            continue
        rows = _with_direction(arrays[f"{side}vectors"])
        own = [n for n in (f"{side}{part}" for part in ("vectors", "labels", "ids")) if n in arrays]
        kept |= {name: arrays[name][rows] for name in own}
        names = arrays.get(f"{side}ids", np.empty(0))
        doubled += len(names) - len(np.unique(names))
        if len(np.unique(names)) < len(names):
            del kept[f"{side}ids"]
    if both := in_both(arrays.get("ids"), arrays.get("gallery_ids")):
        kept = {name: values for name, values in kept.items() if not name.endswith("ids")}
    return kept, doubled, both


def _with_direction(vectors: Array) -> npt.NDArray[np.bool_]:
    sound: npt.NDArray[np.bool_] = np.isfinite(vectors).all(axis=1) & (vectors != 0).any(axis=1)
    return sound


def counts(arrays: Arrays) -> Finding:
    """Say how many of everything there is."""
    vectors = arrays["vectors"]
    sizes = np.unique(arrays["labels"], return_counts=True)[1]
    gallery = {"gallery": len(arrays["gallery_labels"])} if "gallery_labels" in arrays else {}
    values = {
        "images": len(vectors),
        **gallery,
        "classes": len(sizes),
        "smallest_class": int(sizes.min()),
        "median_class": float(np.median(sizes)),
        "largest_class": int(sizes.max()),
        "dimensions": vectors.shape[1],
        "dtype": str(vectors.dtype),
    }
    apart = (
        "are searched for in a gallery apart" if gallery else "are searched for among themselves"
    )
    return Finding("counts", values, f"the images {apart}")


def known_split(arrays: Arrays) -> Finding:
    """Say whose test split has these counts, if any has."""
    size = len(arrays["labels"]), len(np.unique(arrays["labels"]))
    gallery = len(arrays.get("gallery_labels", ()))
    names = [name for name, test, known in _splits() if (test, known) == (size, gallery)]
    name, said = "known split", f"{size[0]:,} images in {size[1]:,} classes"
    if names:
        says = f"the counts are those of the test split of {' and '.join(names)}: {said}"
        return Finding(name, {"datasets": names}, says)
    if size in OTHER_SPLITS and not gallery:
        other = f"the counts are those of {OTHER_SPLITS[size]}"
        return Finding(name, {}, other, other)
    return Finding(name, {}, f"no known test split has {said}")


def _splits() -> Iterator[tuple[str, tuple[int, int], int]]:
    """Yield name, (test images, test classes) and gallery of each dataset that says its counts."""
    for name in DATASETS:
        module = DATASETS[name]
        drawn = getattr(module, "COUNTS", {}).get("test")
        expect = getattr(module, "EXPECT", {})
        if drawn or "test_images" in expect:
            test = drawn or (expect["test_images"], expect["test_classes"])
            gallery = DATASETS[SEEN[name]].EXPECT["train_images"] if name in SEEN else 0
            yield name, test, gallery


def broken_rows(arrays: Arrays) -> Finding:
    """Count the rows that no metric can be computed from."""
    sides = [arrays[n] for n in ("vectors", "gallery_vectors") if n in arrays]
    broken = sum(int((~np.isfinite(v).all(axis=1)).sum()) for v in sides)
    zero = sum(int((v == 0).all(axis=1).sum()) for v in sides)
    values = {"non_finite": broken, "zero": zero}
    if not broken + zero:
        return Finding("broken rows", values, "every row is finite and has a direction")
    says = f"{broken + zero} rows have no direction; all that follows leaves them out"
    return Finding("broken rows", values, says, f"{broken} non-finite and {zero} zero rows")


def norms(arrays: Arrays) -> Finding:
    """Measure the rows as they are, before they are made unit."""
    wide = arrays["vectors"][_with_direction(arrays["vectors"])].astype(np.float64)
    if not len(wide):
        return Finding("norms", {}, "there is no row to measure")
    largest = np.abs(wide).max(axis=1)
    lengths = largest * np.linalg.norm(wide / largest[:, None], axis=1)
    close = 2e-3 if arrays["vectors"].dtype == np.float16 else 1e-4
    unit = bool((np.abs(lengths - 1) < close).all())
    values = {
        "mean": float(lengths.mean()),
        "min": float(lengths.min()),
        "max": float(lengths.max()),
        "unit": unit,
    }
    other = "a tool that does not normalise ranks by other distances than the cosine used here"
    says = "cosine and Euclidean distance rank alike"
    return Finding("norms", values, says if unit else other)


def labels(arrays: Arrays) -> Finding:
    """Say whether float32 would merge classes."""
    told = arrays["labels"]
    if told.dtype.kind not in "iu":
        return Finding("labels", {"dtype": str(told.dtype)}, "the classes are told by name")
    merged = len(np.unique(told)) - len(np.unique(told.astype(np.float32)))
    values = {"dtype": str(told.dtype), "merged_by_float32": merged}
    says = "no two classes become one in a tool that keeps labels as float32"
    lost = f"{merged} classes vanish in a tool that keeps labels as float32 (none vanish here)"
    return Finding("labels", values, lost if merged else says)


def ids(arrays: Arrays, doubled: int, both: Sequence[str] = ()) -> Finding:
    """Say what settles ties, and whether queries are in a gallery apart."""
    given = "ids" in arrays
    if both:
        says = f"{len(both)} images are queries and in the gallery too (first: '{both[0]}')"
        values = {"given": True, "doubled": doubled, "on_both_sides": len(both)}
        return Finding("ids", values, says, f"{len(both)} queries are in the gallery")
    if doubled:
        says = f"{doubled} rows have the id of another; ties go by row number"
        return Finding("ids", {"given": True, "doubled": doubled}, says, f"{doubled} ids twice")
    says = "ties go by id, whatever the order of the rows" if given else "ties go by row number"
    return Finding("ids", {"given": given, "doubled": 0}, says)
