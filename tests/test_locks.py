"""The folder of a lock: who made it, who takes it away, and two who come for it at once."""

import errno
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from filelock import FileLock

from dml_bench.errors import BusyError, DataError, StoreError
from dml_bench.locks import alone

NOTES = ("recipe.json",)


def refused(lock, *, write=NOTES, notes=NOTES, held=None, go_on=None):
    """Hold the lock, write some files, and be refused."""
    with suppress(DataError), alone(lock, notes=notes):
        for name in write:
            (lock.parent / name).write_text("{}")
        if held:
            held.set()
            assert go_on.wait(20)
        raise DataError("no image")


def test_what_was_made_for_refused_work_is_taken_away(tmp_path):
    refused(tmp_path / "runs" / "key" / ".lock")
    assert list(tmp_path.iterdir()) == []


def test_something_of_worth_stays_and_so_does_a_folder_that_was_there(tmp_path):
    refused(tmp_path / "runs" / "key" / ".lock", write=["curve.jsonl"])
    assert [path.name for path in (tmp_path / "runs" / "key").iterdir()] == ["curve.jsonl"]
    (tmp_path / "own").mkdir()
    refused(tmp_path / "own" / ".lock", write=[], notes=())
    assert list((tmp_path / "own").iterdir()) == []


def waiting_while_another_is_refused(lock, between):
    """A second that waits for the lock while the first withdraws; both are refused."""
    held, go_on = threading.Event(), threading.Event()
    first = threading.Thread(
        target=refused, args=(lock,), kwargs={"held": held, "go_on": go_on}, daemon=True
    )
    first.start()
    assert held.wait(20)
    second = threading.Thread(target=refused, args=(lock,), daemon=True)
    second.start()
    between(second, go_on)
    first.join(20)
    second.join(20)
    assert not first.is_alive()
    assert not second.is_alive()


def test_a_second_that_waited_for_a_refused_one_leaves_no_trace_either(tmp_path):
    def between(second, go_on):
        second.join(0.3)  # it waits
        assert second.is_alive()
        go_on.set()

    waiting_while_another_is_refused(tmp_path / "runs" / "key" / ".lock", between)
    assert not [path for path in tmp_path.rglob("*") if path.name != "runs"]


@pytest.mark.parametrize("step", ["unlink", "rmdir"])
def test_another_that_comes_while_the_first_withdraws_leaves_no_trace_either(
    tmp_path, monkeypatch, step
):
    """After each step the second makes all anew, or finds the first still there."""
    lock, kept, came = tmp_path / "runs" / "key" / ".lock", getattr(Path, step), []

    def stepped(path, *args, **kwargs):
        done = kept(path, *args, **kwargs)
        if path.name in {lock.name, *NOTES, "key"} and not came:
            came.append(path.name)
            with suppress(BusyError), alone(lock, wait=0, notes=NOTES):
                came.append("in")
                (lock.parent / NOTES[0]).write_text("{}")
                raise DataError("no image")
            came.clear()
        return done

    def second(path, *args, **kwargs):
        with suppress(DataError):
            return stepped(path, *args, **kwargs)

    monkeypatch.setattr(Path, step, second)
    refused(lock)
    assert came[:2] == [{"unlink": lock.name, "rmdir": "key"}[step], "in"]
    assert not lock.parent.exists()


def test_the_first_that_withdraws_takes_nothing_from_a_second_in_its_place(tmp_path, monkeypatch):
    lock, kept = tmp_path / "runs" / "key" / ".lock", Path.rmdir
    with ExitStack() as second:

        def rmdir(folder):
            if folder.name == "key" and not lock.exists():
                second.enter_context(alone(lock, wait=0))
            kept(folder)

        monkeypatch.setattr(Path, "rmdir", rmdir)
        refused(lock)
        with pytest.raises(BusyError, match="another process at work"), alone(lock, wait=0):
            pass
    assert not list(lock.parent.iterdir())


def test_a_file_that_comes_while_the_first_withdraws_stays(tmp_path, monkeypatch):
    lock, kept = tmp_path / "runs" / "key" / ".lock", Path.unlink

    def unlink(path, **said):
        kept(path, **said)
        if path.name in NOTES:
            (lock.parent / "mine.txt").write_text("worth")

    monkeypatch.setattr(Path, "unlink", unlink)
    refused(lock)
    assert [path.name for path in lock.parent.iterdir()] == ["mine.txt"]


def test_who_holds_the_lock_takes_away_what_one_that_came_too_late_had_made(tmp_path):
    """The folder is the other's, who found this process faster; it is empty, so it goes."""
    (tmp_path / "runs" / "key").mkdir(parents=True)
    refused(tmp_path / "runs" / "key" / ".lock")
    assert list((tmp_path / "runs").iterdir()) == []


def test_one_that_cannot_take_a_lock_takes_away_what_it_made_and_nobodys_lock(
    tmp_path, monkeypatch
):
    lock = tmp_path / "runs" / "key" / ".lock"

    def acquire(held, *args, **said):
        if others:
            (lock.parent / lock.name).touch()
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(FileLock, "acquire", acquire)
    for others in (False, True):
        with pytest.raises(StoreError), alone(lock, notes=NOTES):
            pass
        assert lock.exists() == others
