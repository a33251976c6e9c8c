"""The folder of a lock: who made it, who takes it away, and two who come for it at once."""

import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from dml_bench.errors import BusyError, DataError
from dml_bench.locks import alone

NOTES = ("recipe.json",)


def refused(lock, *, write=NOTES, held=None, go_on=None):
    """Hold the lock, write some files, and be refused."""
    with suppress(DataError), alone(lock, notes=NOTES):
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
    refused(tmp_path / "own" / ".lock", write=[])
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


def test_a_folder_that_is_withdrawn_is_never_seen_without_its_lock(tmp_path, monkeypatch):
    """The second comes after each step of the first's withdrawal: it makes all anew, or waits."""
    lock, came = tmp_path / "runs" / "key" / ".lock", []

    def comes_after(step):
        kept = getattr(type(lock), step)

        def stepped(path, *more):
            kept(path, *more)
            if path.name in {"key", *NOTES} or path.name.startswith(".key"):
                came.append(step)
                monkeypatch.undo()  # the second's own withdrawal is an ordinary one
                refused(lock)
                assert not lock.parent.exists()

        return stepped

    for step in ("rename", "unlink", "rmdir"):
        monkeypatch.setattr(type(lock), step, comes_after(step))
        refused(lock)
        assert not lock.parent.exists()
    assert came == ["rename", "unlink", "rmdir"]


def test_the_second_keeps_its_lock_when_the_first_has_withdrawn(tmp_path, monkeypatch):
    lock, kept = tmp_path / "runs" / "key" / ".lock", Path.rename
    with ExitStack() as second:

        def rename(folder, aside):
            kept(folder, aside)
            second.enter_context(alone(lock, wait=0))

        monkeypatch.setattr(Path, "rename", rename)
        refused(lock)
        with pytest.raises(BusyError, match="another process at work"), alone(lock, wait=0):
            pass
    assert lock.parent.exists()
    assert not list(lock.parent.iterdir())
