"""Records of runs that were really made, for others to see: all but vectors and weights."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from dml_bench import report
from dml_bench.atomic import atomic_write
from dml_bench.errors import StoreError
from dml_bench.results import ELSEWHERE, finished_runs, read_records, read_result
from dml_bench.types import RunResult

PUBLISHED = Path("results/published")
FILES = ("recipe.json", "curve.jsonl", "result.json")


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
            nobody could make it again; or `elsewhere`, and the recipe is not published, or from the
            same kind of processor.
    """
    made = finished_runs(results)
    chosen = {r.recipe.key: r for pattern in patterns for r in _fitting(made, pattern)}
    for result in chosen.values():
        _be_clean(result)
        if elsewhere:
            _be_of_another_processor(result, folder)
    home = folder / ELSEWHERE if elsewhere else folder
    written = [
        _copy(results / "runs" / key / name, home / key / name)
        for key in chosen
        for name in FILES
        if (results / "runs" / key / name).exists()  # an untrained network has no curve
    ]
    tables = [] if elsewhere else report.write([], folder / "tables", read_records(folder))
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


def _be_of_another_processor(result: RunResult, folder: Path) -> None:
    path = folder / result.recipe.key / "result.json"
    if not path.is_file():
        raise StoreError(
            f"{result.recipe.key}: expected a recipe that is published under {folder}, found none;"
            " publish it without --elsewhere"
        )
    mine, theirs = (one.environment.get("processor") for one in (result, read_result(path)))
    if mine == theirs:
        raise StoreError(
            f"{result.recipe.key}: expected a run on another kind of processor than the published"
            f" one, found {mine} both times; to put it in its place, leave --elsewhere out"
        )


def _copy(source: Path, target: Path) -> Path:
    atomic_write(target, source.read_bytes())
    return target
