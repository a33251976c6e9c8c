"""What a tar holds in the form of WebDataset: samples, of files that share a name up to its dot."""

import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np

from dml_bench.data.addresses import needed, unreadable
from dml_bench.data.listed import NUMBER
from dml_bench.errors import DataError
from dml_bench.text import shown
from dml_bench.types import NO_LABEL, Ints

PICTURES = frozenset(("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm"))
LABELS = ("cls", "json")
SMALL = 1 << 20  # bytes of a file that says a label
META = re.compile(r"__[^/]*__($|/)")
END = bytes(tarfile.BLOCKSIZE)


@dataclass(frozen=True)
class Contents:
    """The N samples of one tar, without their pixels.

    Args:
        keys: N names, each file's path up to its first dot.
        labels: (N,) int64 class ids.
        starts: (N,) int64, where in the tar a sample's image begins.
        sizes: (N,) int64, how many bytes it has.
        names: class id -> the name that a person reads.
    """

    keys: tuple[str, ...]
    labels: Ints
    starts: Ints
    sizes: Ints
    names: Mapping[int, str]


@dataclass
class _Sample:
    key: str
    picture: tarfile.TarInfo | None = None
    said: dict[str, bytes] = field(default_factory=dict)


def contents(file: IO[bytes], address: str) -> Contents:
    """Read a tar once from beginning to end, past its pixels.

    Args:
        file: the tar, not compressed; it can be sought in.
        address: what an error calls it.

    Returns:
        Its samples, in the tar's order.

    Raises:
        DataError: it is torn or no tar; a sample without an image or label, or two of them; a key
            that comes twice.
    """
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            samples = list(_samples(tar, address))
            file.seek(tar.offset)
            ended = file.read(len(END)) == END
    except DataError:
        raise
    except tarfile.TarError as error:
        raise _torn(address, shown(error)) from None
    except Exception as error:  # each file system has errors of its own
        raise unreadable(address, error) from error
    if not ended:
        raise _torn(address, "no end")
    return _gathered(samples, address)


def _torn(address: str, found: str) -> DataError:
    return DataError(
        f"{address}: expected a whole tar that is not compressed, found: {found}; bring it anew"
    )


def _samples(tar: tarfile.TarFile, address: str) -> Iterator[_Sample]:
    """Yield a tar's samples: files with the same key, one after the other."""
    split = needed("webdataset.tariterators").base_plus_ext
    now = None
    for member in tar:
        key, ending = split(member.name.removeprefix("./"))
        if not member.isreg() or key is None or META.match(member.name):
            continue
        if now is None or key != now.key:
            if now:
                yield now
            now = _Sample(key)
        _take(tar, member, now, ending.lower(), address)
    if now:
        yield now


def _take(
    tar: tarfile.TarFile, member: tarfile.TarInfo, sample: _Sample, ending: str, address: str
) -> None:
    """Put one file to its sample: where an image lies, what a label says."""
    if ending in PICTURES:
        if sample.picture or member.issparse():
            raise _sample_error(address, sample.key, "one whole image", f"'{shown(member.name)}'")
        sample.picture = member
    if ending in LABELS:
        opened = tar.extractfile(member)
        if ending in sample.said or member.size > SMALL or opened is None:
            raise _sample_error(address, sample.key, "one label", f"'{shown(member.name)}'")
        sample.said[ending] = opened.read()


def _gathered(samples: list[_Sample], address: str) -> Contents:
    if not samples:
        raise DataError(
            f"{address}: expected samples of an image and a label (a/1.jpg, a/1.cls), found none;"
            " correct the address"
        )
    keys = tuple(sample.key for sample in samples)
    if len(set(keys)) != len(keys):
        twice = Counter(keys).most_common(1)[0][0]
        raise _sample_error(address, twice, "a key's files one after the other", "it twice")
    names: dict[int, str] = {}
    places, labels = [], []
    for sample in samples:
        if sample.picture is None:
            raise _sample_error(address, sample.key, "an image (.jpg, .png, ...)", "none")
        places.append((sample.picture.offset_data, sample.picture.size))
        label, name = _label(sample, address)
        labels.append(label)
        if name and names.setdefault(label, name) != name:
            raise _sample_error(address, sample.key, f"class_name '{names[label]}'", f"'{name}'")
    starts, sizes = np.array(places, np.int64).T
    return Contents(keys, np.array(labels, np.int64), starts, sizes, names)


def _label(sample: _Sample, address: str) -> tuple[int, str]:
    """Return the label of a sample, and its class's name or ""."""
    said = _object(sample.said["json"]) if "json" in sample.said else {}
    found = said.get("label")
    if "cls" in sample.said:
        text = sample.said["cls"].decode("utf-8", "replace")
        found = int(text) if NUMBER.fullmatch(text) else shown(text)
    if found is None:
        raise _sample_error(address, sample.key, 'a label (.cls, or "label" in .json)', "none")
    if type(found) is not int or not NO_LABEL < found < 2**63:
        raise _sample_error(
            address, sample.key, "a whole number of 64 bits as label", f"'{shown(found)}'"
        )
    name = said.get("class_name")
    return found, name if isinstance(name, str) else ""


def _object(text: bytes) -> dict[str, Any]:
    """Return what a JSON file says; a bare number is a label."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {"label": shown(text.decode("utf-8", "replace"))}
    return said if isinstance(said, dict) else {"label": said}


def _sample_error(address: str, key: str, wanted: str, found: str) -> DataError:
    return DataError(
        f"{address}: sample '{shown(key)}': expected {wanted}, found {found}; correct the shard"
    )
