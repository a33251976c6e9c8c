"""InvaSpread: views of an image agree, images of a batch spread; no classifier, no memory.

Source: Ye et al., "Unsupervised Embedding Learning via Invariant and Spreading Instance Feature"
(CVPR 2019), and the authors' released code.
Differs from the source: the loss in what `losses.invariance_spread` says. The neighbour positive
(code: CUB-200-2011 only, nearest neighbours of pool5 features) uses the backbone's features of
whatever network the recipe names; the last epoch is the result, not the best on the test set.
"""

from torch import Tensor

from dml_bench import losses
from dml_bench.methods.base import choice, positive
from dml_bench.methods.neighbourly import Neighbourly
from dml_bench.types import Batch


class Method(Neighbourly):
    """Compare the images of a batch with each other.

    Args:
        n_items: N.
        temperature: divides the cosine.
        form: "code" (the released criterion) or "paper" (its equations).
        negative_weight: of the negatives, as in `losses.invariance_spread`.
        negatives: "all", "hard" or "easy" (half of them).
        neighbour: the second view shows the image's nearest neighbour, every other time.
        detach_keys: "form" (as the form has it), "yes" or "no".
    """

    def __init__(
        self,
        n_items: int,
        temperature: float = 0.1,
        form: str = "code",
        negative_weight: float = 1.0,
        negatives: str = "all",
        neighbour: bool = False,
        detach_keys: str = "form",
    ) -> None:
        super().__init__(n_items, neighbour)
        positive(temperature=temperature, negative_weight=negative_weight)
        choice("form", form, losses.FORMS)
        choice("negatives", negatives, losses.NEGATIVES)
        choice("detach_keys", detach_keys, ("form", "yes", "no"))
        self.temperature, self.form = temperature, form
        self.negative_weight, self.negatives = negative_weight, negatives
        self.detach_keys = None if detach_keys == "form" else detach_keys == "yes"

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the invariance and spread of the batch's two views."""
        return losses.invariance_spread(
            vectors[0],
            vectors[1],
            self.temperature,
            self.form,
            negative_weight=self.negative_weight,
            negatives=self.negatives,
            detach_keys=self.detach_keys,
        )
