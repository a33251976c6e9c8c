"""One process at a time in a folder, and no trace of work that was refused."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from dml_bench.atomic import sweep, unwritable
from dml_bench.errors import BenchError, BusyError


@contextmanager
def alone(lock: Path, *, wait: float = -1.0, notes: Collection[str] = ()) -> Iterator[None]:
    """Hold a lock while the block runs; a process that is killed loses it.

    The file of the lock is there only while somebody holds it, or was killed holding it. Where bad
    input ends the block, the folders that this call made are taken away again, unless something of
    worth lies in them.

    Args:
        lock: the file; its folder is made.
        wait: seconds to wait for another process; below zero waits for ever.
        notes: names of files in the lock's folder that are of no worth by themselves; where some
            are named the folder is this package's own, and counts as made here if it was empty.

    Raises:
        BusyError: another process holds the lock.
        StoreError: nothing can be written there.
    """
    held = FileLock(lock)
    made: list[Path] = []
    try:
        _acquire(held, lock, wait, made)
        if notes and _names(lock.parent) == {lock.name}:  # whoever made it left it to this process
            made[:] = dict.fromkeys((lock.parent, *made))
    except Timeout as error:
        raise BusyError(
            f"{lock.parent.name}: expected to be alone, found another process at work on this"
            " run; wait for it or stop it"
        ) from error
    except OSError as error:
        held.release()
        _unmake(made)
        raise unwritable(lock.parent, error) from error
    try:
        with _released(held, lock):
            try:
                yield
            except BenchError:
                if lock.parent in made:
                    _clear(lock, notes)
                raise
    except BenchError:
        _unmake(made)
        raise


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Be the only process that writes files in a folder, after removing what killed ones left.

    Raises:
        StoreError: nothing can be written there.
    """
    with alone(folder / ".lock"):
        sweep(folder)
        yield


def _acquire(held: FileLock, lock: Path, wait: float, made: list[Path]) -> None:
    """Take a lock, and list the folders made for it, the innermost first.

    Who held it before may take its folder away meanwhile: then it is made anew, by this process.
    """
    for last in (False, False, True):
        try:
            _make(lock.parent, made)
            if not _free(held):
                held.acquire(timeout=wait)
        except FileNotFoundError:
            if last:
                raise
        else:
            return


def _make(folder: Path, made: list[Path]) -> None:
    """Make a folder and those that it lies in, and list what this process made."""
    made[:] = [path for path in made if path.exists()]
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        with suppress(FileExistsError):
            path.mkdir()
            made.insert(0, path)


def _free(held: FileLock) -> bool:
    """Take a lock if nobody holds it; return whether it is held now."""
    with suppress(Timeout):
        held.acquire(timeout=0)
    return held.is_locked


@contextmanager
def _released(held: FileLock, lock: Path) -> Iterator[None]:
    """Remove the file of a lock when the block ends, and release it."""
    try:
        yield
    finally:
        with suppress(OSError):  # while it is held: filelock sees that the file is gone
            lock.unlink()
        held.release()


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _clear(lock: Path, notes: Collection[str]) -> None:
    """Remove the notes beside a lock, unless something of worth lies there, too."""
    with suppress(OSError):
        if _names(lock.parent) <= {lock.name, *notes}:
            for name in notes:
                (lock.parent / name).unlink(missing_ok=True)


def _unmake(made: Iterable[Path]) -> None:
    """Remove folders from the innermost on; one that holds something stays, somebody's lock too."""
    with suppress(OSError):
        for folder in made:
            folder.rmdir()
