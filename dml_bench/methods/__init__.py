"""Methods: one file each, registered here by its name; or a file of the user's."""

import inspect
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

from dml_bench.errors import DataError
from dml_bench.plugins import is_plugin, part
from dml_bench.registry import Catalogue


class Methods(Catalogue):
    """The methods by name; "FILE.py" and "FILE.py:Class" name a user's own."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and is_plugin(name))

    def __getitem__(self, name: str) -> Any:
        """Return the module of a method; of a user's own what holds its `Method`.

        Raises:
            UnknownNameError: no such method.
            DataError: a file that holds no method.
        """
        return _own(name) if is_plugin(name) else super().__getitem__(name)


def _own(name: str) -> SimpleNamespace:
    from dml_bench.methods.base import BaseMethod  # torch, when it is used
    from dml_bench.rows import SUPERVISION

    found = part(name, usual="Method")
    if not (isinstance(found, type) and issubclass(found, BaseMethod)):
        raise DataError(f"{name}: expected a class Method(BaseMethod), found {found!r}; write one")
    if found.supervision not in SUPERVISION:
        raise DataError(
            f"{name}: expected supervision to be one of {', '.join(SUPERVISION)}, found"
            f" {found.supervision!r}; write that"
        )
    if found.supervision != "none" and found.loss is BaseMethod.loss:
        raise DataError(
            f"{name}: expected a function loss(self, vectors, batch), found none; write one, or"
            " supervision = 'none' for no training"
        )
    if type(found.views) is not int or found.views < 1:
        raise DataError(
            f"{name}: expected views to be a whole number, 1 or more, found {found.views!r};"
            " write views = 2, say"
        )
    for argument in list(inspect.signature(found.__init__).parameters.values())[1:]:
        _refuse_argument(name, argument, found.supervision)
    return SimpleNamespace(Method=found, __doc__=found.__doc__ or "")


def _refuse_argument(name: str, argument: inspect.Parameter, supervision: str) -> None:
    """Refuse an argument of a user's constructor that is not given, and can be no option."""
    from dml_bench.methods.base import GIVEN
    from dml_bench.types import Recipe

    if argument.name == "n_classes" and supervision != "supervised":
        raise DataError(
            f"{name}: expected supervision = 'supervised' of a method that asks for n_classes,"
            f" found {supervision!r}; write that, or leave n_classes out"
        )
    if argument.name in GIVEN:
        return
    if argument.default is argument.empty:
        raise DataError(
            f"{name}: expected a default for the option '{argument.name}', found none; give one"
        )
    if argument.name in {field.name for field in fields(Recipe)}:
        raise DataError(
            f"{name}: expected option names that no recipe field has, found '{argument.name}';"
            " rename the argument"
        )
    if type(argument.default) not in (bool, int, float, str, list):
        raise DataError(
            f"{name}: option '{argument.name}': expected a default that is a number, a text,"
            f" true/false or a list, found {argument.default!r}; give one"
        )


METHODS = Methods(
    "method",
    "dml_bench.methods",
    # no training
    "pixels",
    "random",
    "init",
    # no labels
    "exemplar",
    "npsoftmax",
    "nce",
    "deepcluster",
    "mom",
    "cyclic",
    "triplet",
    "triplet_hard",
    "invaspread",
    "simclr",
    "moco",
    "byol",
    "stml",
    "sprint",
    # labels
    "triplet_semihard",
    "contrastive",
    "lifted",
    "n_pair",
    "angular",
    "margin",
    "multi_similarity",
    "norm_softmax",
    "proxy_nca",
    "proxy_anchor",
    "soft_triple",
    "arcface",
    "supcon",
)
