"""Weights that a user brings: read without running anything, fitted without guessing."""

import hashlib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from dml_bench.errors import DataError

# Where published networks keep the classifier (and GoogLeNet its auxiliary ones) that we cut off.
CLASSIFIERS = ("fc.", "_fc.", "classifier.", "head.", "heads.", "aux1.", "aux2.", "AuxLogits.")


def digest(path: str | Path) -> str:
    """Return the SHA-256 of a file, 64 hex.

    Raises:
        DataError: there is no such file.
    """
    return _sha256(_existing(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict from a .safetensors file, or from a torch file with `weights_only`.

    Args:
        path: the file. The weights of a whole `Model` lose the prefix "model.", if they have it.

    Returns:
        name -> tensor, on the CPU.

    Raises:
        DataError: there is no such file, or it holds something else.
    """
    path = _existing(path)
    try:
        state = load_file(path) if path.suffix == ".safetensors" else _torch_file(path)
    except (SafetensorError, OSError, EOFError, RuntimeError, ValueError, TypeError) as error:
        raise _damaged(path, str(error)) from error
    if any(name.startswith("model.backbone.") for name in state):
        return _inside(state, "model.")
    return state


def is_model(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict is of a whole `Model` of ours: backbone, head, mean and std."""
    return {"mean", "std"} <= set(state) and any(k.startswith("backbone.") for k in state)


def load(model: nn.Module, path: str | Path) -> None:
    """Put the weights of a file into a `Model`, every one in its place.

    The file holds a backbone as its library publishes it (its classifier is left aside), or a
    whole `Model`: then its head comes too, if `model` has one. Mean and std stay the recipe's.

    Args:
        model: a `models.Model`.
        path: a .safetensors or torch file.

    Raises:
        DataError: the file cannot be read; a name is missing, unknown, or of another shape.
    """
    state = read(path)
    if not is_model(state):
        load_backbone(model.get_submodule("backbone"), state, path)
        return
    own = model.state_dict()
    if not any(name.startswith("head.") for name in own):
        state = {k: v for k, v in state.items() if not k.startswith("head.")}
    _strictly(model, state | {"mean": own["mean"], "std": own["std"]}, path)


def load_backbone(backbone: nn.Module, state: Mapping[str, Tensor], path: str | Path) -> None:
    """Put published weights into a backbone, their classifier left aside.

    A network of timm also takes what timm itself renames as it loads: older files, such as
    CLIP's by OpenAI's names.

    Raises:
        DataError: a name is missing, unknown, or of another shape.
    """
    kept = _without_classifier(backbone, state)
    if _misfits(backbone, kept) and (renamed := _renamed(backbone, state)):
        renamed = _without_classifier(backbone, renamed)
        kept = kept if _misfits(backbone, renamed) else renamed
    _strictly(backbone, kept, path)


def _without_classifier(backbone: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    own = backbone.state_dict()
    return {k: v for k, v in state.items() if k in own or not k.startswith(CLASSIFIERS)}


def _misfits(module: nn.Module, state: Mapping[str, Tensor]) -> bool:
    """Whether a name is missing or unknown."""
    own = module.state_dict()
    return any(k not in own for k in state) or any(k not in state for k in own if _needed(k))


def _needed(name: str) -> bool:
    return not name.endswith("num_batches_tracked")  # a counter that old files lack


def _renamed(backbone: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return a state dict by the names of timm's network, or nothing if timm cannot."""
    home = type(backbone).__module__
    if not home.startswith("timm."):
        return {}
    convert = getattr(import_module(home), "checkpoint_filter_fn", None)
    if convert is None:
        return {}
    try:
        found = convert(dict(state), backbone)
    except Exception:  # a converter that is fed another network raises whatever it likes
        return {}
    return {k: v for k, v in found.items() if isinstance(v, Tensor)}


def _strictly(module: nn.Module, state: Mapping[str, Tensor], path: str | Path) -> None:
    """Load all or refuse with one line that says what does not fit."""
    own = module.state_dict()
    faults = {
        "missing": [k for k in own if k not in state and _needed(k)],
        "unexpected": [k for k in state if k not in own],
        "of another shape": [k for k in own if k in state and own[k].shape != state[k].shape],
    }
    if any(faults.values()):
        found = "; ".join(f"{len(v)} {fault} ({_few(v)})" for fault, v in faults.items() if v)
        raise DataError(
            f"{path}: expected the {len(own)} weights of this network, found {found};"
            " bring the file of this backbone, head and dim"
        )
    module.load_state_dict(state, strict=False)  # only counters may be missing


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _inside(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries under a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def _existing(path: str | Path) -> Path:
    if not Path(path).is_file():
        raise DataError(
            f"expected weights 'none', 'imagenet' or a file, found no file '{path}';"
            " correct the path"
        )
    return Path(path)


def _torch_file(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # an unpickler that is fed noise raises whatever it likes
        raise ValueError(error) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise TypeError(f"a {type(state).__name__} that is not a flat state dict")
    return dict(state)


def _damaged(path: Path, reason: str) -> DataError:
    first = (reason.splitlines() or ["nothing"])[0][:120]
    return DataError(
        f"{path}: expected names and tensors (.safetensors, or torch.save of a state dict),"
        f" found: {first}; save a state dict"
    )
