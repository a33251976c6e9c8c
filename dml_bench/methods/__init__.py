"""Methods: one file each, registered here by its name."""

from dml_bench.registry import Catalogue

METHODS = Catalogue(
    "method",
    "dml_bench.methods",
    # no training
    "pixels",
    "random",
    "init",
    # no labels
    "exemplar",
    "npsoftmax",
    "nce",
    "deepcluster",
    "mom",
    "cyclic",
    "triplet",
    "triplet_hard",
    "invaspread",
    "simclr",
    "moco",
    "byol",
    "stml",
    # labels
    "triplet_semihard",
    "contrastive",
    "lifted",
    "n_pair",
    "angular",
    "margin",
    "multi_similarity",
    "norm_softmax",
    "proxy_nca",
    "proxy_anchor",
    "soft_triple",
    "arcface",
    "supcon",
)
