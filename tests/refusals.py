"""How bad input is refused: one line, exit status 2, the file system as it was."""

import io
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from dml_bench.cli import main

TOML = 'name = "mine"\nlisting = "labels.csv"\nprotocol = "unseen"\n'
LISTING = """path,label,class_name,split
a/1.png,1,ant,train
a/2.png,1,ant,train
b/1.png,2,bee,train
b/2.png,2,bee,train
c/1.png,3,cat,test
c/2.png,3,cat,test
"""
NETWORK = ["--set", "backbone=conv4", "--set", "weights=none", "--set", "resize=16"]
NETWORK += ["--set", "crop=16", "--set", "batch=2", "--set", "epochs=1", "--set", "precision=fp32"]
TRAIN = ["train", "--dataset", "mine", "--method", "invaspread", *NETWORK]


@dataclass(frozen=True)
class Case:
    """Something that no command should take.

    Args:
        words: the command; `PLACE` in them is the folder of the test.
        said: what the line has to say.
        arrange: spoils the folder before.
    """

    words: Sequence[str]
    said: str
    arrange: Callable[[Path], object] = lambda place: None


def write_mine(place: Path) -> Path:
    """Six images of three classes."""
    home = place / "data" / "mine"
    for line in LISTING.splitlines()[1:]:
        path = home / line.split(",")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 8), (path.stat().st_ino % 255 if path.exists() else 7, 9, 8)).save(
            path
        )
    (home / "dataset.toml").write_text(TOML)
    (home / "labels.csv").write_text(LISTING)
    return home


def roots(words: Sequence[str], place: Path) -> list[str]:
    """A command's words with the roots that it knows."""
    given = [str(word).replace("PLACE", str(place)) for word in words]
    known = {"fetch": "d", "train": "dr", "evaluate": "dr", "run": "dr", "list": "dr"}
    known |= {"report": "r", "publish": "r", "compare": "r", "explain": "r", "rerun": "dr"}
    which = known.get(given[0], "") if given else ""
    if "d" in which and "--data-root" not in given:
        given += ["--data-root", str(place / "data")]
    if "r" in which and "--results" not in given:
        given += ["--results", str(place / "results")]
    return given


def state(root: Path) -> dict[str, object]:
    """All that lies below a folder: bytes, links, folders."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = os.readlink(path)
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found


def outcome(words: Sequence[str]) -> int:
    try:
        return main(list(words))
    except SystemExit as left:  # argparse
        return int(left.code or 0)


def png(width: int, height: int, mode: int = 2, body: bytes = b"") -> bytes:
    """A PNG file that says that it has so many pixels, and has what `body` is."""
    head = struct.pack(">IIBBBBB", width, height, 8, mode, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(body)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def saved(form: str, mode: str = "RGB", size: tuple[int, int] = (40, 40)) -> bytes:
    """A sound image of noise in a format."""
    buffer = io.BytesIO()
    Image.effect_noise(size, 90).convert(mode).save(buffer, form)
    return buffer.getvalue()


class Trap:
    """An object whose unpickling would write a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (str(self.file), "w"))


def trap(place: Path) -> bytes:
    """A pickle that writes PLACE/sprung if anybody loads it."""
    return pickle.dumps(Trap(place / "sprung"))


def tar(*members: tuple[str, dict[str, object]], form: str = "w:gz") -> bytes:
    """A tar file of members by name and fields."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=form) as file:  # type: ignore[call-overload]
        for name, fields in members:
            info = tarfile.TarInfo(name)
            for field, value in {"size": 1, **fields}.items():
                setattr(info, field, value)
            file.addfile(info, io.BytesIO(b"x" * info.size))
    return buffer.getvalue()


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    """A zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members:
            file.writestr(name, content)
    return buffer.getvalue()
