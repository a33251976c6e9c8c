"""Which methods a paper has ahead of which, and which are ahead here."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from statistics import fmean

from dml_bench.ledger.budgets import (
    BUDGET,
    UNTRAINED,
    Group,
    primary,
    setting,
)
from dml_bench.ledger.reckonings import of_result, told_of_rates
from dml_bench.ledger.released import as_released, released_loss
from dml_bench.ledger.verdicts import Line, line
from dml_bench.published import Published, published
from dml_bench.rows import place
from dml_bench.types import RunResult

STANDS_FOR: Mapping[str, Sequence[str]] = {
    "cifar10": ("cifar10", "cifar10_jpeg"),
    "cub200": ("cub200", "cub100_crops"),
    "cars196": ("cars196", "cars196_crops"),
}
"""A dataset that papers print -> ours whose order of methods may be held against theirs."""


def stands_for(result: RunResult, theirs: str) -> bool:
    """Return whether a run is of a dataset that papers print, or of one that stands for it."""
    return place(result)[0] in STANDS_FOR.get(theirs, (theirs,))


Order = tuple[Published, Published, Line]
"""Two printed numbers of one table, the better first, and our two methods beside each other."""


def orders(groups: Sequence[Group]) -> list[Order]:
    """Return each pair of methods that a paper printed, the better first, as our runs have them.

    Each method stands once for a budget: in the variant, and at the rate, that served it best;
    InvaSpread as released.
    """
    found: list[Order] = []
    for theirs, ours in STANDS_FOR.items():
        cells = [c for c in published(theirs) if c.source_key.startswith("invaspread_t")]
        cells = [c for c in cells if c.method and c.metric in ("knn@200", "recall@1")]
        here = [g for g in groups if place(g[0])[0] in ours and g[0].recipe.epochs]
        here = [g for g in here if g[0].recipe.lr and g[0].recipe.method not in UNTRAINED]
        for some in _budgets(here):
            found += _orders(cells, some, here)
    return found


def _budgets(groups: Sequence[Group]) -> Iterable[Sequence[Group]]:
    """Return the recipes that have the budget alike, together."""
    found = defaultdict(list)
    for group in groups:
        key = tuple(getattr(group[0].recipe, name) for name in sorted(BUDGET))
        found[(*place(group[0]), *key)].append(group)
    return found.values()


def _orders(
    cells: Sequence[Published], groups: Sequence[Group], every: Sequence[Group]
) -> Iterator[Order]:
    best = {cell: _best(cell, groups) for cell in sorted(cells, key=lambda c: -c.value)}
    for first, second in combinations(best, 2):
        a, b = best[first], best[second]
        if a is None or b is None or a is b or first.metric != second.metric:
            continue
        measure = (first.metric, of_result)
        one = line(a, b, measure, where=setting(a[0])) if first.value > second.value else None
        if one:
            yield first, second, told_of_rates(one, every)


def _best(cell: Published, groups: Sequence[Group]) -> Group | None:
    """Return the recipe of the method that a cell is about that came out best; None for none.

    One of more seeds stands before one of fewer: one lucky seed is no better recipe.
    """
    own = [g for g in groups if _stands(g[0], cell) and cell.metric == primary(g[0])]
    mean = {id(g): fmean(r.metrics[cell.metric] for r in g) for g in own}
    return max(own, key=lambda g: (len(g), mean[id(g)]), default=None)


def _stands(result: RunResult, cell: Published) -> bool:
    """Return whether a run is of the method that a cell is about."""
    recipe = result.recipe
    if recipe.method != cell.method:
        return False
    if recipe.method == "invaspread":
        return released_loss(result) and as_released(recipe)
    clusters = re.search(r"k=(\d+)", cell.label)
    return not clusters or recipe.options.get("clusters") == int(clusters[1])
