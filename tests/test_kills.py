"""SIGKILL at any moment, then the same command again: it ends in the same bits."""

import random
import signal
import zlib

import pytest
from children import fixtures, numbers, train_words, tree
from nursery import STAGES as PLACES

STAGES = [name for name in PLACES if name != "writing"]
WRITERS = ("atomic.py", "checkpoint.py", "locks.py", "store.py", "provenance.py")
"""Everything that writes a file of a run, line by line: between any two of them it is killed."""
KILLS = 20
FEW = 3


place, run, whole = fixtures("kills")


def measured(place, run, stage, only=()):
    words = train_words(place, place / f"measured-{stage}")
    ended = run(*words, stage={"name": stage, "only": only})
    assert ended.status == 0, ended.said
    return ended.stage


def killed_and_again(place, run, whole, results, stage):
    """Kill a training where `stage` says, and run it again; return whether it was killed."""
    killed = run(*train_words(place, results), stage=stage)
    assert killed.status in (-signal.SIGKILL, 0), killed.said
    again = run(*train_words(place, results))
    assert again.status == 0, f"after a kill at {stage}: {again.said}"
    found = numbers(results)
    differ = [name for name in whole if found.get(name) != whole[name]]
    assert found == whole, f"after a kill at {stage}: {differ}"
    assert set(tree(results)) == set(tree(place / "whole")), (
        f"after a kill at {stage}: files are left over"
    )
    return killed.status != 0


def kills_at_lines(place, run, whole, stage, n_kills):
    """Kill at lines of Python drawn from all that the stage goes through."""
    lines = measured(place, run, stage)["lines"]
    draw = random.Random(zlib.crc32(stage.encode()))
    done = tried = 0
    while done < n_kills:
        tried += 1
        assert tried <= 2 * n_kills, "the moments drawn lie beyond the end of the stage"
        at = {"name": stage, "line": draw.randint(1, lines)}
        done += killed_and_again(place, run, whole, place / f"{stage}-line-{tried}", at)
    return done


def kills_by_the_clock(place, run, whole, stage, n_kills):
    """Kill at moments of the clock: inside a write of the system, or of a library, too."""
    seconds = measured(place, run, stage)["seconds"]
    draw = random.Random(zlib.crc32(stage.encode()) + 1)
    done = tried = 0
    while done < n_kills:
        tried += 1
        assert tried <= 10 * n_kills, "the clock always strikes too late"
        at = {"name": stage, "seconds": max(draw.uniform(0, seconds), 1e-6)}
        done += killed_and_again(place, run, whole, place / f"{stage}-clock-{tried}", at)
    return done


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_killed_at_some_lines_of_a_stage_ends_in_the_same_bits(place, run, whole, stage):
    assert kills_at_lines(place, run, whole, stage, FEW) == FEW


@pytest.mark.nightly
@pytest.mark.parametrize("stage", STAGES)
def test_a_run_killed_at_any_line_of_a_stage_ends_in_the_same_bits(place, run, whole, stage):
    assert kills_at_lines(place, run, whole, stage, KILLS) == KILLS


@pytest.mark.nightly
@pytest.mark.parametrize("stage", STAGES)
def test_a_run_killed_by_the_clock_ends_in_the_same_bits(place, run, whole, stage):
    assert kills_by_the_clock(place, run, whole, stage, KILLS) == KILLS


@pytest.fixture(scope="module")
def written(place, run):
    """How many lines of the writers a run goes through."""
    return measured(place, run, "writing", WRITERS)["lines"]


def killed_between_writes(place, run, whole, line):
    at = {"name": "writing", "line": line, "only": WRITERS}
    return killed_and_again(place, run, whole, place / f"writing-{line}", at)


def test_a_run_killed_between_some_lines_that_write_ends_in_the_same_bits(
    place, run, whole, written
):
    lines = random.Random(0).sample(range(1, written), 12)
    assert sum(killed_between_writes(place, run, whole, line) for line in lines) == 12


@pytest.mark.nightly
def test_a_run_killed_between_any_two_lines_that_write_ends_in_the_same_bits(
    place, run, whole, written
):
    lines = range(1, written)
    assert sum(killed_between_writes(place, run, whole, line) for line in lines) == len(lines)


def test_a_kill_really_comes_in_the_stage_that_it_is_meant_for(place, run, whole):
    """The first line of a stage, and the last: what is there before the next stage begins."""
    results = place / "first"
    ended = run(*train_words(place, results), stage={"name": "packing", "line": 1})
    assert ended.status == -signal.SIGKILL
    assert not list(results.glob("packs/*/manifest.json"))
    ended = run(*train_words(place, results), stage={"name": "training", "line": 1})
    assert ended.status == -signal.SIGKILL
    assert len(list(results.glob("packs/*/manifest.json"))) == 2
    ended = run(*train_words(place, results), stage={"name": "embedding", "line": 1})
    assert ended.status == -signal.SIGKILL
    assert len(list(results.glob("runs/*/checkpoint.safetensors"))) == 1
    ended = run(*train_words(place, results), stage={"name": "storing", "line": 1})
    assert ended.status == -signal.SIGKILL
    assert not list(results.glob("runs/*/result.json"))
