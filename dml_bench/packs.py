"""The pixels that a run looks at: packed before it begins, so that no lap counts the decoding."""

from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from dml_bench.data.ahead import Ahead
from dml_bench.data.members import members
from dml_bench.data.order import span
from dml_bench.data.pack import Pixels, pack
from dml_bench.data.splits import HeldOut
from dml_bench.data.stream import Stream
from dml_bench.types import Dataset, Ints, Recipe, Split


class Packs:
    """The pixels of a dataset's splits, packed when they are first asked for.

    Training images in shards, in the order of shards, are not packed: they are read as they come.

    Args:
        dataset: what is trained on, and asked.
        recipe: fit, resize and order.
        folder: where packs are kept.
    """

    def __init__(self, dataset: Dataset, recipe: Recipe, folder: Path) -> None:
        self.dataset, self.recipe, self.folder = dataset, recipe, folder
        self.made: dict[int, Pixels] = {}
        found = members(dataset.train.images) if span(recipe.order) else None
        self.ahead = Ahead(found[0]) if found else None

    def __getitem__(self, split: Split) -> Pixels:
        if id(split) not in self.made:
            self.made[id(split)] = self._stream(split) or self._pack(split)
        return self.made[id(split)]

    def _pack(self, split: Split) -> Pixels:
        return pack(
            split, self.folder, self.dataset.name, fit=self.recipe.fit, resize=self.recipe.resize
        )

    def _stream(self, split: Split) -> Pixels | None:
        """Return the pixels of a split that lies in the training shards; None for another."""
        found = members(split.images) if self.ahead else None
        if self.ahead is None or found is None or found[0] is not self.ahead.images:
            return None
        said = self.recipe
        return cast(Pixels, Stream(self.ahead, found[1], fit=said.fit, resize=said.resize))

    def _cut(self, held: HeldOut) -> None:
        """Take the pixels of what is held out, and of the rest, from one pack of both."""
        for split, rows in held.parts:
            self.made[id(split)] = cast(Pixels, Rows(self[held.whole], rows))

    def make(self, held: HeldOut | None = None) -> None:
        """Pack all that a run of the recipe looks at, and what is held out of it."""
        if held and self.ahead is None:
            self._cut(held)
        if self.recipe.epochs:
            _ = self[self.dataset.train]
        self.make_asked()

    def make_asked(self) -> None:
        """Pack what is embedded to be scored."""
        for split in (self.dataset.query, self.dataset.gallery):
            _ = self[split]


class Rows:
    """Some of a pack's images: what training and embedding ask of pixels, read when it is asked.

    Args:
        pixels: (N, 3, H, W) uint8.
        rows: (M,) which of them.
    """

    def __init__(self, pixels: Pixels, rows: Ints) -> None:
        self.pixels, self.rows = pixels, rows
        self.shape = (len(rows), *pixels.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: slice | npt.NDArray[np.int64], /) -> Pixels:
        return self.pixels[self.rows[index]]
