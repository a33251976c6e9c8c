"""The page of promises names tests that are there, and counts what they count."""

import ast
import re
from pathlib import Path

import bad_data
import bad_vectors
import bad_words
import pytest
import test_bad_input
import test_kills

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/\w+\.py)::(\w+)`", PAGE)))
PROMISES = re.findall(r"^\| (?!promise|figure|-)(.+?) \| (.+) \|$", PAGE, re.MULTILINE)
FIGURES = {
    "kills at lines, nightly": test_kills.KILLS * len(test_kills.STAGES),
    "kills by the clock, nightly": test_kills.KILLS * len(test_kills.STAGES),
    "bad inputs refused": len(test_bad_input.CASES) + len(test_bad_input.RESULTS),
    "of them data sets": len(bad_data.CASES),
    "of them files of embeddings, checkpoints and results": len(bad_vectors.CASES)
    + len(test_bad_input.RESULTS),
    "of them words": len(bad_words.CASES),
}


def functions(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_is_named_is_there(path, name):
    assert name in functions(path)


def test_every_promise_names_a_test_or_is_a_figure():
    assert len(PROMISES) > 20
    for promise, kept in PROMISES:
        assert "::test_" in kept or promise in FIGURES, promise


def test_what_is_called_nightly_is_and_nothing_else():
    for path, name in NAMED:
        marks = {ast.unparse(mark) for mark in functions(path)[name].decorator_list}
        called = f"nightly `{path}::{name}`" in PAGE
        assert called == ("pytest.mark.nightly" in marks), name


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_is_what_the_tests_count(figure):
    assert dict(PROMISES)[figure] == f"{FIGURES[figure]}"
