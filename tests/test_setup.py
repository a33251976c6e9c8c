"""The set-up installs once, uses what is there, and says in one line what is missing.

The shell runs in a copy of the repository, in a folder with a space, with nothing on PATH but
the tools it needs and a stand-in for Python: no network, nothing installed.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import dml_bench

ROOT = Path(__file__).parent.parent
SHARED = (".ci/environment.sh", ".ci/run", "run_all.sh", "run_tests.sh")
CONFIGURATION = ("pyproject.toml", "constraints.txt")
TOOLS = (
    *("awk", "bash", "cat", "cp", "cut", "df", "dirname", "env", "grep", "mkdir", "rm", "sed"),
    *("sha256sum", "shasum", "tail"),
)
PYTEST = "did -m pytest -n 2 --dist loadfile --no-loadscope-reorder"  # of a machine of two cores
# What the shell asks of a Python, answered from the environment; each pip call is noted.
STAND_IN = r"""#!/usr/bin/env bash
case "$*" in
*sys.version_info*) [ -z "$VERSION" ] || echo "$VERSION"; [ -n "$VERSION" ] ;;
*ensurepip*) [ "$VENV_MODULE" = yes ] ;;
*fcntl*) exit 0 ;;
*"import mypy"*) [ "$ACTIVE_TOOLS" = yes ] ;;
*"import dml_bench"*) [ "$ACTIVE_PACKAGE" = yes ] ;;
--version) echo "Python $VERSION" ;;
"-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
"-m pip "*) echo "$*" >>"$CALLS/pip"; echo "$PIP_SAYS" >&2; [ -z "$PIP_SAYS" ] ;;
*) echo "$0 $*" >>"$CALLS/work"; echo "did $*" ;;
esac
"""
GOOD = {
    "VERSION": "3.12.1",
    "VENV_MODULE": "yes",
    "ACTIVE_PACKAGE": "no",
    "ACTIVE_TOOLS": "no",
    "PIP_SAYS": "",
}
INSTALL_LOG = "all that pip complained of is in .venv/install.log"


class Copy:
    """A copy of the repository's shell, and what its stand-in was asked to do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = folder / "my clone"
        self.bin = folder / "bin"
        for name in SHARED + CONFIGURATION:
            (self.repository / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.repository / name)
        self.bin.mkdir()
        for tool in filter(shutil.which, TOOLS):
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.stand_in("python3")
        self.count_cores(2)

    def count_cores(self, cores: int) -> None:
        (self.bin / "nproc").write_text(f"#!/usr/bin/env bash\necho {cores}\n")
        (self.bin / "nproc").chmod(0o755)

    def stand_in(self, name: str, case: str = "") -> None:
        text = STAND_IN.replace("in\n", f"in\n{case}\n", 1)
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def call(self, script="run_all.sh", *args, cwd=None, **environ):
        environ = GOOD | {"PATH": str(self.bin), "CALLS": str(self.folder)} | environ
        return subprocess.run(
            [self.repository / script, *args],
            cwd=cwd or self.repository,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def calls(self, kind):
        path = self.folder / kind
        return path.read_text().splitlines() if path.exists() else []

    def stamps(self):
        return sorted(path.name for path in (self.repository / ".venv").glob(".dml_bench-*"))


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path)


def only_line(done):
    """The one line of a refusal."""
    assert done.returncode == 2
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("setting up .venv")]
    assert len(lines) == 1, done.stderr
    return lines[0]


# --- what is missing is said in one line ----------------------------------------------------


def test_a_python_too_old_is_refused_with_its_version(copy):
    line = only_line(copy.call(VERSION="3.9.2"))
    assert line.startswith("error: expected Python 3.11 or newer, found 3.9.2; install one")
    assert not (copy.repository / ".venv").exists()


def test_no_python_at_all_is_refused(copy):
    (copy.bin / "python3").unlink()
    assert "expected Python 3.11 or newer, found none; install" in only_line(copy.call())


def test_a_missing_venv_module_is_refused_with_the_package_to_install(copy):
    line = only_line(copy.call(VENV_MODULE="no"))
    assert "expected Python's venv module, found Python 3.12 without it" in line
    assert "apt install python3.12-venv" in line


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (
            "WARNING: Retrying ... NewConnectionError: Temporary failure in name resolution\n"
            "ERROR: No matching distribution found for setuptools>=77",
            "expected to reach the package registry, found no way there; connect to the network",
        ),
        (
            "ERROR: Could not install packages: [Errno 28] No space left on device",
            "expected room for the packages, found a full disk",
        ),
        (
            "ERROR: Cannot install numpy<2 and numpy==2.4.6",
            "expected pip to install dml_bench, found 'ERROR: Cannot install numpy<2 and numpy==2",
        ),
    ],
    ids=["network", "disk", "anything else"],
)
def test_a_failing_pip_is_told_in_one_line_and_tried_again_the_next_time(copy, said, answer):
    line = only_line(copy.call(PIP_SAYS=said))
    assert answer in line
    assert line.endswith(INSTALL_LOG)
    assert said in (copy.repository / ".venv/install.log").read_text()
    assert copy.stamps() == []
    assert copy.call().returncode == 0
    assert len(copy.calls("pip")) == 2


def test_an_active_environment_without_the_test_tools_is_refused_by_run_tests_alone(copy):
    active = {"VIRTUAL_ENV": str(copy.folder), "ACTIVE_PACKAGE": "yes"}
    assert "expected ruff, mypy and pytest in the active environment" in only_line(
        copy.call("run_tests.sh", **active)
    )
    assert copy.call("run_all.sh", **active).returncode == 0


# --- what is there is used ------------------------------------------------------------------


def test_it_installs_once_with_the_pinned_versions(copy):
    assert copy.call().returncode == 0
    assert copy.call().returncode == 0
    (pip,) = copy.calls("pip")
    assert pip.endswith("-c constraints.txt -e .[all]")
    assert copy.calls("work") == [f"{copy.repository}/.venv/bin/python -m dml_bench run quick"] * 2


def test_a_finished_set_up_says_nothing(copy):
    copy.call()
    done = copy.call()
    assert (done.stdout, done.stderr) == ("did -m dml_bench run quick\n", "")


@pytest.mark.parametrize("name", CONFIGURATION)
def test_a_change_of_the_configuration_installs_anew(copy, name):
    copy.call()
    before = copy.stamps()
    with (copy.repository / name).open("a") as file:
        file.write("# changed\n")
    copy.call()
    assert len(copy.calls("pip")) == 2
    assert len(copy.stamps()) == 1
    assert copy.stamps() != before


def test_a_repository_that_was_moved_installs_anew(copy):
    copy.call()
    moved = copy.folder / "moved"
    copy.repository.rename(moved)
    copy.repository = moved
    copy.call()
    assert len(copy.calls("pip")) == 2


def test_the_tests_add_their_tools_and_then_serve_both(copy):
    copy.call("run_all.sh")
    copy.call("run_tests.sh")
    copy.call("run_all.sh")
    assert [pip.split()[-1] for pip in copy.calls("pip")] == [".[all]", ".[dev]"]


def test_an_interrupted_installation_is_made_anew_from_nothing(copy):
    half = copy.repository / ".venv/lib/half a package"
    half.mkdir(parents=True)
    (copy.repository / ".venv/.unfinished").touch()
    assert copy.call().returncode == 0
    assert not half.exists()
    assert not (copy.repository / ".venv/.unfinished").exists()


def test_an_installation_that_was_not_interrupted_is_kept(copy):
    kept = copy.repository / ".venv/lib/a package"
    kept.mkdir(parents=True)
    assert copy.call().returncode == 0
    assert kept.exists()


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_an_active_environment_with_the_package_is_used_as_it_is(copy, variable):
    copy.stand_in("python")
    done = copy.call(ACTIVE_PACKAGE="yes", **{variable: str(copy.folder)})
    assert done.returncode == 0
    assert copy.calls("work") == [f"{copy.bin}/python -m dml_bench run quick"]
    assert not (copy.repository / ".venv").exists()


def test_an_active_environment_without_the_package_is_left_alone(copy):
    assert copy.call(VIRTUAL_ENV=str(copy.folder)).returncode == 0
    assert len(copy.calls("pip")) == 1
    assert ".venv/bin/python" in copy.calls("work")[0]


def test_a_newer_python_is_taken_before_the_one_named_python3(copy):
    copy.stand_in("python3.11", "*version*) echo 3.11.7 ;;")
    done = copy.call(VERSION="3.9.2")
    assert done.returncode == 0
    assert "setting up .venv with 3.11.7, once" in done.stderr


# --- the scripts ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "run"),
    [
        (["crops"], "crops"),
        (["quick", "crops", "--seed", "1"], "quick crops --seed 1"),
        (["--device", "cpu"], "quick --device cpu"),
    ],
)
def test_run_all_passes_on_what_it_is_given(copy, given, run):
    assert copy.call("run_all.sh", *given).stdout == f"did -m dml_bench run {run}\n"


def test_run_all_from_another_folder_still_writes_to_the_repository(copy):
    done = copy.call("run_all.sh", "crops", cwd=copy.folder)
    roots = f"--data-root {copy.repository}/datasets --results {copy.repository}/results"
    assert done.stdout == f"did -m dml_bench run {roots} crops\n"


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ("--results here", ["data-root"]),
        ("--res=here", ["data-root"]),
        ("--data-root there", ["results"]),
        ("--data-root there --results here", []),
        ("--retries 2", ["data-root", "results"]),
    ],
)
def test_run_all_from_another_folder_says_no_folder_that_you_say(copy, given, added):
    done = copy.call("run_all.sh", "crops", *given.split(), cwd=copy.folder)
    where = {"data-root": "datasets", "results": "results"}
    roots = "".join(f"--{name} {copy.repository}/{where[name]} " for name in added)
    assert done.stdout == f"did -m dml_bench run {roots}crops {given}\n"


def test_help_sets_up_nothing(copy):
    for script in ("run_all.sh", "run_tests.sh"):
        done = copy.call(script, "--help", VERSION="3.9.2")
        assert done.returncode == 0
        assert f"./{script}" in done.stdout


def test_the_continuous_integration_makes_every_check(copy):
    done = copy.call(".ci/run", cwd=copy.folder)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "did -m ruff check .",
        "did -m ruff format --check .",
        "did -m mypy",
        PYTEST,
    ]


def test_one_failing_check_fails_the_whole_and_hides_no_other(copy):
    copy.stand_in("python3", '"-m mypy") exit 1 ;;')
    done = copy.call("run_tests.sh")
    assert done.returncode == 1
    assert "== mypy FAILED" in done.stderr
    assert done.stdout.splitlines()[-1] == PYTEST


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (3, 3), (64, 4)])
def test_as_many_files_are_tested_at_a_time_as_there_are_cores_four_at_most(copy, cores, workers):
    copy.count_cores(cores)
    done = copy.call("run_tests.sh")
    assert done.stdout.splitlines()[-1] == PYTEST.replace("2", str(workers))


def test_run_tests_with_arguments_is_pytest_alone(copy):
    done = copy.call("run_tests.sh", "tests/test_x.py", "-m", "not slow")
    assert done.stdout == "did -m pytest tests/test_x.py -m not slow\n"


def test_run_all_is_a_table_of_contents_of_the_suites():
    header = (ROOT / "run_all.sh").read_text().split("\n\n")[0]
    listed = set(re.findall(r"^#     ([a-z][\w-]+) ", header, re.MULTILINE))
    assert listed == {path.stem for path in (ROOT / "dml_bench/suites").glob("*.toml")}


# --- what the repository says ---------------------------------------------------------------

MACHINE = re.compile(
    r"(?<![\w.~/-])/(?:root|Users|work|home(?!/ada/))/[\w.]"  # one machine; ada is invented
    r"|://[^\s/]+/(?:simple|whl)\b|--(?:extra-)?index-url"  # a registry's addresses end so
)


def test_constraints_are_names_and_versions_only():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [line for line in lines if not line.startswith("#")]
    wrong = [line for line in pinned if not re.fullmatch(r"[\w.-]+==[\w.]+", line)]
    assert pinned
    assert wrong == []


def test_every_requirement_is_pinned():
    text = (ROOT / "pyproject.toml").read_text().split("[project.scripts]")[0]
    wanted = set(re.findall(r'"([a-z][\w-]*)(?:>=[\d.]+)?"[,\]]', text.split("dependencies", 1)[1]))
    pinned = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").open()}
    assert "torch" in wanted
    assert wanted - pinned == set()


def test_no_file_names_a_machine_or_a_registry():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs git and a clone")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / os.fsdecode(name) for name in listing.stdout.split(b"\0") if name]
    texts = {path: path.read_bytes() for path in paths if path.is_file()}
    found = {
        str(path.relative_to(ROOT)): match.group()
        for path, content in texts.items()
        if b"\0" not in content and (match := MACHINE.search(content.decode(errors="replace")))
    }
    assert found == {}


def test_beside_a_checkout_the_package_is_found_and_not_the_folder_of_its_name(tmp_path):
    """A folder of that name is a namespace to Python; a path that is searched goes before it."""
    modes = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["distutils"]
    assert modes["editable_wheel"]["mode"] == "compat"
    (tmp_path / "dml_bench").mkdir()
    words = [sys.executable, "-c", "import dml_bench; print(dml_bench.__version__)"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == dml_bench.__version__
