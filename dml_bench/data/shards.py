"""Datasets in shards: an index of what lies where in each tar, made once.

The index lies in the dataset's folder, a file a shard: who is stopped goes on with the next shard.
A shard that changed is looked through anew.
"""

import hashlib
import json
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dml_bench.atomic import atomic_file
from dml_bench.data.addresses import Place, addresses
from dml_bench.data.disk import writing
from dml_bench.data.members import Members, Shard
from dml_bench.data.tars import Contents, contents
from dml_bench.errors import DataError, StoreError
from dml_bench.locks import alone
from dml_bench.progress import Bar
from dml_bench.types import Split

FORM = "1"  # of an index file; another one is made anew
THREADS = 8


def read_split(name: str, pattern: str, folder: Path, cap: int | None = None) -> Split:
    """Return a split whose images lie in shards; their order is that of the shards.

    Args:
        name: of the split.
        pattern: a path below the folder or an address, with braces for many.
        folder: of the dataset; the index is kept in it.
        cap: bytes of them that are held at most (`data.ahead`); a share of the memory if None.

    Raises:
        DataError: a shard that is missing, torn or out of reach; a sample that is not whole; a key
            that comes twice.
    """
    found = index(pattern, folder)
    keys = [key for shard in found for key in shard.held.keys]
    if len(set(keys)) != len(keys):
        twice = Counter(keys).most_common(1)[0][0]
        where = [shard.place.address for shard in found if twice in shard.held.keys]
        raise DataError(
            f"{where[1]}: sample '{twice}': expected each key in one shard, found it in {where[0]},"
            " too; rename one"
        )
    labels = np.concatenate([shard.held.labels for shard in found])
    return Split(name, Members(found, cap), labels, tuple(keys), _names(found))


def _names(shards: Sequence[Shard]) -> dict[int, str]:
    names: dict[int, str] = {}
    for shard in shards:
        for label, name in shard.held.names.items():
            if names.setdefault(label, name) != name:
                raise DataError(
                    f"{shard.place.address}: expected class {label} to be '{names[label]}' as"
                    f" before, found '{name}'; correct the shard"
                )
    return names


def index(pattern: str, folder: Path) -> list[Shard]:
    """Return what each shard holds, from the index where that is there and true."""
    named = addresses(pattern, folder)
    home = folder / "index"
    with ThreadPoolExecutor(THREADS) as pool:
        places = [Place(address) for address in named.values()]
        marks = [f"{FORM}; {about}" for _, about in pool.map(Place.about, places)]
        files = [home / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.npz" for name in named]
        jobs = list(zip(files, places, marks, strict=True))
        kept = [_kept(file, mark) for file, _, mark in jobs]
        held = [one for one in kept if one is not None]
        if len(held) < len(kept):
            held = _completed(jobs, kept, home, pool)
    return [Shard(*about) for about in zip(places, marks, held, strict=True)]


Job = tuple[Path, Place, str]


def _completed(
    jobs: Sequence[Job], known: Sequence[Contents | None], home: Path, pool: ThreadPoolExecutor
) -> list[Contents]:
    """Look through the shards that no index is there of, one process at a time.

    Index files are read in one thread: a NumPy header is parsed as Python, and where two threads
    parse at a time CPython 3.11 may raise SystemError (python/cpython#106905).
    """

    def look(job: Job) -> Contents:
        file, place, mark = job
        with place.open() as opened:
            found = contents(opened, place.address)
        _keep(file, mark, found)
        return found

    try:
        with writing(home), alone(home / ".lock"), Bar("indexing shards", len(jobs)) as bar:
            kept = [  # another process may have been here
                _kept(file, mark) if one is None else one
                for one, (file, _, mark) in zip(known, jobs, strict=True)
            ]
            missing = [job for job, one in zip(jobs, kept, strict=True) if one is None]
            looked = pool.map(look, missing)
            whole: list[Contents] = []
            for one in kept:
                whole.append(next(looked) if one is None else one)
                bar.advance()
    except StoreError as error:
        raise DataError(str(error).replace("--results", "--data-root")) from error
    return whole


def _keep(file: Path, mark: str, held: Contents) -> None:
    names = {str(label): name for label, name in held.names.items()}
    with atomic_file(file) as opened:
        np.savez(
            opened,
            mark=_bytes(mark),
            keys=_bytes(held.keys),
            names=_bytes(names),
            labels=held.labels,
            starts=held.starts,
            sizes=held.sizes,
        )


def _bytes(value: Any) -> npt.NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def _kept(file: Path, mark: str) -> Contents | None:
    """Return what an index file says, if it is whole and of the shard that is there now."""
    try:
        with np.load(file, allow_pickle=False) as saved:
            read = {name: saved[name] for name in saved.files}
        texts = {name: json.loads(read[name].tobytes()) for name in ("mark", "keys", "names")}
        if texts["mark"] != mark:
            return None
        names: Mapping[int, str] = {int(label): name for label, name in texts["names"].items()}
        labels, starts, sizes = (
            np.asarray(read[name], np.int64) for name in ("labels", "starts", "sizes")
        )
        return Contents(tuple(texts["keys"]), labels, starts, sizes, names)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
