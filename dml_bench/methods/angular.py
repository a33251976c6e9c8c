"""Angular loss: the angle at the negative of each triplet is kept small.

Source: Wang et al., "Deep Metric Learning with Angular Loss" (ICCV 2017); alpha is 36 to 55 degrees
there, 40 the library's choice; through pytorch-metric-learning's `AngularLoss`.
Differs from the source: the mean over every positive pair of a batch, each with every negative;
unit vectors; without the N-pair loss that the source adds.
"""

from pytorch_metric_learning.losses import AngularLoss

from dml_bench.errors import RecipeError
from dml_bench.methods.labelled import Labelled


class Method(Labelled):
    """Keep the angle at the negative below a bound.

    Args:
        alpha: the bound, in degrees, below 90.
    """

    def __init__(self, alpha: float = 40.0) -> None:
        if not 0 < alpha < 90:
            raise RecipeError(f"option alpha: expected degrees between 0 and 90, found {alpha}")
        super().__init__(AngularLoss(alpha=alpha))
