"""What a run was given: its budget in words, and which runs are alike but for what is asked.

No table of the ledger holds two budgets.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import PurePath

from dml_bench.ledger.claims import PLAIN, SAME_STEP, Claim
from dml_bench.ledger.released import (
    as_released,
    meets,
    neighbourly,
    released_loss,
    released_steps,
)
from dml_bench.methods import METHODS
from dml_bench.plugins import is_plugin
from dml_bench.rows import groups as grouped
from dml_bench.rows import place
from dml_bench.types import Recipe, RunResult

Group = Sequence[RunResult]
"""The runs of a recipe, one a seed."""
FREE = frozenset({"seed", "monitor", "expect", "source"})
"""Fields that two recipes of one comparison may always differ in."""
EVERY = frozenset(field.name for field in fields(Recipe)) - FREE - {"options"}
BUDGET = frozenset(
    {
        *("dataset", "backbone", "backbone_digest", "weights", "weights_digest", "precision"),
        *("fit", "resize", "crop", "batch", "epochs", "share", "validation"),
        *("head", "dim", "batch_norm", "trained", "augmentation"),
    }
)
"""What two methods must have alike so that their numbers are of one budget."""
UNTRAINED = ("pixels", "random", "init")
IMAGES = re.compile(r"(\d+) epochs? of ([\d,]+) images")


def gathered(records: Sequence[RunResult]) -> list[list[RunResult]]:
    """Put the seeds of a recipe together, one run a seed.

    A run that differs from another in its monitor alone is the same run, watched or not: the
    watched one stands, or else the later.

    Args:
        records: of published runs.

    Raises:
        StoreError: a run is there twice.
    """
    found: dict[str, dict[int, RunResult]] = {}
    for group in grouped(records):
        values = {**group[0].recipe.decisive(), "seed": None, "monitor": None}
        runs = found.setdefault(json.dumps(values, sort_keys=True), {})
        for result in group:
            seed = result.recipe.seed
            runs[seed] = max(runs.get(seed, result), result, key=_watched)
    return [[runs[seed] for seed in sorted(runs)] for runs in found.values()]


def _watched(result: RunResult) -> tuple[bool, str]:
    return result.recipe.monitor != "none", result.finished


def primary(result: RunResult) -> str:
    """Return the metric that stands for a run: weighted kNN of seen classes, else Recall@1."""
    return "knn@200" if "knn@200" in result.metrics else "recall@1"


def views(recipe: Recipe) -> int:
    """Return how many pictures of an image a step sees; of a user's own method two are taken."""
    known = recipe.method in METHODS and not is_plugin(recipe.method)
    usual = METHODS[recipe.method].Method.views if known else 2
    return int(recipe.options.get("views", usual))


def alike(a: RunResult, b: RunResult, names: frozenset[str]) -> bool:
    """Return whether two runs were asked the same and have the named fields alike."""
    return place(a) == place(b) and all(
        getattr(a.recipe, name) == getattr(b.recipe, name) for name in names
    )


def matched(groups: Sequence[Group], claim: Claim) -> Iterator[tuple[Group, Group]]:
    """Yield the pairs of recipes that a claim is about, and that are alike in everything else.

    The first is as released but for what the claim names. Within a method all else is alike; of
    two methods it is the budget, and each keeps its own rate and schedule.

    Args:
        groups: the runs of each recipe, one a seed.
        claim: what is asked.
    """
    named = claim.named
    same = (BUDGET if claim.across else EVERY) - named
    if claim.rate == SAME_STEP:
        same -= {"lr"}
    trained = [group for group in groups if group[0].recipe.epochs]
    if "lr" not in named:  # a run with the rate 0 trains nothing
        trained = [group for group in trained if group[0].recipe.lr]
    firsts = [g for g in trained if meets(g[0].recipe, claim.a) and _asked(g[0], claim)]
    seconds = [g for g in trained if meets(g[0].recipe, claim.b)]
    if claim.rate == SAME_STEP:
        seconds = [g for g in seconds if _asked(g[0], claim)]
    for first in firsts:
        for second in seconds:
            a, b = first[0], second[0]
            if first is second or not alike(a, b, same):
                continue
            if claim.across or _same_options(a.recipe, b.recipe, claim.options):
                yield first, second


def _asked(result: RunResult, claim: Claim) -> bool:
    if claim.unseen and primary(result) != "recall@1":
        return False
    whole = not claim.across or released_loss(result)
    return whole and as_released(result.recipe, claim.named, claim.rate)


def _same_options(a: Recipe, b: Recipe, but: frozenset[str]) -> bool:
    names = {*a.options, *b.options} - but
    return a.method == b.method and all(a.options.get(n) == b.options.get(n) for n in names)


def _joined(*words: str) -> str:
    return ", ".join(filter(None, words))


@dataclass(frozen=True)
class Where:
    """What a run was given, in words; two with the same words had the same.

    Args:
        dataset: with the pixels that the network sees, where images are made as large.
        network: and where its weights come from.
        epochs: and how many images; of an untrained network the images of the gallery.
        precision: empty where the comparison is about it.
        kept: what is not as released: of the network, of the rate, of the second view.
    """

    dataset: str
    network: str
    epochs: str = ""
    precision: str = ""
    kept: str = ""

    def __str__(self) -> str:
        words = _joined(self.dataset, self.network, self.epochs, self.precision)
        return "; ".join(filter(None, (words, self.kept)))

    @property
    def brief(self) -> str:
        """All but the network."""
        return str(replace(self, network=""))

    @property
    def forms(self) -> tuple[str, ...]:
        """It in words, from the briefest: "glyphs 6 × 10,506" are epochs times images."""
        looked = IMAGES.sub(r"\1 × \2", self.epochs)
        name, *side = self.dataset.split(", ")
        words = [f"{name} {looked}", _joined(f"{name} {looked}", *side)]
        words.append(_joined(words[-1], self.precision))
        return (*(_joined(one, self.kept) for one in words), self.brief, str(self))


def budget(result: RunResult, without: frozenset[str] = frozenset()) -> Where:
    """Return the budget of a run.

    Args:
        result: of any run.
        without: fields that are not to be said: those that a comparison is about.
    """
    recipe = result.recipe
    side = f", {recipe.crop} px" if recipe.resize else ""
    dataset = f"{PurePath(recipe.dataset).name}{side}"
    epochs = "1 epoch" if recipe.epochs == 1 else f"{recipe.epochs} epochs"
    images = result.counts.get("train_images")
    if images and "share" not in without:
        epochs += f" of {images:,} images"
    if not recipe.epochs:
        gallery = result.counts.get("gallery_images")
        epochs = f"untrained, gallery of {gallery:,} images" if gallery else "untrained"
    precision = "" if "precision" in without else recipe.precision
    return Where(dataset, network(recipe), epochs, precision)


def setting(result: RunResult, without: frozenset[str] = frozenset()) -> Where:
    """Return the budget, and what is not as released: of the network, the rate, the second view.

    Args:
        result: of a trained run.
        without: fields and options that are not to be said: those that a comparison is about.
    """
    words = (*kept(result.recipe, without), *_unlike_released(result, without))
    return replace(budget(result, without), kept=", ".join(words))


def _unlike_released(result: RunResult, without: frozenset[str]) -> Iterator[str]:
    recipe = result.recipe
    if recipe.method != PLAIN["method"]:
        return
    if "neighbour" not in without and recipe.options["neighbour"] != neighbourly(result):
        yield "the neighbour" if recipe.options["neighbour"] else "without the neighbour"
    if "lr" not in without and recipe.lr != released_steps(recipe)["lr"]:
        yield f"rate {recipe.lr:.3g}"


def network(recipe: Recipe) -> str:
    """Return the network and where its weights come from."""
    weights = "random weights" if recipe.weights == "none" else PurePath(recipe.weights).name
    return f"{recipe.backbone} ({weights})"


def kept(recipe: Recipe, without: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield what of the network is not trained, or not kept."""
    if recipe.trained != "all" and "trained" not in without:
        yield f"the {recipe.trained} alone trained"
    if recipe.batch_norm != "train" and "batch_norm" not in without:
        yield f"batch norm {recipe.batch_norm}"
    if recipe.head != "linear" and "head" not in without:
        yield "no head" if recipe.head == "none" else "head thrown away"
