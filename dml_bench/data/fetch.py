"""Bring a built-in dataset, and verify what is there."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dml_bench.data import DATASETS, load, places
from dml_bench.data.disk import MEGABYTE, be_room, writing
from dml_bench.data.download import download, verify
from dml_bench.data.origin import Archive, Origin
from dml_bench.data.unpack import unpack
from dml_bench.errors import DataError
from dml_bench.progress import Bar
from dml_bench.types import Dataset, Split

Say = Callable[[str], None]
ENDINGS = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")


def fetch(name: str, root: Path, *, say: Say) -> Dataset:
    """Bring a dataset to the data root, if it is not there, and read it.

    An archive that a person put into the dataset's folder is used as it is. What was fetched in
    part is gone on with. Nothing is unpacked before its digest is verified.

    Args:
        name: of a built-in dataset, or of a folder with a `dataset.toml`.
        root: the data root.
        say: tells a person what happens; licence and size come first.

    Returns:
        The dataset, its counts and files checked.

    Raises:
        UnknownNameError: no such dataset.
        DataError: it cannot be fetched, or is not what it should be; for a dataset without a public
            address the steps to get it are said first.
    """
    if name in DATASETS:
        place = getattr(DATASETS[name], "FOLDER", name)
        with writing(root / place):
            _bring(name, place, DATASETS[name].ORIGIN, root, say)
    dataset = load(name, root)
    say(summary(dataset))
    return dataset


def check(name: str, root: Path, *, say: Say) -> Dataset:
    """Verify a dataset that is there: archives' digests, counts, and that every image decodes.

    Args:
        name: of a dataset.
        root: the data root.
        say: tells a person what happens.

    Raises:
        UnknownNameError: no such dataset.
        DataError: what is wrong; of images that do not decode, how many and the first.
    """
    if name in DATASETS:
        folder = root / getattr(DATASETS[name], "FOLDER", name)
        for archive in DATASETS[name].ORIGIN.archives:
            _check_archive(folder / archive.file, archive, say)
    dataset = load(name, root)
    parts = {id(s): s for s in (dataset.train, dataset.query, dataset.gallery)}
    broken = [line for part in parts.values() for line in _broken(part)]
    if broken:
        raise DataError(
            f"{name}: expected images that decode, found {len(broken)} broken: {broken[0]}"
        )
    say(f"{summary(dataset)}; every image decodes")
    return dataset


def summary(dataset: Dataset) -> str:
    """Return a line with a dataset's counts and fingerprint."""
    train, test = dataset.train, dataset.query
    return (
        f"{dataset.name}: train {len(train):,} images in {len(train.classes):,} classes, test"
        f" {len(test):,} in {len(test.classes):,}, fingerprint {dataset.fingerprint}"
    )


def _bring(name: str, place: str, origin: Origin, root: Path, say: Say) -> None:
    if not origin.needs:  # drawn here
        return
    folder = root / place
    say(f"{origin.title}\nlicence: {origin.licence}\nsource: {origin.source}\n{origin.homepage}")
    if places.present(place, root, origin):
        say(f"there already: {folder}")
        return
    if not _unpack_known(folder, origin, say):
        _fetch_archives(folder, origin.archives, say)
    if not places.present(place, root, origin):
        for step in origin.steps:
            say(step)
        do = "put it there as said above, and call this again"
        if not origin.steps:
            do = f"delete what is in {folder}, and call this again"
        raise places.absent(place, root, origin, do)


def _fetch_archives(folder: Path, archives: tuple[Archive, ...], say: Say) -> None:
    if archives:
        size = sum(archive.megabytes for archive in archives)
        say(f"about {size:,} MB to fetch, and as much again unpacked, in {folder}")
        folder.mkdir(parents=True, exist_ok=True)
        be_room(folder, sum(_to_write(archive, folder) for archive in archives))
    paths = [download(archive, folder, say=say) for archive in archives]
    for path, archive in zip(paths, archives, strict=True):
        if archive.unpack:
            unpack(path, folder, say=say)


def _to_write(archive: Archive, folder: Path) -> int:
    """Return about how many bytes an archive still takes: what is to come, and it unpacked."""
    files = (folder / archive.file, folder / f"{archive.file}.part")
    there = sum(path.stat().st_size for path in files if path.is_file())
    whole = archive.megabytes * MEGABYTE
    return max(0, whole - there) + whole * archive.unpack


def _unpack_known(folder: Path, origin: Origin, say: Say) -> bool:
    """Unpack the archives without a digest that a person brought; return whether there were any.

    Those with the names in circulation come first, in their order, then those by other names.
    """
    known = [folder / name for name in origin.known]
    others = sorted(folder.glob("*")) if known else []
    known += [p for p in others if p.name.endswith(ENDINGS) and p not in known]
    brought = [path for path in known if path.is_file()]
    for path in brought:
        say(f"{path.name}: no digest is known; unpacking it with care")
        unpack(path, folder, say=say)
    return bool(brought)


def _check_archive(path: Path, archive: Archive, say: Say) -> None:
    if not path.is_file():
        say(f"{archive.file}: not kept, so not checked")
        return
    found = verify(path, archive.digest)
    if found:
        raise DataError(
            f"{path}: expected {archive.digest}, found {found}; delete it, and fetch it anew"
        )
    say(f"{archive.file}: {archive.digest} holds")


def _broken(split: Split) -> list[str]:
    """Return a line for each image that does not decode."""

    def look(row: int) -> str:
        try:
            split.images[row]
        except DataError as error:
            return str(error)
        return ""

    with (
        Bar(f"checking {split.name}", len(split)) as bar,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        found = []
        for line in pool.map(look, range(len(split))):
            bar.advance()
            found.append(line)
    return [line for line in found if line]
