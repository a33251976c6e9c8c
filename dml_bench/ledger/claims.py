"""What a claim of the ledger is: two sides, what it expects of them, which recipes may stand there.

Nothing here is an answer. A claim names two sides; the records are searched for recipes that differ
in just that, and `verdicts` says what their difference decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MORE, LESS, ALIKE = ("more", "less", "alike")
"""What a claim may expect of its first side beside its second."""
SAME_RATE, SAME_STEP, ANY_RATE = ("same rate", "same step", "any rate")
PLAINLY = ("holds", "fails", "not decided")
"""What is said in short of a claim that holds, of one that fails, of one that is not decided."""
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


@dataclass(frozen=True)
class Claim:
    """One sentence that records can decide.

    Args:
        text: the sentence.
        a, b: the two sides; the first is as released but for what they name.
        short: what the claim is called among others of its question; its text without.
        words: what is said in short of what so holds, fails, is not decided.
        expected: what it says of a beside b: `MORE`, `LESS` or `ALIKE`.
        printed: a suite and two of its rows, whose printed numbers stand for the two sides.
        across: whether the sides are two methods: they have the budget alike, each its own rate.
        rate: `SAME_RATE`, the released one for both; `SAME_STEP`, then the printed loss has it
            divided by the batch; `ANY_RATE`, then each that both were run at is asked by itself.
        unseen: whether it is asked of classes alone that training never shows.
        by: "result" (after the last epoch) or "curve" (the mean over the epochs of the monitor).
        beside: a metric whose difference is said, too; it decides nothing.
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
    beside: str = ""
    short: str = ""
    words: tuple[str, str, str] = PLAINLY

    @property
    def named(self) -> frozenset[str]:
        """The fields that the two sides may differ in, as they name them; no head has its size."""
        named = {name for name in (*self.a, *self.b) if "." not in name}
        sized = {"dim"} if "none" in (self.a.get("head"), self.b.get("head")) else set()
        return frozenset(named | sized) - {"weights"}

    @property
    def options(self) -> frozenset[str]:
        """The method's options that the sides name."""
        return frozenset(name.partition(".")[2] for name in (*self.a, *self.b) if "." in name)


@dataclass(frozen=True)
class Goal:
    """A weighted kNN that a recipe is to reach on all of CIFAR-10, in two views an image.

    Args:
        text: the sentence, with `{}` for the value in per cent.
        value: a fraction.
        epochs: how many it has.
        said: what the value is.
    """

    text: str
    value: float
    epochs: int
    said: str


@dataclass(frozen=True)
class Rises:
    """That the recipes of a side end above what they started from, at the released rate.

    Args:
        text: the sentence.
        a: the side.
    """

    text: str
    a: Side


@dataclass(frozen=True)
class Question:
    """Claims that belong together.

    Args:
        title: as a heading.
        claims: in reading order.
        checked: how it is made sure that no mistake of our own answers.
        printed: what the paper says to it beyond the numbers of its tables.
        rises: asked beside the claims.
        goals: of InvaSpread as released.
    """

    title: str
    claims: tuple[Claim, ...]
    checked: str
    printed: str = ""
    rises: tuple[Rises, ...] = ()
    goals: tuple[Goal, ...] = ()
