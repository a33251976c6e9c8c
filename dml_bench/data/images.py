"""Where the pictures of a split come from: files, or one array."""

import hashlib
import os
import struct
import warnings
import zlib
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from dml_bench.errors import DataError
from dml_bench.types import Images, Ints
from dml_bench.types.data import sizes

BROKEN = (
    *(OSError, ValueError, SyntaxError, EOFError, TypeError, KeyError, IndexError),
    *(AttributeError, OverflowError, MemoryError, NotImplementedError, struct.error, zlib.error),
    *(Image.DecompressionBombError, Image.DecompressionBombWarning),
)
"""What Pillow raises for a file that is no image, only a part of one, or larger than can be."""
LARGEST = 89_478_485
"""Pixels of an image: a quarter of a gigabyte of three bytes, where Pillow warns of a bomb."""
LONGEST = 1024
"""How much longer than wide an image may be: resized, a strip would grow beyond memory."""
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # refused here


class Files:
    """N image files below a folder, in any mode; read as RGB, turned as their EXIF says.

    Args:
        root: the folder.
        paths: N paths below it, with "/" between their parts.

    Raises:
        DataError: a path that leaves the folder, or a file that is not there.
    """

    def __init__(self, root: Path, paths: Sequence[str]) -> None:
        self.root, self.paths = root, tuple(paths)
        _stay_inside(root, self.paths)
        _be_there(root, self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int, /) -> Image.Image:
        path = self.root / self.paths[index]
        return decoded(path, str(path), "bring the file")

    @cached_property
    def sizes(self) -> Ints:
        """(N,) the bytes that each image takes, wherever it lies."""
        return np.array([self._about(path).st_size for path in self.paths], np.int64)

    def signature(self) -> str:
        """Return a hash of the paths, sizes and times."""
        digest = hashlib.sha256()
        for path in self.paths:
            about = self._about(path)
            digest.update(f"{path}\t{about.st_size}\t{about.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    def _about(self, path: str) -> os.stat_result:
        try:
            return (self.root / path).stat()
        except OSError as error:  # a link that leads nowhere
            raise DataError(
                f"{self.root / path}: expected an image, found: {error.strerror}; bring the file"
                " anew"
            ) from error


class Array:
    """N images of one size.

    Args:
        pixels: (N, H, W, 3) uint8; may be memory-mapped.
        mark: what changes when the pixels may have changed; their own bytes where it is empty.
    """

    def __init__(self, pixels: npt.NDArray[np.uint8], mark: str = "") -> None:
        self.pixels, self.mark = pixels, mark

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int, /) -> Image.Image:
        return Image.fromarray(np.ascontiguousarray(self.pixels[index]))

    def signature(self) -> str:
        """Return a hash of the bytes, or the mark."""
        return self.mark or hashlib.sha256(np.ascontiguousarray(self.pixels).data).hexdigest()


class Chosen:
    """Some of other images, in an order of their own.

    Args:
        images: N images.
        rows: (M,) which of them.
    """

    def __init__(self, images: Images, rows: Ints) -> None:
        self.images, self.rows = images, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int, /) -> Image.Image:
        return self.images[int(self.rows[index])]

    @property
    def sizes(self) -> Ints | None:
        """(M,) the bytes that each image takes; None where it is in no file of its own."""
        all_of_them = sizes(self.images)
        return None if all_of_them is None else all_of_them[self.rows]

    def signature(self) -> str:
        """Return a hash of the rows and of what they are chosen from."""
        digest = hashlib.sha256(self.images.signature().encode())
        digest.update(np.ascontiguousarray(self.rows).data)
        return digest.hexdigest()


class Joined:
    """Several sequences of images, one after the other."""

    def __init__(self, parts: Sequence[Images]) -> None:
        self.parts = tuple(parts)
        self.ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, index: int, /) -> Image.Image:
        part = int(np.searchsorted(self.ends, index, side="right"))
        return self.parts[part][index - int(self.ends[part]) + len(self.parts[part])]

    @property
    def sizes(self) -> Ints | None:
        """(N,) the bytes that each image takes; None where one is in no file of its own."""
        found = [of for part in self.parts if (of := sizes(part)) is not None]
        return np.concatenate(found) if len(found) == len(self.parts) else None

    def signature(self) -> str:
        """Return a hash of the parts' signatures."""
        return hashlib.sha256("\n".join(p.signature() for p in self.parts).encode()).hexdigest()


def decoded(file: Path | IO[bytes], name: str, do: str) -> Image.Image:
    """Return an image file's picture as RGB, turned as its EXIF says.

    Args:
        file: its path, or it, opened.
        name: what an error calls it.
        do: what an error says to do, anew.

    Raises:
        DataError: it is no image, a part of one, or larger than can be.
    """
    try:
        with Image.open(file) as image:
            _be_of_reason(image.width, image.height)
            return to_rgb(ImageOps.exif_transpose(image))
    except BROKEN as error:
        raise DataError(
            f"{name}: expected an image, found: {error or type(error).__name__}; {do} anew"
        ) from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an image of 8 bits a channel and three channels, whatever it was.

    Gray is repeated, a palette looked up, 16 bits become their upper 8, transparency is dropped.

    Raises:
        ValueError: pixels that are floating-point numbers: what is white is not said.
    """
    if image.mode == "F":
        raise ValueError("floating-point pixels, where 8 or 16 bits are read")
    if image.mode.startswith("I"):
        upper = np.asarray(image).astype(np.int64) >> 8
        return Image.fromarray(upper.clip(0, 255).astype(np.uint8)).convert("RGB")
    if "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def _be_of_reason(width: int, height: int) -> None:
    """Refuse, before a pixel is decoded, an image that would take all memory."""
    if width * height > LARGEST or max(width, height) > LONGEST * min(width, height):
        raise ValueError(f"{width:,} x {height:,} pixels, which is beyond reason")


def _stay_inside(root: Path, paths: Sequence[str]) -> None:
    for path in paths:
        pure = PurePosixPath(path)
        if not path or pure.is_absolute() or ".." in pure.parts or "\0" in path:
            raise DataError(
                f"{root.name}: expected paths inside the dataset's folder, found '{path}';"
                " list files by their path below it"
            )


def _be_there(root: Path, paths: Sequence[str]) -> None:
    """Look into each folder once; a stat a file takes minutes on a network disk."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        folder, _, name = path.rpartition("/")
        wanted[folder].append(name)
    missing = [
        f"{folder}/{name}".lstrip("/")
        for folder, names in wanted.items()
        for name in sorted(set(names) - _names(root / folder))
    ]
    if missing:
        raise DataError(
            f"{root.name}: expected {len(set(paths))} listed images, found {len(missing)} missing"
            f" (first: {missing[0]}){_hint(root)}"
        )


def _names(folder: Path) -> set[str]:
    return set(os.listdir(folder)) if folder.is_dir() else set()


def _hint(root: Path) -> str:
    archives = sorted(p.name for p in root.glob("*") if p.suffix in (".tar", ".tgz", ".gz", ".zip"))
    if archives:
        return f"; unpack {archives[0]} in {root} first"
    return f"; bring the files to {root}, or correct the listing"
