"""SoftTriple: classification with several centres a class.

Source: Qian et al., "SoftTriple Loss: Deep Metric Learning Without Triplet Sampling" (ICCV 2019):
10 centres, lambda 20, gamma 0.1, margin 0.01, tau 0.2; centres learn 100 times as fast as the
network; through pytorch-metric-learning's `SoftTripleLoss` and `SparseCentersRegularizer`.
Differs from the source: the batches are the recipe's, the authors' code shuffles freely.
"""

from pytorch_metric_learning.losses import SoftTripleLoss
from pytorch_metric_learning.regularizers import SparseCentersRegularizer

from dml_bench.methods.base import positive, share
from dml_bench.methods.labelled import Labelled


class Method(Labelled):
    """Classify by the cosine to the nearest centres of each class.

    Args:
        n_classes: C.
        dim: D.
        centres: of a class.
        scale: lambda, multiplies the cosine.
        gamma: softness of the choice of a centre.
        margin: in cosine, from 0 to 1.
        tau: weight of the distance between a class's centres, so that superfluous ones merge; 0
            leaves it out.
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
        tau: float = 0.2,
        proxy_rate: float = 100.0,
    ) -> None:
        positive(centres=centres, scale=scale, gamma=gamma, proxy_rate=proxy_rate)
        share(margin=margin, tau=tau)
        merge = SparseCentersRegularizer(n_classes, centres) if centres > 1 and tau else None
        super().__init__(
            SoftTripleLoss(
                n_classes,
                dim,
                centers_per_class=centres,
                la=scale,
                gamma=gamma,
                margin=margin,
                weight_regularizer=merge,
                weight_reg_weight=tau,
            )
        )
        self.rate = proxy_rate
