"""Images that lie in tars: read from there, those that lie side by side together."""

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dml_bench.data.addresses import Place
from dml_bench.data.images import Chosen, decoded
from dml_bench.data.tars import Contents
from dml_bench.types import Images, Ints

RUN = 4 << 20  # bytes that one request brings, at most, unless an image is larger
GAP = 1 << 18  # bytes between two images that are read rather than asked for anew


@dataclass(frozen=True)
class Shard:
    """A tar, what changes when its content may have changed, and what it holds."""

    place: Place
    mark: str
    held: Contents


class Members:
    """N images that lie in tars, in the order of the tars and of the images in them.

    Args:
        shards: the tars.
        cap: bytes of them that are held at most (`data.ahead`); a share of the memory if None.
    """

    def __init__(self, shards: Sequence[Shard], cap: int | None = None) -> None:
        self.tars, self.cap = tuple(shards), cap
        counts = [len(shard.held.keys) for shard in shards]
        self.shards: Ints = np.repeat(np.arange(len(shards)), counts)
        self.starts: Ints = np.concatenate([shard.held.starts for shard in shards])
        self.sizes: Ints = np.concatenate([shard.held.sizes for shard in shards])
        self.firsts: Ints = np.cumsum([0, *counts])

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int, /) -> Image.Image:
        row = range(len(self))[index]
        return self.image(row, self.read([row])[0])

    def image(self, row: int, content: bytes) -> Image.Image:
        """Return the image that an encoded one is.

        Raises:
            DataError: it is none.
        """
        return decoded(io.BytesIO(content), self.name(row), "bring the shard")

    def several(self, rows: Sequence[int]) -> Iterator[Image.Image]:
        """Yield images; those that lie side by side come in one request."""
        yield from map(self.image, rows, self.read(rows))

    def name(self, row: int) -> str:
        """Return what an error calls an image: its shard and key."""
        tar = self.tars[self.shards[row]]
        return f"{tar.place.address}: {tar.held.keys[row - self.firsts[self.shards[row]]]}"

    def read(self, rows: Sequence[int] | Ints) -> list[bytes]:
        """Return images as they are encoded, those that lie side by side in one request."""
        found: dict[int, bytes] = {}
        for run in self.runs(np.unique(rows)):
            found.update(self.bring(run))
        return [found[int(row)] for row in rows]

    def runs(self, rows: Ints) -> Iterator[Ints]:
        """Cut (M,) ascending rows into those that one request brings."""
        if not len(rows):
            return
        starts, ends = self.starts[rows], self.starts[rows] + self.sizes[rows]
        apart = np.ones(len(rows), bool)
        apart[1:] = np.diff(self.shards[rows]) != 0
        apart[1:] |= (starts[1:] - ends[:-1] > GAP) | (starts[1:] < ends[:-1])
        first = 0
        for row in range(1, len(rows) + 1):
            if row == len(rows) or apart[row] or ends[row] - starts[first] > RUN:
                yield rows[first:row]
                first = row

    def span(self, run: Ints) -> int:
        """Return how many bytes the request of a run brings."""
        return int(self.starts[run[-1]] + self.sizes[run[-1]] - self.starts[run[0]])

    def bring(self, run: Ints) -> dict[int, bytes]:
        """Return {row: encoded image} of a run."""
        first, place = int(self.starts[run[0]]), self.tars[self.shards[run[0]]].place
        content = place.read(first, first + self.span(run))
        begins = (self.starts[run] - first).tolist()
        ends = (self.starts[run] - first + self.sizes[run]).tolist()
        return {
            row: content[begin:end]
            for row, begin, end in zip(run.tolist(), begins, ends, strict=True)
        }

    def signature(self) -> str:
        """Return a hash of the shards' marks, and of where the images lie."""
        digest = hashlib.sha256("\n".join(tar.mark for tar in self.tars).encode())
        for array in (self.shards, self.starts, self.sizes):
            digest.update(array.tobytes())
        return digest.hexdigest()


def members(images: Images) -> tuple[Members, Ints] | None:
    """Return what images are chosen from, if they lie in shards, and (M,) which of them."""
    if isinstance(images, Members):
        return images, np.arange(len(images))
    if isinstance(images, Chosen) and (found := members(images.images)):
        return found[0], found[1][images.rows]
    return None


def shards_of(images: Images) -> Ints | None:
    """Return (N,) the shard that each image lies in; None for images that lie in none."""
    found = members(images)
    return found[0].shards[found[1]] if found else None
