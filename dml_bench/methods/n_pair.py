"""N-pair loss: each image chooses its partner among one image of every other class.

Source: Sohn, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective" (NeurIPS 2016),
two images of each class in a batch, the first asks and the second answers; through
pytorch-metric-learning's `NPairsLoss`, which takes no notice of further images of a class.
Differs from the source: unit vectors, multiplied by a scale (4, our choice), where the source
leaves them free and regularises their length.
"""

from pytorch_metric_learning.distances import DotProductSimilarity
from pytorch_metric_learning.losses import NPairsLoss
from torch import Tensor

from dml_bench.methods.base import positive
from dml_bench.methods.labelled import Labelled
from dml_bench.types import Batch


class Method(Labelled):
    """Let the first image of each class choose the second among those of all classes.

    Args:
        scale: multiplies the unit vectors.
    """

    defaults = {"per_class": 2}  # noqa: RUF012

    def __init__(self, scale: float = 4.0) -> None:
        positive(scale=scale)
        super().__init__(NPairsLoss(distance=DotProductSimilarity(normalize_embeddings=False)))
        self.scale = scale

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the mean cross-entropy of the first images against their partners."""
        return super().loss(self.scale * vectors, batch)
