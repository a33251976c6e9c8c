"""What the ledger asks of the records: each claim, who stands on either side, what it expects.

Nothing here is an answer. A claim names two sides; the records are searched for recipes that differ
in just that, and `verdicts` says what their difference decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dml_bench.ledger.budgets import BUDGET, EVERY, Side
from dml_bench.ledger.verdicts import ALIKE, LESS, MORE

PLAIN: Side = {
    "method": "invaspread",
    "options.form": "code",
    "options.negatives": "all",
    "options.detach_keys": "form",
    "options.neighbour": False,
    "options.temperature": 0.1,
}
"""InvaSpread as released."""
NCE: Side = {"method": "nce", "options.constant": "average"}


@dataclass(frozen=True)
class Claim:
    """One sentence that records can decide.

    Args:
        text: the sentence.
        a, b: the two sides.
        expected: what it says of a beside b: "more", "less" or "alike".
        printed: (a, b): labels of rows of the suite `ablations` whose printed numbers stand for it.
        same: fields that must be alike but for those that the sides name.
        free: fields that may differ all the same.
        by: "result" (after the last epoch) or "curve" (the mean over the epochs of the monitor).
    """

    text: str
    a: Side
    b: Side
    expected: str = MORE
    printed: tuple[str, str] | None = None
    same: frozenset[str] = EVERY
    free: frozenset[str] = frozenset()
    by: str = "result"


@dataclass(frozen=True)
class Question:
    """Claims that belong together.

    Args:
        title: as a heading.
        claims: in reading order.
        checked: what was looked at for a mistake of our own, should a result contradict the paper.
    """

    title: str
    claims: tuple[Claim, ...]
    checked: str = ""


def _without(part: str, rest: str, printed: str) -> Claim:
    base = {**PLAIN, "augmentation": "R+C+G+F"}
    changed = {**PLAIN, "augmentation": rest}
    return Claim(f"{part} helps", base, changed, printed=("as released", printed))


def _plain(**change: object) -> Side:
    return {**PLAIN, **{f"options.{name}": value for name, value in change.items()}}


def _beside(method: str, text: str, **more: object) -> Claim:
    other: Mapping[str, object] = {"method": method, **more}
    return Claim(text, PLAIN, other, same=BUDGET)


def _faster(other: Side, name: str) -> Claim:
    text = f"InvaSpread learns faster than {name}"
    return Claim(text, PLAIN, other, same=BUDGET, by="curve")


AUGMENTATIONS = Question(
    "Each augmentation's share",
    (
        _without("RandomResizedCrop", "C+G+F", "without RandomResizedCrop"),
        _without("RandomGrayscale", "R+C+F", "without RandomGrayscale"),
        _without("ColorJitter", "R+G+F", "without ColorJitter"),
        _without("RandomHorizontalFlip", "R+C+G", "without RandomHorizontalFlip"),
        _without("Any augmentation", "none", "without any augmentation"),
    ),
    "Each part is drawn and applied by itself, against torchvision and by drawn cases"
    " (`tests/test_augment.py`); leaving one out moves no other draw.",
)
NEGATIVES = Question(
    "Hard against easy negatives",
    (
        Claim(
            "The hard half of the negatives does better than the easy half",
            _plain(negatives="hard"),
            _plain(negatives="easy"),
            printed=("the hard half of the negatives", "the easy half of the negatives"),
        ),
        Claim(
            "The hard half does as well as all negatives",
            _plain(negatives="hard"),
            PLAIN,
            ALIKE,
            printed=("the hard half of the negatives", "as released"),
        ),
        Claim(
            "The easy half does worse than all negatives",
            _plain(negatives="easy"),
            PLAIN,
            LESS,
            printed=("the easy half of the negatives", "as released"),
        ),
    ),
    "The halves are taken by similarity row by row (`tests/test_losses.py`, against slow loops)."
    " The released code has no easy half: how the paper took it is not known.",
)
FORMS = Question(
    "Paper form and code form",
    (
        Claim(
            "The released loss and the printed one reach the same",
            PLAIN,
            _plain(form="paper"),
            ALIKE,
            free=frozenset({"lr"}),
        ),
        Claim("Stop-gradient is needed in the released loss", PLAIN, _plain(detach_keys="no")),
        Claim(
            "Stop-gradient helps the printed loss",
            _plain(form="paper", detach_keys="yes"),
            _plain(form="paper"),
        ),
        Claim("The neighbour as second view helps", _plain(neighbour=True), PLAIN),
    ),
    "Both forms against slow loops and the released lines (`tests/test_losses.py`). The printed"
    " loss is a sum over the batch: beside the same rate stands the rate divided by the batch.",
)
SPEED = Question(
    "Learning speed",
    (
        _faster(NCE, "NCE (moving average)"),
        _faster({"method": "nce", "options.constant": "once"}, "NCE (constant of the first batch)"),
        _faster({"method": "exemplar"}, "Exemplar"),
        _faster({"method": "npsoftmax"}, "NPSoftmax"),
    ),
    "Every epoch shows the same images as often; NCE, NPSoftmax and Exemplar look at one view of"
    " each, InvaSpread at two, as in the paper.",
)
LABELS = Question(
    "Unsupervised against supervised, on classes that training never shows",
    tuple(
        _beside(name, f"InvaSpread does better than {title}, which is told the labels")
        for name, title in (
            ("lifted", "lifted structure"),
            ("triplet_semihard", "semi-hard triplets"),
            ("multi_similarity", "multi-similarity"),
            ("norm_softmax", "NormSoftmax"),
            ("proxy_anchor", "Proxy-Anchor"),
            ("supcon", "SupCon"),
        )
    ),
    "The supervised losses are the library's where it has them, else against slow loops"
    " (`tests/test_supervised_methods.py`); all get the labels of the training classes alone.",
)
START = Question(
    "What a strong start needs",
    (
        Claim(
            "Frozen batch norm keeps more of the start",
            {**PLAIN, "batch_norm": "frozen", "weights": "imagenet"},
            {**PLAIN, "batch_norm": "train", "weights": "imagenet"},
        ),
        Claim(
            "Training the head alone keeps more than training all",
            {**PLAIN, "trained": "head"},
            {**PLAIN, "trained": "all"},
        ),
        Claim(
            "A lower rate keeps more of the start",
            {**PLAIN, "lr": 0.0001, "weights": "imagenet"},
            {**PLAIN, "lr": 0.001, "weights": "imagenet"},
        ),
        Claim(
            "Fewer steps keep more of the start",
            {**PLAIN, "share": 0.25, "weights": "imagenet"},
            {**PLAIN, "share": 1.0, "weights": "imagenet"},
        ),
    ),
    "The row with the rate 0 of `crops-methods` moves no weight and loses as much: the statistics"
    " of batch norm alone do it, so here they are frozen.",
)
PRECISION = Question(
    "What bfloat16 costs",
    (
        Claim(
            "In bfloat16 the released recipe reaches what it reaches in float32",
            {**PLAIN, "precision": "bf16"},
            {**PLAIN, "precision": "fp32"},
            ALIKE,
        ),
    ),
    "The vectors, and so the loss, are float32 either way (`tests/test_models.py`).",
)
QUESTIONS = (AUGMENTATIONS, NEGATIVES, FORMS, SPEED, LABELS, START, PRECISION)
