"""Images and vectors to measure with: drawn from a seed, so that nobody has to fetch anything."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dml_bench.types import Dataset, Floats, Ints, Split


class Drawn:
    """N square images of `side` pixels of noise; satisfies `types.Images`."""

    def __init__(self, n: int, side: int, seed: int = 0) -> None:
        draw = np.random.default_rng(seed)
        self.pixels = draw.integers(0, 256, (n, side, side, 3), np.uint8)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Image.Image:
        return Image.fromarray(self.pixels[index])

    def signature(self) -> str:
        """Return what these images are."""
        return f"drawn {self.pixels.shape}"


class Files:
    """Images of a folder, read when asked for; satisfies `types.Images`."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Image.Image:
        return Image.open(self.paths[index]).convert("RGB")

    def signature(self) -> str:
        """Return what these images are."""
        return f"files {len(self.paths)}"


def split(images: Any, n_classes: int) -> Split:
    """Return a split whose classes take turns."""
    n = len(images)
    return Split("train", images, np.arange(n) % n_classes, tuple(f"{i:07d}" for i in range(n)))


def dataset(n: int, side: int, n_classes: int = 10) -> Dataset:
    """Return N images to train on and as many classes to ask; both are the same images."""
    train = split(Drawn(n, side), n_classes)
    return Dataset("drawn", "Drawn", train, train, train, "seen")


def photographs(folder: Path, n: int, width: int, height: int) -> list[Path]:
    """Write N JPEG files that compress as photographs do: clouds of many sizes, and noise."""
    paths = []
    for number in range(n):
        draw = np.random.default_rng(number)
        pixels = draw.normal(0, 4, (height, width, 3))
        for cells in (4, 16, 64):
            cloud = draw.integers(0, 256, (cells, cells, 3), np.uint8)
            large = Image.fromarray(cloud).resize((width, height), Image.Resampling.BICUBIC)
            pixels += np.asarray(large, np.float64) / 3
        path = folder / f"{number:05d}.jpg"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=92)
        paths.append(path)
    return paths


def clustered(
    n: int, n_classes: int, dim: int, spread: float = 0.9, latent: int = 0
) -> tuple[Floats, Ints]:
    """Return (N, D) float32 unit rows around their classes' centres, and (N,) int64 labels.

    With `spread` as it is, about half of the queries of a set of Stanford Online Products' size
    find an image of their class first: what the literature's embeddings do. With `latent` the
    centres lie in so many dimensions: classes are like each other then, as they are in embeddings
    that were learned, and lists of neighbours can be told apart. Else nothing is like anything.
    """
    draw = np.random.default_rng(0)
    labels = np.sort(draw.integers(0, n_classes, n))
    centres = draw.standard_normal((n_classes, latent or dim), np.float32)
    if latent:
        centres = centres @ draw.standard_normal((latent, dim), np.float32) / latent**0.5
    vectors = draw.standard_normal((n, dim), np.float32)
    step = 1 << 16
    for rows in (slice(i, i + step) for i in range(0, n, step)):
        vectors[rows] = centres[labels[rows]] + spread * vectors[rows] * 1.3
        vectors[rows] /= np.linalg.norm(vectors[rows], axis=1, keepdims=True)
    return vectors, labels
