"""When training helps at all: the ledger's section of starts and gains, in sentences."""

from collections.abc import Sequence

from dml_bench.ledger import budgeted, starts
from dml_bench.ledger.budgets import Group
from dml_bench.ledger.questions import START
from dml_bench.ledger.section import Section, bullets, sure
from dml_bench.ledger.sentences import anchor, sentence
from dml_bench.ledger.starts import Gain
from dml_bench.ledger.verdicts import FAILS, HOLDS, Line, at, counted
from dml_bench.parts import cent, signed
from dml_bench.published import published


def helps(groups: Sequence[Group], folder: str) -> Section:
    """Return when training ends above what it started from.

    Args:
        groups: the runs of each recipe, one a seed.
        folder: where they lie, seen from the page.
    """
    found = starts.gains(groups)
    drawn = [one for one in found if one.start.a[0].recipe.weights == "none"]
    kept = [one for one in found if one.start.a[0].recipe.weights != "none"]
    short = []
    for start, some in (("ImageNet weights", kept), ("random weights", drawn)):
        for word, labelled in (("without", False), ("with", True)):
            mine = [one for one in some if _labelled(one) == labelled]
            text = f"From {start}, training {word} labels ends above"
            short.append(f"{text} the same network untrained: {counted([g.start for g in mine])}.")
            over = [g.features or g.start for g in mine if g.features or _bare(g)]
            if some is kept:
                short.append(f"{text} the frozen features without a head: {counted(over)}.")
    strengths = starts.by_strength(found)
    short.append(_strength(strengths))
    lines = [
        *budgeted.gains(found, folder),
        "",
        "**InvaSpread as released, the strongest start of a dataset first.**",
        "",
        *bullets(sentence(one, folder) for one in strengths),
        "",
        "Checked: a start has dataset, network, weights, sizes, head and precision of what was"
        " trained; runs with the rate 0 are no training and stand in no count. Where training falls"
        " and the paper's rises: what the rate 0, frozen batch norm, the head alone, a lower rate"
        f" and fewer steps do stands under [{START.title}](#{anchor(START.title)}), and labels rise"
        " from the same start where a row says so.",
    ]
    lines_of = [one for g in found for one in (g.start, g.features) if one]
    return Section("When does it help at all", short, [*_risen(), *lines], 0, sure(lines_of))


def _risen() -> list[str]:
    """Return what the paper prints of the start and of what training makes of it."""
    rows = [
        row
        for row in (*published("cub200"), *published("cars196"))
        if row.source_key.startswith("invaspread_t") and row.metric == "recall@1"
    ]
    told_of = []
    for one in rows:
        mine = (row for row in rows if row.source == one.source and row.method == "invaspread")
        after = next(mine, None)
        if one.method == "init" and after:
            told_of.append(
                f"{cent(one.value)} to {cent(after.value)} ({one.dataset}; {one.source})"
            )
    return [f"Printed: pretrained weights rise from {' and from '.join(told_of)}.", ""]


def _bare(one: Gain) -> bool:
    """Return whether the start is itself the network's features."""
    return one.start.b[0].recipe.head == "none"


def _labelled(one: Gain) -> bool:
    return one.start.a[0].supervision == "supervised"


def _strength(lines: Sequence[Line]) -> str:
    each = [
        f"from {cent(one.values[1])} by {signed(one.difference)} ({at(one, lines)})"
        for one in lines
    ]
    up = [text for text, one in zip(each, lines, strict=True) if one.verdict == HOLDS]
    down = [text for text, one in zip(each, lines, strict=True) if one.verdict == FAILS]
    return (
        f"InvaSpread as released rises {'; '.join(up) or 'nowhere'}. It falls"
        f" {'; '.join(down) or 'nowhere'}. Not decided: {len(lines) - len(up) - len(down)} starts."
    )
