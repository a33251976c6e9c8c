"""What a recipe says where a user says nothing: by protocol, dataset and method."""

from collections.abc import Mapping, Sequence
from typing import Any

from dml_bench.methods import METHODS
from dml_bench.plugins import is_plugin

COMMON: Mapping[str, Any] = {
    "head": "linear",
    "dim": 128,
    "fit": "squash",
    "per_class": 0,
    "optimiser": "sgd",
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "precision": "auto",
    "monitor": "none",
    "seed": 0,
    "validation": 0.0,
    "share": 1.0,
    "batch_norm": "train",
    "trained": "all",
    "order": "shuffle",
    "options": {},
}
PROTOCOLS: Mapping[str, Mapping[str, Any]] = {
    # Ye et al. (CVPR 2019), sections 4.1 and 4.2; the augmentation from the released code
    "seen": {
        "backbone": "resnet18_cifar",
        "weights": "none",
        "resize": 0,
        "augmentation": "R+C+G+F",
        "batch": 128,
        "epochs": 200,
        "lr": 0.03,
        "schedule": "paper-seen",
    },
    "unseen": {
        "backbone": "googlenet",
        "weights": "imagenet",
        "resize": 256,
        "crop": 227,
        "augmentation": "crop+F",
        "batch": 64,
        "epochs": 60,
        "lr": 0.001,
        "schedule": "code-unseen",
    },
}
PAPERS: Mapping[str, Sequence[str]] = {
    "seen": ("resnet18_cifar",),
    # Ye et al. (CVPR 2019), Tables 3 to 6, but ResNet50 (its usual stand-in) and EfficientNet-Lite0
    # (the one whose weights need no network), which the suites ask at the same sizes
    "unseen": ("googlenet", "resnet18", "resnet50", "efficientnet_lite0"),
}
"""The backbones that are shown the sizes of a protocol; all others those of their weights."""
SMALL: Mapping[str, Any] = {  # letters: no flip, no colour; minutes on two cores
    "backbone": "conv4",
    "weights": "none",
    "resize": 0,
    "crop": 0,
    "augmentation": "affine",
    "batch": 128,
    "epochs": 6,
    "lr": 0.03,
    "schedule": "cosine",
    "precision": "fp32",
}
TINY: Mapping[str, Any] = {  # unseen classes at 32 x 32: the paper's recipe for that size
    **PROTOCOLS["seen"],
    "crop": 0,
}
OMNIGLOT = "b1b5913245791738"  # its protocol's fingerprint
DATASETS: Mapping[str, Mapping[str, Any]] = {"glyphs": SMALL, OMNIGLOT: SMALL, "cifar100": TINY}
"""What a dataset needs: a built-in one by its name, a folder (which has any) by its images."""
TUNED = ("optimiser", "lr", "momentum", "weight_decay")
"""What hangs together, and with the optimiser."""


def usual(
    method: str, protocol: str, special: Mapping[str, Any], said: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the fields that go without saying.

    The dataset's own come before the method's; but an untrained method is untrained anywhere, and
    a method that brings an optimiser brings its rate too, unless a user says another optimiser:
    then the rate is the dataset's or the protocol's, which is SGD's.

    Args:
        method: a name of the methods' catalogue, or a user's own.
        protocol: "seen" or "unseen".
        special: what the dataset needs (`DATASETS`).
        said: what a user says.

    Example:
        >>> usual("invaspread", "seen", {})["lr"], usual("random", "seen", {})["epochs"]
        (0.03, 0)
    """
    made, given = METHODS[method].Method, said or {}
    plain = {**COMMON, **PROTOCOLS[protocol]}
    if is_plugin(given.get("backbone", "")):  # it comes with what weights it has
        plain["weights"] = "none"
    weights = {**plain, **made.defaults, **special, **given}["weights"]
    begun = made.defaults_by_start.get("drawn" if weights == "none" else "pretrained", {})
    own = _without_another({**made.defaults, **begun}, given.get("optimiser"))
    fixed = own if made.supervision == "none" else _optimisation(own)
    return {**plain, **own, **special, **fixed}


def _without_another(own: Mapping[str, Any], optimiser: str | None) -> Mapping[str, Any]:
    """Return what a method brings, less what is tuned to another optimiser than a user's."""
    if optimiser is None or own.get("optimiser", optimiser) == optimiser:
        return own
    return {name: value for name, value in own.items() if name not in TUNED}


def _optimisation(own: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the optimiser that a method brings, and what is tuned to it."""
    brought = own if "optimiser" in own else {}
    return {name: brought[name] for name in (*TUNED, "schedule") if name in brought}
