"""The questions of the ledger and what the runs say to each, in sentences."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from statistics import median
from typing import NamedTuple

from dml_bench.ledger import budgeted, naming, orders, own, reckonings, starts
from dml_bench.ledger.budgets import Group
from dml_bench.ledger.own import AIM, STATED
from dml_bench.ledger.questions import QUESTIONS, SPEED, START, Claim, Question
from dml_bench.ledger.reckonings import Inflation
from dml_bench.ledger.sentences import alone, anchor, inflated, sentence
from dml_bench.ledger.starts import Gain
from dml_bench.ledger.verdicts import ABSENT, FAILS, HOLDS, Line, at, counted, told
from dml_bench.parts import cent, signed
from dml_bench.published import published
from dml_bench.suites import load


class Section(NamedTuple):
    """What the runs say to a question.

    Args:
        title: its heading.
        short: what it comes to, in a sentence or more.
        lines: the comparisons, in Markdown.
        intervals: how many comparisons of its claims have an interval.
        gains: how many more have one, of its tables of what training gains.
    """

    title: str
    short: Sequence[str]
    lines: Sequence[str]
    intervals: int
    gains: int = 0


def answers(groups: Sequence[Group], folder: str) -> list[Section]:
    """Return what the runs say to each question, those that were not run among them.

    Args:
        groups: the runs of each recipe, one a seed.
        folder: where they lie, seen from the page.
    """
    return [
        *(_question(question, groups, folder) for question in QUESTIONS),
        _order(groups, folder),
        _epochs(groups, folder),
        _helps(groups, folder),
        _own(groups, folder),
    ]


def _sure(lines: Iterable[Line]) -> int:
    return sum(one.half is not None for one in lines)


def _question(question: Question, groups: Sequence[Group], folder: str) -> Section:
    short, lines, intervals = [], [], 0
    for claim in question.claims:
        found = reckonings.of_claim(claim, groups)
        intervals += _sure(found)
        short.append(f"{claim.text}: {told(found)}.")
        lines += [f"**{claim.text}.** {_printed(claim)}".rstrip(), ""]
        lines += [*_comparisons(claim, found, folder), ""]
    if question is SPEED:
        text = f"InvaSpread comes to {cent(STATED)} % weighted kNN in two epochs of CIFAR-10"
        found = own.stated(groups)
        intervals += _sure(found)
        short.append(f"{text}: {told(found)}.")
        told_of = (alone(one, folder, "stated in the paper") for one in found)
        lines += [f"**{text}.**", "", *_bullets(told_of), ""]
    if question.printed:
        lines += [f"The paper says: {question.printed}.", ""]
    return Section(question.title, short, [*lines, f"Checked: {question.checked}"], intervals)


def _comparisons(claim: Claim, found: Sequence[Line], folder: str) -> list[str]:
    if claim.by == "result":
        return _bullets(sentence(one, folder) for one in found)
    return _bullets(
        f"{sentence(one, folder)} What the first reaches in one epoch the second reaches"
        f" {reckonings.caught_up(one)}."
        for one in found
    )


def _bullets(told_of: Iterable[str]) -> list[str]:
    return [f"- {text}" for text in told_of] or [f"- {ABSENT}"]


def _printed(claim: Claim) -> str:
    """Return what the paper printed for both sides of a claim, and where."""
    if not claim.printed:
        return ""
    name, *labels = claim.printed
    suite = load(name)
    rows = [suite.runs[suite.labels.index(label)] for label in labels]
    metric = next(iter(rows[0]["expect"]))
    values = [cent(row["expect"][metric]) for row in rows]
    sources = " and ".join(dict.fromkeys(row["source"] for row in rows))
    where = f"{rows[0]['dataset']} at the paper's budget, best epoch on the test"
    return f"Printed: {metric} {values[0]} against {values[1]} ({sources}; {where})."


def _order(groups: Sequence[Group], folder: str) -> Section:
    title = "Which published order survives equal budgets"
    found = orders.orders(groups)
    lines = [
        f"- {first.source}: {first.label} ({cent(first.value)}) before {second.label}"
        f" ({cent(second.value)}). Ours: {sentence(one, folder)}"
        for first, second, one in found
    ]
    about = (
        "Checked: both methods of a pair have dataset, network, images, epochs, batch and"
        " augmentation alike, not the views: '1 view' beside '2 views' says where one has looked at"
        " half as many pictures. Each stands in the variant and at the rate that served it best on"
        " the test, InvaSpread as released. Where both end below their start the order says who"
        " lost less. The printed numbers are of the paper's datasets and budgets: it is their order"
        " that is asked here, not they."
    )
    pairs = [one for *_, one in found]
    short = f"The method that the paper's table has ahead ends ahead: {counted(pairs)}."
    return Section(title, [short], [*lines, "", about], _sure(pairs))


def _epochs(groups: Sequence[Group], folder: str) -> Section:
    title = "What choosing the best test epoch adds"
    found = reckonings.inflations(groups)
    recipes = [one.runs[0].recipe for one in found]
    names = [naming.known(recipe, recipes) for recipe in recipes]
    lines = [f"- {inflated(one, n, folder)}" for one, n in zip(found, names, strict=True)]
    about = (
        "Checked: the best epoch is never below the last, and has the more to gain from the more"
        " epochs it is chosen among; so recipes of as many epochs stand together."
    )
    told_of = [_range(epochs, list(some)) for epochs, some in groupby(found, key=_n_epochs)]
    short = f"The best epoch on the test over the last one: {'; '.join(told_of) or _absent()}."
    return Section(title, [short], [*lines, "", about], 0)


def _n_epochs(one: Inflation) -> int:
    return one.runs[0].recipe.epochs


def _absent() -> str:
    return f"**{ABSENT}**"


def _range(epochs: int, some: Sequence[Inflation]) -> str:
    added = [one.added for one in some]
    recipes = "1 recipe" if len(some) == 1 else f"{len(some)} recipes"
    return (
        f"of {epochs} epochs **{signed(median(added))}** points, the median of {recipes} from"
        f" {signed(min(added))} to {signed(max(added))}"
    )


def _helps(groups: Sequence[Group], folder: str) -> Section:
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
        *_bullets(sentence(one, folder) for one in strengths),
        "",
        "Checked: a start has dataset, network, weights, sizes, head and precision of what was"
        " trained; runs with the rate 0 are no training and stand in no count. Where training falls"
        " and the paper's rises: what the rate 0, frozen batch norm, the head alone, a lower rate"
        f" and fewer steps do stands under [{START.title}](#{anchor(START.title)}), and labels rise"
        " from the same start where a row says so.",
    ]
    lines_of = [one for g in found for one in (g.start, g.features) if one]
    return Section("When does it help at all", short, [*_risen(), *lines], 0, _sure(lines_of))


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


def _own(groups: Sequence[Group], folder: str) -> Section:
    found = own.own(groups)
    aim = f"Sprint reaches {cent(AIM)} % weighted kNN in one epoch of CIFAR-10, two views an image"
    claims = (
        ("Sprint does better than InvaSpread as released", found.released),
        ("Sprint does better than the released loss at its rate, head and batch", found.alike),
    )
    short = [f"{text}: {told(some)}." for text, some in claims]
    lines: list[str] = []
    for text, some in (*claims, ("Settings that were tried, which decide nothing", found.tried)):
        lines += [f"**{text}.**", "", *_bullets(sentence(one, folder) for one in some), ""]
    lines += [f"**{aim}.**", "", *_bullets(alone(one, folder, "the aim") for one in found.aim)]
    checked = (
        "Checked: both have looked at as many pictures. Settings are tried on the test images of"
        " CIFAR-10, after trainings on parts of it: these are therefore no test of them; what else"
        " it is asked of is."
    )
    intervals = _sure([*found.released, *found.alike, *found.aim])
    title = "The project's own recipe beside the released one"
    return Section(title, [*short, f"{aim}: {told(found.aim)}."], [*lines, "", checked], intervals)
