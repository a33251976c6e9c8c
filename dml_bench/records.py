"""Records of runs that were really made, for others to see: all but vectors and weights."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from dml_bench import report
from dml_bench.atomic import atomic_write
from dml_bench.errors import StoreError
from dml_bench.results import finished_runs, read_records
from dml_bench.types import RunResult

PUBLISHED = Path("results/published")
FILES = ("recipe.json", "curve.jsonl", "result.json")


def home() -> Path:
    """Return where the project's records lie: here, or else beside the package."""
    return PUBLISHED if PUBLISHED.is_dir() else Path(__file__).parents[1] / PUBLISHED


def publish(results: Path, patterns: Sequence[str], folder: Path) -> list[Path]:
    """Copy the records of finished runs, and write the tables of all that is published.

    Args:
        results: the root of all results.
        patterns: keys of runs, or patterns of keys ("cub200-*").
        folder: where records are published.

    Returns:
        the files that were written.

    Raises:
        StoreError: no run fits a pattern; or a run was made with code that no commit holds, so that
            nobody could make it again.
    """
    made = finished_runs(results)
    chosen = {r.recipe.key: r for pattern in patterns for r in _fitting(made, pattern)}
    for result in chosen.values():
        _be_clean(result)
    written = [
        _copy(results / "runs" / key / name, folder / key / name)
        for key in chosen
        for name in FILES
        if (results / "runs" / key / name).exists()  # an untrained network has no curve
    ]
    return [*written, *report.write([], folder / "tables", read_records(folder))]


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


def _copy(source: Path, target: Path) -> Path:
    atomic_write(target, source.read_bytes())
    return target
