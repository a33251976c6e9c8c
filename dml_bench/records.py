"""Records of runs that were really made, for others to see: all but vectors and weights."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from dml_bench import report
from dml_bench.atomic import atomic_write
from dml_bench.comparisons.explanation import explain
from dml_bench.environment import kind
from dml_bench.errors import StoreError
from dml_bench.results import ELSEWHERE, finished_runs, read_records, read_result
from dml_bench.types import RunResult

PUBLISHED = Path("results/published")
FILES = ("recipe.json", "curve.jsonl", "result.json")
TWINS = ("commit", "processor", "bf16 flags", "cores")
"""In what a run made elsewhere may differ from the published one of its recipe."""


def home() -> Path:
    """Return where the project's records lie: here, or else beside the package."""
    return PUBLISHED if PUBLISHED.is_dir() else Path(__file__).parents[1] / PUBLISHED


def publish(
    results: Path, patterns: Sequence[str], folder: Path, *, elsewhere: bool = False
) -> list[Path]:
    """Copy the records of finished runs, and write the tables of all that is published.

    Args:
        results: the root of all results.
        patterns: keys of runs, or patterns of keys ("cub200-*").
        folder: where records are published.
        elsewhere: the recipes are published, made on another kind of processor: these records are
            put beside those, and stand in no table.

    Returns:
        the files that were written.

    Raises:
        StoreError: no run fits a pattern; or a run was made with code that no commit holds, so that
            nobody could make it again; or `elsewhere`, and the recipe is not published, or the run
            differs from that in more than the kind of processor and the commit.
    """
    made = finished_runs(results)
    chosen = {r.recipe.key: r for pattern in patterns for r in _fitting(made, pattern)}
    for result in chosen.values():
        _be_clean(result)
        if elsewhere:
            _be_a_twin(result, folder)
    home = folder / ELSEWHERE if elsewhere else folder
    written = [
        _copy(results / "runs" / key / name, home / key / name)
        for key in chosen
        for name in FILES
        if (results / "runs" / key / name).exists()  # an untrained network has no curve
    ]
    tables: list[Path] = []
    if not elsewhere:  # the records themselves hold each run
        tables = report.write([], folder / "tables", read_records(folder), each_run=False)
    return [*written, *tables]


def _fitting(made: Sequence[RunResult], pattern: str) -> list[RunResult]:
    found = [result for result in made if fnmatchcase(result.recipe.key, pattern)]
    if not found:
        keys = ", ".join(result.recipe.key for result in made) or "none"
        raise StoreError(f"expected a finished run '{pattern}', found {keys}; name one of them")
    return found


def _be_clean(result: RunResult) -> None:
    commit, dirty = (result.environment.get(name) for name in ("commit", "dirty"))
    if commits := result.environment.get("commits"):
        raise StoreError(
            f"{result.recipe.key}: expected a run of one commit, found a training that went on with"
            f" another: {', '.join(str(commit)[:8] for commit in commits)}; delete its folder, and"
            " run it again"
        )
    if not commit or dirty:
        raise StoreError(
            f"{result.recipe.key}: expected a run of a clean checkout, found"
            f" {'changes beside commit ' + str(commit)[:8] if commit else 'no commit'}; commit,"
            " and run it again"
        )


def _be_a_twin(result: RunResult, folder: Path) -> None:
    """Refuse a run that differs from the published one in more than processor and commit."""
    key, beside = result.recipe.key, folder / ELSEWHERE
    path = folder / key / "result.json"
    if not path.is_file():
        raise StoreError(
            f"{key}: expected a recipe that is published under {folder}, found none; publish it"
            " without --elsewhere"
        )
    published = read_result(path)
    if other := next((one for one in explain(published, result) if one.what not in TWINS), None):
        raise StoreError(
            f"{key}: expected a run that differs from the published one in the processor and the"
            f" commit alone, found {other}; make it again with what that one had"
        )
    then, now = (str(kind(one.environment)) for one in (published, result))
    if then == now:
        raise StoreError(
            f"{key}: expected two kinds of processor, found {then} both times; to put it in the"
            " place of the published one, leave --elsewhere out"
        )
    there = beside / key / "result.json"
    if there.is_file() and (third := str(kind(read_result(there).environment))) != now:
        raise StoreError(
            f"{key}: expected none of a third kind of processor under {beside}, found one on"
            f" {third}; delete it first, if this is to stand there"
        )


def _copy(source: Path, target: Path) -> Path:
    atomic_write(target, source.read_bytes())
    return target
