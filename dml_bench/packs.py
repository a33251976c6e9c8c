"""The pixels that a run looks at: packed before it begins, so that no lap counts the decoding."""

from pathlib import Path

from dml_bench.data.pack import Pixels, pack
from dml_bench.types import Dataset, Recipe, Split


class Packs:
    """The pixels of a dataset's splits, packed when they are first asked for."""

    def __init__(self, dataset: Dataset, recipe: Recipe, folder: Path) -> None:
        self.dataset, self.recipe, self.folder = dataset, recipe, folder
        self.made: dict[int, Pixels] = {}

    def __getitem__(self, split: Split) -> Pixels:
        if id(split) not in self.made:
            self.made[id(split)] = self._pack(split)
        return self.made[id(split)]

    def _pack(self, split: Split) -> Pixels:
        return pack(
            split, self.folder, self.dataset.name, fit=self.recipe.fit, resize=self.recipe.resize
        )

    def make(self) -> None:
        """Pack all that a run of the recipe looks at."""
        trained = [self.dataset.train] if self.recipe.epochs else []
        for split in (*trained, self.dataset.query, self.dataset.gallery):
            _ = self[split]
