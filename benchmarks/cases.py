"""What is measured: one case a question, each with our way and a peer's way to do the same work."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """How much to do, and where.

    Args:
        small: a few seconds' worth, to see that a case runs; its figures mean nothing.
        device: "cpu" or "cuda".
    """

    small: bool = False
    device: str = "cpu"


@dataclass(frozen=True)
class Done:
    """What was done: so many units in so many seconds, after whatever warms up."""

    units: float
    seconds: float


@dataclass(frozen=True)
class Case:
    """One question.

    Args:
        name: on the command line.
        title: what is done, in a table.
        unit: what is counted; "" where the whole is one.
        peer: who does the same, and how.
        target: the ratio that ours should reach, peer's seconds a unit over ours; 0 for none.
        ours, theirs: do it.
        room: the share of the peer's memory that ours should stay within; 0 for none.
        within: the seconds that ours should stay within; 0 for none.
        elsewhere: the work is a program that is started: its memory is not looked at.
        unable: of a device -> why the question is none on this machine, "" where it is one.
    """

    name: str
    title: str
    unit: str
    peer: str
    target: float
    ours: Callable[[Work], Done]
    theirs: Callable[[Work], Done]
    room: float = 0.0
    within: float = 0.0
    elsewhere: bool = False
    unable: Callable[[str], str] = lambda device: ""


def cases() -> Mapping[str, Case]:
    """Return all cases by name; what they need is imported when they run."""
    from benchmarks import evaluation, inputs, packing, processes, starting, training

    parts = (training, inputs, packing, evaluation, processes, starting)
    return {case.name: case for part in parts for case in part.CASES}
