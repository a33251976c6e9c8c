"""Multi-similarity loss: pairs weighted by their own and by relative similarity.

Source: Wang et al., "Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning"
(CVPR 2019): alpha 2, beta 50 (40 in the authors' released code), epsilon 0.1; base 0.5 as in that
code (the paper says 1); through pytorch-metric-learning's `MultiSimilarityLoss` and
`MultiSimilarityMiner`.
Differs from the source: in nothing but the network and the batches, which are the recipe's.
"""

from pytorch_metric_learning.losses import MultiSimilarityLoss
from pytorch_metric_learning.miners import MultiSimilarityMiner

from dml_bench.methods.base import positive, share
from dml_bench.methods.labelled import Labelled


class Method(Labelled):
    """Weigh the pairs that are hard beside the others of the same image.

    Args:
        alpha: steepness on positive pairs.
        beta: steepness on negative pairs.
        base: similarity around which pairs are weighed, from 0 to 1.
        epsilon: slack of the mining.
    """

    def __init__(
        self,
        alpha: float = 2.0,
        beta: float = 50.0,
        base: float = 0.5,
        epsilon: float = 0.1,
    ) -> None:
        positive(alpha=alpha, beta=beta, epsilon=epsilon)
        share(base=base)
        super().__init__(
            MultiSimilarityLoss(alpha=alpha, beta=beta, base=base),
            MultiSimilarityMiner(epsilon=epsilon),
        )
