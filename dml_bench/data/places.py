"""Where a dataset's files are: in its folder, or one level below, as its archive unpacks them."""

from collections.abc import Sequence
from pathlib import Path

from dml_bench.data.origin import Origin
from dml_bench.errors import DataError


def find(name: str, root: Path, needs: Sequence[str], origin: Origin) -> Path:
    """Return the folder that holds everything that a dataset's layout needs.

    Args:
        name: of the dataset.
        root: the data root.
        needs: paths below the folder.
        origin: says how to get the dataset.

    Raises:
        DataError: there is no such folder.
    """
    found = look(root / name, needs)
    if found is None:
        raise absent(name, root, origin)
    return found


def look(folder: Path, needs: Sequence[str]) -> Path | None:
    """Return `folder`, or the folder in it, where all of `needs` are; None if nowhere."""
    if not folder.is_dir():
        return None
    below = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    for place in (folder, *below):
        if all((place / need).exists() for need in needs):
            return place
    return None


def present(name: str, root: Path, origin: Origin) -> bool:
    """Return whether a dataset's files are there, in any of the forms in circulation."""
    return not origin.needs or any(look(root / name, needs) for needs in origin.needs)


def absent(name: str, root: Path, origin: Origin, do: str = "") -> DataError:
    """Return the error that says what is missing and how to get it.

    Args:
        name: of the dataset.
        root: the data root.
        origin: says what it needs.
        do: what to do, where it is not to call `fetch`.
    """
    layout = " or ".join(", ".join(needs) for needs in origin.needs)
    if not do:
        do = f"fetch it: dml-bench fetch {name}"
        do = do if origin.archives else f"dml-bench fetch {name} says how to get it"
    return DataError(f"{name}: expected {layout} in {root / name}, found no such layout; {do}")
