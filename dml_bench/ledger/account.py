"""results/LEDGER.md: what papers printed, what was run here, and what the runs decide.

Beside it results/RUNS.md, its long tables. Written from the published records alone. Every sentence
that says what came out links to the records that carry it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from dml_bench.atomic import atomic_write
from dml_bench.ledger import budgeted, elsewhere, legend, missing, printed
from dml_bench.ledger.answers import answers
from dml_bench.ledger.budgets import Group, gathered
from dml_bench.ledger.section import Section, sure
from dml_bench.ledger.sentences import anchor, processors
from dml_bench.ledger.summary import BEHIND, NEITHER, abstract, short
from dml_bench.ledger.verdicts import Line, firm
from dml_bench.types import RunResult

NAME, TABLES = "LEDGER.md", "RUNS.md"
HEAD = """# The ledger

Written by `dml-bench ledger` from the records under `results/{folder}`; no verdict and no number of
ours is typed. Every recipe that was run, a table a budget, and what it gained over its start:
[`{tables}`]({tables}). In pictures: [`{folder}/plots`]({folder}/plots). What surprises, and what
was found about it: [`{folder}/README.md`]({folder}/README.md).
"""
RUNS = """# What was run

The long tables of [the ledger]({ledger}), written with it, where the words are explained. The seeds
of a recipe stand together; each row has links to its runs.
"""
SHORT = f"""How many comparisons of each question came out how, or of each of its claims where these
are unlike each other; then what it comes to, in brackets by how many points the first side is
ahead, with the interval where it leaves that open. "6 × 10,506" are epochs times images; what
holds, what does so weakly, and what {BEHIND} and {NEITHER} mark is explained under
[How it decides](#how-it-decides), other words under [Datasets and words](#datasets-and-words). The
tables of the sections have both sides and seeds."""
RULES = """Metrics in per cent, of the last epoch. A difference is a mean over the seeds that both
sides have, with its 95 % interval by Student's t: it says what other seeds would give on these
test images, not what other images would, and at this budget, not at another. A claim **holds** if
the interval lies wholly on its side, **fails** if it lies on the other (what "helps" then harms);
else it is **not decided** by these runs; **one seed** has no interval. Two end alike if the
interval lies within a point; that they do fails if it lies beyond; else it is said how far apart
they may be: few seeds can seldom say more.

Of {claims} comparisons of a claim that have an interval {decided} are decided, each by itself. Of
so many, some are by chance: **weakly** marks those that are not among the {firm} that stay
decided where one in twenty of the decided may be wrong (Benjamini and Hochberg, who ask that
comparisons which hang together do so in the same direction; not all of these do, and {surely} stay
however they hang together: Benjamini and Yekutieli). They are best asked again with other seeds.
{gains} more stand in the tables of what training gains, marked among all of those.

{behind} beside a difference: what is behind is not shown to end above the network that its
training began with; {neither}: neither is. Then it is not who learns more that is compared. Where
that network was not asked by itself, nothing is marked. No method was tuned at these budgets but
the project's own, and but where a question says so.

No short run stands in a column with a published long one. Where printed numbers stand beside a
claim they say what the paper says of it, of its dataset at its budget. What a published number is
missed by is given where dataset and epochs are the same; a goal that is put to a recipe is another
thing.

"As released" is the authors' loss at their rate, batch and dimension, in our recipe for a dataset;
on birds their code also takes the nearest neighbour for every other second view, and there the word
says so, too. On letters the augmentation is ours, and the schedules are those of the tables. In
tables ± is the interval over seeds; [low, high] is one run's, over its test classes, where training
never shows them.

In {mixed} of all {asked} comparisons a seed's two runs were made on two kinds of processor, as
their sentences say. A seed draws the same weights, images and augmentations on each; how sums are
rounded differs; {moved}."""
ASKED = f"what that moves is [asked by itself](#{anchor(elsewhere.TITLE)})"
UNASKED = "what that moves was not measured by itself"


def write(
    records: Sequence[RunResult], folder: Path, twins: Sequence[RunResult] = ()
) -> list[Path]:
    """Write the ledger of a folder of records beside it, and its long tables; return the files.

    Args:
        records: of published runs.
        folder: where they lie.
        twins: of the same recipes, made on another kind of processor.

    Raises:
        StoreError: a file cannot be written.
    """
    made = documents(records, folder.name, twins)
    for name, words in made.items():
        atomic_write(folder.parent / name, words)
    return [folder.parent / name for name in made]


def documents(
    records: Sequence[RunResult], folder: str, twins: Sequence[RunResult] = ()
) -> dict[str, str]:
    """Return the ledger and its long tables as Markdown: the name of a file -> what it says.

    Args:
        records: of published runs.
        folder: where they lie, seen from the files.
        twins: of the same recipes, made on another kind of processor.
    """
    groups = gathered(records)
    sections = answers(groups, folder, twins)
    made = {NAME: _ledger(groups, sections, folder), TABLES: _tables(groups, sections, folder)}
    return {name: "\n".join(lines).rstrip() + "\n" for name, lines in made.items()}


def _ledger(groups: Sequence[Group], sections: Sequence[Section], folder: str) -> list[str]:
    lines = [HEAD.format(folder=folder, tables=TABLES)]
    lines += ["## In short", "", SHORT, "", *abstract(sections), ""]
    lines += ["## How it decides", "", rules(sections), ""]
    lines += ["## Datasets and words", "", *legend.section(groups), ""]
    for section in sections:
        lines += [f"## {section.title}", "", *short(section), "", *section.lines(folder), ""]
        if section.tables:
            lines += [f"Each training by itself: [`{TABLES}`]({TABLES}).", ""]
    lines += ["## Printed numbers, and ours of the same budget", ""]
    lines += printed.section(groups, folder)
    return [*lines, "## What was not run", "", *missing.section(groups)]


def _tables(groups: Sequence[Group], sections: Sequence[Section], folder: str) -> list[str]:
    gains = [text for section in sections for text in section.tables]
    lines = [RUNS.format(ledger=NAME), "## What training gains", "", *gains]
    return [*lines, "## What each recipe came to", "", *budgeted.section(groups, folder)]


def rules(sections: Sequence[Section]) -> str:
    """Return by which rules the ledger decides, and how much it decides, in Markdown.

    Args:
        sections: of a ledger.
    """
    twins = [one for s in sections if s.title == elsewhere.TITLE for one in s.compared]
    claims = [one for s in sections if s.title != elsewhere.TITLE for one in s.compared]
    known = {_runs(one) for one in claims}
    gains = [one for section in sections for one in section.gains if _runs(one) not in known]
    decided = [one for one in claims if one.decided]
    stay = [one for one in decided if not one.hair]
    mixed = sum(bool(processors(one)) for one in claims)
    surely = firm(claims, any_dependence=True)
    counts = {"claims": sure(claims), "decided": len(decided), "firm": len(stay)}
    counts["surely"] = sum(cast(float, one.chance) <= surely for one in decided)
    counts |= {"asked": len(claims), "mixed": mixed, "gains": sure(gains)}
    marks = {"behind": BEHIND, "neither": NEITHER}
    return RULES.format(moved=ASKED if twins else UNASKED, **marks, **counts)


def _runs(one: Line) -> tuple[str, ...]:
    return tuple(result.recipe.key for result in (*one.a, *one.b))
