"""The ledger: what it compares, what it decides by which rules, and that it types nothing."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from dml_bench.cli import main
from dml_bench.ledger import account, budgeted, printed, reckonings
from dml_bench.ledger.budgets import BUDGET, EVERY, matched, said, switches
from dml_bench.ledger.questions import PLAIN, QUESTIONS, Claim
from dml_bench.ledger.sentences import anchor, difference
from dml_bench.ledger.verdicts import (
    ABSENT,
    ALIKE,
    FAILS,
    HOLDS,
    LESS,
    MORE,
    OPEN,
    judged,
    line,
    overall,
)
from dml_bench.pages import page
from dml_bench.results import read_records
from dml_bench.rows import groups as grouped
from dml_bench.suites import load, names
from dml_bench.types import Recipe, RunResult

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "results" / "published"
OPTIONS = {
    "temperature": 0.1,
    "form": "code",
    "negative_weight": 1.0,
    "negatives": "all",
    "neighbour": False,
    "detach_keys": "form",
}
BASE = {
    "dataset": "glyphs",
    "method": "invaspread",
    "backbone": "conv4",
    "weights": "none",
    "weights_digest": "",
    "head": "linear",
    "dim": 128,
    "fit": "squash",
    "resize": 0,
    "crop": 32,
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
    "augmentation": "R+C+G+F",
    "batch": 128,
    "per_class": 0,
    "epochs": 6,
    "optimiser": "sgd",
    "lr": 0.03,
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "schedule": "cosine",
    "precision": "bf16",
    "monitor": "none",
}
BIRDS = {
    "dataset": "cub100_crops",
    "backbone": "efficientnet_lite0",
    "weights": "imagenet",
    "resize": 90,
    "crop": 80,
    "batch": 64,
    "lr": 0.001,
    "augmentation": "crop+F",
    "epochs": 1,
}
SUPERVISION = {"random": "none", "init": "none", "lifted": "supervised"}


def run(value=0.5, seed=0, metric="recall@1", curve=(), spread=None, images=100, **recipe):
    """A result as if it had been run: its recipe, one metric, its curve."""
    options = {**OPTIONS, **recipe.pop("options", {})}
    made = {**BASE, **recipe, "seed": seed}
    made["options"] = options if made["method"] == "invaspread" else recipe.get("own", {})
    made.pop("own", None)
    found = Recipe(**made)
    return RunResult(
        recipe=found,
        metrics={metric: value},
        curve=[{"epoch": n + 1, found.monitor: v} for n, v in enumerate(curve)],
        counts={"train_images": images, "train_classes": 3},
        fingerprint="f" * 16,
        supervision=SUPERVISION.get(found.method, "unsupervised"),
        seconds={},
        environment={},
        finished="",
        spread=spread or {},
    )


def seeds(values, **said):
    return [run(value, seed, **said) for seed, value in enumerate(values)]


def answer(title, results, folder="published"):
    """The short answers and the lines of a section."""
    sections = account.answers(grouped(results), folder)
    return next((short, lines) for name, short, lines in sections if name == title)


# The rules


@pytest.mark.parametrize(
    ("apart", "half", "expected", "word"),
    [
        (0.03, 0.02, MORE, HOLDS),
        (0.03, 0.03, MORE, OPEN),
        (-0.03, 0.02, MORE, FAILS),
        (0.03, 0.02, LESS, FAILS),
        (-0.03, 0.02, LESS, HOLDS),
        (0.03, None, MORE, OPEN),
        (0.0, 0.01, ALIKE, HOLDS),
        (0.004, 0.007, ALIKE, OPEN),
        (0.006, 0.003, ALIKE, HOLDS),
        (0.02, 0.005, ALIKE, FAILS),
        (-0.02, 0.005, ALIKE, FAILS),
        (0.0, 0.5, ALIKE, OPEN),
    ],
)
def test_an_interval_decides_a_claim_or_does_not(apart, half, expected, word):
    assert judged(apart, half, expected) == word


def test_a_difference_is_paired_by_seed_with_students_interval():
    a, b = seeds([0.60, 0.62, 0.64]), seeds([0.50, 0.53, 0.53], augmentation="none")
    found = line(a, list(reversed(b)), "recall@1", reckonings.of_result, MORE)
    assert found.difference == pytest.approx(0.10)
    assert found.half == pytest.approx(4.302653 * 0.01 / 3**0.5, rel=1e-5)  # t of 2 degrees
    assert found.values == pytest.approx((0.62, 0.52))
    assert (found.verdict, difference(found)) == (HOLDS, "+10.0 [+7.5, +12.5] over 3 seeds")


def test_only_seeds_that_both_have_are_compared():
    a = [run(0.6, seed=0), run(0.9, seed=1)]
    b = [run(0.5, seed=1, augmentation="none"), run(0.1, seed=2, augmentation="none")]
    found = line(a, b, "recall@1", reckonings.of_result, MORE)
    assert (found.difference, found.half, found.verdict) == (pytest.approx(0.4), None, OPEN)
    assert line(a[:1], b, "recall@1", reckonings.of_result, MORE) is None


def test_what_no_seed_moves_stands_beside_every_seed():
    start = [run(0.55, method="init", head="none", epochs=0, **_weights())]
    trained = seeds([0.6, 0.6, 0.6], head="none", **_weights())
    assert line(trained, start, "recall@1", reckonings.of_result, MORE).half == 0


def _weights():
    return {"backbone": "efficientnet_lite0", "weights": "imagenet"}


def test_what_comparisons_say_together():
    holds, fails, undecided = (
        line(seeds([a] * 2), seeds([0.5, b], augmentation="none"), "", reckonings.of_result, MORE)
        for a, b in ((0.6, 0.5), (0.4, 0.5), (0.5, 0.6))
    )
    assert [one.verdict for one in (holds, fails, undecided)] == [HOLDS, FAILS, OPEN]
    assert overall([]) == ABSENT
    assert overall([holds]) == HOLDS
    assert overall([holds, holds]) == "holds in all 2"
    assert overall([fails, undecided]) == "does not hold in 1 of 2, not decided in 1"
    assert (
        overall([holds, holds, fails, undecided])
        == "holds in 2 of 4, does not hold in 1, not decided in 1"
    )


# Who is compared with whom


def pairs(results, claim):
    return [
        (a[0].recipe, b[0].recipe)
        for a, b in matched(grouped(results), claim.a, claim.b, claim.same, claim.free)
    ]


NO_CROP = Claim("crop", {**PLAIN, "augmentation": "R+C+G+F"}, {**PLAIN, "augmentation": "C+G+F"})


@pytest.mark.parametrize(
    "other",
    [
        {"epochs": 2},
        {"lr": 0.01},
        {"share": 0.5},
        {"batch": 64},
        {"dataset": "omniglot"},
        {"options": {"form": "paper"}},
        {"options": {"negative_weight": 2.0}},
        {"batch_norm": "frozen"},
        {"precision": "fp32"},
    ],
)
def test_a_claim_compares_recipes_that_differ_in_nothing_else(other):
    base, fair = run(), run(augmentation="C+G+F")
    assert pairs([base, fair], NO_CROP) == [(base.recipe, fair.recipe)]
    assert pairs([base, run(augmentation="C+G+F", **other)], NO_CROP) == []


def test_a_monitor_makes_no_other_recipe():
    assert len(pairs([run(), run(augmentation="C+G+F", monitor="recall@1")], NO_CROP)) == 1


def test_runs_that_were_asked_otherwise_are_not_compared():
    other = replace(run(augmentation="C+G+F"), fingerprint="0" * 16)
    assert pairs([run(), other], NO_CROP) == []


def test_two_methods_are_compared_at_one_budget_whatever_their_rates():
    claim = Claim("beside", PLAIN, {"method": "lifted"}, same=BUDGET)
    assert len(pairs([run(), run(method="lifted", lr=0.001)], claim)) == 1
    for other in ({"epochs": 2}, {"share": 0.1}, {"augmentation": "R"}, {"batch_norm": "frozen"}):
        assert pairs([run(), run(method="lifted", **other)], claim) == []


def test_every_field_of_a_recipe_is_looked_at_or_free():
    values = {"seed", "monitor", "expect", "source", "options"}
    assert set(BASE) | {"batch_norm", "share"} <= EVERY | values
    assert BUDGET <= EVERY


def test_the_sides_of_the_claims_name_what_there_is():
    known = run().recipe
    for question in QUESTIONS:
        for claim in question.claims:
            for name in (*claim.a, *claim.b):
                assert hasattr(known, name.partition(".")[0])
            printed_rows = load("ablations").labels if claim.printed else ()
            assert set(claim.printed or ()) <= set(printed_rows)


def test_the_suites_of_the_ledger_make_both_sides_of_every_claim():
    """Of each claim some two rows of the suites meet the sides: what is asked is run somewhere."""
    rows = [row for name in names() for row in load(name).runs]
    for claim in (claim for question in QUESTIONS for claim in question.claims):
        for side in (claim.a, claim.b):
            assert any(_may_meet(row, side) for row in rows), claim.text


def _may_meet(row, side):
    filled = {"lr": 0.001, "share": 1.0, "batch_norm": "train", "trained": "all", **row}
    filled = {"weights": "none", "augmentation": "crop+F", "precision": "auto", **filled}
    filled["precision"] = {"auto": "bf16"}.get(filled["precision"], filled["precision"])
    options = {**OPTIONS, "constant": "once", **row.get("options", {})}
    return all(
        options.get(name.partition(".")[2]) == wanted if "." in name else filled[name] == wanted
        for name, wanted in side.items()
    )


# What the sections say


def test_a_claim_without_runs_says_so():
    short, lines = answer("Each augmentation's share", [])
    assert short[0] == "RandomResizedCrop helps: **not run yet**."
    assert lines[0].startswith(
        "**RandomResizedCrop helps**: not run yet. Printed: 83.6 against 56.2"
    )


def test_a_sentence_names_the_budget_both_numbers_the_verdict_and_its_runs():
    base, changed = seeds([0.6, 0.61, 0.62]), seeds([0.5, 0.51, 0.52], augmentation="C+G+F")
    short, lines = answer("Each augmentation's share", [*base, *changed])
    assert short[0] == "RandomResizedCrop helps: **holds**."
    told = next(text for text in lines if text.startswith("- "))
    assert told.startswith("- glyphs, conv4 (random weights), 6 epochs of 100 images: recall@1 of")
    assert "61.0 against" in told
    assert "51.0, +10.0 [+10.0, +10.0] over 3 seeds: **holds**." in told
    for result in (*base, *changed):
        assert f"[s{result.recipe.seed}](published/{result.recipe.key}/result.json)" in told


def test_what_was_checked_is_said_where_a_claim_fails_and_nowhere_else():
    base, changed = seeds([0.5, 0.51]), seeds([0.6, 0.61], augmentation="C+G+F")
    _, lines = answer("Each augmentation's share", [*base, *changed])
    assert lines[-1].startswith("What was checked: ")
    _, lines = answer("Each augmentation's share", [*seeds([0.7, 0.71]), *changed])
    assert "What was checked" not in "".join(lines)


def test_who_learns_faster_is_asked_of_the_whole_curve():
    said = {"monitor": "recall@1", "epochs": 2}
    ours = [run(0.5, seed=n, curve=(0.4, 0.5), **said) for n in range(2)]
    nce = {"method": "nce", "own": {"constant": "average"}}
    other = [run(0.6, seed=n, curve=(0.1, 0.6), **nce, **said) for n in range(2)]
    short, lines = answer("Learning speed", [*ours, *other])
    assert short[0] == "InvaSpread learns faster than NCE (moving average): **holds**."
    assert "recall@1, mean over the epochs of invaspread" in "".join(lines)
    assert "45.0 against nce" in "".join(lines)


def test_gains_stand_beside_the_network_that_the_training_began_with():
    start = [run(0.55, seed, method="init", **{**BIRDS, "epochs": 0}) for seed in range(3)]
    frozen = [run(0.61, method="init", head="none", **{**BIRDS, "epochs": 0})]
    worse = seeds([0.47, 0.48, 0.46], **BIRDS)
    better = seeds([0.64, 0.65, 0.66], **BIRDS, head="projection", batch_norm="frozen")
    found = reckonings.gains(grouped([*start, *frozen, *worse, *better]))
    assert [(one.values[1], one.verdict) for one in found] == [
        (pytest.approx(0.61), HOLDS),
        (pytest.approx(0.55), FAILS),
    ]
    short, lines = answer("When does it help at all", [*start, *frozen, *worse, *better])
    assert short[0].endswith("starts from: **holds in 1 of 2, does not hold in 1**.")
    assert "The strongest start that one gained on: **61.0**." in short
    assert "The weakest start that one lost on: **55.0**." in short
    assert len(lines) == 4


def test_another_start_is_no_start():
    trained = seeds([0.47, 0.48], **BIRDS)
    for other in ({"crop": 40}, {"weights": "none", "method": "random"}, {"head": "none"}):
        start = run(0.55, **{**BIRDS, "epochs": 0, "method": "init", **other})
        assert reckonings.gains(grouped([*trained, start])) == []


def test_alignment_and_uniformity_stand_beside_the_metric():
    before = run(0.5, method="random", epochs=0, spread={"alignment": 0.9, "uniformity": -1.0})
    after = run(0.6, spread={"alignment": 0.5, "uniformity": -2.0})
    found = reckonings.gains(grouped([before, after]))
    row = budgeted.gains(found, "published")[-1]
    assert "0.900 to 0.500" in row
    assert "-1.000 to -2.000" in row


def test_the_best_epoch_adds_what_the_curves_say():
    group = [
        run(0.5, seed=0, monitor="recall@1", epochs=3, curve=(0.4, 0.6, 0.5)),
        run(0.5, seed=1, monitor="recall@1", epochs=3, curve=(0.4, 0.5, 0.5)),
    ]
    [found] = reckonings.inflations(grouped(group))
    assert (found.added, found.best, found.last) == pytest.approx((0.05, 0.55, 0.5))
    short, lines = answer("What choosing the best test epoch adds", group)
    assert short == [
        "The best epoch on the test over the last one: **up to 5.0 points in 1 recipe**."
    ]
    assert group[1].recipe.key in lines[0]


def test_a_printed_order_is_held_against_ours_pair_by_pair():
    said = {"dataset": "cifar10_jpeg", "metric": "knn@200", "share": 0.1, "epochs": 2}
    ours = seeds([0.40, 0.41], **said)
    exemplar = seeds([0.42, 0.43], method="exemplar", **said)
    [(first, second, found)] = reckonings.orders(grouped([*ours, *exemplar]))
    assert (first.method, second.method) == ("invaspread", "exemplar")
    assert (first.value, second.value, found.verdict) == (0.836, 0.745, FAILS)
    assert reckonings.orders(grouped([*ours, *seeds([0.4], method="exemplar", epochs=9)])) == []


def test_clusters_that_were_printed_are_told_apart():
    said = {"dataset": "cifar10_jpeg", "metric": "knn@200"}
    ours = seeds([0.5, 0.51], **said)
    ten = seeds([0.3, 0.31], method="deepcluster", own={"clusters": 10}, **said)
    [(_, second, _)] = reckonings.orders(grouped([*ours, *ten]))
    assert second.value == 0.444


def test_the_own_recipe_is_held_against_the_released_one_at_as_many_looks():
    released = seeds([0.5, 0.51], epochs=2)
    own = seeds([0.6, 0.61], epochs=2, method="sprint", batch=64, own={"views": 2})
    four = seeds([0.7, 0.71], epochs=1, method="sprint", batch=64, own={"views": 4})
    longer = seeds([0.9, 0.91], epochs=2, method="sprint", batch=64, own={"views": 4})
    found = reckonings.betters(grouped([*released, *own, *four, *longer]))
    assert [one.values[0] for one in found] == pytest.approx([0.705, 0.605])
    paper = seeds([0.1, 0.11], epochs=2, options={"form": "paper"})
    assert reckonings.betters(grouped([*paper, *own])) == []


# Printed numbers


def cells(results):
    return printed.section(grouped(results), "published")


CIFAR = {
    "dataset": "cifar10",
    "backbone": "resnet18_cifar",
    "metric": "knn@200",
    "schedule": "code-seen",
}


def test_every_printed_number_of_the_suites_has_a_line():
    wanted = sum(len(row.get("expect", {})) for name in printed.SUITES for row in load(name).runs)
    assert sum("| not run yet |" in text for text in cells([])) == wanted > 100


def test_a_number_of_the_printed_budget_stands_beside_it():
    ours = run(0.812, **CIFAR, epochs=200)
    found = [text for text in cells([ours]) if ours.recipe.key in text]
    assert found
    assert all(
        "cifar10, 200 epochs | knn@200 | 83.6 | 81.2 | -2.4 | code form; no self" in f
        for f in found
    )


@pytest.mark.parametrize("other", [{"epochs": 2}, {"epochs": 199}, {"epochs": 200, "share": 0.1}])
def test_a_run_of_another_budget_never_stands_beside_a_printed_number(other):
    ours = run(0.5, **CIFAR, **other)
    assert not [text for text in cells([ours]) if ours.recipe.key in text]


def test_a_recompressed_dataset_is_not_the_printed_one():
    ours = run(0.9, **{**CIFAR, "dataset": "cifar10_jpeg"}, epochs=200)
    assert not [text for text in cells([ours]) if ours.recipe.key in text]


# The page


def test_the_switches_say_what_papers_do_not():
    told = switches(run().recipe)
    assert told.startswith("code form; no self term; stop-gradient; own second view; augmentation")
    assert told.endswith("rate 0.03, cosine; last epoch")
    paper = switches(run(options={"form": "paper", "neighbour": True}).recipe)
    assert paper.startswith("paper form; self term; no stop-gradient; neighbour positive")
    detached = switches(run(options={"form": "paper", "detach_keys": "yes"}).recipe)
    assert "self term; stop-gradient" in detached
    assert "squashed images" in switches(run(**BIRDS).recipe)
    assert "batch norm frozen; head thrown away" in switches(
        run(**BIRDS, batch_norm="frozen", head="projection").recipe
    )


def test_no_table_of_runs_holds_two_budgets():
    several = [run(), run(epochs=2), run(images=10, share=0.1), run(**BIRDS), run(lr=0.1)]
    lines = budgeted.section(grouped(several), "published")
    headings = [text for text in lines if text.startswith("### ")]
    assert len(headings) == len(set(headings)) == len({said(one) for one in several}) == 4


def test_the_ledger_of_nothing_is_whole():
    text = account.text([], "published")
    assert text.count("not run yet") > 100
    assert "holds**" not in text.split("## In short")[1].split("## Printed")[0]


def test_every_answer_links_to_a_section_that_is_there():
    text = account.text([], "published")
    there = {anchor(title[3:]) for title in text.splitlines() if title.startswith("## ")}
    linked = re.findall(r"\(#([^)]+)\)", text)
    assert linked
    assert set(linked) <= there


@pytest.fixture(scope="module")
def committed():
    return (ROOT / "results" / account.NAME).read_text(encoding="utf-8")


def test_the_committed_ledger_is_what_the_published_records_give(committed):
    now = account.text(read_records(PUBLISHED), PUBLISHED.name)
    assert now == committed, "write it anew: dml-bench ledger"


def test_every_link_of_the_ledger_leads_to_a_record(committed):
    linked = set(re.findall(r"\]\((published/[^)]+)\)", committed))
    assert linked
    assert [path for path in sorted(linked) if not (ROOT / "results" / path).is_file()] == []


def test_every_sentence_of_the_ledger_points_to_its_runs(committed):
    verdict = re.compile(r"\*\*(holds|does not hold|not decided)\*\*\. ")
    _, short, *rest = re.split(r"\n## ", committed)
    sentences = [text for part in rest for text in part.splitlines() if text.startswith("- ")]
    told = [text for text in sentences if verdict.search(text)]
    assert told
    assert all("](published/" in text for text in told)
    assert all("](#" in text for text in short.splitlines() if text.startswith("- "))


def test_the_command_writes_it_beside_the_records(tmp_path, capsys):
    folder = tmp_path / "published"
    kept = next(PUBLISHED.glob("glyphs-random-*"))
    (folder / kept.name).mkdir(parents=True)
    (folder / kept.name / "result.json").write_bytes((kept / "result.json").read_bytes())
    assert main(["ledger", "--records", str(folder)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'LEDGER.md'}\n"
    assert (tmp_path / "LEDGER.md").read_text() == account.text(read_records(folder), "published")


def test_a_folder_without_records_is_refused(tmp_path, capsys):
    assert main(["ledger", "--records", str(tmp_path)]) == 2
    assert "expected published records, found none" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_page_says_what_the_ledger_says_and_links_to_its_own_runs(tmp_path):
    records = [*seeds([0.6, 0.61]), *seeds([0.5, 0.51], augmentation="C+G+F")]
    records = [replace(one, environment={"commit": "c" * 40}) for one in records]
    path = page.write([], tmp_path, records, data_root=tmp_path)[-1]
    text = path.read_text(encoding="utf-8")
    assert "RandomResizedCrop helps: <strong>holds</strong>." in text
    linked = set(re.findall(r'href="#(run-[^"]+)"', text))
    assert linked == {f"run-{one.recipe.key}" for one in records}
    assert all(f'id="{name}"' in text for name in linked)
    assert 'id="ledger"' not in page.html([])
