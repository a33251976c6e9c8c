"""How CIFAR-10 and CIFAR-100 are kept: pickled arrays of 32 x 32 pixels.

A pickle can run code; these are read by a reader that knows nothing but arrays and text.
"""

import io
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dml_bench.data.images import Array
from dml_bench.errors import DataError
from dml_bench.types import Split

ARRAYS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("_codecs", "encode"),
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ARRAYS:
            raise pickle.UnpicklingError(f"{module}.{name}, which no array needs")
        return super().find_class(module, name)


def read(path: Path) -> Mapping[str, Any]:
    """Return what a batch file holds, by name.

    Raises:
        DataError: it is no such file, or asks for more than arrays and text.
    """
    try:
        said = _Reader(io.BytesIO(path.read_bytes()), encoding="bytes").load()
        return {key.decode(): value for key, value in said.items()}
    except (OSError, pickle.UnpicklingError, EOFError, AttributeError, ValueError) as error:
        raise DataError(
            f"{path}: expected a batch of CIFAR, found: {error}; fetch it anew"
        ) from error


def split(name: str, paths: Sequence[Path], key: str, class_names: Sequence[bytes]) -> Split:
    """Return the images of batch files, in their order.

    Args:
        name: of the split.
        paths: the batch files.
        key: what they call their labels.
        class_names: by class id.

    Raises:
        DataError: a file that is no batch, or whose images and labels differ in number.
    """
    batches = [read(path) for path in paths]
    for path, batch in zip(paths, batches, strict=True):
        if not {"data", key} <= batch.keys() or np.shape(batch["data"])[1:] != (3072,):
            raise DataError(f"{path}: expected rows of 3,072 and {key}, found others; fetch anew")
    pixels = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([batch[key] for batch in batches]).astype(np.int64)
    return Split(
        name,
        Array(np.ascontiguousarray(pixels.transpose(0, 2, 3, 1), np.uint8)),
        labels,
        tuple(f"{name}/{n:05}" for n in range(len(pixels))),
        {n: text.decode() for n, text in enumerate(class_names)},
    )
