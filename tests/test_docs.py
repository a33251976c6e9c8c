"""Every command block of README and docs/ is run, in order, as a reader would; the site builds.

The README's commands are those of a shell. Those of the pages are done by a desk (`desk.py`): the
same code in a process that has its imports behind it.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dml_bench import readme, score
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


BIN = Path(sys.executable).parent


def run(words, folder, path, **more):
    env = {
        **os.environ,
        "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]]),
        "HOME": str(folder),
        "PYTHONWARNINGS": "ignore",
    }
    return subprocess.run(
        words, cwd=folder, env=env, capture_output=True, text=True, check=False, **more
    )


def follow(block, folder, path=(BIN,)):
    """Do what a reader does with a block; return what to complain of.

    Args:
        block: of a page.
        folder: where the reader is.
        path: where programs are looked for before anywhere else.
    """
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
    done = run(words, folder, path, input=block.text)
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
        case ["torchrun", *rest] if "-m" in rest:
            return known(["dml-bench", *rest[rest.index("dml_bench") + 1 :]])
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


@pytest.fixture(scope="module")
def desk():
    """The folder of a `dml-bench` that need not import anything."""
    words = [sys.executable, str(Path(__file__).with_name("desk.py"))]
    with (
        tempfile.TemporaryDirectory() as folder,  # a socket's address must be short
        subprocess.Popen([*words, folder], stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout.readline() == "ready\n"
        yield Path(folder)
        process.terminate()


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", with_commands(), ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_every_block_of_a_page_does_what_the_page_says(page, tmp_path, desk):
    path = (BIN,) if page.name == "README.md" else (desk, BIN)
    for block in blocks(page):
        assert (problem := follow(block, tmp_path, path)) is None, problem


@pytest.mark.slow
def test_the_desk_does_what_the_program_does(tmp_path, desk):
    block = Block(
        "bash", "", "dml-bench list metrics | head -n 2 >&2; dml-bench lst; test $? = 2\n"
    )
    said = []
    for path in ((BIN,), (desk, BIN)):
        done = run(["bash", "-c", block.text], tmp_path, path)
        said.append((done.returncode, done.stdout, done.stderr))
    assert said[0] == said[1]
    assert said[0][0] == 0
    assert "recall@k" in said[0][2]


@pytest.mark.slow
def test_the_desk_gives_a_run_only_to_who_asks_for_it(tmp_path, desk):
    words = [
        "dml-bench",
        "train",
        "--dataset",
        "glyphs",
        "--method",
        "random",
        "--seed",
        "7",
    ]  # in no page
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        folder.mkdir()
    ends = [run(words, folder, (desk, BIN)) for folder in folders[:2]]
    assert "stored: " in ends[0].stderr
    assert "stored already: " in ends[1].stderr
    assert ends[0].stdout == ends[1].stdout
    assert run(["dml-bench", "list", "runs"], folders[2], (desk, BIN)).stdout == ""


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


def test_the_metric_of_the_page_leaves_out_who_has_no_right_answer(tmp_path):
    (shown,) = [b for b in blocks(ROOT / "docs" / "metric.md") if b.title == "my_metric.py"]
    (tmp_path / shown.title).write_text(shown.text)
    labels = np.concatenate([np.repeat(np.arange(10), 4), np.arange(100, 140)])  # half are alone
    vectors = np.random.default_rng(0).normal(size=(80, 3))
    found = score(vectors, labels, metrics=["recall@1", f"{tmp_path / shown.title}:mrr@1"])
    assert len(set(found["metrics"].values())) == 1


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
