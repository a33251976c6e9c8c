"""What a user may say of a recipe's fields: settings of the command line, kinds, ranges.

Checked at the door, before anything is filled in or looked up.
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from dml_bench.errors import RecipeError
from dml_bench.types import Recipe

KINDS: Mapping[Any, tuple[type, ...]] = {float: (int, float), int: (int,), str: (str,)}
RANGES: Mapping[str, tuple[float, float]] = {  # from the first, below the second
    "dim": (1, 2**17),
    "resize": (0, 2**13),
    "crop": (0, 2**13),
    "batch": (2, 2**20),
    "per_class": (0, 2**20),
    "epochs": (0, 2**20),
    "seed": (0, 2**31),
    "validation": (0, 1),
    "lr": (0, 1e6),
    "momentum": (0, 1),
    "weight_decay": (0, 10),
}
CHANNELS: Mapping[str, tuple[float, float]] = {"mean": (0, 1), "std": (0.001, 1)}
FOLLOWS: Mapping[str, str] = {
    "weights_digest": "that follows from the weights file",
    "backbone_digest": "that follows from the backbone's file",
    "method_digest": "that follows from the method's file",
    "expect": "that only a suite may say",
    "source": "that only a suite may say",
}
"""Fields that no user sets, and where they come from."""


def settable() -> list[str]:
    """Return the recipe fields that a user may set, in their order."""
    return [f.name for f in fields(Recipe) if f.name not in FOLLOWS]


def checked(name: str, value: Any) -> Any:
    """Return what a user says of a field, in the kind in which it is kept.

    Raises:
        RecipeError: it is of another kind, out of range, not finite, or text that does not print.

    Example:
        >>> checked("lr", 1)
        1.0
    """
    kept = as_kind(name, value)
    if name in RANGES:
        least, beyond = RANGES[name]
        if kept < least:
            raise RecipeError(f"{name}: expected {least:g} or more, found {kept}; set a larger one")
        if kept >= beyond:
            raise RecipeError(
                f"{name}: expected less than {beyond}, found {kept}; set a smaller one"
            )
    if name == "share" and not 0 < kept <= 1:
        raise RecipeError(
            f"share: expected a number above 0, at most 1, found {kept:g}; set 0.1, say"
        )
    if name in CHANNELS:
        least, most = CHANNELS[name]
        if not all(least <= v <= most for v in kept):
            raise RecipeError(
                f"{name}: expected numbers from {least:g} to {most:g}, as of images in [0, 1],"
                f" found {list(kept)}; divide by 255 what is said of bytes"
            )
    return kept


def as_kind(name: str, value: Any) -> Any:
    """Return a field's value in the kind in which it is kept; 1 and 1.0 are one number.

    Raises:
        RecipeError: it is of another kind, not finite, or text that does not print.
    """
    kind: Any = Recipe.__dataclass_fields__[name].type
    if name in CHANNELS:
        return _three(name, value)
    if kind not in KINDS:
        if not isinstance(value, Mapping):
            raise RecipeError(f"{name}: expected a table of names and values, found {value!r}")
        return value
    if not isinstance(value, KINDS[kind]) or isinstance(value, bool):
        raise RecipeError(f"{name}: expected {kind.__name__}, found {value!r}; write one")
    if isinstance(value, str) and name != "source" and not value.isprintable():
        raise RecipeError(f"{name}: expected a name of one line, found {value!r}; write one")
    try:
        kept = kind(value)
    except OverflowError:
        kept = math.inf
    if kind is float and not math.isfinite(kept):
        raise RecipeError(f"{name}: expected a finite number, found {kept}; write one")
    return kept


def _three(name: str, value: Any) -> tuple[float, ...]:
    fits = isinstance(value, list | tuple) and len(value) == 3
    if not fits or not all(type(v) in (int, float) and abs(v) < 1e300 for v in value):
        raise RecipeError(
            f"{name}: expected 3 numbers, one a channel, found {value!r}; write [a, b, c]"
        )
    return tuple(float(v) for v in value)


def parse(settings: Sequence[str]) -> dict[str, Any]:
    """Read `name=value` words: recipe fields, and options of the method.

    A value is read as TOML where it can be, else as text.

    Raises:
        RecipeError: a word without "=", a name that is said twice, a field that no user sets, or a
            value of another kind or out of range.

    Example:
        >>> parse(["epochs=2", "form=paper", "lr=1e-3"])
        {'epochs': 2, 'options': {'form': 'paper'}, 'lr': 0.001}
    """
    known = {f.name for f in fields(Recipe)}
    said: dict[str, Any] = {}
    before: dict[str, str] = {}
    for word in settings:
        name, equals, text = word.partition("=")
        if not equals or not name.isprintable() or not name:
            raise RecipeError(f"--set: expected name=value, found {word!r}; write epochs=2, say")
        if name in FOLLOWS:
            raise follows(name)
        if name in before:
            raise RecipeError(
                f"{name}: expected it said once, found --set {name}={before[name]} and --set"
                f" {name}={text}; leave one out"
            )
        before[name] = text
        if name not in known:
            said.setdefault("options", {})[name] = _value(text)
            continue
        value = _value(text)
        checked(name, value)
        said[name] = {**said.get(name, {}), **value} if name == "options" else value
    return said


def follows(name: str) -> RecipeError:
    """Return the error for a field of `FOLLOWS`."""
    return RecipeError(
        f"{name}: expected a field for a user to set, found one {FOLLOWS[name]}; leave it out"
    )


def _value(text: str) -> Any:
    try:
        read = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # no TOML, or numbers and lists beyond reason
        return text
    return read["value"] if len(read) == 1 else text


def merge(said: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay settings over what was said before; options one by one."""
    both = {**said, **over}
    if "options" in said or "options" in over:
        both["options"] = {**said.get("options", {}), **over.get("options", {})}
    return both
