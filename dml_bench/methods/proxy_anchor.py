"""Proxy-Anchor: each class's proxy against the images of the batch, the hard ones more.

Source: Kim et al., "Proxy Anchor Loss for Deep Metric Learning" (CVPR 2020), equation 4: margin
0.1, alpha 32, proxies learn 100 times as fast as the network; through pytorch-metric-learning's
`ProxyAnchorLoss`.
Differs from the source: the recipe's network, optimiser, pooling and batches: the authors' code
takes AdamW, adds maximum to average pooling, shuffles freely, clips gradients at 10 and trains the
head and the proxies alone in the first epoch.
"""

from pytorch_metric_learning.losses import ProxyAnchorLoss

from dml_bench.methods.base import positive
from dml_bench.methods.labelled import Labelled


class Method(Labelled):
    """Pull images to their class's proxy and away from the others.

    Args:
        n_classes: C.
        dim: D.
        margin: in cosine.
        alpha: steepness.
        proxy_rate: what the learning rate of the class weights is multiplied by.
    """

    def __init__(
        self,
        n_classes: int,
        dim: int,
        margin: float = 0.1,
        alpha: float = 32.0,
        proxy_rate: float = 100.0,
    ) -> None:
        positive(margin=margin, alpha=alpha, proxy_rate=proxy_rate)
        super().__init__(ProxyAnchorLoss(n_classes, dim, margin=margin, alpha=alpha))
        self.rate = proxy_rate
