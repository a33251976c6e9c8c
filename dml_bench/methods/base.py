"""What a method is: a loss, what it remembers, and the recipe that suits it."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dml_bench.errors import DataError, RecipeError, UnknownNameError
from dml_bench.fields import settable
from dml_bench.plugins import USERS, short
from dml_bench.registry import unknown
from dml_bench.types import Batch, Ints

GIVEN = (
    "n_items",
    "dim",
    "n_classes",
    "width",
)  # known from the data and the recipe, never options


@dataclass(frozen=True)
class Network:
    """What the network sees in the training images now; computed when it is asked for.

    Args:
        see: gives (N, D) float32 unit rows for True, (N, width) float32 features for False.
    """

    see: Callable[[bool], Tensor]

    def vectors(self) -> Tensor:
        """Return (N, D) float32 unit rows."""
        return self.see(True)

    def features(self) -> Tensor:
        """Return (N, width) float32 features of the backbone."""
        return self.see(False)


class BaseMethod(nn.Module):
    """A method, asked at three moments: before an epoch, for the loss, and after a step.

    It never sees the network. What it remembers lies in registered buffers, and what it learns in
    parameters, so that a checkpoint holds both.

    A subclass's constructor takes any of `n_items` (N), `dim` (D), `width` (of the backbone's
    features) and, if it is supervised, `n_classes` (C) by name; every other argument is an option
    of the recipe, and has a default.
    """

    supervision: ClassVar[str] = "unsupervised"
    """"none" (no training at all), "unsupervised" or "supervised" (sees labels)."""
    views: int = 2
    """V, how many augmented views of an image a step sees."""
    defaults: ClassVar[Mapping[str, Any]] = {}
    """Recipe fields in which the method differs from the protocol's."""
    defaults_by_start: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """The same, for "drawn" weights alone, or for "pretrained" ones."""
    uses_features: ClassVar[bool] = False
    """Whether the loss reads `batch.features`."""
    uses_images: ClassVar[bool] = False
    """Whether the loss reads `batch.images`; several processes have them brought together then."""
    teacher_trains: ClassVar[bool] = True
    """Whether the teacher's batch norm counts with the batch; see `teacher.Teacher`."""
    teacher_keep: float | None = None
    """Share of the teacher's weights that a step keeps; without it there is no teacher."""
    rate: float = 1.0
    """What the learning rate of the method's own weights is multiplied by."""

    def __init__(self) -> None:
        super().__init__()

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the () loss of a step; changes nothing.

        Args:
            vectors: (V, B, D) float32 unit rows.
            batch: which images they show; with labels only for a supervised method.
        """
        raise TypeError(f"{type(self).__module__} is not trained")

    def begin_epoch(self, epoch: int, seed: int, network: "Network") -> None:
        """Prepare an epoch.

        Args:
            epoch: its number, from 0.
            seed: the recipe's.
            network: says what the network sees in the training images.
        """

    def after_step(self, vectors: Tensor, batch: Batch) -> None:
        """Take note of a step that was made; vectors as in `loss`, without gradient."""

    def partners(self) -> Ints | None:
        """Return the rows whose pictures the further views show; None for the image itself.

        Returns:
            (V - 1, N) int64, or (N,) for one row in all of them.
        """
        return None

    def order(self) -> Ints | None:
        """Return (N',) int64 the rows that the epoch visits, in order; None for a drawn order.

        There are as many as without it: N, or what `per_class` makes of it.
        """
        return None

    def remade(self) -> Sequence[nn.Parameter]:
        """Return the weights that `begin_epoch` made anew; the optimiser forgets them."""
        return ()


def options(method: type[BaseMethod], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all the options of a method, the given ones in place of their defaults.

    Raises:
        UnknownNameError: an option that the method does not have.
        RecipeError: a value of another kind than the default, or no finite number.
    """
    signature = inspect.signature(method.__init__).parameters.values()
    known = {p.name: p.default for p in signature if p.name not in ("self", *GIVEN)}
    for name in given:
        if name not in known:
            raise _unknown(method, name, known)
    above, _, stem = method.__module__.partition(".")
    own = f"{stem}.py" if above == USERS else ""
    return {
        **known,
        **{name: _like(name, value, known[name], own) for name, value in given.items()},
    }


def _unknown(method: type[BaseMethod], name: str, known: Iterable[str]) -> UnknownNameError:
    """Return the error for a name that `--set` takes neither as an option nor as a field."""
    kind, others = f"option of {method.__module__.rpartition('.')[2]}", settable()
    if name in others:  # a field, said among the options of a suite
        return unknown(kind, name, known)
    return unknown(f"{kind} or recipe field", name, [*known, *others])


def _like(name: str, value: Any, default: Any, file: str) -> Any:
    """Return a value in the kind of its default, which stands in a user's `file` or in none."""
    if type(default) is float and type(value) is int and abs(value) < 1e300:
        return float(value)
    if type(value) is not type(default):
        more = ""
        if file and type(default) is int and type(value) is float:
            more = f", or write {default}.0 as the default in {file} if it may be a fraction"
        raise RecipeError(
            f"option {name}: expected a value like {default!r}, found {value!r}; write one like"
            f" it{more}"
        )
    if type(value) is float and not math.isfinite(value):
        raise RecipeError(f"option {name}: expected a finite number, found {value}; write one")
    return value


def make(
    method: type[BaseMethod], given: Mapping[str, Any], chosen: Mapping[str, Any]
) -> BaseMethod:
    """Build a method from what is known (N, D, C) and the options of its recipe."""
    wanted = inspect.signature(method.__init__).parameters
    return method(**{k: v for k, v in given.items() if k in wanted}, **chosen)


def positive(**values: float) -> None:
    """Refuse options that must be above zero."""
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise RecipeError(f"option {name}: expected a number above 0, found {value}")


def at_least(least: int, **values: int) -> None:
    """Refuse options that must not be smaller."""
    for name, value in values.items():
        if value < least:
            raise RecipeError(f"option {name}: expected {least} or more, found {value}")


def share(**values: float) -> None:
    """Refuse options that must lie from 0 to 1."""
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise RecipeError(f"option {name}: expected a number from 0 to 1, found {value}")


def given(found: Tensor | None) -> Tensor:
    """Return what the engine puts into a batch for a method that asks for it.

    Raises:
        TypeError: the method was asked without it.
    """
    if found is None:
        raise TypeError("the batch lacks what this method asks for; see BaseMethod")
    return found


def choice(name: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse an option that is none of the known words."""
    if value not in known:
        raise unknown(name, value, known)


def buffer(ids: Tensor) -> Ints:
    """Return a buffer of row numbers as an array."""
    rows: Ints = ids.cpu().to(torch.int64).numpy().copy()
    return rows


def refuse_no_number(loss: Any, method: str) -> None:
    """Refuse a loss that nothing can be learned from; asks for no value, so nothing waits.

    Args:
        loss: what a method returned for a batch.
        method: its name.

    Raises:
        DataError: it is no number, or has no gradient.
    """
    if not isinstance(loss, Tensor):
        found, do = f"a {type(loss).__name__}", "return a tensor"
    elif loss.shape != ():
        found, do = f"shape {tuple(loss.shape)}", "take its mean"
    elif not (loss.requires_grad and loss.is_floating_point()):
        found, do = "one without a gradient", "compute it from vectors"
    else:
        return
    raise DataError(
        f"{short(method)}: expected loss to return one number with a gradient, found {found}; {do}"
    )
