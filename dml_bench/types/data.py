"""Images, their classes, and who is asked: Split, Dataset, Batch."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from dml_bench.errors import DataError
from dml_bench.types.vectors import Ints

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


NO_LABEL = np.iinfo(np.int64).min
"""The class id of a training image that has none; no dataset may use it for a class."""


class Images(Protocol):
    """N images, read when asked for.

    `signature` changes when the pixels may have changed (file sizes and times, or a digest):
    a pack made from other pixels is then made anew.
    """

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> "Image": ...
    def signature(self) -> str:
        """Return what changes when the pixels may have changed."""
        ...


@dataclass(frozen=True, eq=False)
class Split:
    """The images of one split, in a fixed order.

    Args:
        name: "train", "test", ...
        images: N RGB images, read on demand.
        labels: (N,) int64, one class id an image; `NO_LABEL` where there is none.
        ids: N names that are unique in the dataset: paths inside it, or "class/number".
        class_names: class id -> the name that a person reads; may leave out any.

    Raises:
        DataError: lengths that differ, no image, or an id that occurs twice.
    """

    name: str
    images: Images
    labels: Ints
    ids: tuple[str, ...]
    class_names: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sizes = (len(self.images), len(self.labels), len(self.ids))
        if len(set(sizes)) != 1:
            raise DataError(
                f"split '{self.name}': expected as many images as labels and ids,"
                " found {} images, {} labels, {} ids; check the listing".format(*sizes)
            )
        if not sizes[0]:
            raise DataError(f"split '{self.name}': expected images, found none; check the listing")
        if len(set(self.ids)) != sizes[0]:
            twice = Counter(self.ids).most_common(1)[0][0]
            raise DataError(f"split '{self.name}': '{twice}' is listed twice; list each image once")
        object.__setattr__(self, "labels", np.asarray(self.labels, np.int64))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def classes(self) -> Ints:
        """The (C,) class ids that occur, ascending."""
        return np.unique(self.labels[self.labels != NO_LABEL])

    @property
    def labelled(self) -> bool:
        """Whether every image has a label."""
        return bool((self.labels != NO_LABEL).all())


@dataclass(frozen=True, eq=False)
class Dataset:
    """What a method is trained on and what it is asked.

    Args:
        name: as on the command line.
        title: as in a heading.
        train: the split that training may see.
        query: the split whose images are searched for.
        gallery: the split that is searched; the same object as `query` means leave one out.
        protocol: "unseen" (no class of `query` occurs in `train`) or "seen" (all do).
        recall_at: the Ks of Recall@K that the literature prints.
        licence: what the pictures may be used for.
        source: who made it, where, when.

    Raises:
        DataError: a class on both sides of an unseen-class protocol, or a class of a seen-class
            protocol that training never shows.
    """

    name: str
    title: str
    train: Split
    query: Split
    gallery: Split
    protocol: str
    recall_at: tuple[int, ...] = (1, 2, 4, 8)
    licence: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if self.protocol not in ("seen", "unseen"):
            raise DataError(
                f"{self.name}: expected protocol 'seen' or 'unseen', found '{self.protocol}'"
            )
        seen, asked = set(self.train.classes.tolist()), set(self.query.classes.tolist())
        if self.protocol == "unseen" and seen & asked:
            both = sorted(seen & asked)
            raise DataError(
                f"{self.name}: expected no class in both train and test, found {len(both)}"
                f' (first: {both[0]}); correct the split, or say protocol = "seen"'
            )
        if self.protocol == "seen" and asked - seen:
            raise DataError(
                f"{self.name}: expected every test class in train, found {len(asked - seen)} that"
                f" are not (first: {min(asked - seen)}); correct the split, or say"
                ' protocol = "unseen"'
            )

    @property
    def leave_one_out(self) -> bool:
        """Whether the queries are searched among themselves."""
        return self.query is self.gallery

    @cached_property
    def fingerprint(self) -> str:
        """16 hex of the SHA-256 over who is asked, who is searched, and what is right."""
        return fingerprint(self.protocol, self.query, None if self.leave_one_out else self.gallery)


def fingerprint(protocol: str, query: Split, gallery: Split | None) -> str:
    """Hash the sorted ids with the partition that the labels make of them.

    A class is named by its first id, so renumbering the classes changes nothing.
    """
    digest = hashlib.sha256(protocol.encode())
    first: dict[int, str] = {}
    for split in (query, gallery):
        for item, label in (
            sorted(zip(split.ids, split.labels.tolist(), strict=True)) if split else ()
        ):
            digest.update(f"\n{item}\t{first.setdefault(label, item)}".encode())
        digest.update(b"\n--")
    return digest.hexdigest()[:16]


def training_fingerprint(train: Split, *, labels: bool) -> str:
    """Hash the training ids in their order (draws are of rows), and the partition if it is seen.

    Neither where the images lie nor when they were written changes it.
    """
    digest = hashlib.sha256("\n".join(train.ids).encode())
    if labels:
        first: dict[int, str] = {}
        for item, label in zip(train.ids, train.labels.tolist(), strict=True):
            digest.update(f"\n{first.setdefault(label, item)}".encode())
    return digest.hexdigest()[:16]


def sizes(images: Images) -> Ints | None:
    """Return the (N,) bytes that each image takes; None for images in no files of their own."""
    found: Ints | None = getattr(images, "sizes", None)
    return found


def files_fingerprint(splits: Sequence[Split]) -> str:
    """Hash how many bytes each image takes: what other pictures by the same names hardly have.

    Neither where the images lie (in a folder, in shards) nor when they were written changes it.
    Empty where images lie in no files of their own: an archive's checksum is looked at then.
    """
    digest = hashlib.sha256()
    for split in splits:
        found = sizes(split.images)
        if found is None:
            return ""
        digest.update(np.ascontiguousarray(found, np.int64).data)
    return digest.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Batch:
    """What a method sees of a step beside the vectors.

    Args:
        images: (V, B, 3, H, W) V augmented views of B images: float32 in [0, 1], or uint8.
        ids: (B,) int64, the images' rows in the training split.
        labels: (B,) int64 class numbers 0 to C - 1; None for a method that may not see them.
        features: (V, B, width) float32, what the backbone says of the views, with its gradient;
            None for a method that does not ask for them.
        taught: (V, B, D) float32 unit rows, the teacher's vectors; None without a teacher.
        taught_features: (V, B, width) float32, its features; None without a teacher.
    """

    images: "Tensor"
    ids: "Tensor"
    labels: "Tensor | None" = None
    features: "Tensor | None" = None
    taught: "Tensor | None" = None
    taught_features: "Tensor | None" = None
