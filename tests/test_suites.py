"""Suites say only what is known, and what papers printed is what they printed."""

import re
from dataclasses import fields

import pytest

from dml_bench.augment import parts
from dml_bench.errors import RecipeError, StoreError, UnknownNameError
from dml_bench.methods import METHODS
from dml_bench.methods.base import options
from dml_bench.published import FILE, published, read_published
from dml_bench.suites import FOLDER, load, names
from dml_bench.types import Recipe

FIELDS = {field.name for field in fields(Recipe)}


def write(folder, text, name="mine.toml"):
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", names())
def test_every_suite_names_only_what_is_known(name):
    suite = load(name)
    assert suite.title
    assert suite.about
    assert len(suite.labels) == len(suite.runs)
    for run in suite.runs:
        assert set(run) <= FIELDS
        assert options(METHODS[run["method"]].Method, run.get("options", {})) is not None
        assert bool(run.get("expect")) <= bool(run.get("source"))


@pytest.mark.parametrize(
    ("table", "printed"),
    [  # read from Tables 7 and 8 of Ye et al. (CVPR 2019)
        (
            "Table 7",
            {"R+C+G+F": 0.836, "C+G+F": 0.562, "R+C+F": 0.793, "R+G+F": 0.757, "R+C+G": 0.826},
        ),
        ("Table 8", {"none": 0.374, "hard": 0.832, "easy": 0.575}),
    ],
)
def test_the_ablations_expect_what_the_paper_printed(table, printed):
    found = {}
    for run in load("ablations").runs:
        if run.get("source", "").endswith(table):
            change = run.get("options", {}).get("negatives") or run.get("augmentation", "R+C+G+F")
            found["+".join(parts(change)) if "+" in change else change] = run["expect"]["knn@200"]
    assert found == printed


def test_the_ablations_of_glyphs_change_one_thing_at_a_time():
    first, *others = load("ablations-glyphs").runs[::3]
    for run in others:
        changed = [name for name in {*first, *run} if run.get(name) != first.get(name)]
        assert len(changed) == 1


def test_the_suite_of_all_methods_has_every_method_with_three_seeds():
    runs = load("methods").runs
    for method in METHODS:
        seeds = [run["seed"] for run in runs if run["method"] == method]
        assert set(seeds) == {0, 1, 2}


def test_no_suite_has_a_run_twice():
    for name in names():
        runs = [repr(run) for run in load(name).runs]
        assert len(set(runs)) == len(runs)


def test_the_suites_that_the_house_plan_names_are_there():
    assert {"quick", "paper", "paper-cifar10", "paper-cub200", "paper-sop"} <= set(names())
    assert [run["method"] for run in load("quick").runs] == [
        "pixels",
        "random",
        "invaspread",
        "invaspread",
        "triplet_semihard",
    ]


def test_paper_is_all_its_parts():
    parts = [name for name in names() if name.startswith("paper-")]
    assert len(load("paper").runs) == sum(len(load(part).runs) for part in parts)


def test_what_a_suite_expects_is_what_the_paper_printed():
    for run in load("paper").runs:
        rows = [row for row in published(run["dataset"]) if row.method == run["method"]]
        said = {(row.metric, row.value) for row in rows if row.source == run["source"]}
        assert set(run.get("expect", {}).items()) <= said


def test_seeds_become_runs_and_options_are_merged(tmp_path):
    path = write(
        tmp_path,
        """
        [defaults]
        dataset = "glyphs"
        options = { form = "code", temperature = 0.1 }
        [[run]]
        method = "invaspread"
        seeds = [0, 1]
        label = "ours"
        options = { form = "paper" }
        """,
    )
    suite = load(path)
    assert [run["seed"] for run in suite.runs] == [0, 1]
    assert suite.runs[0]["options"] == {"form": "paper", "temperature": 0.1}
    assert suite.labels == ("ours", "ours")
    assert "label" not in suite.runs[0]
    assert (suite.name, suite.title) == ("mine", "mine")


def test_a_suite_includes_another_beside_it(tmp_path):
    write(tmp_path, '[[run]]\ndataset = "sop"\nmethod = "init"', "other.toml")
    path = write(tmp_path, 'include = ["other", "quick"]\n')
    assert [run["dataset"] for run in load(path).runs][:2] == ["sop", "glyphs"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title = ", "expected a suite in TOML"),
        ("colour = 1", "unknown 'colour'; there is title, about"),
        ('[[run]]\ndataset = "a"\nmethod = "b"\nepoch = 2', "run 1: unknown 'epoch'; there is dat"),
        ('[defaults]\nseeds = [1]\n[[run]]\ndataset = "a"\nmethod = "b"', "unknown 'seeds'"),
        ('[[run]]\ndataset = "a"', "expected `method`"),
        ('[[run]]\nmethod = "a"', "expected `dataset`"),
        ("", "found neither"),
        ('include = ["mine"]', "includes itself"),
        ("run = 3", "expected `run` to be list"),
        ("run = [3]", "expected a table, found 3"),
        ('[[run]]\ndataset = "a"\nmethod = "b"\nseeds = [1, 1]', "different `seeds`"),
        ('[[run]]\ndataset = "a"\nmethod = "b"\nseeds = []', "different `seeds`"),
        ('[[run]]\ndataset = "a"\nmethod = "b"\nseeds = [true]', "expected seeds of 0 or more"),
        ('[[run]]\ndataset = "a"\nmethod = "b"\nseed = 1\nseeds = [1]', "either `seed` or"),
        ('[[run]]\ndataset = "a"\nmethod = "b"\nexpect = { nmi = 55.4 }', "fraction in 0 to 1"),
    ],
)
def test_a_suite_that_means_nothing_is_refused_with_its_name(tmp_path, text, said):
    with pytest.raises(RecipeError, match=re.escape(said)) as caught:
        load(write(tmp_path, text))
    assert str(caught.value).startswith("mine.toml")
    assert "\n" not in str(caught.value)


def test_an_unknown_suite_lists_the_known():
    with pytest.raises(UnknownNameError, match="no suite 'quik'; did you mean 'quick'"):
        load("quik")


@pytest.mark.parametrize("name", ["my süte.toml", "quick.toml", "mine/quick"])
def test_a_file_that_is_not_there_is_no_mistyped_suite(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    said = f"suite {name}: expected a file that ends in .toml, found none; mend its path, or name"
    with pytest.raises(RecipeError, match="^" + re.escape(said) + " one of .*quick"):
        load(name)


def test_an_included_file_that_is_not_there_is_said_to_be_a_file(tmp_path):
    with pytest.raises(RecipeError, match=r"^suite other\.toml: expected a file"):
        load(write(tmp_path, 'include = ["other.toml"]'))


@pytest.mark.parametrize(
    ("dataset", "method", "metric", "value"),
    [  # read from the tables of Ye et al. (CVPR 2019)
        ("cifar10", "invaspread", "knn@200", 0.836),
        ("cifar10", "random", "knn@200", 0.321),
        ("cub200", "invaspread", "recall@1", 0.462),
        ("cub200", "invaspread", "nmi", 0.554),
        ("cub200", "mom", "recall@1", 0.453),
        ("cars196", "invaspread", "recall@1", 0.413),
    ],
)
def test_published_numbers_are_those_of_the_paper(dataset, method, metric, value):
    rows = published(dataset)
    assert [r.value for r in rows if (r.method, r.metric) == (method, metric)] == [value]


def test_sop_has_a_table_with_and_one_without_pretraining():
    rows = [r for r in published("sop") if (r.method, r.metric) == ("invaspread", "recall@1")]
    assert {row.source[-1]: row.value for row in rows} == {"4": 0.489, "6": 0.397}


def test_nothing_unverified_is_published():
    text = (FOLDER / "published.csv").read_text().lower()
    assert "unverified" not in text
    assert "memory" not in text
    assert "~" not in text
    assert {row.supervision for row in read_published(FILE)} == {
        "none",
        "unsupervised",
        "supervised",
    }


def test_no_number_is_published_twice():
    rows = [(r.source_key, r.label, r.metric) for r in read_published(FILE)]
    assert len(set(rows)) == len(rows)


@pytest.mark.parametrize("value", ["46.2", "", "nan", "x"])
def test_a_published_number_that_is_no_fraction_is_refused(tmp_path, value):
    header = FILE.read_text().splitlines()[0]
    path = write(tmp_path, f"{header}\nk,s,m,l,none,b,128,d,nmi,{value}\n", "p.csv")
    with pytest.raises(StoreError, match=r"p\.csv line 2: expected a fraction"):
        read_published(path)


def test_other_columns_are_refused(tmp_path):
    with pytest.raises(StoreError, match="no column 'a'; there is source_key"):
        read_published(write(tmp_path, "a,b\n1,2\n", "p.csv"))
