"""Faults that really happen: disks that fill, two processes, damage, losses that diverge."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
from children import fixtures, numbers, train_words, tree
from test_whole_path import SMALL, SUITE, roots, write_dataset
from toys import instead

from dml_bench.results import read_result

STATES = ("state.pt", "state.before.pt")


place, run, whole = fixtures("faults")


def folder_of(results):
    (found,) = (results / "runs").iterdir()
    return found


def one_line(ended, status, *said):
    """The last line says what is wrong; no trace of the program is shown."""
    assert ended.status == status, ended.said
    assert "Traceback" not in ended.said
    last = ended.lines[-1]
    assert last.startswith("error: " if status == 2 else "failed: "), ended.said
    for part in said:
        assert part in last
    return last


# two processes


def suite_words(place, suite, results):
    return ["run", suite, "--data-root", place / "data", "--results", results]


def test_two_processes_on_one_suite_make_each_run_once(place, run, tmp_path):
    suite, results = tmp_path / "two.toml", tmp_path / "results"
    suite.write_text(SUITE)
    jobs = [run.job(*suite_words(place, suite, results)) for _ in range(2)]
    both = run.together(*jobs)
    assert [ended.status for ended in both] == [0, 0], both
    begun = [line for ended in both for line in ended.lines if line.startswith("run ")]
    assert sorted(line.split(":")[0] for line in begun) == ["run 1/3", "run 2/3", "run 3/3"]
    for folder in (results / "runs").iterdir():
        assert read_result(folder / "result.json")
    tables = [[line for line in e.lines if line.startswith(("chance", "triplet"))] for e in both]
    assert tables[0] == tables[1]
    alone = run(*suite_words(place, suite, tmp_path / "alone"))
    assert tables[0] == [line for line in alone.lines if line.startswith(("chance", "triplet"))]
    names = {path.rpartition("/")[2] for path in tree(results)}
    assert not [name for name in names if name.endswith((".tmp", ".part", ".lock"))]


def test_a_run_that_is_refused_in_two_processes_leaves_no_trace_of_either(place, run, tmp_path):
    suite, results = tmp_path / "bad.toml", tmp_path / "results"
    suite.write_text(SUITE)
    data = tmp_path / "data"
    write_dataset(data)
    (data / "shapes_unseen" / "test-8-100.png").write_bytes(b"no image")
    words = ["run", suite, "--data-root", data, "--results", results]
    both = run.together(*(run.job(*words) for _ in range(2)))
    assert [ended.status for ended in both] == [2, 2], both
    for ended in both:
        assert ended.said.count("test-8-100.png: expected an image") == 3
    assert not [path for path in tree(results) if path.startswith("runs/")]


def test_a_second_training_of_one_run_is_told_of_the_first(place, run, tmp_path):
    words = train_words(place, tmp_path, epochs=6)
    first = run.job(*words, before="import time; from dml_bench.engine import Training as T\n"
                    "close = T._close_epoch\n"
                    "T._close_epoch = lambda *a: (time.sleep(0.3), close(*a))")  # fmt: skip
    second = run.job(*words, before="import time; time.sleep(0.8)")
    first, second = run.together(first, second)
    assert first.status == 0, first.said
    one_line(second, 2, "found another process at work on this run; wait for it or stop it")


def test_a_run_whose_maker_is_killed_is_made_by_the_one_that_waits(place, run, tmp_path):
    suite, results = tmp_path / "two.toml", tmp_path / "results"
    suite.write_text(SUITE)
    words = suite_words(place, suite, results)
    slow = (
        "import os, signal, time; from dml_bench import bench\n"
        "def train(*a, **k): time.sleep(2); os.kill(os.getpid(), signal.SIGKILL)\n"
        "bench.train = train"
    )
    dies = run.job(*words, before=slow)
    waits = run.job(*words, before="import time; time.sleep(0.7)")
    dies, waits = run.together(dies, waits)
    assert dies.status == -9
    assert waits.status == 0, waits.said
    assert "another process makes run 1/3: chance; coming back to it" in waits.lines
    assert len(list(results.glob("runs/*/result.json"))) == 3


# a full disk


@contextmanager
def small_disk(folder, kib):
    """A disk of its own with so little room."""
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", folder]
    if not sys.platform.startswith("linux") or os.getuid() != 0:
        pytest.skip("needs root on Linux to mount a small disk")
    if subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("no tmpfs may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def room(folder):
    about = os.statvfs(folder)
    return about.f_bavail * about.f_frsize


def leave(folder, kib):
    """Fill a disk until so much room is left."""
    with (folder / "ballast").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, room(folder) - 1024 * kib)


def sizes(whole_folder):
    return sum(path.stat().st_size for path in whole_folder.rglob("*") if path.is_file())


def torn(results):
    """What a reader would find torn in a folder where a run stopped."""
    from dml_bench import checkpoint

    strange = [path.name for path in results.rglob("*") if path.name.endswith((".tmp", ".part"))]
    for folder in results.glob("runs/*"):
        _, note = checkpoint.load_state(folder)
        strange += [note] if note else []
        for path in folder.glob("*.json"):
            json.loads(path.read_text())
        for path in folder.glob("*.npz"):
            with np.load(path, allow_pickle=False) as saved:
                strange += [] if [saved[name] for name in saved.files] else [path.name]
    return strange


N_DISKS = 16


def test_a_disk_that_fills_at_any_stage_is_one_line_and_the_run_goes_on_later(
    place, run, whole, tmp_path
):
    """The room is cut in steps, from none to enough: each stage meets a full disk."""
    used = sizes(place / "whole") // 1024
    met = set()
    with small_disk(tmp_path / "disk", kib=16 * used) as disk:
        for step in range(N_DISKS):
            results = disk / f"results{step}"
            leave(disk, 8 + 3 * used * step // N_DISKS)
            ended = run(*train_words(place, results))
            if ended.status:
                last = one_line(ended, 2, "No space left on device", "expected to write there")
                met.add(os.path.basename(last.split(": ")[1]).split("-")[0])
                assert torn(results) == [] if results.exists() else True
            (disk / "ballast").unlink()
            again = run(*train_words(place, results))
            assert again.status == 0, again.said
            assert numbers(results) == whole
            subprocess.run(["rm", "-r", results], check=True)
    assert {"shapes_unseen", "state.pt"} <= met, met  # a pack, and a checkpoint


FILES = {
    "store.Run.begin": "recipe.json",
    "store.Run.write_curve": "curve.jsonl",
    "checkpoint.save_state": "state.pt",
    "checkpoint.save_weights": "checkpoint.safetensors",
    "store.Run.save_embeddings": "embeddings.npz",
    "store.Run.save_neighbours": "neighbours.npz",
    "store.Run.finish": "result.json",
}
FILLS = """
import os
from dml_bench import checkpoint, store
def filled(*args, inner={name}, calls=[]):
    calls.append(args)
    if len(calls) == {call}:
        about = os.statvfs("{disk}")
        with open("{disk}/ballast", "wb") as file:
            os.posix_fallocate(file.fileno(), 0, about.f_bavail * about.f_frsize)
    return inner(*args)
{name} = filled
"""


@pytest.mark.parametrize("name", FILES)
def test_a_disk_that_somebody_fills_meanwhile_tears_nothing(place, run, whole, tmp_path, name):
    with small_disk(tmp_path / "disk", kib=8192) as disk:
        words = train_words(place, disk / "results")
        call = 2 if name == "store.Run.write_curve" else 1  # the first curve is empty
        ended = run(*words, before=FILLS.format(name=name, disk=disk, call=call))
        last = one_line(ended, 2, "expected to write there, found: ")
        assert f"/{FILES[name]}: " in last
        assert "No space left on device" in last
        (disk / "ballast").unlink()
        assert torn(disk / "results") == []
        again = run(*words)
        assert again.status == 0, again.said
        assert numbers(disk / "results") == whole


def test_tables_that_a_full_disk_cannot_hold_leave_the_old_ones(place, run, whole, tmp_path):
    with small_disk(tmp_path / "disk", kib=4096) as disk:
        subprocess.run(["cp", "-r", place / "whole" / "runs", disk / "runs"], check=True)
        assert run("report", "--results", disk).status == 0
        tables = tree(disk / "tables")
        leave(disk, 0)
        one_line(run("report", "--results", disk), 2, "No space left on device")
        assert tree(disk / "tables") == tables
        (disk / "ballast").unlink()
        assert run("report", "--results", disk).status == 0
        assert tree(disk / "tables") == tables


DIES = """
import os, signal
from dml_bench import atomic
sync = atomic._sync
def dies(path):
    if {name!r} in path.name: os.kill(os.getpid(), signal.SIGKILL)
    sync(path)
atomic._sync = dies
"""


def test_a_report_that_is_killed_leaves_nothing_that_the_next_one_does_not_clear(
    place, run, whole, tmp_path
):
    """At its first file, at one of the figures, and at the page: a draft and a lock stay."""
    words = ["report", "--results", tmp_path, "--data-root", place / "data"]
    subprocess.run(["cp", "-r", place / "whole" / "runs", tmp_path / "runs"], check=True)
    assert run(*words).status == 0
    wanted = tree(tmp_path)
    for name in ("results.csv", "-loss.png", "report.html"):
        ended = run(*words, before=DIES.format(name=name))
        assert ended.status == -9, ended.said
        left = set(tree(tmp_path)) - set(wanted)
        assert {path.rpartition(".")[2] for path in left} == {"tmp", "lock"}, left
        ended = run(*words)
        assert ended.status == 0, ended.said
        assert tree(tmp_path) == wanted


def test_reports_of_several_processes_at_once_tear_nothing(place, run, whole, tmp_path):
    words = ["report", "--results", tmp_path, "--data-root", place / "data"]
    subprocess.run(["cp", "-r", place / "whole" / "runs", tmp_path / "runs"], check=True)
    assert run(*words).status == 0
    wanted = tree(tmp_path)
    ended = run.together(*(run.job(*words) for _ in range(4)))
    assert [one.status for one in ended] == [0] * 4, ended
    assert tree(tmp_path) == wanted


# a folder that cannot be written


@contextmanager
def read_only(folder):
    """A folder in which this user may not write: root needs a disk that is mounted so."""
    if os.getuid():
        folder.chmod(0o555)
        yield
        folder.chmod(0o755)
        return
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    yield
    subprocess.run(["mount", "-o", "remount,rw", folder], check=True)


@contextmanager
def lasting(folder):
    """A folder that `read_only` can close."""
    if os.getuid() == 0:
        with small_disk(folder, kib=8192):
            yield folder
    else:
        folder.mkdir()
        yield folder


def test_a_read_only_results_folder_is_one_line_and_stays_as_it_was(place, run, tmp_path):
    with lasting(tmp_path / "results") as results, read_only(results):
        for words in (
            train_words(place, results),
            ["run", "quick", "--results", results, "--data-root", place / "data"],
            ["evaluate", "--dataset", "shapes_unseen", *roots(place, results)],
        ):
            ended = run(*words)
            assert ended.status == 2, ended.said
            assert "Traceback" not in ended.said
            assert "expected to write there, found: " in ended.said
        assert tree(results) == {}


def test_finished_runs_in_a_read_only_folder_are_read(place, run, whole, tmp_path):
    with lasting(tmp_path / "results") as results:
        subprocess.run(["cp", "-r", place / "whole" / "runs", results / "runs"], check=True)
        before = tree(results)
        with read_only(results):
            ended = run(*train_words(place, results))
            assert ended.status == 0, ended.said
            assert "invaspread" in ended.said
            assert run("list", "runs", "--results", results).status == 0
            evaluated = run("evaluate", "--dataset", "shapes_unseen", *roots(place, "whole")[:2],
                            "--results", results)  # fmt: skip
            one_line(evaluated, 2, "expected to write there")
            assert "invaspread" in evaluated.said  # the table was shown before
        assert tree(results) == before


# damage


def test_a_kill_when_the_result_is_there_leaves_nothing_that_the_next_call_does_not_clear(
    place, run, whole, tmp_path
):
    dies = (
        "import os, signal; from dml_bench import checkpoint\n"
        "checkpoint.drop_state = lambda folder: os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert run(*train_words(place, tmp_path), before=dies).status == -9
    assert (folder_of(tmp_path) / "result.json").exists()
    assert (folder_of(tmp_path) / "state.pt").exists()
    assert run(*train_words(place, tmp_path)).status == 0
    assert set(tree(tmp_path)) == set(tree(place / "whole"))
    assert numbers(tmp_path) == whole


def stopped(place, run, results, *more):
    """A training that was killed when its second epoch had begun; returns its folder."""
    no_curve = "from dml_bench.store import Run; Run.write_curve = lambda *a: None"
    words = train_words(place, results, *more)
    ended = run(*words, stage={"name": "storing", "line": 1}, before=no_curve)
    assert ended.status == -9
    return folder_of(results)


def test_a_checkpoint_cut_in_half_gives_way_to_the_one_before_it_and_says_so(
    place, run, whole, tmp_path
):
    folder = stopped(place, run, tmp_path)
    path = folder / "state.pt"
    os.truncate(path, path.stat().st_size // 2)
    ended = run(*train_words(place, tmp_path))
    assert ended.status == 0, ended.said
    assert "state.pt is damaged: state.before.pt, the one before it, is used" in ended.lines
    assert any(line.startswith("going on at epoch 2, step 4") for line in ended.lines), ended.said
    assert numbers(tmp_path) == whole


def test_two_damaged_checkpoints_begin_anew_and_say_so(place, run, whole, tmp_path):
    folder = stopped(place, run, tmp_path)
    for name in STATES:
        os.truncate(folder / name, 100)
    ended = run(*train_words(place, tmp_path))
    assert "state.pt and state.before.pt: damaged; the training begins anew" in ended.lines
    assert numbers(tmp_path) == whole


def test_no_damage_of_a_checkpoint_goes_unseen(place, run, whole, tmp_path):
    """A byte turned over anywhere: the checkpoint is refused, or holds what it held."""
    import torch

    from dml_bench import checkpoint

    folder = stopped(place, run, tmp_path)
    (folder / "state.before.pt").unlink()
    path = folder / "state.pt"
    sound = path.read_bytes()
    wanted, _ = checkpoint.load_state(folder)
    draw = np.random.default_rng(0)
    for at in draw.integers(0, len(sound), 200):
        damaged = bytearray(sound)
        damaged[at] ^= 1 << int(draw.integers(8))
        path.write_bytes(damaged)
        state, note = checkpoint.load_state(folder)
        assert state is not None or "damaged" in note
        for name, weight in wanted["model"].items() if state else ():
            assert torch.equal(state["model"][name], weight), f"byte {at}"


def test_a_loss_that_diverges_stops_says_where_and_keeps_the_last_good_checkpoint(
    place, run, tmp_path
):
    from dml_bench import checkpoint

    words = instead(train_words(place, tmp_path, method="triplet_semihard"), "lr=30")
    breaks = (
        "from dml_bench.methods.triplet_semihard import Method as M; loss = M.loss; seen = []\n"
        "def bad(self, vectors, batch):\n"
        "    seen.append(1)\n"
        "    return loss(self, vectors, batch) * (float('nan') if len(seen) == 6 else 1.0)\n"
        "M.loss = bad"
    )
    ended = run(*words, before=breaks)
    one_line(ended, 1, "the loss became nan in epoch 2, at or before step 2", "try a lower lr")
    folder = folder_of(tmp_path)
    state, note = checkpoint.load_state(folder)
    assert (note, state["epoch"], state["step"]) == ("", 1, 1)
    assert all(weight.isfinite().all() for weight in state["model"].values())
    assert not (folder / "result.json").exists()


def test_weights_that_diverge_before_the_loss_shows_it_are_never_kept(place, run, tmp_path):
    """The gradient overflows: the loss of this step is finite, the weights after it are not."""
    from dml_bench import checkpoint

    breaks = (
        "import torch; from dml_bench.engine import Training as T; step = T._take_step; seen = []\n"
        "def bad(self, batch):\n"
        "    step(self, batch); seen.append(1)\n"
        "    if len(seen) == 6: next(self.model.parameters()).data.fill_(torch.inf)\n"
        "T._take_step = bad"
    )
    ended = run(*train_words(place, tmp_path), before=breaks)
    one_line(ended, 1, "is no longer finite in epoch 2, at or before step 2", "is kept")
    state, _ = checkpoint.load_state(folder_of(tmp_path))
    assert (state["epoch"], state["step"]) == (1, 1)
    assert all(weight.isfinite().all() for weight in state["model"].values())


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a zip", None])
def test_torn_vectors_of_one_run_are_named_the_others_scored(place, run, whole, tmp_path, content):
    results = tmp_path / "results"
    subprocess.run(["cp", "-r", place / "whole", results], check=True)
    untrained = ["train", "--dataset", "shapes_unseen", "--method", "random", *SMALL[:8]]
    untrained += ["--data-root", place / "data", "--results", results]
    assert run(*untrained).status == 0
    (torn_folder,) = results.glob("runs/*-invaspread-*")
    path = torn_folder / "embeddings.npz"
    path.write_bytes(path.read_bytes()[:1000] if content is None else content)
    words = ["evaluate", "--dataset", "shapes_unseen", "--data-root", place / "data"]
    ended = run(*words, "--results", results)
    assert ended.status == 0, ended.said
    said = f"left out: {torn_folder.name}/embeddings.npz: expected what this run saved, found "
    assert [line for line in ended.lines if line.startswith(said)]
    assert [line for line in ended.lines if "random" in line], ended.said
    subprocess.run(["rm", "-r", *results.glob("runs/*-random-*")], check=True)
    one_line(run(*words, "--results", results), 2, "embeddings.npz: expected what this run saved")


def test_what_a_library_raises_is_one_line_its_trace_for_who_asks(place, run, tmp_path):
    breaks = "from dml_bench import bench; bench.embed = lambda *a, **k: 1 / 0"
    ended = run(*train_words(place, tmp_path), before=breaks)
    last = one_line(ended, 1, "ZeroDivisionError: division by zero (<string>:1)")
    assert last.endswith("DML_BENCH_TRACEBACK=1 shows where")
    asked = "import os; os.environ['DML_BENCH_TRACEBACK'] = '1'\n" + breaks
    ended = run(*train_words(place, tmp_path), before=asked)
    assert "Traceback" in ended.said
    assert "bench.py" in ended.said
