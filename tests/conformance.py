"""The same small cases to four judges: the definition, this package, and three libraries.

`python tests/conformance.py` writes docs/conformance.md; tests/test_conformance.py keeps it true.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import permutations
from pathlib import Path

import numpy as np
from judges import (
    Array,
    Judge,
    average_precision,
    by_definition,
    classifier,
    divided_by_the_class,
    first_dropped,
    lone_count_as_wrong,
    nearest,
    neighbours,
    of_clusters,
    ours,
    pml,
    torchmetrics,
)
from torchmetrics import retrieval

from dml_bench.errors import BenchError
from dml_bench.typeset import Grid, markdown

PAGE = Path(__file__).parent.parent / "docs" / "conformance.md"
TOOLS = ("pytorch-metric-learning", "torchmetrics", "scikit-learn")
Rows = Sequence[Sequence[float]]
COLUMNS = ("definition", "dml_bench", *TOOLS)


def at(*degrees: float, length: float = 1.0) -> Rows:
    """Rows in the plane, at these angles."""
    return [[length * math.cos(a), length * math.sin(a)] for a in map(math.radians, degrees)]


PLANE = at(0, 10, 25, 45, 70, 100)  # no two gaps alike: no ties


@dataclass(frozen=True)
class Case:
    """Vectors that are searched among themselves, and what a metric of them is.

    Args:
        title: what is special.
        metric: ours.
        rows: (N, 2); of clusters (N, 1), the cluster of each image.
        labels: (N,).
        why: one or two sentences on who differs, and why.
        theirs: column -> what it says of rows, labels and ids; "-" where it has nothing to say.
        every_order: ask with the rows in every order, and give the least and the greatest.
        named: the images have ids, which go with them when the order changes.
    """

    title: str
    metric: str
    rows: Rows
    labels: Sequence[int]
    why: str
    theirs: dict[str, Judge]
    every_order: bool = False
    named: bool = False

    def answers(self, columns: Sequence[str]) -> list[str]:
        """What the definition, this package and others say."""
        first = {"definition": by_definition(self.metric), "dml_bench": ours(self.metric)}
        judges = first | self.theirs
        return [self._of(judges[name]) if name in judges else "-" for name in columns]

    def _of(self, judge: Judge) -> str:
        rows, labels = np.array(self.rows, np.float32), np.array(self.labels)
        orders = permutations(range(len(rows))) if self.every_order else [range(len(rows))]
        try:
            found = {self._ask(judge, rows, labels, list(order)) for order in orders}
        except (BenchError, ValueError, RuntimeError, ArithmeticError):
            return "refused"
        return " to ".join(dict.fromkeys((number(min(found)), number(max(found)))))

    def _ask(self, judge: Judge, rows: Array, labels: Array, order: list[int]) -> float:
        ids = np.array(order) if self.named else np.arange(len(order))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(judge(rows[order], labels[order], ids))


def number(value: float) -> str:
    return "NaN" if math.isnan(value) else f"{round(value, 4) + 0.0:.4f}"


TWINS = at(0, 0, 53, 53, 90, 96)
SAME = at(0, 0, 0, 0, 0)
PAIRS = [1, 1, 2, 2, 3, 3]
MIXED = [1, 2, 1, 1, 2, 2]
SEARCHED = (
    Case("nothing special", "recall@1", PLANE, PAIRS, "All agree.", nearest(1)),
    Case(
        "every image is in the gallery too, none has its like next to it",
        "recall@1",
        PLANE,
        [1, 2, 1, 2, 1, 2],
        "pytorch-metric-learning given the same images as a reference, without being told so"
        " (`ref_includes_query`), and KNeighborsClassifier scored on what it was fitted to, let"
        " each image find itself. Here the own image is left out whenever the queries are the"
        " gallery.",
        {
            "pytorch-metric-learning": pml("precision_at_1", itself=True),
            "scikit-learn": classifier,
            "torchmetrics": nearest(1)["torchmetrics"],
        },
    ),
    Case(
        "exact duplicates in two classes",
        "recall@1",
        TWINS,
        [1, 2, 1, 2, 3, 3],
        "All leave an image out by its number, and agree. What drops the first answer does not:"
        " see the last table.",
        nearest(1),
    ),
    Case(
        "all scores equal, rows in any order",
        "recall@1",
        SAME,
        [1, 1, 2, 2, 2],
        "Without ids the row number settles ties in all of them, so the order of the file decides"
        " the number. `score` says under `ties` how far it could.",
        nearest(1),
        every_order=True,
    ),
    Case(
        "the same, with an id for each image",
        "recall@1",
        SAME,
        [1, 1, 2, 2, 2],
        "Ids go with their rows and settle ties: one number. The libraries know no ids.",
        nearest(1),
        every_order=True,
        named=True,
    ),
    Case(
        "two classes of one image",
        "recall@1",
        PLANE,
        [1, 1, 2, 2, 3, 4],
        "A query without a right answer is left out of the mean by the definition, by"
        " pytorch-metric-learning and here, where it is counted as well; torchmetrics and"
        " scikit-learn count it as wrong (torchmetrics leaves it out if asked:"
        ' `empty_target_action="skip"`).',
        nearest(1),
    ),
    Case(
        "no class has two images",
        "recall@1",
        PLANE,
        [1, 2, 3, 4, 5, 6],
        "There is nothing to average: refused here, no number in pytorch-metric-learning, 0 in the"
        " others.",
        nearest(1),
    ),
    Case("one class only", "recall@1", PLANE, [7] * 6, "All agree.", nearest(1)),
    Case(
        "more neighbours asked for than there are",
        "recall@10",
        PLANE,
        PAIRS,
        "All of the gallery is taken, here and by torchmetrics; scikit-learn refuses.",
        nearest(10),
    ),
    Case(
        "class numbers from 2^24 on",
        "recall@1",
        PLANE,
        [2**24, 2**24 + 1, 2**24 + 1, 2**24 + 2, 2**24 + 2, 2**24],
        "pytorch-metric-learning keeps labels as float32, where 2^24 and 2^24 + 1 are one number.",
        nearest(1),
    ),
    Case(
        "rows of different lengths",
        "recall@1",
        [[1, 0], [9, 1], [0.5, 0.5], [9, 9.5], [0, 1], [1, 9]],
        PAIRS,
        "pytorch-metric-learning takes Euclidean distances of the rows as they are; the others"
        " were asked for cosines. On rows of length 1 both rank alike.",
        nearest(1),
    ),
    Case(
        "a row that is not a number",
        "recall@1",
        [*PLANE[:5], [math.nan, 0.0]],
        PAIRS,
        "torchmetrics sorts scores that are no numbers like any other; the others refuse.",
        nearest(1),
    ),
    Case(
        "three of a class, two looked at",
        "recall@2",
        PLANE,
        [1, 1, 2, 1, 2, 2],
        "RetrievalRecall is the share of the relevant images that are found, a recall as in"
        " information retrieval. Recall@K of metric learning asks whether there is any:"
        " torchmetrics calls that RetrievalHitRate.",
        {
            "torchmetrics": torchmetrics(retrieval.RetrievalRecall(top_k=2)),
            "scikit-learn": neighbours(2),
        },
    ),
    Case(
        "each query has its own R",
        "r_precision",
        PLANE,
        [1, 2, 1, 1, 2, 1],
        "All agree.",
        {
            "pytorch-metric-learning": pml("r_precision"),
            "torchmetrics": torchmetrics(retrieval.RetrievalRPrecision()),
        },
    ),
    Case(
        "average precision, and where it ends",
        "map@r",
        PLANE,
        MIXED,
        "MAP@R ends at the R nearest. RetrievalMAP and average_precision_score go to the end of"
        " the ranking, which is another metric: mean average precision.",
        {
            "pytorch-metric-learning": pml("mean_average_precision_at_r"),
            "torchmetrics": torchmetrics(retrieval.RetrievalMAP()),
            "scikit-learn": average_precision,
        },
    ),
    Case(
        "average precision of equal scores, rows in any order",
        "map@r",
        SAME,
        [1, 1, 2, 2, 2],
        "average_precision_score takes equal scores for one step of the curve, so no order reaches"
        " it; the others follow the order of the rows.",
        {
            "pytorch-metric-learning": pml("mean_average_precision_at_r"),
            "torchmetrics": torchmetrics(retrieval.RetrievalMAP()),
            "scikit-learn": average_precision,
        },
        every_order=True,
    ),
)
THREE = [[0], [0], [1], [1], [2], [2]]
HALVES = [1, 1, 1, 2, 2, 2]
GROUPED = (
    Case("clusters across classes", "nmi", THREE, HALVES,
         "All take the arithmetic mean of the entropies unless told otherwise.",
         of_clusters("nmi", *TOOLS)),
    Case("the same", "nmi_geometric", THREE, HALVES,
         "The geometric mean, scikit-learn's default before 0.22, gives a greater number:"
         " older papers have it.", of_clusters("nmi_geometric", *TOOLS[1:])),
    Case("the same", "ami", THREE, HALVES, "All agree.", of_clusters("ami", *TOOLS)),
    Case("the same", "nmi_chance", THREE, HALVES,
         "What NMI is for these cluster sizes if images are drawn into them at random. No library"
         " tells it; NMI is to be read beside it.", {}),
    Case("every image a cluster of its own", "nmi", [[n] for n in range(6)], HALVES,
         "NMI rewards many clusters though nothing is found.", of_clusters("nmi", *TOOLS)),
    Case("every image a cluster of its own", "ami", [[n] for n in range(6)], HALVES,
         "AMI takes chance away, and nothing is left.", of_clusters("ami", *TOOLS)),
    Case("one class in one cluster", "nmi", [[0]] * 4, [1] * 4,
         "The partitions are the same: 1. torchmetrics says 0 where an entropy is 0.",
         of_clusters("nmi", *TOOLS)),
    Case("one class in one cluster", "ami", [[0]] * 4, [1] * 4,
         "Likewise.", of_clusters("ami", *TOOLS)),
    Case("two classes in one cluster", "nmi", [[0]] * 4, [1, 1, 2, 2], "All agree.",
         of_clusters("nmi", *TOOLS)),
)  # fmt: skip
SCRIPTS = (
    Case("exact duplicates in two classes, rows in any order", "recall@1", at(0, 0, 53, 53),
         [1, 2, 1, 2],
         "The first answer is dropped, whatever it is (`[:, 1:]`). A duplicate that stands before"
         " the query's own image is dropped in its place, and the query finds itself: a hit.",
         {"as released": first_dropped}, every_order=True),
    Case("all scores equal, rows in any order", "recall@1", SAME, [1, 1, 2, 2, 2],
         "The same, where a network has collapsed.", {"as released": first_dropped},
         every_order=True),
    Case("two classes of one image", "recall@1", PLANE, [1, 1, 2, 2, 3, 4],
         "Queries without a right answer counted as wrong, as some benchmarks do.",
         {"as released": lone_count_as_wrong}),
    Case("perfectly separated pairs", "r_precision", at(0, 1, 60, 62, 120, 123), PAIRS,
         "A class size that counts the query itself as the divisor: no embedding reaches 1.",
         {"as released": divided_by_the_class}),
)  # fmt: skip
HEAD = """# Conformance

The same small cases to the definition in slow loops, to this package, and to three libraries.
`tests/test_conformance.py` fails when this page is not what they say now; `python
tests/conformance.py` writes it anew. Where rows stand in any order, the least and the greatest
number over all orders are given. A dash: the tool has nothing of the kind.
"""
TABLES = {
    "Search": (COLUMNS, SEARCHED),
    "Clusters": (COLUMNS, GROUPED),
    "What released scripts do, restated": (("definition", "dml_bench", "as released"), SCRIPTS),
}


def versions() -> str:
    """The libraries that the page was written with."""
    return "Written with " + ", ".join(f"{tool} {version(tool)}" for tool in TOOLS) + "."


def table(columns: Sequence[str], cases: Sequence[Case]) -> str:
    """The cases, and below them why some differ."""
    rows = [
        [str(n), case.title, case.metric, *case.answers(columns)]
        for n, case in enumerate(cases, start=1)
    ]
    numeric = frozenset(range(3, 3 + len(columns)))
    grid = Grid(["", "case", "metric", *columns], rows, numeric)
    reasons = [f"{n}. {case.why}" for n, case in enumerate(cases, start=1)]
    return "\n".join([markdown(grid), *reasons, ""])


def page() -> str:
    """The whole page."""
    parts = [f"## {title}\n\n{table(*about)}" for title, about in TABLES.items()]
    return "\n".join([HEAD, versions(), "", *parts])


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
