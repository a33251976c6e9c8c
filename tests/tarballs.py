"""Datasets in shards that WebDataset's own writer made."""

import io

import numpy as np
import webdataset
from PIL import Image

COUNTS = (7, 12, 9, 1, 11)
"""Images of each shard: none like another."""
SIDE = 18
CLASSES = 4
TOML = """
name = "mine"
protocol = "unseen"
shards = "{shards}"
test_shards = "test.tar"
recall_at = [1, 2]
"""


def picture(label, number, side=SIDE):
    """Noise on a class's colour."""
    draw = np.random.default_rng([label, number])
    pixels = draw.integers(0, 120, (side, side, 3), dtype=np.uint8)
    pixels[..., label % 3] += np.uint8(20 * label)
    return Image.fromarray(pixels)


def png(label, number, side=SIDE):
    buffer = io.BytesIO()
    picture(label, number, side).save(buffer, "PNG")
    return buffer.getvalue()


def samples(counts=COUNTS, first=0):
    """Of each shard its samples: (key, label, number)."""
    numbers = iter(range(first, first + sum(counts)))
    return [
        [(f"s{n:04}", n * 7 % CLASSES, n) for _, n in zip(range(m), numbers, strict=False)]
        for m in counts
    ]


def tar(rows, more=0):
    """The bytes of a shard of these samples; `more` is added to their labels."""
    buffer = io.BytesIO()
    with webdataset.TarWriter(buffer) as writer:
        for key, label, number in rows:
            writer.write({"__key__": key, "png": png(label + more, number), "cls": label + more})
    return buffer.getvalue()


def shards():
    """{name: bytes} of the training shards."""
    return {f"train-{n}.tar": tar(rows) for n, rows in enumerate(samples())}


def write_folder(root, where="train-{0..4}.tar"):
    """A dataset "mine" of 40 training images in shards, and 12 test images of other classes."""
    home = root / "mine"
    home.mkdir(parents=True)
    if "://" not in where:
        for name, content in shards().items():
            (home / name).write_bytes(content)
    (home / "test.tar").write_bytes(tar(samples((12,), first=500)[0], more=CLASSES))
    (home / "dataset.toml").write_text(TOML.format(shards=where))
    return home
