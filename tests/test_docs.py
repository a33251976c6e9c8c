"""Every command block of README and docs/ is run, in order, as a reader would; the site builds."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from dml_bench import readme
from dml_bench.arguments import parser
from dml_bench.results import read_records

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOT_RUN = re.compile(r"not run here: (fetches|needs|takes|serves) .+")
TEXT = ("text", "json", "latex")
FENCE = re.compile(
    r"^(`{3,})(\w*)(?:[ \t]+title=\"([^\"]*)\")?[ \t]*\n(.*?)^\1[ \t]*$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its title (a file's name, or why it is not run), its text."""

    kind: str
    title: str
    text: str


def blocks(page):
    text = page.read_text(encoding="utf-8")
    found = [Block(kind, title or "", body) for _, kind, title, body in FENCE.findall(text)]
    fences = re.findall(r"^\s*`{3,}", text, re.MULTILINE)
    assert len(fences) == 2 * len(found), f"{page.name}: a fence that this test cannot read"
    return found


def run(words, folder, **more):
    bin_folder = str(Path(sys.executable).parent)
    env = {
        **os.environ,
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "PYTHONWARNINGS": "ignore",
    }
    return subprocess.run(
        words, cwd=folder, env=env, capture_output=True, text=True, check=False, **more
    )


def follow(block, folder):
    """Do what a reader does with a block; return what to complain of."""
    if block.title.startswith("not run"):
        return refusal(block)
    if block.title:
        path = folder / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
        return None
    if block.kind in TEXT:
        return None
    if block.kind not in ("bash", "python"):
        return f"a block of '{block.kind}' is neither run, nor a file with a title, nor text"
    words = {"bash": ["bash", "-euo", "pipefail"], "python": [sys.executable, "-"]}[block.kind]
    done = run(words, folder, input=block.text)
    return None if done.returncode == 0 else f"{block.text}\n{done.stdout}\n{done.stderr}"


def refusal(block):
    """Complain of a block that is not run for no good reason, or that could not be run at all."""
    if not NOT_RUN.fullmatch(block.title):
        return f"'{block.title}' says no reason why it is not run"
    wrong = [line for line in commands(block.text) if not known(shlex.split(line))]
    return f"not understood: {wrong}" if wrong else None


def commands(text):
    lines = text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def known(words):
    """Whether a command is one that a reader has, its arguments as it takes them."""
    match words:
        case ["dml-bench", *rest]:
            parser().parse_args(rest)
            return True
        case [script] if script.startswith("./"):
            return os.access(ROOT / script, os.X_OK)
        case ["pip", "install", "-e", what]:
            return f"\n{what.strip('.[]')} = [" in (ROOT / "pyproject.toml").read_text()
        case ["source", ".venv/bin/activate"] | ["tensorboard", "--logdir", _]:
            return True
    return False


def with_commands():
    return [page for page in PAGES if any(b.kind in ("bash", "python") for b in blocks(page))]


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", with_commands(), ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_every_block_of_a_page_does_what_the_page_says(page, tmp_path):
    for block in blocks(page):
        assert (problem := follow(block, tmp_path)) is None, problem


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        (Block("bash", "", "false\n"), "false"),
        (Block("bash", "", "dml-bench lst\n"), "did you mean 'list'"),
        (Block("python", "", "1 / 0\n"), "ZeroDivisionError"),
        (Block("bash", "not run here: because\n", "true\n"), "says no reason"),
        (Block("bash", "not run here: takes hours", "dml-bensh run paper\n"), "not understood"),
        (Block("shell", "", "true\n"), "neither run"),
    ],
)
def test_a_block_that_does_not_work_is_seen(block, complaint, tmp_path):
    assert complaint in follow(block, tmp_path)


def test_a_block_that_is_not_run_still_has_arguments_that_exist(tmp_path):
    with pytest.raises(SystemExit):
        follow(Block("bash", "not run here: takes hours", "dml-bench run paper --fast\n"), tmp_path)


def test_a_block_with_a_title_is_the_file_of_that_name(tmp_path):
    assert follow(Block("toml", "a/b.toml", "x = 1\n"), tmp_path) is None
    assert (tmp_path / "a/b.toml").read_text() == "x = 1\n"


def test_the_readme_shows_what_the_published_records_say():
    records = read_records(ROOT / "results/published")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.table(records) in text, "call python -m dml_bench.readme"
    assert readme.renewed(text, records) == text
    assert (ROOT / readme.PICTURE).read_text(encoding="utf-8") == readme.picture(records)


def test_the_readme_table_is_sorted_and_holds_the_best_of_each_kind():
    records = read_records(ROOT / "results/published")
    rows = [line.split("|")[1:-1] for line in readme.table(records).splitlines()[2:]]
    values = [float(row[3].split("±")[0]) for row in rows]
    kinds = [row[1].strip() for row in rows]
    assert values == sorted(values, reverse=True)
    assert {kind: kinds.count(kind) for kind in kinds} == readme.SHOWN


def test_every_file_that_a_page_names_is_there():
    named = {
        (page.name, name)
        for page in PAGES
        for name in re.findall(
            r"`((?:docs/|results/published/|dml_bench/)[\w./-]+)`", page.read_text()
        )
        if not (ROOT / name).exists()
    }
    assert named == set()


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("material", reason="needs the extra docs")
    pytest.importorskip("mkdocstrings_handlers.python", reason="needs the extra docs")
    words = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "-q",
        "-d",
        str(tmp_path / "site"),
    ]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    page = (tmp_path / "site/reference/scoring.html").read_text()
    assert "dml_bench.scoring.score" in page


def test_the_reference_names_every_method():
    from dml_bench.methods import METHODS

    text = (ROOT / "docs/reference/methods.md").read_text()
    assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == list(METHODS)
