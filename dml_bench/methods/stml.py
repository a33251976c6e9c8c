"""STML: a slower network says how similar the images of a batch are in their context.

Source: Kim et al., "Self-Taught Metric Learning without Labels" (CVPR 2022), and the authors'
released code: batches of nearest neighbours (5 an image), contextualised similarity from
k-reciprocal neighbours, relaxed contrastive loss on relative distances for two heads, one taught by
the other; sigma 3, delta 1, teacher keeps 0.999; AdamP, rate 1e-4, decay 0.01, 90 epochs.
Differs from the source: distances are between unit vectors for all heads, also where neighbours are
looked for (in the code only the teacher's are); AdamW instead of AdamP; one pooling, the backbone's
own, instead of the sum of average and maximum; the teacher begins as the student's copy (in the
code its head is drawn on its own) and follows after the step, not before it; no image opens two
neighbourhoods of an epoch (in the code, of a batch); the recipe's dimension and last epoch, where
the authors take 512 and the best on the test set.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dml_bench import draws
from dml_bench.methods.base import BaseMethod, Network, at_least, buffer, given, positive, share
from dml_bench.neighbours import rank
from dml_bench.types import Batch, Embeddings, Floats, Ints


class Method(BaseMethod):
    """Learn the similarities that the teacher sees, and teach oneself.

    Args:
        n_items: N.
        width: of the backbone's features.
        sigma: of the teacher's similarity, in squared distance.
        delta: relative distance beyond which nobody is pushed.
        neighbours: images of a neighbourhood in a batch, the first one counted.
        wide: dimensions of the head that teaches.
        keep: share of the teacher's weights that a step keeps, 0 to 1.
    """

    visited: Tensor  # (N,) int64, the rows of the epoch in order
    uses_features = True
    teacher_trains = False
    defaults = {  # noqa: RUF012
        "optimiser": "adamw",
        "lr": 1e-4,
        "weight_decay": 0.01,
        "batch": 120,
        "epochs": 90,
        "schedule": "cosine",
    }

    def __init__(
        self,
        n_items: int,
        width: int,
        sigma: float = 3.0,
        delta: float = 1.0,
        neighbours: int = 5,
        wide: int = 1024,
        keep: float = 0.999,
    ) -> None:
        super().__init__()
        positive(sigma=sigma, delta=delta)
        share(keep=keep)
        at_least(1, neighbours=neighbours, wide=wide)
        self.sigma, self.delta, self.neighbours = sigma, delta, neighbours
        self.teacher_keep = self.keep = keep
        self.head, self.teachers = nn.Linear(width, wide), nn.Linear(width, wide)
        nn.init.orthogonal_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.teachers.load_state_dict(self.head.state_dict())
        self.teachers.requires_grad_(False)
        self.register_buffer("visited", torch.arange(n_items))

    def begin_epoch(self, epoch: int, seed: int, network: Network) -> None:
        """Put neighbourhoods one after the other, their first images drawn."""
        with torch.no_grad():
            seen = self.head(network.features().to(self.head.weight.device)).cpu().numpy()
        rows = neighbourhoods(seen, self.neighbours, draws.order(seed, epoch, len(seen)))
        self.visited.copy_(torch.from_numpy(rows))

    def order(self) -> Ints:
        """Return (N,) int64: runs of near images."""
        return buffer(self.visited)

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return both heads' relaxed contrastive loss, and what one teaches the other."""
        small = vectors.flatten(0, 1)  # (2B, D)
        wide = F.normalize(self.head(given(batch.features)).flatten(0, 1), dim=1)
        with torch.no_grad():
            taught = self.teachers(given(batch.taught_features)).flatten(0, 1)
            ids = batch.ids.repeat(len(vectors))
            wanted = similarity(
                F.normalize(taught, dim=1), ids, self.sigma, self.neighbours * len(vectors)
            )
        both = relaxed_contrast(small, wanted, self.delta) + relaxed_contrast(
            wide, wanted, self.delta
        )
        return both / 2 + self_taught(small, wide.detach())

    def after_step(self, vectors: Tensor, batch: Batch) -> None:
        """Let the teacher's head follow."""
        with torch.no_grad():
            for mine, its in zip(self.teachers.parameters(), self.head.parameters(), strict=True):
                mine.lerp_(its, 1 - self.keep)


def neighbourhoods(seen: Floats, size: int, first: Ints) -> Ints:
    """Return (N,) rows: each of the first images drawn, followed by its nearest.

    Args:
        seen: (N, width) float32.
        size: images of a neighbourhood, the first one counted.
        first: (N,) an order; as many of it are taken as there is room for.
    """
    n = len(seen)
    if size == 1 or n == 1:
        return first
    items = Embeddings(seen, np.zeros(n, np.int64))
    near = rank(items, items, min(size, n) - 1).ids
    runs: Ints = np.concatenate([np.arange(n)[:, None], near], axis=1)[first]
    return runs.reshape(-1)[:n]


def similarity(taught: Tensor, ids: Tensor, sigma: float, k: int) -> Tensor:
    """Return how similar the teacher says two views are, each pair and in its context.

    Args:
        taught: (M, width) unit rows.
        ids: (M,) of the images: views of one count as nearest to each other.
        sigma: of the pairwise similarity.
        k: neighbours that are the context.

    Returns:
        (M, M) in [0, 1], symmetric where the context is.

    Source:
        Kim et al. (CVPR 2022): contextualised semantic similarity.
    """
    k = min(k, len(taught))
    pairwise = (-torch.cdist(taught, taught).square() / sigma).exp()
    nearest = pairwise.masked_fill(ids[:, None] == ids, 1.0).topk(k).indices  # (M, k)
    one_way = torch.zeros_like(pairwise).scatter(1, nearest, 1.0)
    mutual = one_way * one_way.T
    shared = mutual * (mutual @ mutual) / mutual.sum(dim=1, keepdim=True).clamp(min=1)
    half = max(1, round(k / 2))
    context = shared[nearest[:, :half]].mean(dim=1)
    return (pairwise + (context + context.T) / 2) / 2


def relative(vectors: Tensor) -> Tensor:
    """Return (M, M) Euclidean distances, each row divided by its mean."""
    distance = torch.cdist(vectors, vectors)
    return distance / distance.mean(dim=1, keepdim=True)


def relaxed_contrast(vectors: Tensor, wanted: Tensor, delta: float) -> Tensor:
    """Pull views together as far as they should be similar, push them apart as far as not.

    Args:
        vectors: (M, D).
        wanted: (M, M) similarities in [0, 1].
        delta: relative distance beyond which nobody is pushed.

    Returns:
        () loss, the mean over pairs of different views.

    Source:
        Kim et al. (CVPR 2022): relaxed contrastive loss.
    """
    size = len(vectors)
    apart = relative(vectors)
    others = ~torch.eye(size, dtype=torch.bool, device=vectors.device)
    pull = wanted * apart.square()
    push = (1 - wanted) * (delta - apart).clamp(min=0).square()
    return (pull + push)[others].sum() / (size * (size - 1))


def self_taught(small: Tensor, wide: Tensor) -> Tensor:
    """Return () how far the small head's relations are from the wide one's.

    Args:
        small: (M, D), with gradient.
        wide: (M, width), without.

    Source:
        Kim et al. (CVPR 2022): self-distillation.
    """
    asked = (-relative(small)).log_softmax(dim=1)
    return F.kl_div(asked, (-relative(wide)).softmax(dim=1), reduction="batchmean")
