"""One process at a time in a folder, and no trace of work that was refused."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

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
        notes: names of files in the lock's folder that are of no worth by themselves.

    Raises:
        BusyError: another process holds the lock.
        StoreError: nothing can be written there.
    """
    held = FileLock(lock)
    made: list[Path] = []
    try:
        _acquire(held, lock, wait, made)
    except Timeout as error:
        raise BusyError(
            f"{lock.parent.name}: expected to be alone, found another process at work on this"
            " run; wait for it or stop it"
        ) from error
    except OSError as error:
        _withdraw(lock, made, ())
        raise unwritable(lock.parent, error) from error
    mine = True  # where the folder was withdrawn, another may hold a file of the lock's name
    try:
        yield
    except BenchError:
        mine = not _withdraw(lock, made, notes)
        raise
    finally:
        if mine:
            with suppress(OSError):  # while it is held: filelock sees that the file is gone
                lock.unlink()
        held.release()


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


def _withdraw(lock: Path, made: Collection[Path], notes: Collection[str]) -> bool:
    """Remove the folders that were made for work that came to nothing.

    Returns:
        Whether the lock's own folder is gone, and the file of the lock with it.
    """
    gone = lock.parent in made and _removed(lock.parent, {lock.name, *notes})
    with suppress(OSError):
        for folder in made:  # from the innermost; one that holds something stays
            if folder != lock.parent:
                folder.rmdir()
    return gone


def _removed(folder: Path, worthless: Collection[str]) -> bool:
    """Remove a lock's folder, unless something of worth lies in it; return whether it is gone.

    It is taken out of everybody's way at one stroke while the lock is held: who waits for it finds
    it whole or not at all.
    """
    aside = folder.with_name(f".{folder.name[:40]}.{token_hex(8)}.tmp")
    try:
        if not {path.name for path in folder.iterdir()} <= set(worthless):
            return False
        folder.rename(aside)
    except OSError:
        return False
    with suppress(OSError):
        for path in aside.iterdir():
            path.unlink()
        aside.rmdir()
    return True
