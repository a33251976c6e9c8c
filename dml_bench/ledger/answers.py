"""The questions of the ledger, and what was compared for each: its sections."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from statistics import median

from dml_bench.ledger import naming, orders, own, reckonings, starts, summary
from dml_bench.ledger.budgets import Group
from dml_bench.ledger.claims import Claim, Goal, Question
from dml_bench.ledger.helps import helps
from dml_bench.ledger.orders import Order
from dml_bench.ledger.own import AIM
from dml_bench.ledger.questions import QUESTIONS
from dml_bench.ledger.reckonings import Inflation
from dml_bench.ledger.released import released
from dml_bench.ledger.section import Asked, Section, bullets
from dml_bench.ledger.sentences import alone, inflated, interval, sentence, undecided
from dml_bench.ledger.starts import Gain
from dml_bench.ledger.verdicts import ABSENT, FAILS, HOLDS, Line, firm, line
from dml_bench.parts import cent, signed
from dml_bench.suites import load


def answers(groups: Sequence[Group], folder: str) -> list[Section]:
    """Return what the runs say to each question, those that were not run among them.

    Args:
        groups: the runs of each recipe, one a seed.
        folder: where they lie, seen from the page.
    """
    gains = starts.gains(groups)
    lost = starts.losers(gains)
    sections = [
        *(_question(question, groups, lost) for question in QUESTIONS),
        _order(groups, lost),
        _epochs(groups, gains, folder),
        helps(gains, folder),
        _own(groups, gains, folder),
    ]
    most = firm(one for section in sections for one in section.compared)
    return [section.marked(most) for section in sections]


def _question(question: Question, groups: Sequence[Group], lost: Mapping[str, bool]) -> Section:
    asked = [_asked(claim, groups, lost) for claim in question.claims]
    mine = [group for group in groups if released(group[0])]
    asked += [_goal(goal, own.reached(mine, goal)) for goal in question.goals]
    said = [f"The paper says: {question.printed}.", ""] if question.printed else []
    return Section(question.title, asked, after=[*said, f"Checked: {question.checked}"])


def _asked(claim: Claim, groups: Sequence[Group], lost: Mapping[str, bool]) -> Asked:
    found = reckonings.of_claim(claim, groups)
    others = [_other(one, claim) for one in found]
    but = ""
    if any({one.verdict, other.verdict} == {HOLDS, FAILS} for one, other in _both(found, others)):
        but = f"{claim.beside} says otherwise"
    if claim.across:
        found = [_remarked(*both, lost) for both in zip(found, others, strict=True)]
    tell = sentence if claim.by == "result" else _caught_up
    return Asked(claim.text, found, tell, *_printed(claim), but=but)


def _other(one: Line, claim: Claim) -> Line | None:
    """Return a comparison by the metric that a claim is asked beside its own; None without."""
    if not claim.beside:
        return None
    return line(one.a, one.b, reckonings.named(claim.beside), claim.expected, where=one.where)


def _both(found: Sequence[Line], others: Sequence[Line | None]) -> Iterator[tuple[Line, Line]]:
    return ((one, other) for one, other in zip(found, others, strict=True) if other)


def _remarked(one: Line, other: Line | None, lost: Mapping[str, bool]) -> Line:
    """Return a comparison of two methods with what else is to be known of it."""
    told = [f"by {other.name} {interval(other.difference, other.half)}"] if other else []
    below = [side[0].recipe for side in (one.a, one.b) if side[0].recipe.key in lost]
    if below:
        sure = all(lost[recipe.key] for recipe in below)
        who = "both end" if len(below) == 2 else f"{below[0].method} ends"
        told.append(f"{who} below what training began with{'' if sure else ', in the mean'}")
    return replace(one, remark="; ".join(told))


def _caught_up(one: Line, folder: str) -> str:
    return (
        f"{sentence(one, folder)} What the first reaches in one epoch the second reaches"
        f" {reckonings.caught_up(one)}."
    )


def _goal(goal: Goal, found: Sequence[Line]) -> Asked:
    def tell(one: Line, folder: str) -> str:
        return alone(one, folder, goal.said)

    return Asked(goal.text.format(cent(goal.value)), found, tell)


def _printed(claim: Claim) -> tuple[str, str]:
    """Return the difference that the paper printed for a claim; and both numbers, and where."""
    if not claim.printed:
        return "", ""
    name, *labels = claim.printed
    suite = load(name)
    rows = [suite.runs[suite.labels.index(label)] for label in labels]
    metric = next(iter(rows[0]["expect"]))
    values = [row["expect"][metric] for row in rows]
    sources = " and ".join(dict.fromkeys(row["source"] for row in rows))
    where = f"{rows[0]['dataset']} at the paper's budget, best epoch on the test"
    both = " against ".join(map(cent, values))
    return signed(values[0] - values[1]), f"Printed: {metric} {both} ({sources}; {where})."


def _order(groups: Sequence[Group], lost: Mapping[str, bool]) -> Section:
    found = [
        (first, second, _remarked(one, None, lost)) for first, second, one in orders.orders(groups)
    ]
    about = (
        "Checked: both methods of a pair have dataset, network, images, epochs, batch and"
        " augmentation alike, not the views: '1 view' beside '2 views' says where one has looked at"
        " half as many pictures. Each stands in the variant and, where more than one was run, at"
        " the rate that served it best on the test; InvaSpread as released. Where both end below"
        " their start the order says who lost less. The printed numbers are of the paper's datasets"
        " and budgets: it is their order that is asked here, not they."
    )
    return Section(
        "Which published order survives equal budgets",
        list(_pairs(found)),
        notes=summary.tally([("the paper's order", [one for *_, one in found])]),
        after=[about],
        listed=False,
    )


def _pairs(found: Sequence[Order]) -> Iterator[Asked]:
    """Yield a claim for each two printed numbers, with all budgets at which both methods ran."""
    lines = defaultdict(list)
    for first, second, one in found:
        lines[first, second].append(one)
    for (first, second), some in lines.items():
        text = f"{first.label} before {second.label} on {first.dataset}"
        about = f"Printed: {cent(first.value)} against {cent(second.value)} ({first.source})."
        yield Asked(text, some, sentence, signed(first.value - second.value), about)


def _epochs(groups: Sequence[Group], gains: Sequence[Gain], folder: str) -> Section:
    found = reckonings.inflations(groups)
    recipes = [one.runs[0].recipe for one in found]
    names = [naming.known(recipe, recipes) for recipe in recipes]
    lines = [inflated(one, n, folder) for one, n in zip(found, names, strict=True)]
    about = (
        "Checked: the best epoch is never below the last, and has the more to gain from the more"
        " epochs it is chosen among."
    )
    return Section(
        "What choosing the best test epoch adds",
        notes=[*_added(found, gains)],
        after=[*bullets(lines), "", about],
    )


def _added(found: Sequence[Inflation], gains: Sequence[Gain]) -> Iterator[str]:
    """Yield a table of what the best epoch adds: as many epochs, and as training went, together."""
    heads = ("epochs", "training ends, in the mean", "recipes", "the best epoch adds, median")
    yield f"| {' | '.join(heads)} | from | to |"
    yield "| --: | :-- | --: | --: | --: | --: |"
    ended = {gain.start.a[0].recipe.key: gain.start.difference for gain in gains}

    def kind(one: Inflation) -> tuple[int, str]:
        recipe = one.runs[0].recipe
        apart = ended.get(recipe.key)
        words = "above" if apart and apart > 0 else "below"
        return recipe.epochs, "start not run" if apart is None else f"{words} its start"

    for (epochs, words), some in groupby(sorted(found, key=kind), key=kind):
        added = [one.mean for one in some]
        each = " | ".join(signed(value) for value in (median(added), min(added), max(added)))
        yield f"| {epochs} | {words} | {len(added)} | {each} |"
    if not found:
        yield f"|  |  | {ABSENT} |  |  |  |"


def _own(groups: Sequence[Group], gains: Sequence[Gain], folder: str) -> Section:
    found = own.own(groups, gains)
    asked = [Asked(text, lines, sentence) for text, lines in found.claims.items()]
    tried = bullets(undecided(one, folder) for one in found.tried)
    checked = (
        "Checked: both have looked at as many pictures. Settings were tried on test images and"
        " chosen by what came out: on CIFAR-10 after trainings on parts of it, the rate on birds by"
        " the first seed, the schedule on letters. What is asked of cars had no say in them."
    )
    return Section(
        "The project's own recipe beside the released one",
        [*asked, _goal(AIM, found.aim)],
        after=["**Other settings, tried on the way.**", "", *tried, "", checked],
    )
