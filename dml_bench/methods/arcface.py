"""ArcFace: classification by cosine, with a margin on the angle.

Source: Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition" (CVPR 2019),
equation 3: margin 0.5 radians, scale 64; through pytorch-metric-learning's `ArcFaceLoss`.
Differs from the source: in nothing but the network, which is the recipe's.
"""

from pytorch_metric_learning.losses import ArcFaceLoss

from dml_bench.methods.base import positive
from dml_bench.methods.labelled import Labelled


class Method(Labelled):
    """Classify by the cosine to a weight of each class, the right angle made larger.

    Args:
        n_classes: C.
        dim: D.
        margin: in degrees.
        scale: multiplies the cosine.
        proxy_rate: what the learning rate of the class weights is multiplied by.
    """

    def __init__(
        self,
        n_classes: int,
        dim: int,
        margin: float = 28.6,
        scale: float = 64.0,
        proxy_rate: float = 1.0,
    ) -> None:
        positive(margin=margin, scale=scale, proxy_rate=proxy_rate)
        super().__init__(ArcFaceLoss(n_classes, dim, margin=margin, scale=scale))
        self.rate = proxy_rate
