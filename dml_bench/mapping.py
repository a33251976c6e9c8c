"""Large arrays that stay in the file that they are in: pages of it are read when they are used."""

import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

MAPPED = 1 << 24  # bytes: a smaller array is read
KINDS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4"}


def of_npz(path: Path) -> dict[str, Array]:
    """Return the arrays of an .npz; large ones that are not compressed stay in it.

    Every byte is read once, against the file's checksums. Pickled objects are refused.

    Raises:
        Exception: of whatever kind zipfile and NumPy raise on damage, or on what is no array.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "mine.npz")
        >>> np.savez(file, vectors=np.eye(2048))
        >>> type(of_npz(file)["vectors"]).__name__
        'memmap'
    """
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            one = file.read(6) == b"\x93NUMPY"
        raise ValueError("one array of numpy.save" if one else "no whole archive of numpy.savez")
    with np.load(path, allow_pickle=False) as saved, zipfile.ZipFile(path) as archive:
        there = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        return {
            name: _array(saved, name)
            if (kept := _member(path, archive, there[name])) is None
            else kept
            for name in saved.files
        }


def _array(saved: Any, name: str) -> Array:
    """Return an array of an archive, where NumPy gives the bytes of any other file in it."""
    if isinstance(found := saved[name], bytes):
        raise ValueError(f"{name} is no .npy file")
    return np.asarray(found)


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array | None:
    """Return an array of an archive where it lies; None where that cannot be."""
    if info.compress_type != zipfile.ZIP_STORED or info.file_size < MAPPED:
        return None
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            return None
        read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
        shape, by_columns, dtype = read[version[0]](file)
        header = file.tell()
        if dtype.hasobject or info.file_size != header + dtype.itemsize * math.prod(shape):
            return None
        while file.read(1 << 20):  # to the end, where the checksum is compared
            pass
    with path.open("rb") as whole:
        whole.seek(info.header_offset + 26)
        before = sum(int.from_bytes(whole.read(2), "little") for _ in ("name", "extra"))
    offset = info.header_offset + 30 + before + header
    return np.memmap(path, dtype, "r", offset, shape, "F" if by_columns else "C")


def of_safetensors(path: Path) -> Mapping[str, Array]:
    """Return the arrays of a .safetensors file; large ones stay in it, bfloat16 becomes float32.

    Raises:
        Exception: of whatever kind safetensors raises on damage.
    """
    import torch
    from safetensors import safe_open

    with safe_open(path, framework="pt") as saved, path.open("rb") as file:  # checks the offsets
        length = int.from_bytes(file.read(8), "little")
        there = json.loads(file.read(length))
        found = {}
        for name in saved.keys():  # noqa: SIM118
            first, last = there[name]["data_offsets"]
            if (kind := KINDS.get(there[name]["dtype"])) and last - first >= MAPPED:
                found[name] = np.memmap(
                    path, kind, "r", 8 + length + first, tuple(there[name]["shape"])
                )
            else:
                tensor = saved.get_tensor(name)  # NumPy has no bfloat16
                found[name] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
        return found
