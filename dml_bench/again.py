"""The command that makes a run again: every field said, nothing left to defaults."""

import json
import shlex
import tomllib
from typing import Any

from dml_bench.fields import FOLLOWS
from dml_bench.types import Recipe

OWN = ("dataset", "method", "seed", "options")


def again(recipe: Recipe) -> str:
    """Return a command line that makes a run of this very recipe.

    Args:
        recipe: of a run.

    Returns:
        a line for a shell; options that are not set are left out.
    """
    fields = recipe.as_dict()
    said = {name: value for name, value in fields.items() if name not in (*OWN, *FOLLOWS)}
    said |= {name: value for name, value in fields["options"].items() if value is not None}
    words = ["dml-bench", "train", "--dataset", recipe.dataset, "--method", recipe.method]
    words += ["--seed", str(recipe.seed)]
    for name, value in said.items():
        words += ["--set", f"{name}={_word(value)}"]
    return shlex.join(words)


def _word(value: Any) -> str:
    """Return a value as `--set` reads it back; text is quoted only where it would read as TOML."""
    if not isinstance(value, str):
        return json.dumps(value)
    try:
        tomllib.loads(f"value = {value}")
    except ValueError:
        return value
    return json.dumps(value, ensure_ascii=False)
