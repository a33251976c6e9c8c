"""One process at a time in a folder, and no trace of work that was refused."""

from collections.abc import Collection, Iterator
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
    try:
        yield
    except BenchError:
        _withdraw(lock, made, notes)
        raise
    finally:
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

    Who held it before may have taken its folder away meanwhile, or have left it to this process:
    then it counts as made here.
    """
    for last in (False, False, True):
        made[:] = [folder for folder in lock.parents if not folder.exists()]
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            if not _free(held):
                held.acquire(timeout=wait)
                if not made and {path.name for path in lock.parent.iterdir()} == {lock.name}:
                    made.append(lock.parent)
        except FileNotFoundError:
            if last:
                raise
        else:
            return


def _free(held: FileLock) -> bool:
    """Take a lock if nobody holds it; return whether it is held now."""
    with suppress(Timeout):
        held.acquire(timeout=0)
    return held.is_locked


def _withdraw(lock: Path, made: Collection[Path], notes: Collection[str]) -> None:
    """Remove the folders that were made for work that came to nothing."""
    with suppress(OSError):
        left = {path.name for path in lock.parent.iterdir()} - {lock.name, *notes}
        if lock.parent in made and not left:
            for path in lock.parent.iterdir():
                path.unlink()
        for folder in made:  # from the innermost; one that holds something stays
            folder.rmdir()
