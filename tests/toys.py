"""Small things that several tests train on."""

import numpy as np
from PIL import Image

from dml_bench.types import Dataset, Split


class Squares:
    """N images of one colour a class, with noise; satisfies `types.Images`."""

    def __init__(self, labels, side=16, seed=0):
        draw = np.random.default_rng(seed)
        hues = np.random.default_rng(99).integers(0, 255, (64, 1, 1, 3))
        noise = draw.integers(-40, 40, (len(labels), side, side, 3))
        self.pixels = np.clip(hues[labels] + noise, 0, 255).astype(np.uint8)

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, index):
        return Image.fromarray(self.pixels[index])

    def signature(self):
        return str(self.pixels.sum())


def split(name, classes, each=8, **kwargs):
    labels = np.repeat(classes, each)
    ids = tuple(f"{name}/{n}" for n in range(len(labels)))
    return Split(name, Squares(labels, **kwargs), labels, ids)


def toy(name="toy", **kwargs):
    """Four classes to train on, three others to ask for."""
    test = split("test", [4, 5, 6], seed=1, **kwargs)
    return Dataset(name, "Toy", split("train", [0, 1, 2, 3], **kwargs), test, test, "unseen")


def toy_seen():
    """Four classes, the same in both splits."""
    train, test = split("train", [0, 1, 2, 3]), split("test", [0, 1, 2, 3], each=3, seed=1)
    return Dataset("toy_seen", "Toy", train, test, train, "seen")


def instead(words, *settings):
    """The words of a command with settings, each in place of an earlier one of its name."""
    names = tuple(setting.partition("=")[0] + "=" for setting in settings)
    gone = {at for at, word in enumerate(words) if str(word).startswith(names)}
    kept = [word for at, word in enumerate(words) if not {at, at + 1} & gone]
    return [*kept, *(word for setting in settings for word in ("--set", setting))]


SMALL = {
    "backbone": "conv4",
    "weights": "none",
    "resize": 0,
    "crop": 16,
    "augmentation": "affine",
    "batch": 8,
    "epochs": 2,
    "lr": 0.01,
    "schedule": "constant",
    "precision": "fp32",
    "dim": 16,
}
LESS = {  # options that make room in 32 images for what is made for thousands
    "deepcluster": {"clusters": 5, "components": 8},
    "mom": {"neighbours": 6, "positives": 6, "negatives": 8},
    "stml": {"wide": 12, "neighbours": 2},
    "nce": {"negatives": 16},
    "moco": {"queue": 16},
    "invaspread": {"neighbour": True},
}
