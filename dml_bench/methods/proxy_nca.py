"""ProxyNCA++: each image chooses its class's proxy among all proxies.

Source: Teh et al., "ProxyNCA++: Revisiting and Revitalizing Proxy Neighborhood Component Analysis"
(ECCV 2020): temperature 1/9, the own proxy in the denominator; proxies start from a normal draw
divided by 8; through pytorch-metric-learning's `ProxyNCALoss`. Between unit vectors it is
norm_softmax at half the temperature.
Differs from the source: no layer norm and no global maximum pooling: the recipe's network; proxies
learn 100 times as fast as it (the authors' code: Adam with epsilon 1, and 100,000 times as fast on
CUB-200-2011, 400 against 0.004).
"""

from functools import partial

from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import ProxyNCALoss
from torch import nn

from dml_bench.methods.base import positive
from dml_bench.methods.labelled import Labelled


class Method(Labelled):
    """Let each image choose its class's proxy.

    Args:
        n_classes: C.
        dim: D.
        temperature: divides the squared distances.
        proxy_rate: what the learning rate of the class weights is multiplied by.
    """

    def __init__(
        self,
        n_classes: int,
        dim: int,
        temperature: float = 1 / 9,
        proxy_rate: float = 100.0,
    ) -> None:
        positive(temperature=temperature, proxy_rate=proxy_rate)
        super().__init__(
            ProxyNCALoss(
                n_classes,
                dim,
                softmax_scale=1 / temperature,
                distance=LpDistance(power=2),
                weight_init_func=partial(nn.init.normal_, std=1 / 8),
            )
        )
        self.rate = proxy_rate
