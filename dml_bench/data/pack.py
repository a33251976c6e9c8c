"""Images decoded once: a split as one memory-mapped uint8 array."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from dml_bench.atomic import unwritable
from dml_bench.errors import DataError, StoreError
from dml_bench.locks import alone
from dml_bench.progress import Bar
from dml_bench.types import Split

Pixels = npt.NDArray[np.uint8]
CHUNK = 64


def pack(split: Split, folder: Path, name: str, *, fit: str, resize: int) -> Pixels:
    """Return a split's pixels, decoding them the first time.

    The pack lies in a folder of its own, which appears whole or not at all; a pack of other
    images, or of images that changed since, is never used.

    Args:
        split: N images.
        folder: where packs are kept.
        name: of the dataset.
        fit: "squash" (to a square, aspect lost) or "centre" (shorter side, then centre crop).
        resize: pixels of a side; 0 keeps the images as they are, which must be of one size.

    Returns:
        (N, 3, H, W) uint8, memory-mapped, read-only.

    Raises:
        DataError: an image that cannot be read, or sizes that differ where `resize` is 0.
        StoreError: the folder cannot be written or has no room, or a pack in it is torn.
    """
    made_from = _made_from(split, fit, resize)
    digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:12]
    slug = "".join(c if c.isalnum() or c in "_.-" else "_" for c in f"{name}-{split.name}")
    home = folder / f"{slug}-{resize or 'native'}-{digest}"
    lock = folder / f".{home.name}.lock"  # else two processes decode the same images
    if not (home / "manifest.json").exists() or lock.exists():  # by a process that was killed
        with alone(lock):
            _make(split, home, made_from, _fitting(fit, resize))
    return _read(home)


def _make(
    split: Split,
    home: Path,
    made_from: dict[str, object],
    fitting: Callable[[Image.Image], Image.Image],
) -> None:
    for left in home.parent.glob(f"{home.name}.*.part"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    if (home / "manifest.json").exists():
        return
    try:
        _write(split, home, made_from, fitting)
    except OSError as error:
        raise unwritable(home, error) from error


def _made_from(split: Split, fit: str, resize: int) -> dict[str, object]:
    ids = hashlib.sha256("\n".join(split.ids).encode()).hexdigest()
    return {
        "ids": ids,
        "images": split.images.signature(),
        "fit": fit,
        "resize": resize,
        "layout": "N3HW",
        **({"rule": "torchvision"} if fit == "centre" and resize else {}),
    }


def _fitting(fit: str, resize: int) -> Callable[[Image.Image], Image.Image]:
    if not resize:
        return lambda image: image
    if fit == "squash":
        return lambda image: image.resize((resize, resize), Image.Resampling.BILINEAR)
    return lambda image: _centre(image, resize)


def _centre(image: Image.Image, resize: int) -> Image.Image:
    """Resize the shorter side and cut the middle, as torchvision's weights expect it."""
    width, height = image.size
    short = min(width, height)
    wide, tall = resize * width // short, resize * height // short
    left, top = round((wide - resize) / 2), round((tall - resize) / 2)
    resized = image.resize((wide, tall), Image.Resampling.BILINEAR)
    return resized.crop((left, top, left + resize, top + resize))


def _write(
    split: Split,
    home: Path,
    made_from: dict[str, object],
    fitting: Callable[[Image.Image], Image.Image],
) -> None:
    draft = home.with_name(f"{home.name}.{os.getpid()}.part")
    draft.mkdir(parents=True, exist_ok=True)
    try:
        width, height = fitting(split.images[0]).size
        shape = (len(split), 3, height, width)
        pixels = _blank(draft / "pixels.npy", shape)
        _decode(split, pixels, fitting)
        pixels.flush()
        manifest = {**made_from, "shape": list(shape)}
        (draft / "manifest.json").write_text(json.dumps(manifest, indent=2), encoding="utf-8")
        shutil.rmtree(home, ignore_errors=True)  # what an unfinished write left
        draft.rename(home)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _blank(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[np.uint8]]:
    """Return a new memory-mapped file with room for all its pixels.

    A page of a sparse file that the disk has no room for ends the process (SIGBUS), so the room is
    taken before: then a full disk is an OSError.
    """
    pixels = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    with path.open("r+b") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        elif pixels.nbytes > shutil.disk_usage(path.parent).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return pixels


def _decode(split: Split, pixels: Pixels, fitting: Callable[[Image.Image], Image.Image]) -> None:
    def fill(start: int) -> int:
        stop = min(start + CHUNK, len(split))
        for row in range(start, stop):
            pixels[row] = _channels_first(fitting(split.images[row]), pixels.shape, split.ids[row])
        return stop - start

    with (
        Bar(f"packing {split.name}", len(split)) as bar,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for n in pool.map(fill, range(0, len(split), CHUNK)):
            bar.advance(n)


def _channels_first(image: Image.Image, shape: tuple[int, ...], name: str) -> Pixels:
    array = np.asarray(image)
    if array.shape != (shape[2], shape[3], 3):
        raise DataError(
            f"{name}: expected {shape[3]} x {shape[2]} pixels like the first image, found"
            f" {image.width} x {image.height}; set resize to bring all to one size"
        )
    first: Pixels = array.transpose(2, 0, 1)
    return first


def _read(home: Path) -> Pixels:
    try:
        shape = json.loads((home / "manifest.json").read_text(encoding="utf-8"))["shape"]
        pixels: Pixels = np.load(home / "pixels.npy", mmap_mode="r")
    except (OSError, ValueError, KeyError, TypeError) as error:
        found = " ".join(str(error).split())
        raise StoreError(
            f"{home}: expected a whole pack, found: {found}; delete this folder"
        ) from error
    if list(pixels.shape) != shape:
        raise StoreError(
            f"{home}: expected {shape}, found {list(pixels.shape)}; delete this folder"
        )
    return pixels
