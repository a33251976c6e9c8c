"""When training helps at all: the ledger's section of starts and gains, in sentences."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from dml_bench.ledger import budgeted, naming, starts, summary
from dml_bench.ledger.section import PRINTED_AT, Asked, Section
from dml_bench.ledger.sentences import anchor, interval, outcome, sentence
from dml_bench.ledger.settings import START
from dml_bench.ledger.starts import Gain
from dml_bench.ledger.verdicts import ABSENT, FAILS, HOLDS, ONE, OPEN, Line, at, firm
from dml_bench.parts import cent, signed
from dml_bench.published import published

CHECKED = (
    "Alignment is the mean squared distance between test images of a class, uniformity how far"
    " from even all lie on the sphere (Wang and Isola, ICML 2020; their positive pairs are two"
    " views). Smaller is better of both together, and of neither alone: where all vectors lie on"
    " one point alignment is 0, the least, and uniformity 0, the most; vectors that spread raise"
    " the one and lower the other. Records of before they were asked leave them empty.",
    "",
    "Checked: a start has dataset, network, weights, sizes, head and precision of what was"
    " trained; runs with the rate 0 are no training and stand in no count. Where training falls"
    " and the paper's rises: what the rate 0, frozen batch norm, the head alone, a lower rate and"
    f" fewer steps do stands under [{START.title}](#{anchor(START.title)}), and labels rise from"
    " the same start where a row says so.",
)


def helps(found: Sequence[Gain], folder: str) -> Section:
    """Return when training ends above what it started from.

    Args:
        found: each trained recipe beside its starts.
        folder: where the runs lie, seen from the page.
    """
    printed, about = _risen()
    most = firm(one for gain in found for one in gain.lines)
    found = [gain.marked(most) for gain in found]
    released = [replace(one, remark=budgeted.became(one)) for one in starts.by_strength(found)]
    text = "InvaSpread as released ends above what it started from"
    strengths = starts.against_strength(found)
    return Section(
        "When does it help at all",
        [Asked(text, released, sentence, printed, about)],
        lead=[*_best(found), *_stronger(strengths)],
        notes=[*summary.tally(list(_kinds(found))), "", *_above(found), "", *_strengths(strengths)],
        after=CHECKED,
        tables=budgeted.gains(found, folder),
        gains=[one for gain in found for one in gain.lines],
    )


def _kinds(found: Sequence[Gain]) -> Iterator[tuple[str, list[Line]]]:
    """Yield what is counted, and the comparisons: by start, and by whether labels are told."""
    for start, drawn in (("ImageNet weights", False), ("random weights", True)):
        for word, labelled in (("without", False), ("with", True)):
            mine = [one for one in found if (_drawn(one), _labelled(one)) == (drawn, labelled)]
            text = f"from {start}, {word} labels: above"
            yield f"{text} the same network untrained", [one.start for one in mine]
            if not drawn:
                yield f"{text} the frozen features, no head", _over_features(mine)


def _over_features(found: Sequence[Gain]) -> list[Line]:
    """Return pretrained recipes beside the features of their network, without a head."""
    return [
        one.features or one.start
        for one in found
        if not _drawn(one) and (one.features or _bare(one))
    ]


def _named(found: Sequence[Gain]) -> list[tuple[str, Line]]:
    """Return what ends above the features that it had untrained: its name, the most first."""
    over = _over_features(found)
    recipes = [one.a[0].recipe for one in over]
    best = sorted((one for one in over if one.verdict == HOLDS), key=lambda one: -one.difference)
    return [(naming.known(one.a[0].recipe, recipes), one) for one in best]


def _best(found: Sequence[Gain]) -> Iterator[str]:
    """Yield in short what ends above the frozen features, with labels and without."""
    for word, labelled in (("Without", False), ("With", True)):
        some = [one for one in found if not _drawn(one) and _labelled(one) == labelled]
        best = _named(some)
        lines = [one for _, one in best]
        told = [
            f"{name} {signed(one.difference)} on {at(one, lines, briefly=True)}"
            for name, one in best
        ]
        counts = Counter(one.verdict for one in _over_features(some))
        above = f"{len(best)} recipes end above the frozen features"
        names = f" ({'; '.join(told)})" if told else ""
        rest = f"{counts[FAILS]} below, {counts[OPEN]} are not decided, {counts[ONE]} ran one seed"
        yield f"{word} labels, from ImageNet weights, {above}{names}, {rest}."


def _above(found: Sequence[Gain]) -> Iterator[str]:
    """Yield a table of the recipes that end above the features that they had without training."""
    yield "| above the frozen ImageNet features | where | by | seeds | it rises |"
    yield "| :-- | :-- | --: | --: | :-- |"
    named = _named(found)
    for name, one in named:
        apart = interval(one.difference, one.half)
        where = at(one, [other for _, other in named])
        yield f"| {name} | {where} | {apart} | {len(one.a)} | {outcome(one)} |"
    if not named:
        yield "| none that is decided |  |  |  |  |"


def _stronger(places: Sequence[Sequence[Line]]) -> Iterator[str]:
    """Yield in short what the released loss gains over stronger and weaker starts."""
    for lines in places:
        each = "; ".join(
            f"{signed(one.difference)} from {cent(one.values[1])}"
            f"{', one seed' if one.half is None else ''} ({at(one, lines, briefly=True)})"
            for one in lines
        )
        yield (
            "What the released loss without the neighbour gains, from the strongest start to the"
            f" weakest (pixels, epochs and rate differ, too, as far as said): {each}."
        )


def _strengths(places: Sequence[Sequence[Line]]) -> Iterator[str]:
    """Yield a table of what the released loss gains over stronger and weaker starts."""
    yield "| the released loss without the neighbour | start | after | gains | seeds | it rises |"
    yield "| :-- | --: | --: | --: | --: | :-- |"
    for one in (one for lines in places for one in lines):
        apart = interval(one.difference, one.half)
        cells = [str(one.where), cent(one.values[1]), cent(one.values[0]), apart]
        yield f"| {' | '.join(cells)} | {len(one.a)} | {outcome(one)} |"
    if not places:
        yield f"| {ABSENT} |  |  |  |  |  |"


def _risen() -> tuple[Mapping[str, str], str]:
    """Return what the paper prints of a pretrained start and of what training makes of it."""
    rows = [
        row
        for row in (*published("cub200"), *published("cars196"))
        if row.source_key.startswith("invaspread_t") and row.metric == "recall@1"
    ]
    apart, told = {}, []
    for one in rows:
        mine = (row for row in rows if row.source == one.source and row.method == "invaspread")
        after = next(mine, None)
        if one.method == "init" and after:
            apart[one.dataset] = signed(after.value - one.value)
            rise = f"{cent(one.value)} to {cent(after.value)}"
            told.append(f"{rise} ({one.dataset}; {one.source})")
    rise = " and from ".join(told)
    return apart, f"Printed: pretrained weights rise from {rise}; {PRINTED_AT}."


def _drawn(one: Gain) -> bool:
    return one.start.a[0].recipe.weights == "none"


def _bare(one: Gain) -> bool:
    """Return whether the start is itself the network's features."""
    return one.start.b[0].recipe.head == "none"


def _labelled(one: Gain) -> bool:
    return one.start.a[0].supervision == "supervised"
