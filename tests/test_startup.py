"""What a command imports before it does anything: a question that is quickly asked is not kept."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "faiss", "matplotlib", "pandas", "scipy", "sklearn")
ASK = """
import sys
from contextlib import suppress

from dml_bench.cli import main

with suppress(SystemExit):
    main({words!r})
print([name for name in {heavy!r} if name in sys.modules])
"""


def imported(code):
    """The last line that a fresh Python prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "words",
    ["--help", "run --help", "trian", "run quick --fast", "completion bash",
     "list suites", "list runs", "list metrics"],
)  # fmt: skip
def test_what_needs_no_network_and_no_table_imports_neither(words, tmp_path):
    root = ["--data-root", str(tmp_path), "--results", str(tmp_path)] if "list" in words else []
    assert imported(ASK.format(words=[*words.split(), *root], heavy=HEAVY)) == "[]"


def test_a_list_of_methods_needs_torch_as_this_test_can_see():
    assert "torch" in imported(ASK.format(words=["list", "methods"], heavy=HEAVY))


def test_commands_that_draw_nothing_import_nothing_that_draws():
    code = "import sys, dml_bench.actions, dml_bench.evaluations, dml_bench.comparisons.compare\n"
    assert imported(f"{code}print('matplotlib' in sys.modules)") == "False"


def test_the_package_alone_imports_next_to_nothing():
    code = "import sys; before = set(sys.modules); import dml_bench\n"
    code += "roots = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
    code += "print(roots - sys.stdlib_module_names)"
    assert imported(code) == "{'dml_bench'}"


SEARCH = """
import sys

import numpy as np

from dml_bench import environment, search

environment._processor = lambda: ("a processor", {flags!r})
search.IMPORT = 0
rows = np.random.default_rng(0).normal(size=(2048, 8)).astype(np.float32)
search.Search(rows).nearest(rows[:8], 3)
print("torch" in sys.modules)
"""


@pytest.mark.parametrize(
    ("flags", "asked"), [("fpu avx2", False), ("fpu avx512_bf16", True), ("", True)]
)
def test_a_search_asks_torch_for_bfloat16_where_the_processor_may_have_it(flags, asked):
    assert imported(SEARCH.format(flags=set(flags.split()))) == str(asked)
