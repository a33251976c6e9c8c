"""Whatever is wrong with what a user gives: one line, exit status 2, nothing changed."""

import shutil
import subprocess
import sys

import bad_data
import bad_vectors
import bad_words
import numpy as np
import pytest
from refusals import NETWORK, Case, outcome, roots, state, write_mine

CASES = {**bad_data.CASES, **bad_vectors.CASES, **bad_words.CASES}
SOME = [*CASES][:: len(CASES) // 6]
AT_LEAST = 200
UNTRAINED = ["train", "--dataset", "mine", "--method", "random", *NETWORK[:8]]
RESULTS = {
    "half": lambda raw: raw[: len(raw) // 2],
    "empty": lambda raw: b"",
    "null": lambda raw: b"null",
    "a list": lambda raw: b"[" + raw + b"]",
    "lists without end": lambda raw: b"[" * 99_999,
    "no UTF-8": lambda raw: b"\xff\xfe" + raw,
    "no recipe": lambda raw: raw.replace(b'"recipe"', b'"receipt"', 1),
    "no metrics": lambda raw: raw.replace(b'"metrics"', b'"metric"', 1),
    "a seed changed": lambda raw: raw.replace(b'"seed": 0', b'"seed": 1', 1),
    "a number that is none": lambda raw: raw.replace(b'"nmi": ', b'"nmi": NaN, "x": ', 1),
    "a number in words": lambda raw: raw.replace(b'"nmi": ', b'"nmi": "x", "x": ', 1),
    "a number beyond all": lambda raw: raw.replace(b'"nmi": ', b'"nmi": 1e999, "x": ', 1),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A dataset and a file of embeddings that are in order."""
    place = tmp_path_factory.mktemp("sound")
    write_mine(place)
    (place / "sound.npz").write_bytes(bad_vectors.SOUND_NPZ)
    return place


@pytest.fixture
def place(sound, tmp_path):
    shutil.copytree(sound, tmp_path / "place", symlinks=True)
    return tmp_path / "place"


def check(case, before, place, status, said):
    lines = [line for line in said.splitlines() if line.startswith(("error: ", "failed: "))]
    assert status == 2, said
    assert len(lines) == 1, said
    assert said.splitlines()[-1] == lines[0]
    assert any(part in lines[0] for part in case.said.split("|")), lines[0]
    assert lines[0].isprintable()
    assert "Traceback" not in said
    after = state(place)
    assert after == before, sorted(set(after) ^ set(before))


def test_the_cases_are_as_many_as_is_said():
    assert len(CASES) + len(RESULTS) >= AT_LEAST
    assert len(CASES) == sum(len(part.CASES) for part in (bad_data, bad_vectors, bad_words))


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_one_line_and_leaves_everything_as_it_was(place, capfd, monkeypatch, name):
    case = CASES[name]
    monkeypatch.chdir(place)
    case.arrange(place)
    before = state(place)
    status = outcome(roots(case.words, place))
    check(case, before, place, status, capfd.readouterr().err)


@pytest.fixture(scope="module")
def finished(sound, tmp_path_factory):
    """A dataset with a finished run of it."""
    place = tmp_path_factory.mktemp("finished") / "place"
    shutil.copytree(sound, place)
    assert outcome(roots(UNTRAINED, place)) == 0
    return place


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_that_is_not_whole_stops_its_own_run_and_is_kept(finished, tmp_path, capfd, name):
    place = tmp_path / "place"
    shutil.copytree(finished, place)
    (path,) = place.glob("results/runs/*/result.json")
    path.write_bytes(RESULTS[name](path.read_bytes()))
    before = state(place)
    status = outcome(roots(UNTRAINED, place))
    check(Case(UNTRAINED, "result.json: expected "), before, place, status, capfd.readouterr().err)


@pytest.mark.parametrize("name", SOME)
def test_so_it_is_in_a_process_of_its_own(place, name):
    case = CASES[name]
    case.arrange(place)
    before = state(place)
    words = [sys.executable, "-m", "dml_bench", *roots(case.words, place)]
    ended = subprocess.run(words, cwd=place, capture_output=True, text=True, check=False)
    check(case, before, place, ended.returncode, ended.stderr)


def test_the_sound_input_that_the_cases_spoil_is_taken(place, capfd):
    """Else a case could be refused for another reason than its own."""
    from refusals import TRAIN

    assert outcome(roots(TRAIN, place)) == 0
    assert outcome(roots(["evaluate", "--embeddings", "PLACE/sound.npz"], place)) == 0
    assert outcome(roots(["fetch", "mine", "--check"], place)) == 0


def test_the_trap_springs_for_who_loads_it(tmp_path):
    """The pickles of the cases would write a file: none was written (the folder is as it was)."""
    import pickle

    from refusals import trap

    pickle.loads(trap(tmp_path)).close()
    assert (tmp_path / "sprung").exists()
    with pytest.raises(ValueError, match="allow_pickle"):
        np.load(__import__("io").BytesIO(trap(tmp_path)), allow_pickle=False)
