"""results/LEDGER.md: what papers printed, what was run here, and what the runs decide.

Written from the published records alone. Every sentence that says what came out links to the
records that carry it.
"""

from collections.abc import Sequence
from pathlib import Path

from dml_bench.atomic import atomic_write
from dml_bench.ledger import budgeted, printed, reckonings, verdicts
from dml_bench.ledger.budgets import Group, matched
from dml_bench.ledger.questions import QUESTIONS, Claim, Question
from dml_bench.ledger.sentences import anchor, inflated, sentence
from dml_bench.ledger.verdicts import FAILS, HOLDS, Line
from dml_bench.parts import cent
from dml_bench.results import read_records
from dml_bench.rows import groups as grouped
from dml_bench.suites import load
from dml_bench.types import RunResult

NAME = "LEDGER.md"
HEAD = """# The ledger

Written by `dml-bench ledger` from the records under `results/{folder}`; no number and no verdict is
typed. Metrics in per cent, of the last epoch. A difference is a mean over the seeds that both sides
have, with its 95 % interval by Student's t. A claim **holds** if the interval lies wholly on its
side, **does not hold** if it lies on the other; else it is **not decided** by these runs, and one
seed decides nothing. Alike means within a point. A printed number stands beside ours only where
dataset and epochs are the same: no short run stands in a column with a published long one.
"""


def write(folder: Path) -> Path:
    """Write the ledger of a folder of records beside it; return the file.

    Args:
        folder: of published records.

    Raises:
        StoreError: a record is torn, or the file cannot be written.
    """
    path = folder.parent / NAME
    atomic_write(path, text(read_records(folder), folder.name))
    return path


def text(records: Sequence[RunResult], folder: str) -> str:
    """Return the ledger as Markdown.

    Args:
        records: of published runs.
        folder: where they lie, seen from the ledger.
    """
    groups = grouped(records)
    sections = answers(groups, folder)
    lines = [HEAD.format(folder=folder), "## In short", ""]
    for title, short, _ in sections:
        lines += [f"- {said} ([runs](#{anchor(title)}))" for said in short]
    for title, _, found in sections:
        lines += ["", f"## {title}", "", *found]
    lines += ["", "## Printed numbers, and ours of the same budget", ""]
    lines += printed.section(groups, folder)
    lines += ["## What was run, a table a budget", "", *budgeted.section(groups, folder)]
    return "\n".join(lines).rstrip() + "\n"


Section = tuple[str, list[str], list[str]]
"""A heading, what it comes to in a sentence or more, and its lines."""


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
        _better(groups, folder),
    ]


def _question(question: Question, groups: Sequence[Group], folder: str) -> Section:
    short: list[str] = []
    lines: list[str] = []
    fails = False
    for claim in question.claims:
        found = _lines(claim, groups)
        word = verdicts.overall(found)
        short.append(f"{claim.text}: **{word}**.")
        lines += [f"**{claim.text}**: {word}. {_printed(claim)}".rstrip(), ""]
        lines += [*(f"- {sentence(one, folder)}" for one in found), *([""] if found else [])]
        fails |= any(one.verdict == FAILS for one in found)
    return question.title, short, [*lines, *([f"What was checked: {question.checked}"] * fails)]


def _lines(claim: Claim, groups: Sequence[Group]) -> list[Line]:
    trained = [group for group in groups if group[0].recipe.epochs and group[0].recipe.lr]
    pairs = matched(trained, claim.a, claim.b, claim.same, claim.free)
    compared = [reckonings.of_claim(claim, a, b) for a, b in pairs]
    return [one for one in compared if one]


def _printed(claim: Claim) -> str:
    """Return what the paper printed for both sides of a claim."""
    if not claim.printed:
        return ""
    suite = load("ablations")
    rows = [suite.runs[suite.labels.index(label)] for label in claim.printed]
    values = [cent(row["expect"]["knn@200"]) for row in rows]
    return (
        f"Printed: {values[0]} against {values[1]} ({rows[1]['source']}, 200 epochs of CIFAR-10)."
    )


def _order(groups: Sequence[Group], folder: str) -> Section:
    title = "Which published order survives equal budgets"
    found = reckonings.orders(groups)
    lines = [
        f"- Printed {first.label} {cent(first.value)} before {second.label} {cent(second.value)}"
        f" ({first.source}). Ours: {sentence(one, folder)}"
        for first, second, one in found
    ]
    word = verdicts.overall([one for *_, one in found])
    return title, [f"Of two methods, the one that the paper has before: **{word}**."], lines


def _epochs(groups: Sequence[Group], folder: str) -> Section:
    title = "What choosing the best test epoch adds"
    found = reckonings.inflations(groups)
    lines = [f"- {inflated(one, folder)}" for one in found]
    most = max((one.added for one in found), default=None)
    many = "1 recipe" if len(found) == 1 else f"{len(found)} recipes"
    short = "not run yet" if most is None else f"up to {cent(most)} points in {many}"
    return title, [f"The best epoch on the test over the last one: **{short}**."], lines


def _helps(groups: Sequence[Group], folder: str) -> Section:
    title = "When does it help at all"
    found = reckonings.gains(groups)
    lines = budgeted.gains(found, folder)
    own = [one for one in found if one.a[0].recipe.weights != "none"]
    drawn = [one for one in found if one.a[0].recipe.weights == "none"]
    labelled = [one for one in own if one.a[0].supervision == "supervised"]
    blind = [one for one in own if one.a[0].supervision != "supervised"]
    short = [
        f"{text}: **{verdicts.overall(some)}**."
        for text, some in (
            ("Training without labels gains on the pretrained network that it starts from", blind),
            ("Training with labels gains on the pretrained network that it starts from", labelled),
            ("Training gains on random weights", drawn),
        )
    ]
    return title, [*short, *_strengths(found)], lines


def _strengths(found: Sequence[Line]) -> list[str]:
    """Return how strong a start training still gained on, and how weak a one it lost on."""
    gained = sorted((one.values[1] for one in found if one.verdict == HOLDS), reverse=True)
    lost = sorted(one.values[1] for one in found if one.verdict == FAILS)
    said = [f"The strongest start that one gained on: **{cent(n)}**." for n in gained[:1]]
    return said + [f"The weakest start that one lost on: **{cent(n)}**." for n in lost[:1]]


def _better(groups: Sequence[Group], folder: str) -> Section:
    title = "The project's own recipe beside the released one"
    found = reckonings.betters(groups)
    lines = [f"- {sentence(one, folder)}" for one in found]
    word = verdicts.overall(found)
    return title, [f"Sprint does better than InvaSpread as released: **{word}**."], lines
