"""docs/conformance.md is what the definition, this package and the libraries say now."""

import pytest

pytest.importorskip("torchmetrics", reason="torchmetrics is not installed")

import conformance

CASES = [
    (title, columns, case)
    for title, (columns, cases) in conformance.TABLES.items()
    for case in cases
]
NAMES = [f"{title}: {case.title}, {case.metric}" for title, _, case in CASES]


def without_versions(text):
    return [line for line in text.splitlines() if not line.startswith("Written with ")]


def test_the_page_is_what_the_code_gives_now():
    stored = conformance.PAGE.read_text(encoding="utf-8")
    now = without_versions(conformance.page())
    assert without_versions(stored) == now, "write it anew: python tests/conformance.py"


@pytest.mark.parametrize(("_title", "columns", "case"), CASES, ids=NAMES)
def test_this_package_says_what_the_definition_says(_title, columns, case):
    definition, ours, *others = case.answers(columns)
    assert ours == definition
    told = {answer for answer in others if answer != "-"}
    if "agree" in case.why.split(".")[0]:
        assert told <= {definition}


def test_every_library_differs_from_the_definition_somewhere():
    differ = set()
    for _title, columns, case in CASES:
        answers = dict(zip(columns, case.answers(columns), strict=True))
        differ |= {c for c, said in answers.items() if said not in ("-", answers["definition"])}
    assert differ == {*conformance.TOOLS, "as released"}
