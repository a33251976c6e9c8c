"""Packing: JPEG files to one array of pixels."""

import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import pictures
from benchmarks.cases import Case, Done, Work
from dml_bench.data.pack import pack

N, WIDTH, HEIGHT, SIDE = 1200, 523, 500, 256


def _ours(work: Work) -> Done:
    with tempfile.TemporaryDirectory() as folder:
        n = 20 if work.small else N
        split = pictures.split(
            pictures.Files(pictures.photographs(Path(folder), n, WIDTH, HEIGHT)), 2
        )
        begun = time.perf_counter()
        pack(split, Path(folder) / "packs", "drawn", fit="squash", resize=SIDE)
        return Done(n, time.perf_counter() - begun)


def _theirs(work: Work) -> Done:
    with tempfile.TemporaryDirectory() as folder:
        n = 20 if work.small else N
        paths = pictures.photographs(Path(folder), n, WIDTH, HEIGHT)
        begun = time.perf_counter()
        pixels = np.empty((n, 3, SIDE, SIDE), np.uint8)
        for row, path in enumerate(paths):
            image = Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            pixels[row] = np.asarray(image).transpose(2, 0, 1)
        np.save(Path(folder) / "pixels.npy", pixels)
        return Done(n, time.perf_counter() - begun)


CASES = (
    Case(
        "pack",
        f"JPEG files of {WIDTH} x {HEIGHT} to {SIDE} px",
        "images",
        "one PIL thread, the same pixels",
        1.8,
        _ours,
        _theirs,
    ),
)
