"""SupCon: each view chooses all views of its class among the batch.

Source: Khosla et al., "Supervised Contrastive Learning" (NeurIPS 2020), equation 2, temperature
0.1, two views an image; through pytorch-metric-learning's `SupConLoss`.
Differs from the source: no projection head that is thrown away: the recipe's linear head is trained
and evaluated; a batch of one class costs nothing; the authors' code multiplies by temperature /
0.07.
"""

from pytorch_metric_learning.losses import SupConLoss

from dml_bench.methods.base import positive
from dml_bench.methods.labelled import Labelled


class Method(Labelled):
    """Let each view choose the views of its class.

    Args:
        temperature: divides the cosine.
    """

    views = 2

    def __init__(self, temperature: float = 0.1) -> None:
        positive(temperature=temperature)
        super().__init__(SupConLoss(temperature=temperature))
