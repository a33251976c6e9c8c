"""The types that travel: checked when made, trusted afterwards.

Shape letters, everywhere: N images of a split, Q queries, G gallery, B batch, V views, C classes,
D dimensions, K neighbours kept, R relevant items, S seeds, H and W pixels.
"""

from dml_bench.types.data import NO_LABEL, Batch, Dataset, Images, Split, fingerprint
from dml_bench.types.recipe import Recipe, RunResult
from dml_bench.types.vectors import (
    Clustering,
    Embeddings,
    Floats,
    Ints,
    PerQuery,
    Ranking,
    unit_rows,
)

__all__ = [
    "NO_LABEL",
    "Batch",
    "Clustering",
    "Dataset",
    "Embeddings",
    "Floats",
    "Images",
    "Ints",
    "PerQuery",
    "Ranking",
    "Recipe",
    "RunResult",
    "Split",
    "fingerprint",
    "unit_rows",
]
