"""SoftTriple: classification with several centres a class.

Source: Qian et al., "SoftTriple Loss: Deep Metric Learning Without Triplet Sampling" (ICCV 2019):
10 centres, lambda 20, gamma 0.1, margin 0.01; centres learn 100 times as fast as the network;
through pytorch-metric-learning's `SoftTripleLoss`.
Differs from the source: the regulariser that merges centres is left out.
"""

from pytorch_metric_learning.losses import SoftTripleLoss

from dml_bench.methods.base import positive
from dml_bench.methods.labelled import Labelled


class Method(Labelled):
    """Classify by the cosine to the nearest centres of each class.

    Args:
        n_classes: C.
        dim: D.
        centres: of a class.
        scale: lambda, multiplies the cosine.
        gamma: softness of the choice of a centre.
        margin: in cosine.
        proxy_rate: what the learning rate of the class weights is multiplied by.
    """

    def __init__(
        self,
        n_classes: int,
        dim: int,
        centres: int = 10,
        scale: float = 20.0,
        gamma: float = 0.1,
        margin: float = 0.01,
        proxy_rate: float = 100.0,
    ) -> None:
        positive(centres=centres, scale=scale, gamma=gamma, proxy_rate=proxy_rate)
        super().__init__(
            SoftTripleLoss(
                n_classes, dim, centers_per_class=centres, la=scale, gamma=gamma, margin=margin
            )
        )
        self.rate = proxy_rate
