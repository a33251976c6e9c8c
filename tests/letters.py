"""A part of `glyphs` that a method learns from in seconds."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from dml_bench import data
from dml_bench.types import Dataset, Split

N_TEST = 80


class Some:
    """Some of a split's images; satisfies `types.Images`."""

    def __init__(self, images, rows):
        self.images, self.rows = images, rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.images[int(self.rows[index])]

    def signature(self):
        return f"{self.images.signature()} {len(self.rows)}"


def first_classes(split: Split, n_classes: int) -> Split:
    rows = np.flatnonzero(np.isin(split.labels, split.classes[:n_classes]))
    ids = tuple(split.ids[row] for row in rows)
    return Split(split.name, Some(split.images, rows), split.labels[rows], ids)


@cache
def letters(n_train: int = 160) -> Dataset:
    """Latin classes to train on, 80 Greek and Cyrillic ones to ask for."""
    whole = data.load("glyphs", Path())
    test = first_classes(whole.query, N_TEST)
    return replace(whole, train=first_classes(whole.train, n_train), query=test, gallery=test)
