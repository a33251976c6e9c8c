"""The same recipes made on another kind of processor: what the rounding of sums moves by itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from dml_bench.environment import kind
from dml_bench.ledger import naming
from dml_bench.ledger.budgets import Group, gathered, primary, setting
from dml_bench.ledger.claims import ALIKE
from dml_bench.ledger.section import Asked, Section
from dml_bench.ledger.sentences import difference, links, outcome
from dml_bench.ledger.verdicts import Line, line
from dml_bench.parts import cent, signed
from dml_bench.results import ELSEWHERE
from dml_bench.types import RunResult

TITLE = "What the kind of processor moves"
CLAIM = "A recipe's mean over the seeds ends alike on two kinds of processor"
CHECKED = """Checked: recipe and seed of a pair are the same to the last field, and so are the test
images, the files, the packages and the threads, as far as both records note them; else `publish`
refuses the second. The commits of a pair may differ: `dml-bench rerun`, on the kind of processor of
then, says whether the code alone moves a bit."""


def section(groups: Sequence[Group], twins: Sequence[RunResult]) -> Section:
    """Return what runs made elsewhere say beside the published ones of the same recipes.

    Args:
        groups: the published runs of each recipe, one a seed.
        twins: of the same recipes, made on another kind of processor.
    """
    own = {result.recipe.key: result for group in groups for result in group}
    found = [one for group in gathered(twins) if (one := _beside(group, own))]
    lead, checked = list(_apart(found)), " ".join(CHECKED.split())
    return Section(TITLE, [Asked(CLAIM, found, _told)], lead=lead, after=[checked])


def _beside(group: Group, own: Mapping[str, RunResult]) -> Line | None:
    firsts = [own[run.recipe.key] for run in group if run.recipe.key in own]
    where = setting(group[0])
    one = line(firsts, group, (primary(group[0]), _ended), ALIKE, where=where)
    if not one:
        return None
    name = naming.known(one.a[0].recipe, [run.recipe for run in own.values()])
    return replace(one, where=replace(where, kept=name))


def _apart(found: Sequence[Line]) -> Iterator[str]:
    """Yield how far apart two runs of a recipe and seed end, the least and the most."""
    each = sorted(abs(x) for one in found for x in _each(one))
    if each:
        ends = f"{cent(each[0])} to {cent(each[-1])} apart"
        yield f"The two runs of a recipe and seed end {ends} ({len(each)} pairs)."


def _each(one: Line) -> list[float]:
    """Return the difference of each seed."""
    return [_ended(a) - _ended(b) for a, b in zip(one.a, one.b, strict=True)]


def _told(one: Line, folder: str) -> str:
    """Return a comparison in words: both processors, each seed, the mean, the runs."""
    sides = zip(one.values, (one.a, one.b), strict=True)
    ended = " against ".join(f"{cent(value)} on {_made(runs)}" for value, runs in sides)
    each = ", ".join(map(signed, _each(one)))
    return (
        f"{one.where}: {one.name} {ended}, {difference(one)}: {outcome(one)}. Each seed: {each}."
        f" Runs: {links(one.a, folder)} against {links(one.b, f'{folder}/{ELSEWHERE}')}."
    )


def _ended(run: RunResult) -> float:
    return run.metrics[primary(run)]


def _made(runs: Group) -> str:
    """Return on what a recipe ran, and at which commits."""
    on = {str(kind(run.environment)) for run in runs}
    commits = dict.fromkeys(str(run.environment.get("commit"))[:7] for run in runs)
    return f"{' and '.join(sorted(on))} ({', '.join(commits)})"
