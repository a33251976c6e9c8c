"""Processes of one start find each other among the notes of those before them."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from dml_bench import meeting
from dml_bench.errors import RunError
from dml_bench.meeting import agree


class Notes:
    """A store of notes in this process, as torchrun keeps one; keys are never forgotten."""

    def __init__(self):
        self.kept, self.changed = {}, threading.Condition()

    def set(self, key, value):
        with self.changed:
            self.kept[key] = value.encode()
            self.changed.notify_all()

    def get(self, key):
        with self.changed:
            assert self.changed.wait_for(lambda: key in self.kept, timeout=10), key
            return self.kept[key]

    def check(self, keys):
        return all(key in self.kept for key in keys)


def started(notes, world, late=()):
    """The words that the processes of a start get; those that are late begin after the others."""

    def begin(rank):
        time.sleep(0.2 * (rank in late))
        return agree(notes, rank, world)

    with ThreadPoolExecutor(world) as pool:
        return list(pool.map(begin, range(world)))


@pytest.mark.parametrize("late", [(), (0,), (2,)], ids=["together", "leader late", "follower late"])
def test_all_processes_of_a_start_get_one_word_and_each_start_another(late):
    notes = Notes()
    starts = [started(notes, 3, late) for _ in range(4)]
    assert all(len(set(words)) == 1 for words in starts)
    assert len({words[0] for words in starts}) == 4


def test_answers_to_a_leader_that_died_before_all_came_call_nobody():
    notes = Notes()
    notes.set("start", "dead")
    notes.set("dead/1", "dead too")
    words = started(notes, 3, late=(0,))
    assert len(set(words)) == 1
    assert words[0] != "dead"


def test_who_waits_for_a_leader_in_vain_says_so(monkeypatch):
    monkeypatch.setattr(meeting, "PATIENCE", 0.1)
    notes = Notes()
    started(notes, 2)
    with pytest.raises(RunError, match="expected the leader"):
        agree(notes, 1, 2)
