"""What a suite asks of Slurm: `--slurm name=value` -> what submitit calls it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dml_bench.errors import RecipeError
from dml_bench.registry import unknown

MINUTES = 240
"""How long a job may take where nobody says so."""
TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")
MEMORY = re.compile(r"(\d+(?:\.\d+)?)([MGT])B?", re.IGNORECASE)
GIGABYTES = {"M": 1 / 1024, "G": 1.0, "T": 1024.0}


@dataclass(frozen=True)
class Setting:
    """One thing that may be asked of Slurm.

    Args:
        about: what it is, and in which form.
        read: text -> what submitit takes; ValueError where it is nothing of the kind.
        name: submitit's.
    """

    about: str
    read: Callable[[str], Any]
    name: str = ""


def minutes(text: str) -> int:
    """Return a time limit in minutes, rounded up, of what Slurm takes as one.

    Args:
        text: minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes or
            days-hours:minutes:seconds.

    Raises:
        ValueError: something else, or nothing at all.

    Example:
        >>> minutes("90"), minutes("4:00:00"), minutes("1-12"), minutes("1:30")
        (90, 240, 2160, 2)
    """
    found = TIME.fullmatch(text)
    if not found:
        raise ValueError(text)
    days, *rest = found.groups()
    parts = [int(part) for part in rest if part is not None]
    if days is not None or len(parts) == 3:
        hours, minute, second = (*parts, 0, 0)[:3]
    else:
        hours, minute, second = 0, parts[0], (*parts, 0)[1]
    seconds = ((int(days or 0) * 24 + hours) * 60 + minute) * 60 + second
    return positive(-(-seconds // 60))


def gigabytes(text: str) -> float:
    """Return memory in GB of what Slurm takes as such, its unit written.

    Example:
        >>> gigabytes("32G"), gigabytes("512M"), gigabytes("1T")
        (32.0, 0.5, 1024.0)
    """
    found = MEMORY.fullmatch(text)
    if not found or not float(found[1]):
        raise ValueError(text)
    return float(found[1]) * GIGABYTES[found[2].upper()]


def positive(value: str | int) -> int:
    """Return a whole number of 1 or more.

    Raises:
        ValueError: another number, or none.
    """
    if int(value) < 1:
        raise ValueError(value)
    return int(value)


def one(text: str) -> int:
    """Return 1.

    Raises:
        ValueError: another number, or none.
    """
    if int(text) != 1:
        raise ValueError(text)
    return 1


def word(text: str) -> str:
    """Return text that is no more than printable, and not empty.

    Raises:
        ValueError: it is.
    """
    if not text.strip() or not text.isprintable():
        raise ValueError(text)
    return text


def _memory(text: str) -> str:
    found = gigabytes(text)
    return f"{int(found)}GB" if found == int(found) else f"{int(found * 1024)}MB"


SETTINGS: Mapping[str, Setting] = {
    "partition": Setting("the queue", word),
    "time": Setting("a limit, as 4:00:00 or 1-12 (days-hours) or minutes", minutes),
    "cpus": Setting("cores of a run, 1 or more", positive, "cpus_per_task"),
    "gpus": Setting(
        "accelerators of a run, 1, for it is one process (several: torchrun below sbatch)",
        one,
        "gpus_per_node",
    ),
    "memory": Setting("memory of a run, as 32G or 500M", _memory, "mem"),
    "account": Setting("who pays", word),
    "qos": Setting("the quality of service", word),
    "constraint": Setting("features of a node", word),
    "nodelist": Setting("the nodes to take", word),
    "exclude": Setting("the nodes to leave", word),
    "gres": Setting("generic resources", word),
    "at_once": Setting("how many runs at a time, 1 or more", positive, "array_parallelism"),
    "grace": Setting(
        "seconds before the limit at which a run saves, 1 or more", positive, "signal_delay_s"
    ),
    "setup": Setting("a line of shell before the run, as 'module load cuda'", word),
}


def read(words: Sequence[str]) -> dict[str, Any]:
    """Return what is asked of Slurm, by submitit's names.

    Args:
        words: each "name=value", a name of `SETTINGS`; only "setup" more than once.

    Raises:
        UnknownNameError: no such setting; the message lists what there is.
        RecipeError: a value that is nothing of the kind, or said twice.

    Example:
        >>> read(["partition=gpu", "time=2:00:00", "cpus=8"])
        {'time': 120, 'partition': 'gpu', 'cpus_per_task': 8}
    """
    asked: dict[str, Any] = {"time": MINUTES}
    said: set[str] = set()
    for each in words:
        name, equals, text = each.partition("=")
        if not equals:
            raise RecipeError(f"--slurm: expected name=value, found '{each}'")
        value = _value(name, text)
        if name == "setup":
            asked["setup"] = [*asked.get("setup", []), value]
        elif name in said:
            raise RecipeError(f"--slurm {name}: expected it said once, found it twice")
        else:
            asked[SETTINGS[name].name or name] = value
        said.add(name)
    return asked


def _value(name: str, text: str) -> Any:
    if name not in SETTINGS:
        raise unknown("setting of --slurm", name, SETTINGS)
    try:
        return SETTINGS[name].read(text)
    except (ValueError, OverflowError) as error:
        raise RecipeError(
            f"--slurm {name}: expected {SETTINGS[name].about}, found '{text}'"
        ) from error
