"""Images decoded once: a split as one memory-mapped uint8 array."""

import errno
import hashlib
import io
import json
import math
import os
import shutil
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from dml_bench.atomic import unwritable
from dml_bench.errors import BenchError, DataError, StoreError
from dml_bench.locks import alone
from dml_bench.progress import Bar
from dml_bench.types import Split

Pixels = npt.NDArray[np.uint8]
CHUNK = 16  # images that a core decodes at a time
AHEAD = 2 * (os.cpu_count() or 1)  # chunks that are decoded before they are written


def pack(split: Split, folder: Path, name: str, *, fit: str, resize: int) -> Pixels:
    """Return a split's pixels, decoding them the first time.

    The pack lies in a folder of its own, which appears whole or not at all; a pack of other
    images, or of images that changed since, is never used. A process that is killed leaves what
    it decoded, and the next one goes on from there.

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
            _make(split, home, made_from, fitting(fit, resize))
    return _read(home)


def _make(
    split: Split,
    home: Path,
    made_from: dict[str, object],
    fitting: Callable[[Image.Image], Image.Image],
) -> None:
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


def fitting(fit: str, resize: int) -> Callable[[Image.Image], Image.Image]:
    """Return what brings an image to `resize` pixels; nothing where it is 0 (see `pack`)."""
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
    draft = home.with_name(f"{home.name}.part")
    draft.mkdir(parents=True, exist_ok=True)
    try:
        width, height = fitting(split.images[0]).size
        shape = (len(split), 3, height, width)
        with (draft / "pixels.npy").open("ab") as file:
            _decode(split, file, shape, fitting)
        manifest = {**made_from, "shape": list(shape)}
        (draft / "manifest.json").write_text(json.dumps(manifest, indent=2), encoding="utf-8")
        shutil.rmtree(home, ignore_errors=True)  # what an unfinished write left
        draft.rename(home)
    except (BenchError, OSError):  # of a process that was killed, what it decoded is kept
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _decode(
    split: Split,
    file: BinaryIO,
    shape: tuple[int, ...],
    fitting: Callable[[Image.Image], Image.Image],
) -> None:
    """Append a split's pixels to a `.npy` file, in order, from the first image that it lacks.

    The cores decode and one thread writes: how long the file is says how far it is, and a full
    disk is an OSError (a page of a memory-mapped file without room would end the process).
    """

    def chunk(start: int) -> Pixels:
        rows = range(start, min(start + CHUNK, len(split)))
        pixels = np.empty((len(rows), *shape[1:]), np.uint8)
        several = getattr(split.images, "several", lambda rows: map(split.images.__getitem__, rows))
        for place, image in enumerate(several(rows)):
            pixels[place] = channels_first(fitting(image), shape, split.ids[rows[place]])
        return pixels

    done = _whole(file, shape)
    _check_room(file, (len(split) - done) * math.prod(shape[1:]))
    with (
        Bar(f"packing {split.name}", len(split), done) as bar,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        starts = iter(range(done, len(split), CHUNK))
        ahead = deque(pool.submit(chunk, start) for start in islice(starts, AHEAD))
        while ahead:
            pixels = ahead.popleft().result()
            ahead.extend(pool.submit(chunk, start) for start in islice(starts, 1))
            file.write(pixels.data)
            bar.advance(len(pixels))


def _whole(file: BinaryIO, shape: tuple[int, ...]) -> int:
    """Return how many whole images a draft holds; what follows them is cut off."""
    header = io.BytesIO()
    kind = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, kind)
    start, size = header.tell(), math.prod(shape[1:])
    done = (file.tell() - start) // size
    if done < 0:  # not even the header
        file.truncate(0)
        file.write(header.getvalue())
        return 0
    file.truncate(start + done * size)
    return done


def _check_room(file: BinaryIO, count: int) -> None:
    """Refuse to begin what the disk has no room for: else it would be seen after an hour."""
    if count > shutil.disk_usage(Path(file.name).parent).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def channels_first(image: Image.Image, shape: tuple[int, ...], name: str) -> Pixels:
    """Return an image's (3, H, W) uint8 pixels.

    Args:
        image: RGB.
        shape: (N, 3, H, W), of all.
        name: what an error calls it.

    Raises:
        DataError: another size.
    """
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
