"""Names to parts. The name of a part is the name of its file, everywhere it is written."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from dml_bench.errors import UnknownNameError


def unknown(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Return the error that says which names of this kind there are, the nearest first.

    Example:
        >>> str(unknown("metric", "recal@1", ["recall@1", "nmi"]))
        "no metric 'recal@1'; did you mean 'recall@1'? There is recall@1, nmi"
    """
    names = list(known)
    near = get_close_matches(name, names, n=1)
    hint = f" did you mean '{near[0]}'? There is" if near else " there is"
    return UnknownNameError(f"no {kind} '{name}';{hint} {', '.join(names) or 'none'}")


class Catalogue:
    """The named parts of one package, each in a module of its own, imported on first use.

    Args:
        kind: what a part is called in an error message.
        package: the package that holds the modules.
        names: the modules, in the order in which they are listed.

    Example:
        >>> DATASETS = Catalogue("dataset", "dml_bench.data", "cub200", "sop")
        >>> list(DATASETS)
        ['cub200', 'sop']
    """

    def __init__(self, kind: str, package: str, *names: str) -> None:
        self.kind = kind
        self.package = package
        self.names = names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Any:
        """Import the module that `name` names.

        Raises:
            UnknownNameError: `name` is not registered; the message lists what is.
        """
        if name not in self.names:
            raise unknown(self.kind, name, self.names)
        return import_module(f"{self.package}.{name}")
