"""The pixels of shards that are not packed: files read ahead, decoded when they are asked for."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from dml_bench.data.ahead import Ahead
from dml_bench.data.pack import Pixels, channels_first, fitting
from dml_bench.types import Ints


class Stream:
    """What training and embedding ask of pixels, of images that lie in shards.

    Which bytes come back depends neither on what is read ahead nor on the number of workers.

    Args:
        ahead: what reads the files.
        rows: (N,) which of its images.
        fit: as `pack` takes it.
        resize: as `pack` takes it.
        workers: threads that decode; one a core if None.
    """

    def __init__(
        self, ahead: Ahead, rows: Ints, *, fit: str, resize: int, workers: int | None = None
    ) -> None:
        self.ahead, self.rows, self.fitting = ahead, rows, fitting(fit, resize)
        self.pool = ThreadPoolExecutor(workers or os.cpu_count(), thread_name_prefix="decode")
        width, height = self.fitting(ahead.images[int(rows[0])]).size
        self.shape = (len(rows), 3, height, width)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: slice | npt.NDArray[np.int64], /) -> Pixels:
        """Return (M, 3, H, W) uint8; slices one after the other are read ahead."""
        rows = self.rows[index]
        if isinstance(index, slice) and len(rows) and not self.ahead.coming(int(rows[0])):
            self.ahead.follow(self.rows[index.start or 0 :])
        found, places = np.unique(rows, return_inverse=True)
        encoded = self.ahead.take(found.tolist())
        pixels = np.empty((len(found), *self.shape[1:]), np.uint8)
        for place, one in enumerate(self.pool.map(self._decoded, found.tolist(), encoded)):
            pixels[place] = one
        return pixels[places]

    def _decoded(self, row: int, content: bytes) -> Pixels:
        image = self.fitting(self.ahead.images.image(row, content))
        return channels_first(image, self.shape, self.ahead.images.name(row))

    def follow(self, rows: Ints) -> None:
        """Read (M,) rows ahead, in the order in which they will be asked for; none is to rest."""
        self.ahead.follow(self.rows[rows])


@contextmanager
def ahead_of(pixels: object, rows: Ints) -> Iterator[None]:
    """Read ahead, while the block runs, what it will ask pixels for; packs need nothing.

    Args:
        pixels: a pack, or images in shards.
        rows: (M,) in the order in which they will be asked for.
    """
    follow: Callable[[Ints], None] = getattr(pixels, "follow", lambda rows: None)
    follow(rows)
    try:
        yield
    finally:
        follow(rows[:0])
