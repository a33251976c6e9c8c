"""The ledger as it will stand when every suite has run: with made-up numbers, from the real rows.

What no record says yet is asked here: that each question gets an answer, and each answer its own
words.
"""

import hashlib
import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from dml_bench.defaults import DATASETS, usual
from dml_bench.ledger import account, answers, missing, orders, own, reckonings, summary
from dml_bench.ledger.budgets import UNTRAINED, gathered
from dml_bench.ledger.questions import QUESTIONS
from dml_bench.ledger.section import sure
from dml_bench.ledger.verdicts import at
from dml_bench.methods import METHODS
from dml_bench.methods.base import options
from dml_bench.suites import load, names
from dml_bench.types import Recipe, RunResult

SUITES = (
    *("methods", "crops-methods", "cifar10-jpeg"),
    *("ledger-glyphs", "ledger-cifar", "ledger-curves", "ledger-start", "ledger-better"),
    *("ledger-crops", "ledger-rates"),
)
IMAGES = {"glyphs": 10_506, "cub100_crops": 3_428, "cars196_crops": 8_054, "cifar10_jpeg": 50_000}
SEEN = ("cifar10_jpeg",)


def recipe(row):
    """A row as a recipe, on a processor with bfloat16."""
    protocol = "seen" if row["dataset"] in SEEN else "unseen"
    special = DATASETS.get(row["dataset"], {})
    said = {**usual(row["method"], protocol, special, row), **row}
    said |= {"weights_digest": "", "mean": (0.5,) * 3, "std": (0.5,) * 3}
    said["precision"] = "bf16" if said["precision"] == "auto" else said["precision"]
    said["epochs"] = 0 if row["method"] in UNTRAINED else said["epochs"]
    said["options"] = options(METHODS[row["method"]].Method, row.get("options", {}))
    said["crop"] = said.get("crop") or 32
    said["dim"] = 1280 if said["head"] == "none" else said["dim"]
    return Recipe(**{k: v for k, v in said.items() if k not in ("label", "seeds")})


def result(made):
    """A made-up run: its number is its recipe's own, a little otherwise for each seed."""
    seedless = json.dumps({**made.decisive(), "seed": 0}, sort_keys=True)
    around = 0.2 + 0.5 * random.Random(seedless).random()
    value = around + random.Random(made.key).gauss(0, 0.003)
    metric = "knn@200" if made.dataset in SEEN else "recall@1"
    curve = [{"epoch": n + 1, made.monitor: value} for n in range(made.epochs)]
    asked = f"{made.dataset} {made.share if metric == 'knn@200' else 1}"
    images = round(IMAGES[made.dataset] * made.share)
    return RunResult(
        recipe=made,
        metrics={metric: value},
        curve=curve if made.monitor != "none" else [],
        counts={"train_images" if made.epochs else "gallery_images": images},
        fingerprint=hashlib.sha256(asked.encode()).hexdigest()[:16],
        supervision=METHODS[made.method].Method.supervision,
        seconds={},
        environment={},
        finished="",
        spread={"alignment": 0.5, "uniformity": -2.0},
    )


@pytest.fixture(scope="module")
def records():
    made = {one.key: one for name in SUITES for one in map(recipe, load(name).runs)}
    return [result(one) for one in made.values()]


@pytest.fixture(scope="module")
def text(records):
    return "\n".join(account.documents(records, "published").values())


def test_the_own_recipe_stands_in_the_rows_that_bear_its_name_alone():
    suite = load("ledger-better")
    rows = [(label, recipe(row)) for label, row in zip(suite.labels, suite.runs, strict=True)]
    mine = [(label, result(made)) for label, made in rows if made.method == own.OWN]
    stands = {label for label, made in mine if own.as_it_stands(made)}
    near = "Sprint, batch norm frozen, head thrown away, the neighbour"
    assert stands == {
        *("Sprint", "Sprint, the head thrown away", "letters: Sprint"),
        *(f"birds: {near}", f"cars: {near}"),
        *("two fifths: Sprint, rate 0.005", "all of CIFAR-10, one epoch: Sprint"),
    }


CLAIMS = [claim for question in QUESTIONS for claim in question.claims]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.text)
def test_every_claim_is_asked_of_more_than_one_seed(claim, records):
    found = reckonings.of_claim(claim, gathered(records))
    assert max((len(one.a) for one in found), default=0) > 1


def test_what_was_not_run_of_the_suites_is_said_row_by_row_and_seed_by_seed(records):
    suites = [name for name in names() if name.startswith("ledger-")]
    assert set(suites) <= set(SUITES)
    whole = missing.section(gathered(records))
    asked = [line for line in whole[4:] if line.startswith("| ledger-")]
    assert [line.split(" | ")[0].strip("| ") for line in asked] == suites
    assert whole[-1].startswith("Of no row there is a record: ")
    assert "paper-cub200" in whole[-1]
    for line in asked:
        _, rows, ran, left = line.strip("|").split(" | ")
        assert (rows, left.strip()) == (ran, ""), line
    hot = [one for one in records if one.recipe.options.get("temperature") == 0.5]
    hot = [one for one in hot if one.recipe.method == "invaspread"]
    gone = [one for one in hot if one.recipe.dataset == "glyphs" or one.recipe.seed == 1]
    some = gathered([one for one in records if one not in gone])
    cifar, letters = (
        next(line for line in missing.section(some) if line.startswith(f"| {name} |"))
        for name in ("ledger-cifar", "ledger-glyphs")
    )
    assert cifar.endswith(" | 37 | temperature 0.5: seed 1 |")
    assert letters.endswith(" | temperature 0.5 |")


def twins(records):
    """Some of the records, as if another processor had made them, too."""
    return [one for one in records if one.recipe.method == own.OWN]


def test_every_question_has_an_answer(records):
    for section in answers.answers(gathered(records), "published", twins(records)):
        assert (
            sure(section.compared) or "best epoch" in section.title or "best test" in section.title
        )
        assert "not run yet" not in "".join(summary.short(section)), section.title


def test_the_paper_orders_of_both_crops_and_of_cifar_are_decided(records):
    found = [one for *_, one in orders.orders(gathered(records))]
    decided = {one.where.dataset for one in found if one.half is not None}
    assert decided == {"cub100_crops, 80 px", "cars196_crops, 80 px", "cifar10_jpeg"}


def test_no_two_sentences_say_the_same_of_other_runs(text):
    told = [line for line in text.splitlines() if line.startswith("- ") and " Runs: " in line]
    assert len(told) > 60
    found = {}
    for line in told:
        words, runs = line.split(" Runs: ", 1)
        words = re.sub(r"(?<![=:\d])[-+]?\d+\.\d\b", "", words)
        found.setdefault(re.sub(r"\*\*.*?\*\*", "", words), set()).add(runs.split(". What")[0])
    assert {words: runs for words, runs in found.items() if len(runs) > 1} == {}


COMMITTED = [Path(__file__).parents[1] / "results" / n for n in (account.NAME, account.TABLES)]


@pytest.mark.parametrize("which", ["as it will stand", "as it stands"])
def test_no_two_rows_of_a_table_have_the_same_name_and_no_two_headings(which, text):
    stands = "\n".join(path.read_text(encoding="utf-8") for path in COMMITTED)
    whole = text if which == "as it will stand" else stands
    tables = re.split(r"\n(?=\| recipe \|)", whole)[1:]
    assert len(tables) > 10
    for table in tables:
        rows = [line.split(" | ") for line in table.split("\n\n")[0].splitlines()]
        names = [tuple(cells[: 2 if rows[0][1] == "where" else 1]) for cells in rows]
        assert len(names) == len(set(names)), Counter(names).most_common(1)
    headings = [line for line in whole.splitlines() if line.startswith("#")]
    assert len(headings) == len(set(headings)), Counter(headings).most_common(1)


def test_the_head_says_how_many_comparisons_there_are(text, records):
    sections = answers.answers(gathered(records), "published")
    claims = [one for section in sections for one in section.compared]
    known = [(one.a, one.b) for one in claims]
    gains = sum((one.a, one.b) not in known and sure([one]) for s in sections for one in s.gains)
    decided = [one for one in claims if one.verdict in ("holds", "fails")]
    sentences = [line for line in text.splitlines() if line.startswith("- ")]
    hairs = sum("** weakly" in line for line in sentences)
    head = " ".join(text.split("## How it decides")[1].split("## ")[0].split())
    assert f"Of {sure(claims)} comparisons of a claim that have an interval {len(decided)}" in head
    assert f"among the {sum(not one.hair for one in decided)} that stay decided" in head
    assert f"{gains} more stand in the tables" in head
    assert gains
    assert hairs == sum(one.hair for one in decided)


def test_no_two_lines_of_a_table_in_short_say_the_same(records):
    for section in answers.answers(gathered(records), "published", twins(records)):
        for claim in section.asked:
            places = [at(one, claim.found) for one in claim.found]
            assert len(places) == len(set(places)), claim.text
