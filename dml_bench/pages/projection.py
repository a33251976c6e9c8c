"""A map: vectors of many dimensions laid out in two, neighbours near each other."""

import numpy as np

from dml_bench.types import Embeddings, Floats, Ints

MOST_CLASSES = 40
MOST_IMAGES = 800
PERPLEXITY = 15.0


def sample(labels: Ints, seed: int = 0) -> Ints:
    """Return rows for a map: some classes, each as whole as there is room; the same every time.

    Images drawn from all classes alike would show no class: of hundreds a map of this size would
    hold two or three images each.

    Args:
        labels: (N,) of all.
        seed: of the draw.

    Returns:
        (n,) rows, ascending, `MOST_IMAGES` at most.

    Example:
        >>> sample(np.array([5, 5, 9]))
        array([0, 1, 2])
    """
    draw = np.random.default_rng(seed)
    classes = draw.permutation(np.unique(labels))[:MOST_CLASSES]
    each = MOST_IMAGES // len(classes)
    rows = [draw.permutation(np.flatnonzero(labels == label))[:each] for label in classes]
    found: Ints = np.sort(np.concatenate(rows))
    return found


def project(embeddings: Embeddings, rows: Ints, seed: int = 0) -> Floats:
    """Lay some rows out in the plane with t-SNE, on one thread, so that the same comes out again.

    Args:
        embeddings: of a run.
        rows: (n,) of those to show.
        seed: of the layout.

    Returns:
        (n, 2) float32 from 0 to 1, the larger extent filled.

    Source:
        van der Maaten and Hinton, "Visualizing Data using t-SNE" (JMLR 2008); scikit-learn's.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    if len(rows) < 4:  # nothing to lay out
        places = np.stack([np.arange(len(rows)), np.zeros(len(rows))], axis=1)
        return _fitted(places.astype(np.float32))
    layout = TSNE(
        perplexity=min(PERPLEXITY, (len(rows) - 1) / 3),
        init=_start(embeddings.vectors[rows]),
        random_state=seed,
        n_jobs=1,
    )
    with threadpool_limits(1):
        return _fitted(layout.fit_transform(embeddings.vectors[rows]))


def _start(vectors: Floats) -> Floats:
    """Return where the layout begins: the two principal directions, each with a sign of its own."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    if left.shape[1] < 2:
        left, sizes = np.pad(left, ((0, 0), (0, 1))), np.pad(sizes, (0, 1))
    places = left[:, :2] * sizes[:2]
    places *= np.sign(places[np.abs(places).argmax(axis=0), [0, 1]]) + (places == 0).all(axis=0)
    spread = places[:, 0].std() or 1.0
    found: Floats = (1e-4 * places / spread).astype(np.float32)
    return found


def _fitted(places: Floats) -> Floats:
    low, high = places.min(axis=0), places.max(axis=0)
    size = float((high - low).max()) or 1.0
    fitted: Floats = (0.5 + (places - (low + high) / 2) / size).astype(np.float32)
    return fitted
