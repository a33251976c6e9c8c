"""Code that a user brings: a function or a class in a file of theirs, named "FILE.py:name".

Loading such a file runs it. Only what a user types (on the command line, in Python, or in a suite
that they run) is ever loaded: neither stored results nor checkpoints can ask for it.
"""

import hashlib
import importlib.util
import inspect
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from dml_bench.errors import DataError
from dml_bench.text import in_short

USERS = "dml_bench_user"
"""What stands before the name of a user's file, as a module."""
HUB = "hub:"
"""What stands before a checkout that is asked by torch.hub: "hub:FOLDER:entrypoint"."""

GIVEN = {"ranking": ("ranking",), "clustering": ("clustering",), "splits": ("gallery", "query")}
"""What a metric may be a function of, and what such a function's arguments are called, in order."""


def is_plugin(name: str) -> bool:
    """Whether a name is of a file or a checkout of the user's, not of this package.

    Example:
        >>> is_plugin("my_model.py:build"), is_plugin("hub:../dino:vits"), is_plugin("timm/vgg11")
        (True, True, False)
    """
    return name.startswith(HUB) or name.partition(":")[0].endswith(".py")


def part(name: str, usual: str = "") -> Any:
    """Return what "FILE.py:name" names; the file is run once for each content that it has.

    Args:
        name: a path, a colon and a name in that file; a path alone means `usual`.
        usual: the name where none is given.

    Raises:
        DataError: no such file, no such name in it, or the file fails when it is run.
    """
    path, _, wanted = name.partition(":")
    module = _module(str(_existing(path, name).resolve()), digest(name))
    wanted = wanted or usual
    if not hasattr(module, wanted):
        there = ", ".join(n for n, v in vars(module).items() if _own(v, module)) or "nothing"
        raise DataError(f"{path}: expected '{wanted}' in it, found {there}; write {path}:NAME")
    return getattr(module, wanted)


def said_beside(name: str, what: str) -> Any:
    """Return what a user's file says beside what is asked of it, by a name; None if nothing."""
    return getattr(_module(str(Path(name.partition(":")[0]).resolve()), digest(name)), what, None)


def network(name: str, weights: str, crop: int) -> Any:
    """Build a user's network: a `torch.nn.Module` from (M, 3, H, W) to (M, width).

    Args:
        name: "FILE.py:function" (or the function `build` of "FILE.py"), which is given `weights`
            and `crop` if it has arguments of these names; or "hub:FOLDER:entrypoint".
        weights: "none" or "imagenet".
        crop: pixels that it will see.

    Raises:
        DataError: it cannot be built, or is no module.
    """
    from torch import nn

    if name.startswith(HUB):
        return from_hub(name, pretrained=weights == "imagenet")
    make = part(name, usual="build")
    with guarded(name):
        takes = inspect.signature(make).parameters
        if weights != "none" and "weights" not in takes:
            raise DataError(
                f"{short(name)}: expected weights 'none' or a file, found '{weights}', which the"
                " function has no argument for; leave weights out"
            )
        given = {"weights": weights, "crop": crop}
        made = make(**{k: v for k, v in given.items() if k in takes})
    if not isinstance(made, nn.Module):
        raise DataError(f"{short(name)}: expected a torch.nn.Module, found {made!r}; return one")
    return made


def measure(name: str) -> tuple[Callable[..., float], str, bool]:
    """Return a user's metric: a function, what it is a function of, and whether it has a k.

    Its arguments' names, in any order, say what it is given: `ranking`; or `clustering`; or
    `gallery` and `query`. An argument `k` beside them is the number after the "@".

    Raises:
        DataError: the file cannot be read, or the arguments have other names.
    """
    function = part(name, usual="metric")
    with guarded(name):
        takes = list(inspect.signature(function).parameters)
    asked = {argument for argument in takes if argument != "k"}
    needs = next((what for what, names in GIVEN.items() if set(names) == asked), "")
    if not needs:
        raise DataError(
            f"{short(name)}: expected the arguments (ranking), (clustering) or (gallery, query),"
            f" and k if it has one, found ({', '.join(takes)}); rename them"
        )

    def compute(*given: Any, **depth: int) -> float:
        with guarded(name):
            value = float(function(**dict(zip(GIVEN[needs], given, strict=True)), **depth))
        if not math.isfinite(value):
            raise DataError(f"{short(name)}: expected a finite number, found {value}; correct it")
        return value

    return compute, needs, "k" in takes


def from_hub(name: str, *, pretrained: bool) -> Any:
    """Return what an entry point of a checkout makes; nothing is fetched by torch.hub itself.

    Args:
        name: "hub:FOLDER:entrypoint"; the folder holds a `hubconf.py`.
        pretrained: passed on as `pretrained=True`; without it, nothing is passed.

    Raises:
        DataError: no such folder or entry point, or it fails.
    """
    import torch

    folder, _, entry = name.removeprefix(HUB).rpartition(":")
    _existing(f"{folder}/hubconf.py", name)
    given = {"pretrained": True} if pretrained else {}
    with guarded(name):
        return torch.hub.load(folder, entry, source="local", **given)  # type: ignore[no-untyped-call]


def digest(name: str) -> str:
    """Return the SHA-256 of the code that a name stands for, 64 hex; empty for what is ours.

    Of a file its bytes; of a checkout the paths and bytes of all `.py` files in it.

    Raises:
        DataError: there is no such file.
    """
    if not is_plugin(name):
        return ""
    found = hashlib.sha256()
    for label, path in _files(name):
        found.update(label.encode() + path.read_bytes())
    return found.hexdigest()


def short(name: str) -> str:
    """Return a name without the folders of the machine that it is on.

    Example:
        >>> short("/home/ada/my_model.py:build"), short("hub:../dino:vits"), short("timm/vgg11")
        ('my_model.py:build', 'hub:dino:vits', 'timm/vgg11')
    """
    if not is_plugin(name):
        return name
    hub = HUB if name.startswith(HUB) else ""
    path, colon, entry = name.removeprefix(hub).partition(":")
    return f"{hub}{Path(path).name}{colon}{entry}"


def verify(name: str, said: str) -> None:
    """Refuse code that is not what a recipe was made with.

    Raises:
        DataError: the file has changed since.
    """
    if (now := digest(name)) != said:
        raise DataError(
            f"{name}: expected the code of this recipe ({said[:8] or 'none'}), found"
            f" {now[:8] or 'none'}; bring that file, or make the run anew"
        )


class guarded:  # noqa: N801 - used as a statement
    """Tell what goes wrong in a user's code on one line, as bad input."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        """Begin to watch."""

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """Turn any exception, and any wish to end the program, into a `DataError`."""
        if isinstance(error, Exception | SystemExit) and not isinstance(error, DataError):
            raise DataError(
                f"{short(self.name)}: expected code that runs, found {in_short(error)}{_at(error)};"
                " correct it"
            ) from error


def _at(error: BaseException) -> str:
    lines = [error.lineno] if isinstance(error, SyntaxError) else []
    return f", line {lines[0]}" if lines and lines[0] else ""


@cache
def _module(path: str, _content: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{USERS}.{Path(path).stem}", path)
    if spec is None or spec.loader is None:
        raise DataError(f"{path}: expected a Python file, found another; give a .py file")
    module = importlib.util.module_from_spec(spec)
    with guarded(path):
        spec.loader.exec_module(module)
    return module


def _files(name: str) -> Sequence[tuple[str, Path]]:
    if not name.startswith(HUB):
        return [("", _existing(name.partition(":")[0], name))]
    folder = Path(name.removeprefix(HUB).rpartition(":")[0])
    _existing(folder / "hubconf.py", name)
    paths = sorted(path for path in folder.rglob("*.py") if path.is_file())
    return [(path.relative_to(folder).as_posix() + "\0", path) for path in paths]


def _existing(path: str | Path, name: str) -> Path:
    if not Path(path).is_file():
        raise DataError(f"{name}: expected a file {path}, found none; correct the path")
    return Path(path)


def _own(value: Any, module: ModuleType) -> bool:
    return getattr(value, "__module__", None) == module.__name__ and hasattr(value, "__name__")


__all__ = [
    "digest",
    "from_hub",
    "guarded",
    "is_plugin",
    "measure",
    "network",
    "part",
    "said_beside",
    "short",
    "verify",
]
