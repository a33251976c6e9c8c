"""Contrastive loss: images of a class together, others apart by a margin.

Source: Hadsell et al., "Dimensionality Reduction by Learning an Invariant Mapping" (CVPR 2006);
through pytorch-metric-learning's `ContrastiveLoss`.
Differs from the source: distances are neither squared nor halved; the means over positive and
negative pairs are added, each over the pairs that cost something; unit vectors; margin 1 is the
library's choice.
"""

from pytorch_metric_learning.losses import ContrastiveLoss

from dml_bench.methods.base import positive
from dml_bench.methods.labelled import Labelled


class Method(Labelled):
    """Pull pairs of a class together, push other pairs beyond a margin.

    Args:
        margin: in Euclidean distance between unit vectors.
    """

    def __init__(self, margin: float = 1.0) -> None:
        positive(margin=margin)
        super().__init__(ContrastiveLoss(pos_margin=0, neg_margin=margin))
