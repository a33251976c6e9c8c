"""Results -> one HTML file that opens from disk: no server, no network, nothing beside it."""

import base64
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dml_bench.again import again
from dml_bench.atomic import atomic_write
from dml_bench.ledger import account, answers, legend, section, summary
from dml_bench.ledger.budgets import gathered
from dml_bench.ledger.sentences import anchor
from dml_bench.locks import only_writer
from dml_bench.pages import figures, prose
from dml_bench.pages.sections import Section, sections
from dml_bench.published import Published
from dml_bench.rows import HERE
from dml_bench.types import RunResult


def write(
    results: Sequence[RunResult],
    folder: Path,
    records: Sequence[RunResult] = (),
    *,
    twins: Sequence[RunResult] = (),
    data_root: Path,
    printed: Sequence[Published] = (),
) -> list[Path]:
    """Write `report.html`, and its figures as PNG and SVG under `plots`.

    Args:
        results: of the runs made here; their vectors and neighbours are read in `folder`.
        folder: the root of all results.
        records: of the runs that the project publishes.
        twins: of the same recipes, made on another kind of processor.
        data_root: where the datasets are; the images of one that is not there are left out.
        printed: what other papers printed: a table that a user brings.

    Returns:
        the files; the page is the last.

    Raises:
        StoreError: the folder cannot be written.
    """
    found = sections(results, folder, records, data_root=data_root, printed=printed)
    drawings = {section.anchor: section.drawings() for section in found}
    written = figures.write(drawings, folder / "plots", headings=_headings(found))
    return [*written, _page(found, records, twins, folder / "report.html")]


def write_records(
    records: Sequence[RunResult], folder: Path, twins: Sequence[RunResult] = ()
) -> list[Path]:
    """Write the page of published records beside their folder, and into it the ledger's figures.

    Args:
        records: of published runs.
        folder: where they lie; `plots` in it then holds the figures of these records alone, as SVG.
        twins: of the same recipes, made on another kind of processor.

    Returns:
        the files; the page is the last.

    Raises:
        StoreError: a folder cannot be written.
    """
    found = sections([], folder, records, data_root=None)
    drawings = {section.anchor: section.evidence() for section in found}
    headings = _headings(found)
    written = figures.write(drawings, folder / "plots", ("svg",), headings=headings, alone=True)
    return [*written, _page(found, records, twins, folder.parent / "LEDGER.html")]


def _headings(found: Sequence[Section]) -> dict[str, str]:
    return {section.anchor: section.heading for section in found}


def _page(
    found: Sequence[Section],
    records: Sequence[RunResult],
    twins: Sequence[RunResult],
    path: Path,
) -> Path:
    groups = gathered(records)
    ledger = answers.answers(groups, prose.FOLDER, twins) if records else ()
    with only_writer(path.parent):
        atomic_write(path, html(found, ledger, legend.section(groups)))
    return path


def html(
    found: Sequence[Section], ledger: Sequence[section.Section] = (), words: Sequence[str] = ()
) -> str:
    """Return the page; the same sections, answers and words give the same bytes."""
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
        ledger=ledger,
        rules=account.rules(ledger).split("\n"),
        briefly=account.SHORT.split("\n"),
        words=words,
        folder=prose.FOLDER,
    )


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("dml_bench.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["inline"] = lambda drawing, at: Markup(figures.inline(drawing, at))  # noqa: S704
    made.filters["again"] = again
    made.filters["anchor"] = anchor
    made.filters |= {"abstract": summary.abstract, "short": summary.short}
    made.filters["blocks"] = prose.blocks
    made.filters["versions"] = _versions
    made.filters["noted"] = lambda noted: defaultdict(str, noted)  # older records note less
    return made


def _versions(run: RunResult) -> str:
    packages = run.environment.get("packages") or {}
    return ", ".join(f"{name} {version}" for name, version in packages.items() if version)


@cache
def _asset(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")
