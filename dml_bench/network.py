"""Images to unit vectors: a backbone, and a head on its features."""

from collections.abc import Sequence
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TOGETHER = 16  # images whose bytes become numbers at a time on the processor: a cache holds them


class Model(nn.Module):
    """Images to unit vectors.

    Args:
        backbone: a network from (M, 3, H, W) to (M, width).
        width: the length of its features.
        dim: D, the length that a head makes of it; None keeps the features themselves.
        mean, std: per channel, of images in [0, 1].
        thrown_away: the head has two layers and is for training alone: the features are asked.
        still: names of parts that work as in evaluation, whatever `train` says.

    Example:
        >>> model = Model(nn.Flatten(), 12, None, (0, 0, 0), (1, 1, 1))
        >>> model(torch.ones(2, 5, 3, 2, 2)).shape
        torch.Size([2, 5, 12])
    """

    mean: Tensor
    std: Tensor
    start: str = ""
    """SHA-256 of the weights that `build` put into the backbone; empty for drawn ones."""

    def __init__(
        self,
        backbone: nn.Module,
        width: int,
        dim: int | None,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        thrown_away: bool = False,
        still: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.width = width
        self.dim = width if dim is None or thrown_away else dim
        self.head = nn.Identity() if dim is None else _head(width, dim, deep=thrown_away)
        self.thrown_away, self.still = thrown_away, tuple(still)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(3, 1, 1))

    def train(self, mode: bool = True) -> Self:
        """Switch between training and evaluation; what is `still` stays in evaluation."""
        super().train(mode)
        for name in self.still:
            self.get_submodule(name).eval()
        return self

    def features(self, images: Tensor) -> Tensor:
        """Return what the backbone says, before the head.

        Args:
            images: (..., 3, H, W) float32 in [0, 1], or uint8.

        Returns:
            (..., width) float32, of any length.
        """
        features: Tensor = self.backbone(self._normalised(images.reshape(-1, *images.shape[-3:])))
        return features.float().reshape(*images.shape[:-3], self.width)

    def _normalised(self, images: Tensor) -> Tensor:
        """Return images less the mean, over the deviation; bytes become numbers here, once."""
        if images.dtype != torch.uint8:
            return (images - self.mean) / self.std
        made = torch.empty_like(images, dtype=torch.float32)
        together = TOGETHER if images.is_cpu else max(1, len(images))
        for part in (slice(i, i + together) for i in range(0, len(images), together)):
            made[part].copy_(images[part]).div_(255).sub_(self.mean).div_(self.std)
        return made

    def forward(self, images: Tensor) -> Tensor:
        """Return the unit vectors of images.

        Args:
            images: (..., 3, H, W) float32 in [0, 1], or uint8; any leading axes, such as (V, B).

        Returns:
            (..., D) float32 unit rows, under autocast too; a zero row stays zero. Without the head,
            (..., width), where that is thrown away.
        """
        return _unit(self.features(images)) if self.thrown_away else self.both(images)[1]

    def both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is trained: the features and their unit vectors, (..., width), (..., D)."""
        features = self.features(images)
        return features, _unit(self.head(features))


def _head(width: int, dim: int, *, deep: bool) -> nn.Module:
    """Return a linear head; a deep one has a layer as wide as the features before it.

    Source:
        Chen et al., "A Simple Framework for Contrastive Learning" (ICML 2020), section 4.2: a
        projection with one hidden layer, and the layer before it for what is asked afterwards.
    """
    if not deep:
        return nn.Linear(width, dim)
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, dim))


def _unit(vectors: Tensor) -> Tensor:
    with torch.autocast(vectors.device.type, enabled=False):
        return F.normalize(vectors.float(), dim=-1)
