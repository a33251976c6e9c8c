"""The questions of the ledger and what the runs say to each, in sentences."""

from collections.abc import Sequence
from itertools import groupby
from statistics import median

from dml_bench.ledger import naming, orders, own, reckonings, starts
from dml_bench.ledger.budgets import Group
from dml_bench.ledger.claims import Claim, Goal, Question
from dml_bench.ledger.helps import helps
from dml_bench.ledger.own import AIM
from dml_bench.ledger.questions import QUESTIONS
from dml_bench.ledger.reckonings import Inflation
from dml_bench.ledger.section import Section, bullets, sure
from dml_bench.ledger.sentences import alone, inflated, sentence
from dml_bench.ledger.verdicts import ABSENT, Line, counted, told
from dml_bench.parts import cent, signed
from dml_bench.suites import load


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
        helps(groups, folder),
        _own(groups, folder),
    ]


def _question(question: Question, groups: Sequence[Group], folder: str) -> Section:
    short, lines, intervals = [], [], 0
    for claim in question.claims:
        found = reckonings.of_claim(claim, groups)
        intervals += sure(found)
        short.append(f"{claim.text}: {told(found)}.")
        lines += [f"**{claim.text}.** {_printed(claim)}".rstrip(), ""]
        lines += [*_comparisons(claim, found, folder), ""]
    released = [group for group in groups if starts.released(group[0])]
    for goal in question.goals:
        found = own.reached(released, goal)
        intervals += sure(found)
        said, told_of = _goal(goal, found, folder)
        short.append(said)
        lines += [*told_of, ""]
    if question.printed:
        lines += [f"The paper says: {question.printed}.", ""]
    return Section(question.title, short, [*lines, f"Checked: {question.checked}"], intervals)


def _goal(goal: Goal, found: Sequence[Line], folder: str) -> tuple[str, list[str]]:
    """Return what was reached of a goal, in short and with its runs."""
    text = goal.text.format(cent(goal.value))
    runs = bullets(alone(one, folder, goal.said) for one in found)
    return f"{text}: {told(found)}.", [f"**{text}.**", "", *runs]


def _comparisons(claim: Claim, found: Sequence[Line], folder: str) -> list[str]:
    if claim.by == "result":
        return bullets(sentence(one, folder) for one in found)
    return bullets(
        f"{sentence(one, folder)} What the first reaches in one epoch the second reaches"
        f" {reckonings.caught_up(one)}."
        for one in found
    )


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
    return Section(title, [short], [*lines, "", about], sure(pairs))


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


def _own(groups: Sequence[Group], folder: str) -> Section:
    found = own.own(groups)
    claims = (
        ("Sprint does better than InvaSpread as released", found.released),
        (
            "Sprint does better than the released loss with its optimiser, rate, head and batch",
            found.alike,
        ),
    )
    short = [f"{text}: {told(some)}." for text, some in claims]
    lines: list[str] = []
    for text, some in (*claims, ("Other settings, tried on the way", found.tried)):
        lines += [f"**{text}.**", "", *bullets(sentence(one, folder) for one in some), ""]
    aim, told_of = _goal(AIM, found.aim, folder)
    lines += told_of
    checked = (
        "Checked: both have looked at as many pictures. Settings are tried on the test images of"
        " CIFAR-10, after trainings on parts of it: these are therefore no test of them; what else"
        " it is asked of is."
    )
    intervals = sure([*found.released, *found.alike, *found.aim])
    title = "The project's own recipe beside the released one"
    return Section(title, [*short, aim], [*lines, "", checked], intervals)
