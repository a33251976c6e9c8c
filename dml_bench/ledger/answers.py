"""The questions of the ledger, and what was compared for each: its sections."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from dml_bench.ledger import elsewhere, naming, orders, own, reckonings, starts
from dml_bench.ledger.budgets import Group, budget
from dml_bench.ledger.claims import Claim, Goal, Question, Rises
from dml_bench.ledger.helps import helps
from dml_bench.ledger.own import AIM
from dml_bench.ledger.questions import QUESTIONS
from dml_bench.ledger.reckonings import Inflation
from dml_bench.ledger.released import as_released, meets, released
from dml_bench.ledger.section import PRINTED_AT, Asked, Section, bullets
from dml_bench.ledger.sentences import alone, inflated, interval, sentence, undecided
from dml_bench.ledger.starts import Gain
from dml_bench.ledger.verdicts import ABSENT, Line, firm, line, marked
from dml_bench.parts import cent, signed
from dml_bench.published import Published
from dml_bench.suites import load
from dml_bench.types import RunResult

UNKNOWN = "whose start was not run"
"""How a training ends whose start is not known."""
CHOSEN = (
    "Sprint's settings were chosen by what test images said of them, but for those of cars; its"
    " batches are smaller than those of the released recipe from random weights, so that it takes"
    " more steps."
)
"""What is to be known of every lead of the project's own recipe."""


def answers(groups: Sequence[Group], folder: str, twins: Sequence[RunResult] = ()) -> list[Section]:
    """Return what the runs say to each question, those that were not run among them.

    Args:
        groups: the runs of each recipe, one a seed.
        folder: where they lie, seen from the page.
        twins: of the same recipes, made on another kind of processor.
    """
    gains = starts.gains(groups)
    ends = starts.ends(gains)
    sections = [
        *(_question(question, groups, gains) for question in QUESTIONS),
        _order(groups),
        _epochs(groups, ends, folder),
        helps(gains, folder),
        _own(groups, gains, folder),
    ]
    most = firm(one for section in sections for one in section.compared)
    told = [section.each(lambda one: _standing(marked(one, most), ends)) for section in sections]
    return [*told, elsewhere.section(groups, twins)]


def _standing(one: Line, ends: Mapping[str, str]) -> Line:
    """Return a comparison of two trainings with which of them has not risen above its start."""
    if not one.b or not one.b[0].recipe.epochs:
        return one
    first, second = (ends.get(side[0].recipe.key) for side in (one.a, one.b))
    if first == second and first in starts.BOTH:
        told = [starts.BOTH[first]]
    else:
        ended = (("the first", first), ("the second", second))
        told = [f"{which} {words}" for which, words in ended if words in starts.BOTH]
    remark = "; ".join(filter(None, (one.remark, *told)))
    return replace(one, remark=remark, idle=(_idle(first), _idle(second)))


def _idle(end: str | None) -> bool | None:
    return None if end is None else end in starts.BOTH


def _question(question: Question, groups: Sequence[Group], gains: Sequence[Gain]) -> Section:
    asked = [_asked(claim, groups) for claim in question.claims]
    asked += [_still(rises, gains) for rises in question.rises]
    mine = [group for group in groups if released(group[0])]
    asked += [_goal(goal, own.reached(mine, goal)) for goal in question.goals]
    said = [f"The paper says: {question.printed}.", ""] if question.printed else []
    return Section(question.title, asked, after=[*said, f"Checked: {question.checked}"])


def _asked(claim: Claim, groups: Sequence[Group]) -> Asked:
    found = [_beside(one, claim) for one in reckonings.of_claim(claim, groups)]
    tell = sentence if claim.by == "result" else _caught_up
    told = _printed(claim)
    return Asked(claim.text, found, tell, *told, short=claim.short, words=claim.words)


def _still(rises: Rises, gains: Sequence[Gain]) -> Asked:
    """Return whether the recipes of a side end above what they started from."""
    own_rate = [g.start for g in gains if as_released(g.start.a[0].recipe)]
    return Asked(rises.text, [one for one in own_rate if meets(one.a[0].recipe, rises.a)], sentence)


def _beside(one: Line, claim: Claim) -> Line:
    """Return a comparison with the metric beside which its claim is asked, if there is one."""
    if not claim.beside:
        return one
    measure = reckonings.named(claim.beside)
    other = line(one.a, one.b, measure, claim.expected, where=one.where)
    if not other:
        return one
    told = f"by {other.name} {interval(other.difference, other.half)}"
    remark = "; ".join(filter(None, (one.remark, told)))
    return replace(one, remark=remark, beside=f"{other.name} {signed(other.difference)}")


def _caught_up(one: Line, folder: str) -> str:
    return (
        f"{sentence(one, folder)} What the first reaches in one epoch the second reaches"
        f" {reckonings.caught_up(one)}."
    )


def _goal(goal: Goal, found: Sequence[Line]) -> Asked:
    def tell(one: Line, folder: str) -> str:
        return alone(one, folder, goal.said)

    return Asked(goal.text.format(cent(goal.value)), found, tell)


def _printed(claim: Claim) -> tuple[Mapping[str, str], str]:
    """Return the difference that the paper printed for a claim; and both numbers, and where."""
    if not claim.printed:
        return {}, ""
    name, *labels = claim.printed
    suite = load(name)
    rows = [suite.runs[suite.labels.index(label)] for label in labels]
    metric, dataset = next(iter(rows[0]["expect"])), rows[0]["dataset"]
    values = [row["expect"][metric] for row in rows]
    sources = " and ".join(dict.fromkeys(row["source"] for row in rows))
    where = f"{dataset} {PRINTED_AT}"
    both = " against ".join(map(cent, values))
    apart = {dataset: signed(values[0] - values[1])}
    return apart, f"Printed: {metric} {both} ({sources}; {where})."


def _order(groups: Sequence[Group]) -> Section:
    lines = defaultdict(list)
    for first, second, one in orders.orders(groups):
        lines[first, second].append(one)
    about = (
        "Checked: both methods of a pair have dataset, network, images, epochs, batch and"
        " augmentation alike, not the views: '1 view' beside '2 views' says where one has looked at"
        " half as many pictures. Each stands at the rate and in the variant that came out best on"
        " the test, where more than one was run; InvaSpread as released. Where neither ends above"
        " its start the order says who lost less. The printed numbers are of the paper's datasets"
        " and budgets: it is their order that is asked here, not they."
    )
    asked = [_pair(first, second, some) for (first, second), some in lines.items()]
    return Section("Which published order survives equal budgets", asked, after=[about])


def _pair(first: Published, second: Published, found: Sequence[Line]) -> Asked:
    """Return two printed numbers as a claim, with all budgets at which both methods ran."""
    short = " before ".join(cell.label.replace(" (Ours)", "") for cell in (first, second))
    return Asked(
        f"{short} on {first.dataset}",
        found,
        sentence,
        {first.dataset: signed(first.value - second.value)},
        f"Printed: {cent(first.value)} against {cent(second.value)} ({first.source};"
        f" {PRINTED_AT}).",
        short,
        ("as printed", "the other way round", "not decided"),
    )


def _epochs(groups: Sequence[Group], ends: Mapping[str, str], folder: str) -> Section:
    found = reckonings.inflations(groups)
    recipes = [one.runs[0].recipe for one in found]
    names = [naming.known(recipe, recipes) for recipe in recipes]
    told = [*zip(found, names, [_ended(one, ends) for one in found], strict=True)]
    about = (
        "Checked: the best epoch is never below the last. What choosing it adds hangs on whether"
        " training rises to its end or falls on the way, more than on how many epochs there are to"
        " choose among."
    )
    return Section(
        "What choosing the best test epoch adds",
        lead=list(_added(told)),
        notes=list(_rows(told)),
        after=[*bullets(inflated(one, name, folder) for one, name, _ in told), "", about],
    )


def _ended(one: Inflation, ends: Mapping[str, str]) -> str:
    """Return how the training of a recipe ends, in words."""
    return ends.get(one.runs[0].recipe.key, UNKNOWN)


def _added(told: Sequence[tuple[Inflation, str, str]]) -> Iterator[str]:
    """Yield what the best epoch adds in short: from the least to the most, by how training ends."""
    for words in (starts.RISEN, *starts.BOTH, UNKNOWN):
        some = [one for one, _, ended in told if ended == words]
        added = sorted(one.mean for one in some)
        if added:
            between = " to ".join(dict.fromkeys((signed(added[0]), signed(added[-1]))))
            alone = sum(len(one.runs) == 1 for one in some)
            seeds = f", {alone} of one seed" if alone else ""
            many = f"{len(some)} recipe{'' if len(some) == 1 else 's'}"
            training = words if words == UNKNOWN else f"that {words}"
            yield f"To a training {training}: {between} ({many}{seeds})."
    if not told:
        yield f"**{ABSENT}**."


def _rows(told: Sequence[tuple[Inflation, str, str]]) -> Iterator[str]:
    """Yield a table of what the best epoch adds to each recipe."""
    yield "| recipe | where | measured | training | last | best | the best adds | seeds |"
    yield "| :-- | :-- | :-- | :-- | --: | --: | --: | --: |"
    for one, name, ended in told:
        added = interval(one.mean, one.half)
        values = [cent(one.last), cent(one.best), added, str(len(one.runs))]
        cells = [name, budget(one.runs[0]).brief, one.name, ended, *values]
        yield f"| {' | '.join(cells)} |"
    if not told:
        yield f"| {ABSENT} |  |  |  |  |  |  |  |"


def _own(groups: Sequence[Group], gains: Sequence[Gain], folder: str) -> Section:
    found = own.own(groups, gains)
    asked = [Asked(text, lines, sentence) for text, lines in found.claims.items()]
    tried = bullets(undecided(one, folder) for one in found.tried)
    checked = (
        "Checked: both have looked at as many pictures; a smaller batch takes more steps. Sprint"
        " has a rate, an optimiser and a batch for random weights and others for pretrained ones;"
        " on crops it freezes batch norm and throws its head away, so that it is asked in the"
        " network's dimensions and InvaSpread as released in its own: what the loss has of the"
        " lead is asked with all of that alike. Settings were tried on test images and chosen by"
        " what came out: on CIFAR-10 after trainings on parts of it, the rate on birds by the first"
        " seed, the schedule on letters. What is asked of cars had no say in them."
    )
    return Section(
        "The project's own recipe beside the released one",
        [*asked, _goal(AIM, found.aim)],
        lead=[CHOSEN],
        after=["**Other settings, tried on the way.**", "", *tried, "", checked],
    )
