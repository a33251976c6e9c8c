"""Checkpoints: what a killed training needs to go on, and the weights that it leaves behind.

Both are replaced atomically: whoever looks sees the old file or the new one, never half of one.
"""

import json
import os
import re
import zipfile
from pathlib import Path
from typing import IO, Any

import torch
from torch import nn

from dml_bench.atomic import atomic_file, atomic_path
from dml_bench.errors import BenchError, RunError, StoreError
from dml_bench.types import Recipe

STATE = "state.pt"
BEFORE = "state.before.pt"
WEIGHTS = "checkpoint.safetensors"


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Keep a training's state; the one before it stays as a second chance.

    Args:
        folder: the run's.
        state: tensors, numbers, text, and lists and dictionaries of them.

    Raises:
        RunError: a weight of its "model" is not finite; what is there stays.
        StoreError: the folder cannot be written; what is there stays.
    """
    for name, weight in state["model"].items():
        if weight.is_floating_point() and not torch.isfinite(weight).all():
            raise RunError(
                f"{state['key']}: {name} is no longer finite in epoch {state['epoch'] + 1}, at or"
                f" before step {state['step']}; the state before it is kept: try a lower lr"
            )
    with atomic_file(folder / STATE, before=folder / BEFORE) as file:
        _dump(state, file)


def _dump(state: dict[str, Any], file: IO[bytes]) -> None:
    """Write a state; torch hides what the system said under an error of its own."""
    try:
        torch.save(state, file)
    except RuntimeError as error:
        under: BaseException | None = error
        while under and not isinstance(under, OSError):
            under = under.__context__
        raise under or error from None


def load_state(folder: Path) -> tuple[dict[str, Any] | None, str]:
    """Return the newest state that is whole, or None, and what a person should know about it."""
    damaged = []
    for name in (STATE, BEFORE):
        if not (folder / name).exists():
            continue
        try:
            state = _whole(folder / name)
        except Exception:  # a damaged file makes torch and pickle raise any kind
            damaged.append(name)
            continue
        return state, f"{STATE} is damaged: {name}, the one before it, is used" if damaged else ""
    note = f"{' and '.join(damaged)}: damaged; the training begins anew" if damaged else ""
    return None, note


def _whole(path: Path) -> dict[str, Any]:
    """Read a state, its checksums first: torch does not look at them.

    Raises:
        Exception: of any kind: it is damaged.
    """
    with zipfile.ZipFile(path) as parts:
        if parts.testzip():
            raise ValueError
    state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    return state if state["key"] else {}


def has_state(folder: Path) -> bool:
    """Return whether a training left a state, whole or not, to go on from."""
    return any((folder / name).exists() for name in (STATE, BEFORE))


def drop_state(folder: Path) -> None:
    """Remove the states of a training that has ended, or is to begin anew."""
    for name in (STATE, BEFORE):
        (folder / name).unlink(missing_ok=True)


def save_weights(folder: Path, model: nn.Module, recipe: Recipe) -> Path:
    """Write a model's weights with the recipe that made them; return the file.

    Raises:
        StoreError: the folder cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    said = {"recipe": json.dumps(recipe.as_dict(beside=True))}
    with atomic_path(folder / WEIGHTS) as draft:
        try:
            save_file(tensors, draft, metadata=said)
        except SafetensorError as error:  # what the system says stands in its text
            raise _systems(str(error)) from error
    return folder / WEIGHTS


def _systems(text: str) -> OSError:
    """Return what the system said, of the text that safetensors makes of it."""
    number = re.search(r"os error (\d+)", text)
    return OSError(int(number[1]), os.strerror(int(number[1]))) if number else OSError(text)


def read_recipe(path: Path) -> Recipe:
    """Return the recipe that stands in a weights file.

    Raises:
        StoreError: no such file, not one of ours, or damaged.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise StoreError(f"expected a checkpoint, found no file {path}; check the path")
    try:
        with safe_open(path, framework="pt") as file:
            recipe = (file.metadata() or {}).get("recipe")
    except (SafetensorError, OSError) as error:
        raise StoreError(f"{path}: expected a whole safetensors file, found: {error}") from None
    if not recipe:
        raise StoreError(
            f"{path}: expected a checkpoint of this program (with its recipe), found other weights;"
            " name them with --set weights=FILE"
        )
    try:
        return Recipe.from_dict(json.loads(recipe))
    except (ValueError, TypeError, AttributeError, RecursionError, BenchError) as error:
        raise StoreError(
            f"{path}: expected a recipe in its metadata, found: {' '.join(str(error).split())};"
            " take the file that the run wrote"
        ) from None


def load_weights(path: Path, model: nn.Module) -> None:
    """Fill a model from a weights file, each tensor in its place.

    Raises:
        StoreError: names or shapes that differ.
    """
    from safetensors.torch import load_file

    try:
        model.load_state_dict(load_file(path))
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise StoreError(f"{path}: expected the weights of this model, found: {first}") from None
