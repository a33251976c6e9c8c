"""Checkpoints: what a killed training needs to go on, and the weights that it leaves behind.

Both are replaced atomically: whoever looks sees the old file or the new one, never half of one.
"""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dml_bench.errors import BenchError, StoreError
from dml_bench.types import Recipe

STATE = "state.pt"
BEFORE = "state.before.pt"
WEIGHTS = "checkpoint.safetensors"


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Keep a training's state; the one before it stays as a second chance.

    Args:
        folder: the run's.
        state: tensors, numbers, text, and lists and dictionaries of them.
    """
    draft = folder / f"{STATE}.part"
    with draft.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    if (folder / STATE).exists():
        os.replace(folder / STATE, folder / BEFORE)
    os.replace(draft, folder / STATE)


def load_state(folder: Path) -> tuple[dict[str, Any] | None, str]:
    """Return the newest state that is whole, or None, and what a person should know about it."""
    notes = []
    for name in (STATE, BEFORE):
        if not (folder / name).exists():
            continue
        try:
            state = torch.load(folder / name, weights_only=True, map_location="cpu")
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
            notes.append(f"{name} is damaged and was left out")
            continue
        return state, "; ".join(notes)
    return None, "; ".join(notes)


def has_state(folder: Path) -> bool:
    """Return whether a training left a state, whole or not, to go on from."""
    return any((folder / name).exists() for name in (STATE, BEFORE))


def drop_state(folder: Path) -> None:
    """Remove the states of a training that has ended, or is to begin anew."""
    for name in (STATE, BEFORE, f"{STATE}.part"):
        (folder / name).unlink(missing_ok=True)


def save_weights(folder: Path, model: nn.Module, recipe: Recipe) -> Path:
    """Write a model's weights with the recipe that made them; return the file."""
    from safetensors.torch import save_file

    path, draft = folder / WEIGHTS, folder / f"{WEIGHTS}.part"
    tensors = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    save_file(tensors, draft, metadata={"recipe": json.dumps(recipe.as_dict(beside=True))})
    os.replace(draft, path)
    return path


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
    except (ValueError, TypeError, AttributeError, BenchError) as error:
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
