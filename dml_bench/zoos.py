"""The networks of torchvision and timm, without their classifiers, and what extras bring."""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from pickle import UnpicklingError
from typing import Any

from safetensors import SafetensorError
from torch import nn

from dml_bench.errors import BenchError, DataError
from dml_bench.foundation import FOUNDATIONS
from dml_bench.registry import unknown

INCEPTIONS = ("googlenet", "inception_v3")
ONE_OUTPUT = {"aux_logits": False, "init_weights": True}  # what they are told without weights
FAULTS = (
    OSError,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    UnpicklingError,
    SafetensorError,
)
"""What libraries raise when weights cannot be fetched, read or fitted."""


def torchvision(name: str, weights: str, crop: int) -> nn.Module:
    """A classifier of torchvision without its last linear layer, nor the dropout before it.

    "imagenet" is the first weights that torchvision lists (IMAGENET1K_V1 where there are several).
    Its GoogLeNet has batch norm and no local response norm: not the network of the Caffe model zoo
    that Ye et al. (CVPR 2019) start from. The Inceptions lose their auxiliary heads, and do not
    rescale their input: `preprocessing` says the mean and std that this amounts to.
    """
    models = import_module("torchvision.models")
    options = {"transform_input": False} if name in INCEPTIONS else {}
    if weights == "none":
        drawn = ONE_OUTPUT if options else {}
        return without_classifier(models.get_model(name, weights=None, **options, **drawn))
    source = torchvision_weights(name)
    try:
        network = models.get_model(name, weights=source, progress=False, **options)
    except FAULTS as error:
        raise _not_fetched(name, source.url, error) from error
    if name == "inception_v3":  # GoogLeNet drops its own once its weights are in
        network.aux_logits, network.AuxLogits = False, None
    return without_classifier(network)


def timm(name: str, weights: str, crop: int) -> nn.Module:
    """A network of timm (an extra) without its classifier."""
    return _of_timm(timm_with(name), f"timm/{name}", name, weights, {})


def timm_with(name: str) -> Any:
    """Return timm, if it has a network of this name.

    Raises:
        UnknownNameError: it has none; the message lists the nearest.
        BenchError: timm is not installed.
    """
    library = extra("timm", "timm")
    if not library.is_model(name):
        near = get_close_matches(name.partition(".")[0], library.list_models(), n=3)
        raise unknown("backbone", f"timm/{name}", [f"timm/{n}" for n in near])
    return library


def foundation(name: str, weights: str, crop: int) -> nn.Module:
    """A foundation model by its short name; "imagenet" is what its authors published."""
    model = FOUNDATIONS[name]
    return _of_timm(timm_of(name), name, model.timm, weights, model.options)


def timm_of(name: str) -> Any:
    """Return timm, if it has a foundation model.

    Raises:
        BenchError: timm is not installed, or too old.
    """
    wanted, library = FOUNDATIONS[name].timm, extra("timm", "timm")
    if not library.is_model(wanted):
        raise BenchError(
            f"{name}: expected a timm that has {wanted}, found {library.__version__};"
            " pip install --upgrade timm"
        )
    return library


def _of_timm(
    library: Any, called: str, name: str, weights: str, options: Mapping[str, Any]
) -> nn.Module:
    try:
        network: nn.Module = library.create_model(
            name, pretrained=weights == "imagenet", num_classes=0, **options
        )
    except FAULTS as error:
        config = timm_config(library, name)
        origin = config and config.hf_hub_id and f"model.safetensors of {config.hf_hub_id}"
        raise _not_fetched(called, origin or "the weights", error) from error
    return network


def timm_config(library: Any, name: str) -> Any:
    """Return what timm says of a network's weights.

    Raises:
        DataError: it lists no such weights.
    """
    try:
        return library.get_pretrained_cfg(name)
    except RuntimeError as error:
        raise DataError(
            f"timm/{name}: expected weights that timm lists, found '{name.partition('.')[2]}';"
            " correct what follows the dot, or leave it out"
        ) from error


def torchvision_names() -> list[str]:
    """Torchvision's classifiers that end in a linear layer (SqueezeNet ends in a convolution)."""
    models = import_module("torchvision.models")
    names: list[str] = models.list_models(module=models)
    return [name for name in names if not name.startswith("squeezenet")]


def torchvision_weights(name: str) -> Any:
    """Return the first ImageNet weights that torchvision lists for a network."""
    return next(iter(import_module("torchvision.models").get_model_weights(name)))


def without_classifier(network: nn.Module) -> nn.Module:
    """Put nothing in the place of the last linear layer and of a dropout just before it."""
    leaves = [name for name, part in network.named_modules() if not list(part.children())]
    last = max(n for n, name in enumerate(leaves) if _is(network, name, nn.Linear))
    network.set_submodule(leaves[last], nn.Identity())
    if last and _is(network, leaves[last - 1], nn.Dropout):
        network.set_submodule(leaves[last - 1], nn.Identity())
    return network


def _is(network: nn.Module, name: str, kind: type[nn.Module]) -> bool:
    return isinstance(network.get_submodule(name), kind)


def extra(module: str, name: str) -> Any:
    """Import what an extra of this package brings.

    Raises:
        BenchError: it is not installed; the message says how to.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise BenchError(
            f"expected the package {module}, found none; pip install 'dml_bench[{name}]'"
        ) from error


def _not_fetched(name: str, origin: str, error: Exception) -> DataError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:120].rstrip(" .")
    return DataError(
        f"{name}: expected to fetch its published weights, found: {reason};"
        f" bring {origin} and pass the file as weights (--set weights=FILE)",
        passing=isinstance(error, OSError),
    )
