"""Where the pictures of a split come from: files, or one array."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from dml_bench.errors import DataError


class Files:
    """N image files below a folder."""

    def __init__(self, root: Path, paths: Sequence[str]) -> None:
        self.root, self.paths = root, tuple(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int, /) -> Image.Image:
        path = self.root / self.paths[index]
        try:
            with Image.open(path) as image:
                return ImageOps.exif_transpose(image).convert("RGB")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DataError(f"{self.paths[index]}: expected an image, found: {error}") from error

    def signature(self) -> str:
        """Return a hash of the paths, sizes and times."""
        digest = hashlib.sha256()
        for path in self.paths:
            about = (self.root / path).stat()
            digest.update(f"{path}\t{about.st_size}\t{about.st_mtime_ns}\n".encode())
        return digest.hexdigest()


class Array:
    """N images of one size, (N, H, W, 3) uint8."""

    def __init__(self, pixels: npt.NDArray[np.uint8]) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int, /) -> Image.Image:
        return Image.fromarray(self.pixels[index])

    def signature(self) -> str:
        """Return a hash of the bytes."""
        return hashlib.sha256(np.ascontiguousarray(self.pixels).data).hexdigest()
