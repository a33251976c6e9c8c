"""N-pair loss: each image chooses its partner among one image of every other class.

Source: Sohn, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective" (NeurIPS 2016),
two images of each class in a batch; through pytorch-metric-learning's `NPairsLoss`.
Differs from the source: unit vectors, multiplied by a scale, where the source leaves them free and
regularises their length.
"""

from pytorch_metric_learning.losses import NPairsLoss
from torch import Tensor

from dml_bench.methods.base import positive
from dml_bench.methods.labelled import Labelled
from dml_bench.types import Batch


class Method(Labelled):
    """Let each image choose its partner.

    Args:
        scale: multiplies the unit vectors.
    """

    defaults = {"per_class": 2}  # noqa: RUF012

    def __init__(self, scale: float = 4.0) -> None:
        positive(scale=scale)
        super().__init__(NPairsLoss())
        self.scale = scale

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the cross-entropy of each image against its partner."""
        return super().loss(self.scale * vectors, batch)
