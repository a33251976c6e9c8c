"""The ledger: what it compares, what it decides by which rules, and that it types nothing."""

import re
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from dml_bench.cli import main
from dml_bench.ledger import (
    account,
    answers,
    budgeted,
    elsewhere,
    naming,
    orders,
    own,
    printed,
    reckonings,
    released,
    starts,
    summary,
)
from dml_bench.ledger.budgets import (
    BUDGET,
    EVERY,
    Where,
    budget,
    gathered,
    matched,
    setting,
    views,
)
from dml_bench.ledger.claims import ALIKE, LESS, MORE, PLAIN, Claim
from dml_bench.ledger.naming import switches
from dml_bench.ledger.questions import QUESTIONS, SPEED
from dml_bench.ledger.sentences import anchor, difference, links, outcome
from dml_bench.ledger.verdicts import FAILS, HOLDS, ONE, OPEN, at, firm, judged, line, marked
from dml_bench.pages import page
from dml_bench.parts import signed
from dml_bench.published import FILE, read_published
from dml_bench.results import read_records
from dml_bench.suites import load
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
    """A section in short, and the lines of it."""
    sections = answers.answers(gathered(results), folder)
    return next((summary.short(s), s.lines(folder)) for s in sections if s.title == title)


def row(short, claim):
    """The cells of the line in short that names a claim."""
    [text] = [text for text in short if text.startswith(f"| {claim} |")]
    return [cell.strip() for cell in text.removeprefix("|").removesuffix("|").split(" | ")]


def owned(results):
    groups = gathered(results)
    return own.own(groups, starts.gains(groups))


def beside(a, b):
    """Two recipes beside each other, somewhere."""
    return line(a, b, ("recall@1", reckonings.of_result), where=Where("glyphs", "conv4", "1 epoch"))


def of(title, text, results):
    """The comparisons of a claim."""
    [claim] = [c for q in QUESTIONS if q.title == title for c in q.claims if c.text == text]
    return reckonings.of_claim(claim, gathered(results))


# The rules


@pytest.mark.parametrize(
    ("apart", "half", "expected", "word"),
    [
        (0.03, 0.02, MORE, HOLDS),
        (0.03, 0.03, MORE, OPEN),
        (-0.03, 0.02, MORE, FAILS),
        (0.03, 0.02, LESS, FAILS),
        (-0.03, 0.02, LESS, HOLDS),
        (0.03, None, MORE, ONE),
        (0.0, 0.01, ALIKE, HOLDS),
        (0.004, 0.007, ALIKE, OPEN),
        (0.006, 0.003, ALIKE, HOLDS),
        (0.02, 0.005, ALIKE, FAILS),
        (-0.02, 0.005, ALIKE, FAILS),
        (0.009, 0.007, ALIKE, OPEN),  # above zero, and yet perhaps within a point
        (-0.02, 0.015, ALIKE, OPEN),
        (0.0, 0.5, ALIKE, OPEN),
    ],
)
def test_an_interval_decides_a_claim_or_does_not(apart, half, expected, word):
    assert judged(apart, half, expected) == word


def test_a_difference_is_paired_by_seed_with_students_interval():
    a, b = seeds([0.60, 0.62, 0.64]), seeds([0.50, 0.53, 0.53], augmentation="none")
    found = beside(a, list(reversed(b)))
    assert found.difference == pytest.approx(0.10)
    assert found.half == pytest.approx(4.302653 * 0.01 / 3**0.5, rel=1e-5)  # t of 2 degrees
    assert found.values == pytest.approx((0.62, 0.52))
    assert (found.verdict, difference(found)) == (HOLDS, "+10.0 [+7.5, +12.5] over 3 seeds")


def test_only_seeds_that_both_have_are_compared():
    a = [run(0.6, seed=0), run(0.9, seed=1)]
    b = [run(0.5, seed=1, augmentation="none"), run(0.1, seed=2, augmentation="none")]
    found = beside(a, b)
    assert (found.difference, found.half, found.verdict) == (pytest.approx(0.4), None, ONE)
    assert beside(a[:1], b) is None


def test_what_no_seed_moves_stands_beside_every_seed():
    start = [run(0.55, method="init", head="none", epochs=0, **_weights())]
    trained = seeds([0.6, 0.6, 0.6], head="none", **_weights())
    assert beside(trained, start).half == 0


def _weights():
    return {"backbone": "efficientnet_lite0", "weights": "imagenet"}


HERE, THERE = Where("glyphs", "conv4", "6 epochs"), Where("birds", "efficientnet", "1 epoch")


def verdict(a, b, where):
    found = beside(seeds(a), seeds(b, augmentation="none"))
    return replace(found, where=where)


def test_recipes_are_counted_place_by_place():
    holds, fails = verdict([0.6, 0.6], [0.5, 0.5], HERE), verdict([0.4, 0.4], [0.5, 0.5], HERE)
    assert (holds.verdict, fails.verdict) == (HOLDS, FAILS)
    other = replace(fails, where=THERE)
    alone = replace(verdict([0.6], [0.5], HERE), where=THERE)
    kinds = [("ahead", [holds, holds, fails, other, alone]), ("so", [])]
    assert summary.tally(kinds)[2:] == [
        "| ahead | glyphs, 6 epochs | 3 (1) | 2 | 1 |  |  |",
        "|  | birds, 1 epoch | 2 (1) |  | 1 |  | 1 |",
        "| so |  | not run yet |  |  |  |  |",
    ]


def test_a_place_is_said_as_briefly_as_tells_it_from_the_others():
    one = verdict([0.6, 0.6], [0.5, 0.5], Where("birds, 80 px", "conv4", "1 epoch of 9 images"))
    half = replace(one, where=replace(one.where, precision="bf16"))
    other = replace(one, where=replace(one.where, network="conv5"))
    assert at(one, [one]) == "birds, 80 px, 1 epoch of 9 images"
    assert at(half, [one, half]) == "birds, 80 px, 1 epoch of 9 images, bf16"
    assert at(other, [one, other]) == "birds, 80 px, conv5, 1 epoch of 9 images"
    assert at(one, [one], briefly=True) == "birds 1 × 9"
    kept = replace(one, where=replace(one.where, kept="batch norm frozen"))
    assert at(kept, [one, kept], briefly=True) == "birds 1 × 9, batch norm frozen"
    assert at(half, [one, half], briefly=True) == "birds 1 × 9, 80 px, bf16"


def test_what_just_touches_is_decided_by_a_hair_where_many_are_asked():
    sure = [verdict([0.6, 0.61], [0.5, 0.51], HERE)] * 3  # an interval without width
    open_ = [verdict([0.6, 0.4], [0.5, 0.51], HERE)] * 6
    near = replace(sure[0], difference=0.1, half=0.0999)
    assert near.chance == pytest.approx(0.05, abs=1e-3)
    assert firm([]) == firm([verdict([0.6], [0.5], HERE)]) == 0
    alone, many = firm([near]), firm([near, *sure, *open_])
    assert not marked(near, alone).hair
    assert marked(near, many).hair
    assert not any(marked(one, many).hair for one in (*sure, *open_))


def test_fewer_stay_decided_where_nothing_is_known_of_how_they_hang_together():
    near = [verdict([0.6, 0.61], [0.5, 0.51], HERE)] * 4
    near = [
        replace(one, half=half) for one, half in zip(near, (0.001, 0.02, 0.06, 0.08), strict=True)
    ]
    either, every = firm(near), firm(near, any_dependence=True)
    kept = [[one.chance <= most for one in near] for most in (either, every)]
    assert kept == [[True, True, True, True], [True, True, False, False]]


def test_how_sure_two_are_alike_is_asked_of_the_point_they_may_lie_apart():
    one = replace(verdict([0.6, 0.6], [0.5, 0.5], HERE), expected=ALIKE, half=0.02)
    edge = replace(one, difference=0.03)
    assert edge.chance == pytest.approx(0.05)
    assert replace(one, difference=-0.03).chance == pytest.approx(0.05)
    assert replace(one, difference=0.01).chance == pytest.approx(1)


# Who is compared with whom


def pairs(results, claim):
    return [(a[0].recipe, b[0].recipe) for a, b in matched(gathered(results), claim)]


NO_CROP = Claim("crop", {**PLAIN, "augmentation": "R+C+G+F"}, {**PLAIN, "augmentation": "C+G+F"})


@pytest.mark.parametrize(
    "other",
    [
        {"epochs": 2},
        {"lr": 0.01},
        {"share": 0.5},
        {"batch": 64},
        {"schedule": "constant"},
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


@pytest.mark.parametrize(
    "other",
    [
        {"lr": 0.01},
        {"batch": 64},
        {"dim": 64},
        {"optimiser": "adamw"},
        {"options": {"temperature": 0.2}},
        {"options": {"neighbour": True}},
    ],
)
def test_a_claim_is_about_the_released_recipe(other):
    changed = {"augmentation": "C+G+F", **other}
    assert pairs([run(**other), run(**changed)], NO_CROP) == []


def test_two_methods_are_compared_at_one_budget_whatever_their_rates():
    claim = Claim("beside", PLAIN, {"method": "lifted"}, across=True)
    assert len(pairs([run(), run(method="lifted", lr=0.001)], claim)) == 1
    for other in ({"epochs": 2}, {"share": 0.1}, {"augmentation": "R"}, {"batch_norm": "frozen"}):
        assert pairs([run(), run(method="lifted", **other)], claim) == []


LABELS = "Unsupervised against supervised, on classes that training never shows"
OVER_LIFTED = "By Recall@1 InvaSpread does better than lifted structure with labels"
OVER_SOFTMAX = "By Recall@1 InvaSpread does better than NormSoftmax with labels"


def test_two_methods_are_compared_by_another_metric_too_and_beside_what_they_began_with():
    start = [run(0.7, seed, method="random", epochs=0) for seed in range(2)]
    ours, lifted = seeds([0.6, 0.61]), seeds([0.5, 0.51], method="lifted")
    also = [
        replace(one, metrics={**one.metrics, "map@r": value})
        for some, value in ((ours, 0.2), (lifted, 0.3))
        for one in some
    ]
    short, lines = answer(LABELS, [*also, *start])
    told = "by map@r -10.0 [-10.0, -10.0]; both end below their start"
    assert row(short, OVER_LIFTED)[2:] == [
        "glyphs, 6 epochs of 100 images, bf16",
        *("recall@1", "60.5", "50.5", "+10.0 [+10.0, +10.0]", "2"),
        f"**holds**; {told}",
    ]
    assert any(f"**holds**. Here {told}. Runs: " in text for text in lines)
    named = f"{OVER_LIFTED}: **holds** glyphs 6 × 100 (+10.0‡, map@r -10.0)."
    assert named in listed([*also, *start])
    short, _ = answer(LABELS, [*ours, *lifted, *start[:1]])
    assert "map@r" not in "".join(short)


def listed(results):
    """The list of what each question comes to."""
    return "\n".join(summary.abstract(answers.answers(gathered(results), "published")))


@pytest.mark.parametrize(
    ("begun", "told", "mark"),
    [
        ((0.7, 0.71, 0.72), "both end below their start", "‡"),
        ((0.5, 0.9, 0.7), "both end below their start, in the mean", "‡"),
        ((0.55, 0.56, 0.57), "the second ends below its start", "†"),
        ((0.48, 0.52, 0.51), "the second is not shown to end above its start", "†"),
        ((0.59, 0.51, 0.36), "neither is shown to end above its start", "‡"),
        ((0.3, 0.31, 0.32), "", ""),
    ],
)
def test_who_has_not_risen_above_its_start_is_said_beside_who_is_ahead(begun, told, mark):
    start = [run(value, seed, method="random", epochs=0) for seed, value in enumerate(begun)]
    both = [*seeds([0.6, 0.61, 0.62]), *seeds([0.5, 0.51, 0.52], method="lifted")]
    short, _ = answer(LABELS, [*both, *start])
    assert row(short, OVER_LIFTED)[-1] == "; ".join(filter(None, ("**holds**", told)))
    text = listed([*both, *start])
    assert f"**holds** glyphs 6 × 100 (+10.0{mark})." in text
    risen = "none" if mark else 1
    assert (
        f"Of the 1 decided between two methods, {risen} are of two that both end above their start."
        in text
    )


def test_what_one_seed_has_risen_by_is_all_that_is_known_of_it():
    start = [run(0.3, method="random", epochs=0)]
    both = [*seeds([0.6]), *seeds([0.5], method="lifted")]
    assert starts.ends(starts.gains(gathered([*both, *start]))) == {
        one.recipe.key: starts.RISEN for one in both
    }
    assert f"{OVER_LIFTED}: **one seed** glyphs 6 × 100 (+10.0)." in listed([*both, *start])


def test_who_rises_is_not_counted_where_a_start_was_not_run():
    start = [run(value, seed, method="random", epochs=0) for seed, value in enumerate((0.3, 0.31))]
    lifted = seeds([0.5, 0.51], method="lifted")
    other = seeds([0.5, 0.51], method="margin")
    told = listed([*seeds([0.6, 0.61]), *lifted, *other, *start])
    assert (
        "Of the 2 decided between two methods, 2 are of two that both end above their start."
        in told
    )
    told = listed([*seeds([0.6, 0.61]), *lifted, *other])
    all_ = "none are of two that both end above their start; of 2 a start was not run."
    assert f"Of the 2 decided between two methods, {all_}" in told
    assert "(+10.0)" in told  # unmarked


def test_it_is_counted_how_the_comparisons_of_each_question_came_out():
    halves = [
        *seeds([0.6, 0.61], options={"negatives": "hard"}),
        *seeds([0.5, 0.51], options={"negatives": "easy"}),
        *seeds([0.55]),
    ]
    title = "[Hard against easy negatives](#hard-against-easy-negatives)"
    assert f"| {title} | 1 |  |  | 2 |  |" in listed(halves)
    absent = f"| {title} |  |  |  |  | 3 |"
    assert absent in listed(halves[:2])
    near = [replace(one, verdict=HOLDS, hair=True) for one in _compared(halves)][:1]
    asked = [answers.Asked("a claim", near, str)]
    [*_, counted] = summary._counts([answers.Section("A question", asked)])
    assert counted == "| [A question](#a-question) | 1 (1 weakly) |  |  |  |"


def _compared(results):
    sections = answers.answers(gathered(results), "published")
    return [one for section in sections for one in section.compared]


def test_claims_that_are_unlike_each_other_are_counted_by_themselves():
    """Where a question is told claim by claim; told place by place it is counted as one."""
    halves = [
        *seeds([0.6, 0.61], options={"negatives": "hard"}),
        *seeds([0.5, 0.51], options={"negatives": "easy"}),
        *seeds([0.55, 0.56]),
    ]
    other = [replace(one, recipe=replace(one.recipe, epochs=2)) for one in halves]
    third = [replace(one, recipe=replace(one.recipe, epochs=3)) for one in halves]
    told = listed([*halves, *other, *third])
    title = "[Hard against easy negatives](#hard-against-easy-negatives)"
    assert f"| {title} |  |  |  |  |  |" in told
    assert (
        "| … The hard half of the negatives does better than the easy half | 3 |  |  |  |  |"
        in told
    )
    assert "| … The hard half does as well as all negatives |  | 3 |  |  |  |" in told


def test_a_better_rate_at_another_budget_is_said_beside_a_method():
    def nce(values, epochs, lr=0.001):
        made = {**BIRDS, "epochs": epochs, "lr": lr}
        return seeds(values, method="nce", own={"constant": "average"}, **made)

    def remarks(results):
        released = seeds([0.6, 0.61], **BIRDS, options={"neighbour": True})
        return [
            one.remark for one in _compared([*released, *results]) if one.where.epochs[0] == "1"
        ]

    ours, worse, better = nce([0.3, 0.31], 1), nce([0.2, 0.21], 2), nce([0.4, 0.41], 2, 0.01)
    told = "nce did better at the rate 0.01 in 2 epochs of 100 images"
    assert told in remarks([*ours, *worse, *better])
    for some in (worse, better, [*worse, *better, *nce([0.29, 0.3], 1, 0.01)]):
        assert "did better" not in "".join(remarks([*ours, *some]))


def test_what_came_of_a_question_is_listed_by_place_or_by_claim_whichever_is_shorter():
    halves = [
        *seeds([0.6, 0.61], options={"negatives": "hard"}),
        *seeds([0.5, 0.51], options={"negatives": "easy"}),
    ]
    assert (
        "  - glyphs 6 × 100: **holds** the hard half above the easy half (+10.0);"
        " the easy half below all (-5.0). **fails** the hard half as good as all (+5.0)."
    ) in listed([*halves, *seeds([0.55, 0.56])])
    other = [replace(one, recipe=replace(one.recipe, epochs=2)) for one in halves]
    told = "The hard half of the negatives does better than the easy half: **holds** "
    assert f"  - {told}glyphs 2 × 100 (+10.0); glyphs 6 × 100 (+10.0)." in listed([*halves, *other])
    assert "**not run yet**: RandomResizedCrop helps among the four; " in listed(halves)


def on(name, results):
    """The same results as if a processor had made them."""
    made = {"processor": name, "commit": name * 40}
    return [replace(one, environment=made) for one in results]


@pytest.mark.parametrize(
    ("values", "verdict", "apart"),
    [
        ([0.601, 0.609], "holds", "-0.1 [-0.1, -0.1]"),
        ([0.59, 0.63], "not decided", "-0.6 [-20.9, +19.7]"),
        ([0.5, 0.508], "fails", "+10.0 [+10.0, +10.0]"),
    ],
)
def test_what_two_kinds_of_processor_make_of_a_recipe_stands_beside_each_other(
    values, verdict, apart
):
    here, there = on("a", seeds([0.6, 0.608])), on("b", seeds(values))
    found = elsewhere.section(gathered([*here, *seeds([0.3], augmentation="none")]), there)
    [claim] = found.asked
    [one] = claim.found
    assert one.verdict == verdict
    each = ", ".join(signed(x - y) for x, y in zip((0.6, 0.608), values, strict=True))
    assert claim.tell(one, "published") == (
        "glyphs, conv4 (random weights), 6 epochs of 100 images, bf16; invaspread: "
        f"recall@1 60.4 on a (aaaaaaa) against {100 * fmean(values):.1f}"
        f" on b (bbbbbbb), {apart} over 2 seeds:"
        f" {outcome(one)}. Each seed: {each}."
        f" Runs: {links(here, 'published')} against {links(there, 'published/elsewhere')}."
    )


def test_only_who_is_published_is_compared_with_what_was_made_elsewhere():
    there = on("b", [*seeds([0.6, 0.61]), *seeds([0.5], augmentation="none")])
    [claim] = elsewhere.section(gathered(on("a", [run(0.6, seed=1)])), there).asked
    [one] = claim.found
    assert [result.recipe.seed for result in one.a] == [1]
    assert (one.difference, one.half, one.verdict) == (pytest.approx(-0.01), None, "one seed")
    text = account.documents([], "published", there)[account.NAME]
    assert f"**not run yet**: {elsewhere.CLAIM}." in text


def test_the_rules_lead_to_what_the_processor_moves_where_it_was_asked():
    here, there = on("a", seeds([0.6, 0.61])), on("b", seeds([0.6, 0.61]))
    here += on("b", seeds([0.5, 0.51], augmentation="C+G+F"))
    told = [
        " ".join(account.documents(here, "published", twins)[account.NAME].split())
        for twins in ((), there)
    ]
    assert all("In 1 of all 1 comparisons" in text for text in told)
    assert "what that moves was not measured by itself." in told[0]
    assert "moves is [asked by itself](#what-the-kind-of-processor-moves)." in told[1]
    assert "## What the kind of processor moves" in told[1]
    assert "The two runs of a recipe and seed end 0.0 to 0.0 apart (2 pairs)." in told[1]
    assert "The two runs" not in told[0]


def test_pairs_of_two_kinds_of_processor_and_of_two_sizes_are_told():
    both = [*on("a", seeds([0.6, 0.61])), *on("b", seeds([0.5, 0.51], augmentation="C+G+F"))]
    short, lines = answer("Each augmentation's share", both)
    assert any(text.endswith(", on two kinds of processor.") for text in lines)
    assert "In 1 of all 1 comparisons" in " ".join(
        account.documents(both, "published")[account.NAME].split()
    )
    some = [both[0], replace(both[1], environment={"processor": "b"}), *both[2:]]
    _, lines = answer("Each augmentation's share", some)
    assert any(text.endswith(", on two kinds of processor in 1 of 2 pairs.") for text in lines)
    kept = {**BIRDS, "batch_norm": "frozen"}
    wide = [
        replace(one, counts={**one.counts, "dimensions": 1280})
        for one in seeds([0.6, 0.61], **kept, head="projection")
    ]
    short, _ = answer("What a strong start needs", [*wide, *seeds([0.5, 0.51], **kept)])
    thrown = "From ImageNet weights, the features end higher with the head thrown away than with it"
    assert row(short, thrown)[-1] == "**holds**; asked in 1,280 against 128 dimensions"


def test_what_a_strong_start_needs_is_asked_at_each_rate_and_with_the_neighbour_or_without():
    def birds(value, **said):
        return seeds([value, value + 0.01], **{**BIRDS, **said})

    near = {"options": {"neighbour": True}}
    results = [
        *(*birds(0.58, batch_norm="frozen", **near), *birds(0.49, **near)),
        *(*birds(0.52, batch_norm="frozen", lr=1e-4), *birds(0.47, lr=1e-4)),
        *birds(0.9, batch_norm="frozen", lr=1e-5),  # alone at its rate
    ]
    found = of(
        "What a strong start needs",
        "From ImageNet weights, training with batch norm frozen ends higher than with batch norm"
        " trained",
        results,
    )
    assert [(one.where.kept, round(one.difference, 3)) for one in found] == [
        ("", 0.09),
        ("without the neighbour, rate 0.0001", 0.05),
    ]


def test_more_seeds_stand_before_a_lucky_one():
    ours = seeds([0.6, 0.61])
    luck = seeds([0.59], method="norm_softmax", lr=0.01)
    others = seeds([0.5, 0.51], method="norm_softmax", lr=0.001)
    [found] = of(LABELS, OVER_SOFTMAX, [*ours, *luck, *others])
    assert (found.b[0].recipe.lr, found.verdict) == (0.001, HOLDS)
    cifar = [{**TENTH, "method": "exemplar", **more} for more in ({"lr": 0.01}, {"lr": 0.001})]
    some = [*seeds([0.5, 0.51], **TENTH), *seeds([0.7], **cifar[0]), *seeds([0.4, 0.4], **cifar[1])]
    [(*_, found)] = orders.orders(gathered(some))
    assert found.verdict == HOLDS


def test_another_method_stands_once_at_the_rate_that_served_it_best():
    ours = seeds([0.6, 0.61])
    others = [
        *seeds([0.2, 0.21], method="norm_softmax"),
        *seeds([0.5, 0.51], method="norm_softmax", lr=0.001),
    ]
    [found] = of(LABELS, OVER_SOFTMAX, [*ours, *others])
    assert (found.values[1], found.b[0].recipe.lr) == (pytest.approx(0.505), 0.001)
    seen = [replace(one, metrics={"knn@200": 0.5}) for one in (*ours, *others)]
    assert of(LABELS, OVER_SOFTMAX, seen) == []


def test_the_printed_loss_is_asked_at_the_same_rate_and_at_the_same_step():
    code, same = seeds([0.6, 0.61]), seeds([0.4, 0.41], options={"form": "paper"})
    step = seeds([0.6, 0.61], options={"form": "paper"}, lr=0.03 / 128)
    other = seeds([0.1, 0.11], options={"form": "paper"}, lr=0.01)
    everything = [*code, *same, *step, *other]
    for which, rate, word in (
        ("same rate", 0.03, FAILS),
        ("rate divided by the batch", 0.03 / 128, HOLDS),
    ):
        text = f"At the {which} the printed loss ends where the released one ends"
        [found] = of("Paper form and code form", text, everything)
        assert (found.b[0].recipe.lr, found.verdict) == (rate, word)
    stopped = seeds([0.7, 0.71], options={"form": "paper", "detach_keys": "yes"}, lr=0.03 / 128)
    text = "Stop-gradient helps the printed loss, at the rate divided by the batch"
    [found] = of("Paper form and code form", text, [*everything, *stopped])
    assert (found.b[0].recipe.lr, found.verdict) == (0.03 / 128, HOLDS)


def test_a_run_that_was_watched_is_the_same_run():
    plain, seen = run(0.5), run(0.5, monitor="recall@1", curve=(0.1,) * 6)
    other = run(0.7, seed=1)
    assert gathered([plain, seen, other]) == [[seen, other]]
    assert gathered([seen, plain, other]) == [[seen, other]]
    late = replace(run(0.9, monitor="nmi"), finished="2026")
    assert gathered([seen, late]) == [[late]]


def test_the_views_are_those_of_the_methods():
    kinds = {"exemplar": 1, "cyclic": 3, "lifted": 1, "simclr": 2, "supcon": 2, "own.py": 2}
    assert {name: views(run(method=name).recipe) for name in kinds} == kinds
    assert views(run(method="sprint", own={"views": 4}).recipe) == 4


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
            suite, *labels = claim.printed or ("ablations",)
            assert set(labels) <= set(load(suite).labels)


# What the sections say


def test_a_claim_without_runs_says_so():
    short, lines = answer("Each augmentation's share", [])
    claim = "| RandomResizedCrop helps among the four | +27.4 (cifar10) |"
    assert short[2] == f"{claim}  |  |  |  |  |  | not run yet |"
    assert lines[0].startswith(
        "**RandomResizedCrop helps among the four.** Printed: knn@200 83.6 against 56.2"
    )
    assert lines[2] == "- not run yet"


def test_numbers_of_two_tables_name_both():
    _, lines = answer("Hard against easy negatives", [])
    told_of = next(text for text in lines if "83.2 against 83.6" in text)
    assert "Table 8 and Ye et al., CVPR 2019, Table 7; cifar10" in told_of


def test_a_sentence_names_the_budget_both_numbers_the_verdict_and_its_runs():
    base, changed = seeds([0.6, 0.61, 0.62]), seeds([0.5, 0.51, 0.52], augmentation="C+G+F")
    short, lines = answer("Each augmentation's share", [*base, *changed])
    assert short[2] == (
        "| RandomResizedCrop helps among the four |  | glyphs, 6 epochs of 100 images, bf16"
        " | recall@1 | 61.0 | 51.0 | +10.0 [+10.0, +10.0] | 3 | **holds** |"
    )
    photographs = [replace(one, recipe=replace(one.recipe, dataset="cifar10_jpeg")) for one in base]
    photographs += [
        replace(one, recipe=replace(one.recipe, dataset="cifar10_jpeg")) for one in changed
    ]
    beside_, _ = answer("Each augmentation's share", photographs)
    assert beside_[2].startswith("| RandomResizedCrop helps among the four | +27.4 | cifar10_jpeg")
    found = next(text for text in lines if "against invaspread" in text)
    assert found.startswith(
        "- glyphs, conv4 (random weights), 6 epochs of 100 images, bf16: recall@1 of"
        " invaspread (augmentation=R+C+G+F) 61.0 against invaspread (augmentation=C+G+F) 51.0,"
        " +10.0 [+10.0, +10.0] over 3 seeds: **holds**."
    )
    for result in (*base, *changed):
        assert f"[s{result.recipe.seed}](published/{result.recipe.key}/result.json)" in found


def test_every_question_says_what_was_checked():
    for section in answers.answers([], "published"):
        lines = section.lines("published")
        [told] = [text for text in lines if text.startswith("Checked: ")]
        assert len(told.split()) > 10, section.title


def test_who_learns_faster_is_asked_of_the_whole_curve():
    said = {"monitor": "recall@1", "epochs": 2}
    ours = [run(0.5, seed=n, curve=(0.4, 0.5), **said) for n in range(2)]
    nce = {"method": "nce", "own": {"constant": "average"}}
    other = [run(0.6, seed=n, curve=(0.1, 0.6), **nce, **said) for n in range(2)]
    short, lines = answer("Learning speed", [*ours, *other])
    told = row(short, "InvaSpread learns faster than NCE with a moving average")
    assert told[2:] == [
        *("glyphs, 2 epochs of 100 images, bf16", "recall@1, mean over the epochs", "45.0", "35.0"),
        *("+10.0 [+10.0, +10.0]", "2", "**holds**"),
    ]
    found = next(text for text in lines if "**holds**" in text)
    assert "recall@1, mean over the epochs, of invaspread (2 views) 45.0 against nce" in found
    assert "nce (constant=average, 1 view) 35.0" in found
    assert found.endswith("What the first reaches in one epoch the second reaches after epoch 2.")
    slow = [run(0.2, seed=n, curve=(0.1, 0.2), **nce, **said) for n in range(2)]
    _, lines = answer("Learning speed", [*ours, *slow])
    assert "the second reaches in none of 2 epochs." in "".join(lines)


def test_gains_stand_beside_the_network_that_the_training_began_with():
    start = [run(0.55, seed, method="init", **{**BIRDS, "epochs": 0}) for seed in range(3)]
    frozen = [run(0.61, method="init", head="none", **{**BIRDS, "epochs": 0})]
    worse = seeds([0.47, 0.48, 0.46], options={"neighbour": True}, **BIRDS)
    better = seeds([0.64, 0.65, 0.66], **BIRDS, head="projection", batch_norm="frozen")
    still = seeds([0.1, 0.1, 0.1], **{**BIRDS, "lr": 0.0})  # trains nothing
    everything = [*start, *frozen, *worse, *better, *still]
    found = starts.gains(gathered(everything))
    assert [(one.start.values[1], one.start.verdict) for one in found] == [
        (pytest.approx(0.61), HOLDS),
        (pytest.approx(0.55), FAILS),
    ]
    assert found[0].features is None
    assert found[1].features.values == pytest.approx((0.47, 0.61))
    short, _ = answer("When does it help at all", everything)
    lines = account.documents(everything, "published")[account.TABLES].split("## What each")[0]
    where = "cub100_crops, 80 px, 1 epoch of 100 images, bf16"
    for over in ("the same network untrained", "the frozen features, no head"):
        told = row(short, f"from ImageNet weights, without labels: above {over}")
        assert told == [told[0], where, "2 (1)", "1", "1", "", ""]
    told = row(short, "InvaSpread as released ends above what it started from")
    assert told[1:7] == ["+7.0", where, "recall@1", "47.0", "55.0", "-8.0 [-10.5, -5.5]"]
    assert told[-1] == "**fails**"
    assert lines.count("\n| invaspread") == 2
    names = "invaspread (neighbour=False, batch_norm=frozen, head=projection)"
    assert f"| {names} | {where} | +4.0 [+1.5, +6.5] | 3 | **holds** |" in short
    above = f"1 recipes end above the frozen features ({names} +4.0 on cub100_crops 1 × 100)"
    assert f"{above}, 1 below, 0 are not decided, 0 ran one seed." in listed(everything)
    short, _ = answer("When does it help at all", [*start, *frozen, *worse])
    assert "| none that is decided |  |  |  |  |" in short


def test_two_precisions_of_one_start_are_told_apart():
    everything = []
    for precision in ("fp32", "bf16"):
        said = {**BIRDS, "precision": precision}
        start = [run(0.55, seed, method="init", **{**said, "epochs": 0}) for seed in range(3)]
        everything += [*start, *seeds([0.47, 0.48, 0.46], options={"neighbour": True}, **said)]
    short, _ = answer("When does it help at all", everything)
    assert "images, bf16 | recall@1 | 47.0 | 55.0 | -8.0" in short[2]
    assert "images, fp32 | recall@1 | 47.0 | 55.0 | -8.0" in short[3]


def test_above_its_own_start_is_not_above_the_frozen_features():
    start = [run(0.55, seed, method="init", **{**BIRDS, "epochs": 0}) for seed in range(2)]
    frozen = [run(0.61, method="init", head="none", **{**BIRDS, "epochs": 0})]
    between = seeds([0.57, 0.57], **BIRDS)
    [found] = starts.gains(gathered([*start, *frozen, *between]))
    assert (found.start.verdict, found.features.verdict) == (HOLDS, FAILS)


def test_the_paper_has_its_pretrained_start_rise():
    _, lines = answer("When does it help at all", [])
    assert "Printed: pretrained weights rise from 39.2 to 46.2 (cub200; " in lines[0]
    assert " and from 35.1 to 41.3 (cars196; " in lines[0]


def test_the_released_recipe_has_the_datasets_own_augmentation():
    start = [run(0.3, seed, method="random", epochs=0) for seed in range(2)]
    ours = seeds([0.6, 0.61], augmentation="affine")
    other = seeds([0.8, 0.81], augmentation="R+C+G+F")
    found = starts.by_strength(starts.gains(gathered([*start, *ours, *other])))
    assert [one.values[0] for one in found] == [pytest.approx(0.605)]


def test_what_the_released_loss_gains_stands_against_how_strong_its_start_is():
    def begun(value, **said):
        made = {**BIRDS, **said, "epochs": 0}
        method = "random" if made["weights"] == "none" else "init"
        return [run(value, seed, method=method, **made) for seed in range(2)]

    def birds(value, **said):
        return seeds([value, value + 0.01], **{**BIRDS, **said})

    small = {"crop": 40, "resize": 45}
    drawn = {**small, "weights": "none", "lr": 0.03}
    strong = [*begun(0.6), *birds(0.5)]
    weak = [*begun(0.25, **small), *birds(0.24, **small), *begun(0.02, **drawn)]
    apart = [
        *birds(0.55, lr=0.0001),
        *birds(0.55, share=0.25),
        *birds(0.55, options={"neighbour": True}),
        *birds(0.55, batch_norm="frozen"),
    ]
    alone = [run(0.3, method="random", epochs=0), *seeds([0.6, 0.61], augmentation="affine")]
    results = [*weak, *birds(0.06, **drawn), *strong, *apart, *alone]
    [found] = starts.against_strength(starts.gains(gathered(results)))
    assert [one.values[1] for one in found] == pytest.approx([0.6, 0.25, 0.02])
    short, _ = answer("When does it help at all", results)
    assert any("| 25.0 | 24.5 | -0.5 [" in text for text in short)
    assert ": -9.5 from 60.0 (cub100_crops, 80 px, " in listed(results)
    assert "strongest start to" not in listed([*strong, *alone])


@pytest.mark.parametrize(("dataset", "known"), [("cub100_crops", True), ("cars196_crops", False)])
def test_the_released_code_takes_the_neighbour_on_birds_alone(dataset, known):
    said = {**BIRDS, "dataset": dataset}
    assert released.released(run(options={"neighbour": True}, **said)) is known
    assert released.released(run(**said)) is not known
    assert not released.released(run(options={"form": "paper", "neighbour": known}, **said))


@pytest.mark.parametrize(
    ("weights", "lr", "batch", "known"),
    [
        ("none", 0.03, 128, True),
        ("none", 0.001, 64, False),
        ("none", 0.03, 64, False),
        ("imagenet", 0.001, 64, True),
        ("imagenet", 0.03, 128, False),
    ],
)
def test_rate_and_batch_are_released_by_where_the_weights_come_from(weights, lr, batch, known):
    assert released.as_released(run(weights=weights, lr=lr, batch=batch).recipe) is known


def test_two_epochs_of_cifar_stand_beside_what_the_paper_says_of_them():
    said = {"dataset": "cifar10_jpeg", "metric": "knn@200", "epochs": 2}
    short, lines = answer("Learning speed", seeds([0.54, 0.55], **said))
    told = row(short, "InvaSpread comes to 60.0 % weighted kNN in two epochs of CIFAR-10")
    assert told[2].startswith("cifar10_jpeg, 2 epochs")
    assert told[-1] == "**not decided**"  # two seeds, far apart
    assert any("54.5 where 60.0 is stated in the paper of cifar10, -5.5 [" in t for t in lines)

    def reached(results):
        some = [group for group in gathered(results) if released.released(group[0])]
        return own.reached(some, SPEED.goals[0])

    for other in ({"share": 0.1}, {"epochs": 1}, {"options": {"form": "paper"}}):
        assert reached(seeds([0.5, 0.5], **{**said, **other})) == []


def test_another_start_is_no_start():
    trained = seeds([0.47, 0.48], **BIRDS)
    for other in ({"crop": 40}, {"weights": "none", "method": "random"}, {"head": "none"}):
        start = run(0.55, **{**BIRDS, "epochs": 0, "method": "init", **other})
        assert starts.gains(gathered([*trained, start])) == []


def test_alignment_and_uniformity_stand_beside_the_metric():
    before = run(0.5, method="random", epochs=0, spread={"alignment": 0.9, "uniformity": -1.0})
    after = run(0.6, spread={"alignment": 0.5, "uniformity": -2.0})
    found = starts.gains(gathered([before, after]))
    row = budgeted.gains(found, "published")[-2]
    assert "0.900 to 0.500" in row
    assert "-1.000 to -2.000" in row
    told = "alignment 0.900 to 0.500, uniformity -1.000 to -2.000"
    assert budgeted.became(found[0].start) == told


def test_how_vectors_came_to_lie_is_asked_of_seeds_that_know_both():
    lie = {"alignment": 0.5, "uniformity": -2.0}
    start = [run(0.5, n, method="random", epochs=0, spread=lie if n else None) for n in range(2)]
    after = [run(0.6, n, spread={"alignment": 0.1 + n}) for n in range(2)]
    [found] = starts.gains(gathered([*start, *after]))
    assert budgeted.became(found.start) == "alignment 0.500 to 1.100 (1 of 2)"
    unknown = [replace(one, spread={}) for one in start]
    [found] = starts.gains(gathered([*unknown, *after]))
    assert budgeted.became(found.start) == ""
    assert "| after 0.600 |  |" in budgeted.gains([found], "published")[-2]


def test_seeds_that_do_not_say_how_they_lie_are_counted():
    some = [run(0.6), run(0.6, seed=1, spread={"alignment": 0.5})]
    assert budgeted.distance(some, "alignment") == "0.500 (1 of 2)"
    assert budgeted.distance(some, "uniformity") == ""


def test_the_best_epoch_adds_what_the_curves_say():
    group = [
        run(0.5, seed=0, monitor="recall@1", epochs=3, curve=(0.4, 0.6, 0.5)),
        run(0.5, seed=1, monitor="recall@1", epochs=3, curve=(0.4, 0.5, 0.5)),
    ]
    other = run(0.5, monitor="recall@1", epochs=3, curve=(0.4, 0.53, 0.5), lr=0.1)
    more = run(0.5, monitor="recall@1", epochs=4, curve=(0.4, 0.4, 0.5, 0.5))
    found = reckonings.inflations(gathered([*group, other, more]))
    assert (found[0].mean, found[0].best, found[0].last) == pytest.approx((0.05, 0.55, 0.5))
    starts_at = [run(value, method="random", epochs=0) for value in (0.4,)]
    everything = [*group, other, more]
    title = "What choosing the best test epoch adds"
    short, lines = answer(title, everything)
    where, unknown = (
        "glyphs, 3 epochs of 100 images, bf16",
        "recall@1 | whose start was not run",
    )
    assert short[2:] == [
        f"| invaspread | {where} | {unknown} | 50.0 | 55.0 | +5.0 [-58.5, +68.5] | 2 |",
        f"| invaspread (lr=0.1) | {where} | {unknown} | 50.0 | 53.0 | +3.0 | 1 |",
        f"| invaspread | {where.replace('3', '4')} | {unknown} | 50.0 | 50.0 | +0.0 | 1 |",
    ]
    assert "55.0 in the best epoch, 50.0 in the last: +10.0, +0.0. Runs: " in lines[0]
    assert group[1].recipe.key in lines[0]
    told = listed(everything)
    assert "To a training whose start was not run: +0.0 to +5.0 (3 recipes, 2 of one seed)." in told
    told = listed([*everything, *starts_at])
    assert "that ends above its start: +0.0 to +5.0 (3 recipes, 2 of one seed)." in told
    lower = [replace(one, metrics={"recall@1": 0.3}) for one in everything]
    below = "that ends below its start, in the mean: +0.0 to +5.0 (3 recipes, 2 of one seed)."
    assert below in listed([*lower, *starts_at])


TENTH = {"dataset": "cifar10_jpeg", "metric": "knn@200", "share": 0.1, "epochs": 2}


def test_a_printed_order_is_held_against_ours_pair_by_pair():
    ours = seeds([0.40, 0.41], **TENTH)
    exemplar = seeds([0.42, 0.43], method="exemplar", **TENTH)
    [(first, second, found)] = orders.orders(gathered([*ours, *exemplar]))
    assert (first.method, second.method) == ("invaspread", "exemplar")
    assert (first.value, second.value, found.verdict) == (0.836, 0.745, FAILS)
    assert orders.orders(gathered([*ours, *seeds([0.4], method="exemplar", epochs=9)])) == []
    short, lines = answer("Which published order survives equal budgets", [*ours, *exemplar])
    where = "cifar10_jpeg, 2 epochs of 100 images, bf16"
    told = row(short, "InvaSpread before Exemplar on cifar10")
    assert told[1:] == [
        *("+9.1", where, "knn@200", "40.5", "42.5", "-2.0 [-2.0, -2.0]", "2", "**fails**"),
    ]
    text = "InvaSpread before Exemplar on cifar10: **fails** cifar10_jpeg 2 × 100 (-2.0)."
    assert text in listed([*ours, *exemplar])
    assert lines[0].startswith(
        "**InvaSpread before Exemplar on cifar10.** Printed: 83.6 against 74.5 ("
    )
    assert lines[2].startswith("- cifar10_jpeg, conv4")
    longer = [*seeds([0.5, 0.51], **{**TENTH, "epochs": 5})]
    longer += seeds([0.4, 0.41], method="exemplar", **{**TENTH, "epochs": 5})
    title = "Which published order survives equal budgets"
    _, lines = answer(title, [*ours, *exemplar, *longer])
    assert sum(text.startswith("**") for text in lines) == 1  # one pair, at two budgets
    assert sum(text.startswith("- ") for text in lines) == 2


def test_of_each_method_the_best_variant_stands_in_an_order():
    ours = seeds([0.50, 0.51], **TENTH)
    once = seeds([0.30, 0.31], method="nce", own={"constant": "once"}, **TENTH)
    average = seeds([0.40, 0.41], method="nce", own={"constant": "average"}, **TENTH)
    slower = seeds([0.90, 0.91], lr=0.001, **TENTH)  # not as released
    [(_, second, found)] = orders.orders(gathered([*ours, *once, *average, *slower]))
    assert second.method == "nce"
    assert found.values == pytest.approx((0.505, 0.405))


def test_clusters_that_were_printed_are_told_apart():
    said = {"dataset": "cifar10_jpeg", "metric": "knn@200"}
    ours = seeds([0.5, 0.51], **said)
    ten = seeds([0.3, 0.31], method="deepcluster", own={"clusters": 10}, **said)
    [(_, second, _)] = orders.orders(gathered([*ours, *ten]))
    assert second.value == 0.444


SPRINT = {
    "method": "sprint",
    "schedule": "warmup:0.1",
    "optimiser": "muon",
    "lr": 0.005,
    "own": {"temperature": 0.1, "views": 2, "neighbour": False},
}
FOUR = {"temperature": 0.1, "views": 4, "neighbour": False}


def test_the_own_recipe_is_held_against_the_released_one_at_as_many_looks():
    released = seeds([0.5, 0.51], epochs=2)
    mine = seeds([0.6, 0.61], epochs=2, **SPRINT)
    four = seeds(
        [0.7, 0.71],
        **{**SPRINT, "epochs": 1, "own": FOUR},
    )
    longer = seeds(
        [0.9, 0.91],
        **{**SPRINT, "epochs": 2, "own": FOUR},
    )
    found = owned([*released, *mine, *four, *longer])
    assert [one.values[0] for one in found.released] == pytest.approx([0.605])
    assert [one.values[0] for one in found.tried] == pytest.approx([0.705])
    title = "The project's own recipe beside the released one"
    _, lines = answer(title, [*released, *mine, *four, *longer])
    (told,) = (text for text in lines if "views=4" in text)
    assert "+20.0 [" in told
    assert "**" not in told  # decides nothing
    paper = seeds([0.1, 0.11], epochs=2, options={"form": "paper"})
    assert owned([*paper, *mine]).released == []


def test_the_own_recipe_is_held_against_the_released_loss_in_its_own_network_too():
    kept = {**BIRDS, "batch_norm": "frozen", "head": "projection", "lr": 0.0003, "optimiser": "sgd"}
    mine = seeds([0.6, 0.61], **{**SPRINT, **kept})
    known = {"options": {"neighbour": True}}
    released, same = seeds([0.4, 0.41], **known, **BIRDS), seeds([0.62, 0.63], **kept)
    faster = seeds([0.1, 0.11], **{**kept, "lr": 0.03})
    found = owned([*mine, *released, *same, *faster])
    assert [one.verdict for one in found.released] == [HOLDS]
    assert [one.verdict for one in found.alike] == [FAILS]
    near = {**SPRINT["own"], "neighbour": True}
    nearer = seeds([0.7, 0.71], **{**SPRINT, **kept, "own": near})
    same_near = seeds([0.6, 0.61], **known, **kept)
    found = owned([*mine, *nearer, *released, *same, *same_near])
    assert [one.values[0] for one in found.released] == pytest.approx([0.705, 0.605])
    assert [one.values for one in found.alike] == [
        pytest.approx((0.705, 0.605)),  # both with the neighbour
        pytest.approx((0.605, 0.625)),  # both without
    ]
    letters = seeds([0.7, 0.71], **{**SPRINT, "own": near})  # from random weights: tried
    assert [one.values[0] for one in owned([*seeds([0.5, 0.51]), *letters]).tried] == [0.705]


def test_what_the_own_recipe_owes_to_its_optimiser_and_to_its_rate_is_asked_of_the_released_loss():
    small = {**TENTH, "lr": 0.005, "batch": 64}
    muon = seeds([0.45, 0.46], optimiser="muon", **small)
    sgd, base = seeds([0.36, 0.37], **small), seeds([0.33, 0.34], **TENTH)
    mine = seeds([0.44, 0.46], **{**SPRINT, **TENTH, "method": "sprint", "batch": 64})
    other = seeds([0.9, 0.91], **{**small, "lr": 0.01})
    start = [run(0.28, seed, method="random", **{**TENTH, "epochs": 0}) for seed in range(2)]
    plain = {**SPRINT, **TENTH, "method": "sprint", "batch": 64, "optimiser": "sgd"}
    own_sgd = seeds([0.38, 0.39], **plain)
    four = seeds([0.1, 0.11], **{**plain, "own": FOUR, "epochs": 1})
    found = owned([*muon, *sgd, *base, *mine, *other, *start, *own_sgd, *four])
    assert [one.values for one in found.optimised] == [pytest.approx((0.45, 0.385))]
    assert [one.values for one in found.stepped] == [pytest.approx((0.455, 0.365))]
    assert [one.values for one in found.slower] == [pytest.approx((0.365, 0.335))]
    assert [one.values for one in found.risen] == [pytest.approx((0.45, 0.28))]


def test_the_aim_is_asked_of_all_images_in_two_looks():
    said = {**SPRINT, "dataset": "cifar10_jpeg", "metric": "knn@200", "epochs": 1, "batch": 64}
    found = owned(seeds([0.61, 0.62], **said))
    assert [one.verdict for one in found.aim] == [OPEN]
    assert [one.verdict for one in owned(seeds([0.7, 0.71], **said)).aim] == [HOLDS]
    tried = (
        {"optimiser": "sgd"},
        {"lr": 0.03},
        {"own": FOUR},
    )
    for other in ({"share": 0.1}, {"epochs": 2}, *tried):
        assert owned(seeds([0.9, 0.91], **{**said, **other})).aim == []
    short, lines = answer(
        "The project's own recipe beside the released one", seeds([0.7, 0.71], **said)
    )
    aim = "Sprint reaches 60.0 % weighted kNN in one epoch of CIFAR-10, two views an image"
    assert row(short, aim)[-1] == "**holds**"
    assert any("where 60.0 is the aim, +10.5" in text for text in lines)


# Printed numbers


def cells(results):
    return printed.section(gathered(results), "published")


CIFAR = {
    "dataset": "cifar10",
    "backbone": "resnet18_cifar",
    "metric": "knn@200",
    "schedule": "code-seen",
}


def rows_of(result):
    return [text for text in cells([result]) if result.recipe.key in text]


def test_every_printed_number_of_the_suites_is_said():
    whole = "\n".join(cells([]))
    suites = [load(name) for name in printed.SUITES]
    rows = [one for suite in suites for one in zip(suite.runs, suite.labels, strict=True)]
    assert sum(len(row.get("expect", {})) for row, _ in rows) > 100
    for row_, label in rows:
        numbers = ", ".join(f"{m} {100 * v:.1f}" for m, v in row_.get("expect", {}).items())
        if numbers:
            assert f"{label}: {numbers}" in whole
    assert "\n| row |" not in whole  # no table without a run


def test_every_printed_number_of_the_paper_has_a_line():
    whole = "\n".join(cells([]))
    papers = [cell for cell in read_published(FILE) if cell.source_key.startswith("invaspread_t")]
    rows = [row for name in printed.SUITES for row in load(name).runs]
    known = {(r["dataset"], m, v) for r in rows for m, v in r.get("expect", {}).items()}
    alone = [cell for cell in papers if (cell.dataset, cell.metric, cell.value) not in known]
    assert 0 < len(alone) < len(papers)
    for cell in alone:
        lines = [
            text for text in whole.splitlines() if f"| {cell.label} | {cell.dataset} |" in text
        ]
        assert any(f"{cell.metric} {100 * cell.value:.1f}" in text for text in lines)


def test_a_number_of_the_printed_recipe_stands_beside_it():
    found = rows_of(run(0.812, **CIFAR, epochs=200))
    assert {text.split(" | ")[0] for text in found} == {
        "| InvaSpread, loss and schedule as released",
        "| as released",
    }
    assert all(
        "cifar10, 200 epochs | knn@200 | 83.6 | 81.2 | -2.4 | code form;" in f for f in found
    )


@pytest.mark.parametrize(
    "other",
    [
        {"augmentation": "C+G+F"},
        {"options": {"form": "paper"}},
        {"options": {"detach_keys": "no"}},
        {"options": {"temperature": 0.05}},
        {"dim": 32},
        {"lr": 0.1, "batch": 256},
        {"batch_norm": "frozen"},
        {"head": "projection"},
    ],
)
def test_another_recipe_never_stands_beside_the_released_one(other):
    named = {text.split(" | ")[0] for text in rows_of(run(0.5, **{**CIFAR, **other}, epochs=200))}
    assert not {"| InvaSpread, loss and schedule as released", "| as released"} & named


@pytest.mark.parametrize("other", [{"epochs": 2}, {"epochs": 199}, {"epochs": 200, "share": 0.1}])
def test_a_run_of_another_budget_never_stands_beside_a_printed_number(other):
    assert not rows_of(run(0.5, **CIFAR, **other))


def test_a_recompressed_dataset_is_not_the_printed_one():
    assert not rows_of(run(0.9, **{**CIFAR, "dataset": "cifar10_jpeg"}, epochs=200))


def test_a_precision_that_a_row_names_stands_there_alone():
    said = {**CIFAR, "dataset": "cifar10_jpeg", "epochs": 2, "monitor": "knn@200"}
    half, whole = run(0.54, **said, precision="bf16"), run(0.55, **said, precision="fp32")
    found = [text for text in cells([half, whole]) if "/cifar10_jpeg-" in text]
    assert [text.split(" | ")[0].split(", ")[-1] for text in found] == [
        "2 epochs",
        "2 epochs in float32",
    ]
    assert all("| 60.0 | 5" in text and "|  | code form" in text for text in found)  # not CIFAR-10


# The page


def test_the_switches_say_what_papers_do_not():
    said = switches(run().recipe)
    assert said.startswith(
        "code form; no self term; stop-gradient; own second view; temperature 0.1;"
    )
    assert said.endswith(
        "128 dimensions; 2 views; augmentation R+C+G+F; batches of 128; rate 0.03, cosine;"
        " last epoch"
    )
    assert "last epoch" not in switches(run(method="random", epochs=0).recipe)
    paper = switches(run(options={"form": "paper", "neighbour": True}).recipe)
    assert paper.startswith("paper form; self term; no stop-gradient; neighbour positive")
    detached = switches(run(options={"form": "paper", "detach_keys": "yes"}).recipe)
    assert "self term; stop-gradient" in detached
    assert "squashed images" in switches(run(**BIRDS).recipe)
    thrown = switches(run(**BIRDS, batch_norm="frozen", head="projection").recipe)
    assert "batch norm frozen; head thrown away" in thrown
    assert "128 dimensions in training;" in thrown
    own = switches(run(**SPRINT).recipe)
    assert own.startswith("code form; no self term; no stop-gradient; own second view; temperature")
    assert switches(run(method="nce", own={"constant": "once"}).recipe).startswith("constant once;")
    assert switches(run(method="deepcluster", own={"clusters": 9}).recipe).startswith("clusters 9;")


def test_no_table_of_runs_holds_two_budgets():
    several = [run(), run(epochs=2), run(images=10, share=0.1), run(**BIRDS), run(lr=0.1)]
    several.append(run(precision="fp32"))
    lines = budgeted.section(gathered(several), "published")
    headings = [text for text in lines if text.startswith("### ")]
    fields = ("dataset", "crop", "backbone", "weights", "epochs", "share", "precision")
    kinds = {tuple(getattr(one.recipe, name) for name in fields) for one in several}
    assert len(headings) == len(set(headings)) == len(kinds) == 5


def test_a_table_says_how_many_steps_a_training_took_and_how_long():
    rows = [{"epoch": n + 1, "seconds": 10.0, "images_per_second": 64.0} for n in range(2)]
    made = [
        replace(one, curve=rows, seconds={"train": took})
        for one, took in zip(seeds([0.5, 0.5, 0.5], batch=128), (1200.4, 19.6, 30), strict=True)
    ]
    [text] = [text for text in budgeted.section(gathered(made), "published") if "| [s0]" in text]
    assert text.split(" | ")[4:6] == ["10", "20 to 1,200"]
    untrained = replace(run(method="random", epochs=0), seconds={"train": 0.1})
    [text] = [text for text in budgeted.section([[untrained]], "published") if "| [s0]" in text]
    assert text.split(" | ")[4:6] == ["", ""]


def test_what_is_not_trained_is_said_where_it_is_not_asked():
    frozen = run(**BIRDS, batch_norm="frozen")
    assert str(setting(frozen)) == (
        "cub100_crops, 80 px, efficientnet_lite0 (imagenet), 1 epoch of 100 images, bf16;"
        " batch norm frozen, without the neighbour"
    )
    slow = run(options={"neighbour": True}, **{**BIRDS, "lr": 0.0001})
    assert setting(slow).kept == "rate 0.0001"
    assert setting(slow, frozenset({"lr"})).kept == ""
    assert setting(run(options={"neighbour": True})).kept == "the neighbour"
    assert setting(frozen, frozenset({"neighbour"})).kept == "batch norm frozen"
    assert "frozen" not in str(setting(frozen, frozenset({"batch_norm"})))
    assert "images" not in str(budget(frozen, frozenset({"share"})))
    assert "bf16" not in str(budget(frozen, frozenset({"precision"})))


def test_two_recipes_are_named_by_all_that_they_differ_in():
    a, b = run(), run(lr=0.1, options={"form": "paper"})
    assert naming.pair(a.recipe, b.recipe) == (
        "invaspread (lr=0.03, form=code)",
        "invaspread (lr=0.1, form=paper)",
    )
    other = run(method="nce", own={"constant": "once"}, schedule="constant")
    assert naming.pair(a.recipe, other.recipe) == (
        "invaspread (schedule=cosine, 2 views)",
        "nce (schedule=constant, constant=once, 1 view)",
    )


def test_a_row_without_a_word_is_the_released_recipe_however_rare_it_is():
    frozen = {"batch_norm": "frozen"}
    labelled = run(method="supcon", **frozen).recipe
    recipes = [run().recipe, run(**frozen).recipe, run(**frozen, lr=0.01).recipe, labelled]
    recipes.append(run(**frozen, options={"form": "paper"}).recipe)
    assert naming.labels(recipes) == [
        "invaspread",
        "invaspread (batch_norm=frozen)",
        "invaspread (batch_norm=frozen, lr=0.01)",
        "supcon (batch_norm=frozen)",  # the only row of its method
        "invaspread (form=paper, batch_norm=frozen)",
    ]


def test_on_birds_a_row_says_whether_it_has_the_neighbour():
    own = {**BIRDS, **SPRINT, "optimiser": "sgd"}
    recipes = [
        run(**BIRDS).recipe,
        run(options={"neighbour": True}, **BIRDS).recipe,
        run(**{**own, "lr": 0.0003}).recipe,
        run(**{**own, "lr": 0.0001}).recipe,
    ]
    assert naming.labels(recipes) == [
        "invaspread (neighbour=False)",
        "invaspread (neighbour=True)",  # said on birds: no equation of the paper has it
        "sprint",
        "sprint (lr=0.0001)",
    ]
    near = {**own, "lr": 0.0003, "own": {**SPRINT["own"], "neighbour": True}}
    assert naming.labels([run(**near).recipe]) == ["sprint (neighbour=True)"]  # the only row


def test_rows_are_named_by_what_does_not_go_without_saying_and_no_two_alike():
    recipes = [
        run().recipe,
        run(batch=32).recipe,
        run(batch=32, dim=64).recipe,
        run(options={"form": "paper"}).recipe,
        run(options={"form": "paper"}, batch=32).recipe,
        run(options={"negatives": "hard"}).recipe,
    ]
    found = naming.labels(recipes)
    assert found[0] == "invaspread"
    assert found[2] == "invaspread (batch=32, dim=64)"
    assert len(set(found)) == len(found)


def test_the_ledger_of_nothing_is_whole():
    text = account.documents([], "published")[account.NAME]
    assert text.count("ot run yet") > 100
    for part in (("## In short", "## How it"), ("## Datasets", "## Printed")):
        assert "**holds" not in text.split(part[0])[1].split(part[1])[0]
    assert "  - **not run yet**: " in text.split("## Datasets")[0]


def test_every_answer_links_to_a_section_that_is_there():
    text = account.documents([], "published")[account.NAME]
    there = {anchor(title[3:]) for title in text.splitlines() if title.startswith("## ")}
    linked = re.findall(r"\(#([^)]+)\)", text)
    assert linked
    assert set(linked) <= there


@pytest.fixture(scope="module")
def committed():
    return (ROOT / "results" / account.NAME).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tables():
    return (ROOT / "results" / account.TABLES).read_text(encoding="utf-8")


def test_every_link_of_the_ledger_leads_to_a_file(committed, tables):
    for text in (committed, tables):
        linked = set(re.findall(r"\]\(([^)#]+)\)", text))
        assert any(path.endswith("/result.json") for path in linked)
        assert [path for path in sorted(linked) if not (ROOT / "results" / path).exists()] == []


def test_a_file_of_the_ledger_is_small_enough_to_be_shown(committed, tables):
    """Where code is hosted, Markdown beyond half a megabyte is shown as it is written."""
    for text in (committed, tables):
        assert len(text.encode()) < 400_000


def test_every_row_of_the_long_tables_points_to_its_runs(tables):
    rows = [text for text in tables.splitlines() if text.startswith("| ")]
    rows = [text for text in rows if not text.startswith(("| recipe ", "| :--"))]
    assert len(rows) > 200
    assert all(re.search(r"\[s\d\]\(published/[^)]+\)", text) for text in rows)
    assert sum(") from [s" in text for text in rows) > 50


def test_every_sentence_of_the_ledger_points_to_its_runs(committed):
    """A line of a section is a cell of a table, a claim, what was checked, or has links to runs."""
    _, *parts = re.split(r"\n## ", committed)
    titles = [section.title for section in answers.answers([], "published")]
    told_of = [part for part in parts if part.split("\n")[0] in titles]
    assert len(told_of) == len(titles)
    for text in (text for part in told_of for text in part.split("\n")[1:] if text):
        if text.startswith("- ") and text != "- not run yet":
            assert re.search(r"Runs: (\[s\d+\]\(published/[^)]+\)| |against)+", text), text
        else:
            plain = ("| ", "**", "### ", "Checked: ", "The paper says: ", "Alignment is ", "- not")
            plain += ("Each training by itself: [`RUNS.md`]",)
            assert text.startswith(plain), text
    for part in told_of:  # what a table says of a claim, a sentence with links says, too
        told = [text for text in part.splitlines() if text.startswith("- ")]
        for cells in _claims(part):
            verdict_ = cells[8].split(";")[0]
            assert any(f", {cells[6]}" in text and f": {verdict_}." in text for text in told)


def _claims(part):
    """The cells of each comparison in the table of claims of a section."""
    rows = [text.strip("|").split("|") for text in part.splitlines() if text.count("|") == 10]
    rows = [[cell.strip() for cell in cells] for cells in rows]
    return [cells for cells in rows if re.match(r"[-+]\d", cells[6])]


def test_the_list_says_what_the_tables_say(committed):
    """Each comparison that a table of claims has stands once in the list, with its difference."""
    _, short, *parts = re.split(r"\n## ", committed)
    listed_ = re.split(r"\n- \*\*\[", short)[1:]
    assert len(listed_) == len(answers.answers([], "published"))
    for told in listed_:
        title, *lines = told.split("\n")
        [part] = [part for part in parts if part.startswith(title.split("](")[0] + "\n")]
        apart = [cells[6].split(" ")[0] for cells in _claims(part)]
        known = [text for text in lines if " labels, from ImageNet" not in text]
        apart_ = r"\(([-+]\d+\.\d)(?: \[[^]]*\])?[†‡]?(?:, [^()]*)?\)"
        found = re.findall(apart_, "\n".join(known))
        assert sorted(found) == sorted(apart), title


def test_the_command_writes_it_beside_the_records(tmp_path, capsys):
    folder = tmp_path / "published"
    kept = next(PUBLISHED.glob("glyphs-random-*"))
    (folder / kept.name).mkdir(parents=True)
    (folder / kept.name / "result.json").write_bytes((kept / "result.json").read_bytes())
    assert main(["ledger", "--records", str(folder)]) == 0
    names = ("LEDGER.md", "RUNS.md", "LEDGER.html")
    assert capsys.readouterr().out.split() == [str(tmp_path / name) for name in names]
    for name, text in account.documents(read_records(folder), "published").items():
        assert (tmp_path / name).read_text() == text


def test_a_folder_without_records_is_refused(tmp_path, capsys):
    assert main(["ledger", "--records", str(tmp_path)]) == 2
    assert "expected published records, found none" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_page_says_what_the_ledger_says_and_links_to_its_own_runs(tmp_path):
    records = [*seeds([0.6, 0.61]), *seeds([0.5, 0.51], augmentation="C+G+F")]
    records = [replace(one, environment={"commit": "c" * 40}) for one in records]
    path = page.write([], tmp_path, records, data_root=tmp_path)[-1]
    text = path.read_text(encoding="utf-8")
    assert '<a href="#ledger-each-augmentations-share">Each augmentation' in text
    assert "among the four: <strong>holds</strong> glyphs 6 × 100 (+10.0)." in text
    assert "Benjamini and Hochberg" in text
    assert '<td class="text"><strong>holds</strong></td>' in text
    linked = set(re.findall(r'href="#(run-[^"]+)"', text))
    assert linked == {f"run-{one.recipe.key}" for one in records}
    assert all(f'id="{name}"' in text for name in linked)
    assert 'id="ledger"' not in page.html([])
