"""ArcFace: classification by cosine, with a margin on the angle.

Source: Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition" (CVPR 2019),
equation 3: margin 0.5 radians, scale 64; as in the authors' code, an angle that the margin would
carry past pi costs cos(angle) - margin sin(margin), and class weights start from a normal draw of
deviation 0.01; through pytorch-metric-learning's `ArcFaceLoss`.
Differs from the source: in nothing but the network and the batches, which are the recipe's.
"""

import math
from functools import partial

from pytorch_metric_learning.losses import ArcFaceLoss
from torch import nn

from dml_bench.errors import RecipeError
from dml_bench.methods.base import positive
from dml_bench.methods.labelled import Labelled


class Method(Labelled):
    """Classify by the cosine to a weight of each class, the right angle made larger.

    Args:
        n_classes: C.
        dim: D.
        margin: in radians, below pi.
        scale: multiplies the cosine.
        proxy_rate: what the learning rate of the class weights is multiplied by.
    """

    def __init__(
        self,
        n_classes: int,
        dim: int,
        margin: float = 0.5,
        scale: float = 64.0,
        proxy_rate: float = 1.0,
    ) -> None:
        positive(margin=margin, scale=scale, proxy_rate=proxy_rate)
        if margin >= math.pi:
            raise RecipeError(f"option margin: expected radians below pi, found {margin}")
        super().__init__(
            ArcFaceLoss(
                n_classes,
                dim,
                margin=math.degrees(margin),
                scale=scale,
                weight_init_func=partial(nn.init.normal_, std=0.01),
            )
        )
        self.rate = proxy_rate
