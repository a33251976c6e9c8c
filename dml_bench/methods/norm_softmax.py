"""NormSoftmax: classification by cosine to class weights.

Source: Zhai and Wu, "Classification is a Strong Baseline for Deep Metric Learning" (BMVC 2019),
temperature 0.05; through pytorch-metric-learning's `NormalizedSoftmaxLoss`.
Differs from the source: no layer norm before the head; the rate of the class weights is the
network's.
"""

from pytorch_metric_learning.losses import NormalizedSoftmaxLoss

from dml_bench.methods.base import positive
from dml_bench.methods.labelled import Labelled


class Method(Labelled):
    """Classify by the cosine to a weight of each class.

    Args:
        n_classes: C.
        dim: D.
        temperature: divides the cosine.
        proxy_rate: what the learning rate of the class weights is multiplied by.
    """

    def __init__(
        self,
        n_classes: int,
        dim: int,
        temperature: float = 0.05,
        proxy_rate: float = 1.0,
    ) -> None:
        positive(temperature=temperature, proxy_rate=proxy_rate)
        super().__init__(NormalizedSoftmaxLoss(n_classes, dim, temperature=temperature))
        self.rate = proxy_rate
