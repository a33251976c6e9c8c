"""NormSoftmax: classification by cosine to class weights.

Source: Zhai and Wu, "Classification is a Strong Baseline for Deep Metric Learning" (BMVC 2019),
temperature 0.05; class weights start and learn as in the authors' code (uniform up to 1 / sqrt(D),
at the network's rate); through pytorch-metric-learning's `NormalizedSoftmaxLoss`.
Differs from the source: no layer norm before the head; no first epoch for the new weights alone.
"""

import math
from functools import partial

from pytorch_metric_learning.losses import NormalizedSoftmaxLoss
from torch import nn

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
        bound = 1 / math.sqrt(dim)
        start = partial(nn.init.uniform_, a=-bound, b=bound)
        super().__init__(
            NormalizedSoftmaxLoss(n_classes, dim, temperature=temperature, weight_init_func=start)
        )
        self.rate = proxy_rate
