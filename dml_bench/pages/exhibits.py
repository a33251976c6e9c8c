"""What a close-up shows: pictures, what stands beside them, and what is said of them."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from dml_bench.pages.figures import Drawing


@dataclass(frozen=True)
class Picture:
    """An image of the test set, and how it stands to what was asked.

    Args:
        id: of the image.
        name: of its class.
        hit: whether it is what was asked for; None where nothing was asked.
    """

    id: str
    name: str
    hit: bool | None = None


@dataclass(frozen=True)
class Shown:
    """A picture, those beside it, and a sentence about them."""

    said: str
    first: Picture
    others: tuple[Picture, ...]


@dataclass(frozen=True)
class Named:
    """A class, its Recall@1, and one of its images."""

    name: str
    value: float
    queries: int
    picture: Picture


@dataclass(frozen=True)
class Apart:
    """The queries on which two runs differ: what each of them finds nearest.

    Args:
        other: the name of the other run.
        n_won: queries that this run answers and the other does not.
        n_lost: the other way round.
        won: some of the first: the query, then this run's nearest, then the other's.
        lost: some of the second.
    """

    other: str
    n_won: int
    n_lost: int
    won: tuple[tuple[Shown, Shown], ...]
    lost: tuple[tuple[Shown, Shown], ...]


@dataclass(frozen=True)
class Point:
    """An image on the map, from 0 to 1000 each way; `hit` says whether its nearest is right."""

    x: float
    y: float
    hit: bool
    picture: Picture


@dataclass(frozen=True)
class Closeup:
    """One run in close-up."""

    label: str
    key: str
    seed: int
    classes: Drawing
    best: tuple[Named, ...]
    worst_classes: tuple[Named, ...]
    worst: tuple[Shown, ...]
    hubs: tuple[Shown, ...]
    confused: tuple[Shown, ...]
    apart: Apart | None
    points: tuple[Point, ...]


def pictures(part: Any) -> Iterator[Picture]:
    """Return every picture that a close-up shows.

    Example:
        >>> [one.id for one in pictures((Shown("", Picture("a", "x"), (Picture("b", "x"),)),))]
        ['a', 'b']
    """
    if isinstance(part, Picture):
        yield part
    elif isinstance(part, tuple | list):
        for one in part:
            yield from pictures(one)
    elif is_dataclass(part) and not isinstance(part, Drawing):
        for field in fields(part):
            yield from pictures(getattr(part, field.name))
