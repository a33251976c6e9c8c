"""Progress: nothing for what is fast, a bar for a person, a line now and then in a log."""

import io
import sys

import numpy as np
import pytest

from dml_bench import clusters, neighbours, probes, progress
from dml_bench.data import download
from dml_bench.progress import Bar
from dml_bench.types import Embeddings

ITEMS = Embeddings(np.random.default_rng(0).normal(size=(300, 4)), np.arange(300) % 3)


class Watched(io.StringIO):
    """A terminal that somebody looks at."""

    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Seconds that go by as a test says."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_work_that_is_fast_shows_no_bar_even_to_a_person(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Watched())
    with Bar("searching", 3, delay=2.0) as bar:
        for seconds in (0.5, 1.0, 1.9):
            clock[0] = seconds
            bar.advance()
    assert sys.stderr.getvalue() == ""


def test_work_that_takes_longer_shows_a_bar_with_what_was_done_before(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Watched())
    with Bar("searching", 3, delay=2.0) as bar:
        bar.advance()
        assert bar.bar is None
        clock[0] = 2.5
        bar.advance()
        assert bar.bar.tasks[0].completed == 2


def test_a_log_gets_a_line_now_and_then(clock, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Bar("searching", 4, delay=2.0) as bar:
        for seconds in (5, 21, 22, 50):
            clock[0] = float(seconds)
            bar.advance()
    lines = sys.stderr.getvalue().splitlines()
    assert [line.split(" ")[1] for line in lines] == ["2/4", "4/4"]


def bars(module, monkeypatch):
    made = []

    class Noted(Bar):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr(module, "Bar", Noted)
    return made


def test_what_may_take_long_counts_to_its_end_and_is_silent_while_it_is_fast(
    tmp_path, monkeypatch, capsys
):
    path = tmp_path / "file"
    path.write_bytes(bytes(2_500_000))
    slow = {
        neighbours: lambda: neighbours.rank(ITEMS, ITEMS, 5),
        clusters: lambda: clusters.kmeans(ITEMS, 3),
        probes: lambda: probes.linear_probe(ITEMS, ITEMS),
        download: lambda: download.verify(path, "md5:"),
    }
    for module, work in slow.items():
        made = bars(module, monkeypatch)
        work()
        assert [(bar.done, bar.label) for bar in made] == [(bar.total, bar.label) for bar in made]
        assert len(made) == 1
    assert capsys.readouterr().err == ""
