"""The types that travel: checked when made, trusted afterwards.

Shape letters, everywhere: N images of a split, Q queries, G gallery, B batch, V views, C classes,
D dimensions, K neighbours kept, R relevant items, S seeds, H and W pixels.
"""

from dml_bench.types.data import NO_LABEL, Batch, Dataset, Images, Split, fingerprint
from dml_bench.types.found import Clustering, Firsts, PerQuery, Ranking, Rows
from dml_bench.types.recipe import Recipe, RunResult
from dml_bench.types.vectors import Embeddings, Floats, Ints, unit_rows

__all__ = [
    "NO_LABEL",
    "Batch",
    "Clustering",
    "Dataset",
    "Embeddings",
    "Firsts",
    "Floats",
    "Images",
    "Ints",
    "PerQuery",
    "Ranking",
    "Recipe",
    "Rows",
    "RunResult",
    "Split",
    "fingerprint",
    "unit_rows",
]
