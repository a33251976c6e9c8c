"""Small pictures of a dataset, each stored once: a sheet that a page cuts its pictures from."""

import base64
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from dml_bench import data
from dml_bench.errors import BenchError, DataError
from dml_bench.types import Dataset, Split

SIDE = 48
"""Pixels of a picture's side, at most."""
QUALITY = 60
COLUMNS = 40


@dataclass(frozen=True)
class Sheet:
    """Pictures on one image, `COLUMNS` a row.

    Args:
        uri: of the image, data and all.
        places: an image's id -> its number on the sheet.
        side: pixels of each.
        columns: of the sheet.
        rows: of the sheet.
    """

    uri: str
    places: dict[str, int]
    side: int
    columns: int
    rows: int


def find(name: str, root: Path, fingerprint: str) -> Dataset | str:
    """Return the dataset that a result is about, or a sentence that says why there is none.

    Args:
        name: of the dataset.
        root: the data root; nothing is fetched.
        fingerprint: of the result's protocol.

    Returns:
        the dataset; or what is missing, in words that name no folder of this machine.
    """
    try:
        dataset = data.load(name, root)
    except BenchError:
        return (
            f"The images of {name} are not in this machine's data root. Name the folder that they"
            " are in with --data-root, and call dml-bench report again."
        )
    if dataset.fingerprint != fingerprint:
        return (
            f"The {name} on this machine is asked in another way (protocol {dataset.fingerprint})"
            f" than these runs were (protocol {fingerprint}), so its images are not shown."
        )
    return dataset


def sheet(dataset: Dataset, ids: Iterable[str]) -> Sheet:
    """Draw the pictures of some test images.

    Args:
        dataset: whose query and gallery are looked through.
        ids: of images; what is there twice is stored once, what is unknown or broken is left out.
    """
    where = _rows(dataset.query) | _rows(dataset.gallery)
    tiles: dict[str, Image.Image] = {}
    for name in sorted(set(ids)):
        if name in where:
            split, row = where[name]
            try:
                tiles[name] = _small(split.images[row])
            except DataError:
                continue
    side = max((max(tile.size) for tile in tiles.values()), default=SIDE)
    columns = max(1, min(COLUMNS, len(tiles)))
    rows = max(1, math.ceil(len(tiles) / columns))
    whole = Image.new("RGBA", (columns * side, rows * side))
    for number, tile in enumerate(tiles.values()):
        x, y = number % columns * side, number // columns * side
        whole.paste(tile, (x + (side - tile.width) // 2, y + (side - tile.height) // 2))
    places = {name: number for number, name in enumerate(tiles)}
    return Sheet(_uri(whole), places, side, columns, rows)


def _rows(split: Split) -> dict[str, tuple[Split, int]]:
    return {name: (split, row) for row, name in enumerate(split.ids)}


def _small(image: Image.Image) -> Image.Image:
    """Return an image no larger than `SIDE`, in its own shape; never larger than it was."""
    if max(image.size) <= SIDE:
        return image.convert("RGB")
    return ImageOps.contain(image.convert("RGB"), (SIDE, SIDE), Image.Resampling.LANCZOS)


def _uri(image: Image.Image) -> str:
    kept = io.BytesIO()
    image.save(kept, "WEBP", quality=QUALITY, alpha_quality=50, method=4)
    return "data:image/webp;base64," + base64.b64encode(kept.getvalue()).decode()
