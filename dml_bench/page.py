"""Results -> one HTML file that opens from disk: no server, no network, nothing beside it."""

import base64
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dml_bench import figures
from dml_bench.again import again
from dml_bench.atomic import atomic_write
from dml_bench.rows import HERE
from dml_bench.sections import Section, sections
from dml_bench.types import RunResult


def write(
    results: Sequence[RunResult],
    folder: Path,
    records: Sequence[RunResult] = (),
    *,
    data_root: Path,
) -> list[Path]:
    """Write `report.html`, and its figures as PNG and SVG under `plots`.

    Args:
        results: of the runs made here; their vectors and neighbours are read in `folder`.
        folder: the root of all results.
        records: of the runs that the project publishes.
        data_root: where the datasets are; the images of one that is not there are left out.

    Returns:
        the files; the page is the last.

    Raises:
        StoreError: the folder cannot be written.
    """
    found = sections(results, folder, records, data_root=data_root)
    drawings = {section.anchor: section.drawings() for section in found}
    written = figures.write(drawings, folder / "plots")
    path = folder / "report.html"
    atomic_write(path, html(found))
    return [*written, path]


def html(found: Sequence[Section]) -> str:
    """Return the page; the same sections give the same bytes."""
    environment = _environment()
    texts = {name: _asset(name) for name in ("style.css", "page.js")}
    digest = base64.b64encode(hashlib.sha256(texts["page.js"].encode()).digest()).decode()
    runs = [run for section in found for entry in section.entries for run in entry.runs]
    return environment.get_template("report.html.j2").render(
        sections=found,
        style=Markup(texts["style.css"]),  # noqa: S704 - our own files
        script=Markup(texts["page.js"]),  # noqa: S704
        script_digest=digest,
        n_runs=len(runs),
        last=max((run.finished for run in runs), default=""),
        here=HERE,
    )


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("dml_bench"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["inline"] = lambda drawing: Markup(figures.inline(drawing))  # noqa: S704
    made.filters["again"] = again
    made.filters["versions"] = _versions
    made.filters["noted"] = lambda noted: defaultdict(str, noted)  # older records note less
    return made


def _versions(run: RunResult) -> str:
    packages = run.environment.get("packages") or {}
    return ", ".join(f"{name} {version}" for name, version in packages.items() if version)


@cache
def _asset(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")
