"""Methods: one file each, registered here by its name."""

from dml_bench.registry import Catalogue

METHODS = Catalogue(
    "method",
    "dml_bench.methods",
    "pixels",
    "random",
    "init",
    "invaspread",
    "triplet_semihard",
)
