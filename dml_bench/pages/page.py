"""Results -> one HTML file that opens from disk: no server, no network, nothing beside it."""

import base64
import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from dml_bench.again import again
from dml_bench.atomic import atomic_write
from dml_bench.ledger.answers import answers
from dml_bench.ledger.budgets import gathered
from dml_bench.locks import only_writer
from dml_bench.pages import figures
from dml_bench.pages.sections import Section, sections
from dml_bench.published import Published
from dml_bench.rows import HERE
from dml_bench.types import RunResult

FOLDER = "records"
LINK = r'<a href="#run-\2">\1</a>'
Answers = tuple[str, Sequence[str], Sequence[str]]
"""Of a question of the ledger: its title, the answers in short, the comparisons."""


def write(
    results: Sequence[RunResult],
    folder: Path,
    records: Sequence[RunResult] = (),
    *,
    data_root: Path,
    printed: Sequence[Published] = (),
) -> list[Path]:
    """Write `report.html`, and its figures as PNG and SVG under `plots`.

    Args:
        results: of the runs made here; their vectors and neighbours are read in `folder`.
        folder: the root of all results.
        records: of the runs that the project publishes.
        data_root: where the datasets are; the images of one that is not there are left out.
        printed: what other papers printed: a table that a user brings.

    Returns:
        the files; the page is the last.

    Raises:
        StoreError: the folder cannot be written.
    """
    found = sections(results, folder, records, data_root=data_root, printed=printed)
    drawings = {section.anchor: section.drawings() for section in found}
    written = figures.write(drawings, folder / "plots")
    path = folder / "report.html"
    with only_writer(folder):
        atomic_write(path, html(found, decided(records)))
    return [*written, path]


def decided(records: Sequence[RunResult]) -> list[tuple[str, list[str], list[str]]]:
    """Return what the ledger says of published records: heading, answers, comparisons."""
    if not records:
        return []
    return [
        (
            one.title,
            list(one.short),
            [line.removeprefix("- ") for line in one.lines if line[:2] == "- "],
        )
        for one in answers(gathered(records), FOLDER)
    ]


def html(found: Sequence[Section], ledger: Sequence[Answers] = ()) -> str:
    """Return the page; the same sections and answers give the same bytes."""
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
    )


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("dml_bench.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["inline"] = lambda drawing: Markup(figures.inline(drawing))  # noqa: S704
    made.filters["again"] = again
    made.filters["spoken"] = spoken
    made.filters["versions"] = _versions
    made.filters["noted"] = lambda noted: defaultdict(str, noted)  # older records note less
    return made


def spoken(text: str) -> Markup:
    """Return a sentence of the ledger for the page: its runs are those further up.

    Example:
        >>> str(spoken("**holds** [s0](records/glyphs-x/result.json) & more"))
        '<strong>holds</strong> <a href="#run-glyphs-x">s0</a> &amp; more'
    """
    safe = str(escape(text))
    linked = re.sub(rf"\[(s\d+)\]\({FOLDER}/([^/)]+)/result\.json\)", LINK, safe)
    return Markup(re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", linked))  # noqa: S704 - escaped


def _versions(run: RunResult) -> str:
    packages = run.environment.get("packages") or {}
    return ", ".join(f"{name} {version}" for name, version in packages.items() if version)


@cache
def _asset(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")
