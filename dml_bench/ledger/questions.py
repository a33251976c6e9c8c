"""What the ledger asks of the records: each claim, who stands on either side, what it expects.

Nothing here is an answer. A claim names two sides; the records are searched for recipes that differ
in just that, and `verdicts` says what their difference decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MORE, LESS, ALIKE = ("more", "less", "alike")
"""What a claim may expect of its first side beside its second."""
SAME_RATE, SAME_STEP = ("same rate", "same step")
Side = Mapping[str, Any]
"""What a recipe must say: field -> value, "options.form" -> an option's."""

PLAIN: Side = {
    "method": "invaspread",
    "options.form": "code",
    "options.negatives": "all",
    "options.detach_keys": "form",
    "options.neighbour": False,
    "options.temperature": 0.1,
}
"""InvaSpread as released, the neighbour that it takes on birds left aside."""
LOSS: Side = {name: value for name, value in PLAIN.items() if name != "options.neighbour"}
"""The released loss, with the neighbour or without."""
PRETRAINED: Side = {**PLAIN, "weights": "imagenet"}


@dataclass(frozen=True)
class Claim:
    """One sentence that records can decide.

    Args:
        text: the sentence.
        a, b: the two sides; the first is as released but for what they name.
        expected: what it says of a beside b: `MORE`, `LESS` or `ALIKE`.
        printed: a suite and two of its rows, whose printed numbers stand for the two sides.
        across: whether the sides are two methods: they have the budget alike, each its own rate.
        rate: `SAME_RATE`; or `SAME_STEP`, then the printed loss has it divided by the batch.
        unseen: whether it is asked of classes alone that training never shows.
        by: "result" (after the last epoch) or "curve" (the mean over the epochs of the monitor).
    """

    text: str
    a: Side
    b: Side
    expected: str = MORE
    printed: tuple[str, str, str] | None = None
    across: bool = False
    rate: str = SAME_RATE
    unseen: bool = False
    by: str = "result"

    @property
    def named(self) -> frozenset[str]:
        """The fields that the two sides may differ in, as they name them."""
        return frozenset(name for name in (*self.a, *self.b) if "." not in name) - {"weights"}

    @property
    def options(self) -> frozenset[str]:
        """The method's options that the sides name."""
        return frozenset(name.partition(".")[2] for name in (*self.a, *self.b) if "." in name)


@dataclass(frozen=True)
class Question:
    """Claims that belong together.

    Args:
        title: as a heading.
        claims: in reading order.
        checked: how it is made sure that no mistake of our own answers.
        printed: what the paper says to it beyond the numbers of its tables.
    """

    title: str
    claims: tuple[Claim, ...]
    checked: str
    printed: str = ""


def _without(part: str, rest: str, printed: str) -> Claim:
    base = {**PLAIN, "augmentation": "R+C+G+F"}
    changed = {**PLAIN, "augmentation": rest}
    text = f"{part} helps{' among the four' if rest != 'none' else ''}"
    return Claim(text, base, changed, printed=("ablations", "as released", printed))


def _plain(**change: object) -> Side:
    return {**PLAIN, **{f"options.{name}": value for name, value in change.items()}}


def _faster(other: Side, name: str) -> Claim:
    text = f"InvaSpread learns faster than {name}"
    return Claim(text, PLAIN, other, across=True, by="curve")


def _beside(method: str, name: str, printed: tuple[str, str, str] | None = None) -> Claim:
    text = f"InvaSpread does better than {name}, which is told the labels"
    first, second = {**LOSS, "trained": "all"}, {"method": method, "trained": "all"}
    return Claim(text, first, second, printed=printed, across=True, unseen=True)


def _start(text: str, a: Side, b: Side, expected: str = MORE) -> Claim:
    return Claim(
        f"From ImageNet weights, {text}", {**PRETRAINED, **a}, {**PRETRAINED, **b}, expected
    )


AUGMENTATIONS = Question(
    "Each augmentation's share",
    (
        _without("RandomResizedCrop", "C+G+F", "without RandomResizedCrop"),
        _without("RandomGrayscale", "R+C+F", "without RandomGrayscale"),
        _without("ColorJitter", "R+G+F", "without ColorJitter"),
        _without("RandomHorizontalFlip", "R+C+G", "without RandomHorizontalFlip"),
        _without("All of R+C+G+F together", "none", "without any augmentation"),
        Claim(
            "Turning, scaling, shearing and shifting help, the recipe's own for letters",
            {**PLAIN, "augmentation": "affine"},
            {**PLAIN, "augmentation": "none"},
        ),
    ),
    "each part is drawn and applied by itself, against torchvision and by drawn cases"
    " (`tests/test_augment.py`); leaving one out moves no other draw. Letters have no colour and"
    " do not mirror: the paper's shares are asked of photographs, and a part that harms them there"
    " says nothing of it here.",
)
HARD = ("the hard half of the negatives", "the easy half of the negatives")
NEGATIVES = Question(
    "Hard against easy negatives",
    (
        Claim(
            "The hard half of the negatives does better than the easy half",
            _plain(negatives="hard"),
            _plain(negatives="easy"),
            printed=("ablations", *HARD),
        ),
        Claim(
            "The hard half does as well as all negatives",
            _plain(negatives="hard"),
            PLAIN,
            ALIKE,
            printed=("ablations", HARD[0], "as released"),
        ),
        Claim(
            "The easy half does worse than all negatives",
            _plain(negatives="easy"),
            PLAIN,
            LESS,
            printed=("ablations", HARD[1], "as released"),
        ),
    ),
    "the halves are taken by similarity row by row (`tests/test_losses.py`, against slow loops)."
    " The released code has no easy half: how the paper took it is not known.",
)
FORMS = Question(
    "Paper form and code form",
    (
        Claim(
            "At the same rate the printed loss ends where the released one ends",
            PLAIN,
            _plain(form="paper"),
            ALIKE,
        ),
        Claim(
            "At the rate divided by the batch the printed loss ends where the released one ends",
            PLAIN,
            _plain(form="paper"),
            ALIKE,
            rate=SAME_STEP,
        ),
        Claim("Stop-gradient helps the released loss", PLAIN, _plain(detach_keys="no")),
        Claim(
            "Stop-gradient helps the printed loss, at the rate divided by the batch",
            _plain(form="paper", detach_keys="yes"),
            _plain(form="paper"),
            rate=SAME_STEP,
        ),
        Claim("The neighbour as second view helps", _plain(neighbour=True), PLAIN),
    ),
    "both forms against slow loops and the released lines (`tests/test_losses.py`). The printed"
    " loss is a sum over the batch, the released one a mean: at one rate the steps of the first"
    " are as many times as large as the batch holds images. Without stop-gradient each pair pulls"
    " from both sides, and a step of the released loss is about twice as long, nearly the same way"
    " (`tests/test_losses.py`): at one rate, two lengths of step are compared as well. That it is"
    " not needed to learn at all is seen in the gains of the rows without it.",
)
SPEED = Question(
    "Learning speed",
    (
        _faster({"method": "nce", "options.constant": "once"}, "NCE, as the paper describes it"),
        _faster({"method": "nce", "options.constant": "average"}, "NCE with a moving average"),
        _faster({"method": "exemplar"}, "Exemplar"),
        _faster({"method": "npsoftmax"}, "NPSoftmax"),
    ),
    "the mean over the epochs of what is asked after each. Every epoch shows each image once;"
    " NCE, NPSoftmax and Exemplar look at one view of it, InvaSpread at two, as in the paper: at"
    " as many looks it has half as many epochs.",
    "60 % weighted kNN on CIFAR-10 after 2 epochs of InvaSpread, 25 of NCE and 45 of Exemplar"
    " (Ye et al., CVPR 2019, section 4.1)",
)
LABELS = Question(
    "Unsupervised against supervised, on classes that training never shows",
    (
        _beside(
            "lifted",
            "lifted structure",
            (
                "paper-cub200",
                "InvaSpread, loss and schedule as released",
                "lifted structure, with labels",
            ),
        ),
        _beside("triplet_semihard", "semi-hard triplets"),
        _beside("multi_similarity", "multi-similarity"),
        _beside("norm_softmax", "NormSoftmax"),
        _beside("proxy_anchor", "Proxy-Anchor"),
        _beside("supcon", "SupCon"),
    ),
    "the supervised losses are the library's where it has them, else against slow loops"
    " (`tests/test_supervised_methods.py`); all get the labels of the training classes alone."
    " Only lifted structure is the paper's own comparison. A side that ends below the network it"
    " started from, see `When does it help at all`, has lost to doing nothing, whoever is ahead.",
)
START = Question(
    "What a strong start needs",
    (
        _start(
            "training with batch norm frozen ends higher than with batch norm trained",
            {"batch_norm": "frozen"},
            {"batch_norm": "train"},
        ),
        _start(
            "training the head alone ends higher than training all",
            {"trained": "head"},
            {"trained": "all"},
        ),
        _start("a tenth of the rate ends higher", {"lr": 0.0001}, {"lr": 0.001}),
        _start("a quarter of the images ends higher than all", {"share": 0.25}, {"share": 1.0}),
        _start(
            "training ends where the rate 0 ends, which moves batch norm's statistics alone",
            {"lr": 0.001},
            {"lr": 0.0},
            ALIKE,
        ),
    ),
    "frozen batch norm leaves its running statistics as they were, bit for bit, and the head alone"
    " leaves the backbone (`tests/test_frozen.py`). A quarter of the images is a quarter of the"
    " steps, too.",
)
PRECISION = Question(
    "What bfloat16 costs",
    (
        Claim(
            "In bfloat16 the released recipe ends where it ends in float32",
            {**PLAIN, "precision": "bf16"},
            {**PLAIN, "precision": "fp32"},
            ALIKE,
        ),
    ),
    "the vectors, and so the loss, are float32 either way (`tests/test_models.py`).",
)
QUESTIONS = (AUGMENTATIONS, NEGATIVES, FORMS, SPEED, LABELS, START, PRECISION)
