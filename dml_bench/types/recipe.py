"""What decides a number, and what came of it: Recipe, RunResult."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import PurePath
from typing import Any

from dml_bench.errors import RecipeError, RunError
from dml_bench.plugins import short

LATER: Mapping[str, Any] = {
    "optimiser": "sgd",
    "validation": 0.0,
    "share": 1.0,
    "batch_norm": "train",
    "trained": "all",
    "backbone_digest": "",
    "method_digest": "",
    "order": "shuffle",
}
"""Fields younger than the first published records, and what went without saying before.

Where a recipe says just that, the field stays out of the key: old records keep their names.
"""
LATER_OPTIONS: Mapping[str, Mapping[str, Any]] = {"sprint": {"neighbour": False}}
"""Options of methods, likewise."""


@dataclass(frozen=True)
class Recipe:
    """All that decides a number. `recipes.resolve` makes one from what a user says.

    Args:
        dataset: a built-in one, or a folder of the data root with a `dataset.toml`.
        method: a name of the methods' catalogue, or the user's own ("FILE.py").
        backbone: a name of `models.BACKBONES`, of torchvision, "timm/<name>", or the user's own
            ("FILE.py:function", "hub:FOLDER:entrypoint").
        weights: "none", "imagenet", or the path of a weights file.
        weights_digest: SHA-256 of that file, empty where there is none.
        head: "linear", "none" (the backbone's own features), or "projection" (two layers, for
            training alone and then thrown away: the features are what is asked).
        dim: D, the length of what a loss sees; with head "none" it is the backbone's width.
        fit: how an image becomes `resize` pixels square: "squash" or "centre" (shorter side, then
            centre crop).
        resize: pixels; 0 keeps the images as they are.
        crop: pixels that the network sees.
        mean, std: per channel, in [0, 1].
        augmentation: parts joined by "+", or "none".
        batch: B, images a step (each seen in V views).
        per_class: images of one class in a row of the order; 0 is a plain shuffle.
        epochs: passes over the training split.
        optimiser: "sgd" (with momentum), "adam" or "adamw" (with the momentum as beta 1), or "muon"
            (`muon`: the weights of linear layers and convolutions by Muon, the rest by AdamW).
        lr, momentum, weight_decay: of the optimiser.
        schedule: a name of `optimisation.SCHEDULES`, "cosine", "warmup:0.1", or
            "steps:120=0.1,160=0.01".
        precision: "fp32" or "bf16".
        monitor: "none", or a metric that the curve shows after each epoch.
        seed: decides every draw.
        validation: share of the training classes (where the test classes are seen: of each class's
            images) that are held out of training, and asked the `monitor` after each epoch; which
            ones, the seed decides. Labels say what a class is: with a share above 0 they decide
            which images even an unsupervised method is trained on, and nothing else of it.
        share: of the training images that a run has at all, the same ones for everybody
            (`data.share`); where the classes are seen, of what is searched as well.
        batch_norm: "train" (a step counts with its batch, whatever number of processes shares it,
            and moves the running statistics), "frozen" (those of the weights count, and stay; scale
            and shift are learned still), or "local:2" (each of 2 processes counts with its own part
            of the batch; `norms`).
        trained: "all", or "head": then the backbone stays as its weights have it, and works as in
            evaluation.
        backbone_digest, method_digest: SHA-256 of the user's own code; empty for what is ours.
        order: "shuffle" (all images), or "shards:K": the shards are shuffled, then the images of K
            shards at a time (`draws.block_order`); such a dataset is trained on without a pack.
        options: the method's own.
        expect: published metrics to stand beside ours, as fractions; not in the key.
        source: where `expect` was published; not in the key.
    """

    dataset: str
    method: str
    backbone: str
    weights: str
    weights_digest: str
    head: str
    dim: int
    fit: str
    resize: int
    crop: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    augmentation: str
    batch: int
    per_class: int
    epochs: int
    optimiser: str
    lr: float
    momentum: float
    weight_decay: float
    schedule: str
    precision: str
    monitor: str
    seed: int
    validation: float = 0.0
    share: float = 1.0
    batch_norm: str = "train"
    trained: str = "all"
    backbone_digest: str = ""
    method_digest: str = ""
    order: str = "shuffle"
    options: Mapping[str, Any] = field(default_factory=dict)
    expect: Mapping[str, float] = field(default_factory=dict, compare=False)
    source: str = field(default="", compare=False)

    def as_dict(self, *, beside: bool = False) -> dict[str, Any]:
        """Return the fields as plain values; with those that stand beside the key, if asked."""
        names = [f.name for f in fields(self) if f.compare or beside]
        return {name: _plain(getattr(self, name)) for name in names}

    def decisive(self) -> dict[str, Any]:
        """Return the fields that tell recipes apart: of files that a user brings not the path,
        but the content.
        """
        values = self.as_dict()
        values["weights"] = "" if self.weights_digest else self.weights
        later = LATER_OPTIONS.get(self.method, {})
        values["options"] = {
            k: v for k, v in values["options"].items() if k not in later or v != later[k]
        }
        return values | {name: short(values[name]) for name in ("backbone", "method")}

    @cached_property
    def key(self) -> str:
        """A slug that a person can read, and 8 hex of the SHA-256 of the canonical JSON."""
        values = {k: v for k, v in self.decisive().items() if k not in LATER or v != LATER[k]}
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
        named = (PurePath(self.dataset).name, short(self.method), short(self.backbone))
        parts = (*named, f"s{self.seed}")
        slug = "-".join("".join(c if c.isalnum() or c in "_." else "_" for c in p) for p in parts)
        return f"{slug}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Recipe":
        """Read what `as_dict` wrote.

        Raises:
            RecipeError: a field is missing or unknown.
        """
        known = {f.name for f in fields(cls)}
        needed = known - {"options", "expect", "source"}
        if strange := sorted(set(values) - known):
            raise RecipeError(f"recipe: unknown field '{strange[0]}'; there is {sorted(known)}")
        if missing := sorted(needed - set(LATER) - set(values)):
            raise RecipeError(f"recipe: expected the field '{missing[0]}', found none")
        kept: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in {**LATER, **values}.items()
        }
        later = LATER_OPTIONS.get(kept["method"], {})
        kept["options"] = {**later, **kept.get("options", {})}
        return cls(**kept)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True)
class RunResult:
    """What a finished run says.

    Args:
        recipe: all that decided it.
        metrics: name -> value; fractions, all finite.
        curve: one entry an epoch: epoch, loss, lr, seconds, images_per_second and any monitor.
        counts: images and classes of each split, queries without a relevant item, ...
        fingerprint: of the protocol (who is asked, who is searched, what is right).
        supervision: "none" (untrained), "unsupervised" or "supervised".
        seconds: wall time of {"pack", "train", "embed", "evaluate"}: decoding the images that are
            not packed yet; the epochs, of all sessions; the vectors; search and metrics.
        environment: commit, versions, processor, threads.
        finished: ISO 8601, UTC.
        training: fingerprint of the images (and labels) that were trained on; empty without
            training, and in records from before there was one.
        conventions: of the metrics (`metrics.CONVENTIONS`); "1" in records from before they said.
        start: SHA-256 of the published weights that the backbone began with; empty for drawn ones,
            and in records from before there was one.
        end: SHA-256 of the weights that embedded the images; empty in records from before.
        intervals: name -> [low, high] of each metric that is a mean over queries, at 95 %: this one
            run's, over its classes (`statistics.bootstrap`); empty in records from before.
        spread: name -> how the test vectors lie, which is no fraction (`spread.DISTANCES`); empty
            in records from before.
        files: fingerprint of how many bytes each image file takes that the run looked at; empty
            for images in no files of their own, and in records from before.
        ties: name -> what the order of exactly equal scores could make of each Recall@K, with the
            fields of `ties.RecallTies`; empty where it could change none, and in records from
            before.

    Raises:
        RunError: a metric that is not finite.
    """

    recipe: Recipe
    metrics: Mapping[str, float]
    curve: Sequence[Mapping[str, float]]
    counts: Mapping[str, int]
    fingerprint: str
    supervision: str
    seconds: Mapping[str, float]
    environment: Mapping[str, Any]
    finished: str
    training: str = ""
    conventions: str = "1"
    start: str = ""
    end: str = ""
    intervals: Mapping[str, Sequence[float]] = field(default_factory=dict)
    spread: Mapping[str, float] = field(default_factory=dict)
    files: str = ""
    ties: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in {**self.metrics, **self.spread}.items():
            if not math.isfinite(value):
                raise RunError(f"{self.recipe.key}: {name} is {value}, expected a finite number")
