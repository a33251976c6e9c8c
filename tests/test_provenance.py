"""A result is of the images and the code that made it, and says so."""

import dataclasses
import json
import os
import shutil
import time

import numpy as np
import pytest
import tarballs
from PIL import Image
from test_whole_path import write_dataset
from toys import SMALL, toy

from dml_bench import bench, checkpoint, data, packs, provenance, recipes
from dml_bench.cli import main
from dml_bench.data import folder, images
from dml_bench.data.members import members
from dml_bench.engine import Training
from dml_bench.errors import BusyError, RecipeError, RunError, StoreError
from dml_bench.methods.invaspread import Method
from dml_bench.records import publish
from dml_bench.store import Run
from dml_bench.types import Split
from dml_bench.types.data import training_fingerprint

TEST, TRAIN = "expected protocol", "expected training images"


class StoppedError(Exception):
    """Stands for whatever ends a process."""


def changed(split, rows=None, labels=None):
    """The same split with its ids, and the labels, in another order."""
    ids = split.ids if rows is None else tuple(split.ids[row] for row in rows)
    return Split(split.name, split.images, split.labels if labels is None else labels, ids)


def made(results, dataset, method="invaspread", **more):
    fields = {**SMALL, "epochs": 0, "augmentation": "none"} if method == "random" else SMALL
    recipe = recipes.resolve({**fields, "dataset": "toy", "method": method}, toy())
    return bench.run(recipe, dataset, results, say=lambda _: None, **more)


def other_test(dataset):
    other = changed(dataset.query, labels=dataset.query.labels[::-1] % 2 + 4)
    return dataclasses.replace(dataset, query=other, gallery=other)


def other_train(dataset):
    rows = [1, 0, *range(2, len(dataset.train))]
    return dataclasses.replace(dataset, train=changed(dataset.train, rows=rows))


def other_train_labels(dataset):
    mixed = changed(dataset.train, labels=dataset.train.labels.reshape(4, -1).T.ravel())
    return dataclasses.replace(dataset, train=mixed)


@pytest.mark.parametrize(
    ("method", "change", "said"),
    [
        ("invaspread", other_test, TEST),
        ("random", other_test, TEST),
        ("invaspread", other_train, TRAIN),
        ("triplet_semihard", other_train_labels, TRAIN),
    ],
)
def test_the_numbers_of_other_images_are_never_given(tmp_path, method, change, said):
    made(tmp_path, toy(), method)
    with pytest.raises(StoreError, match=rf"^runs/toy-{method}-.*: {said} \w+, found \w+; delete"):
        made(tmp_path, change(toy()), method)


@pytest.mark.parametrize(
    ("method", "change"), [("random", other_train), ("invaspread", other_train_labels)]
)
def test_what_a_method_never_sees_may_change(tmp_path, method, change):
    assert made(tmp_path, toy(), method) == made(tmp_path, change(toy()), method)


def other_pictures(folder, *names):
    """Other pictures by the same names: as files, they are of another length."""
    for name in names:
        noise = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
        Image.fromarray(noise).save(folder / name)


def pictures(root, method="invaspread"):
    """A dataset of files, and a recipe for it."""
    if not root.exists():
        write_dataset(root)
    dataset = data.load("shapes_unseen", root)
    fields = {**SMALL, "epochs": 0, "augmentation": "none"} if method == "random" else SMALL
    said = {**fields, "resize": 16, "dataset": "shapes_unseen", "method": method}
    return recipes.resolve(said, dataset), dataset


FILES = r"expected image files \w+, found \w+; delete"


@pytest.mark.parametrize("name", ["train-3-4.png", "test-9-103.png"])
def test_other_pictures_by_the_same_names_are_noticed(tmp_path, name):
    bench.run(*pictures(tmp_path / "data"), tmp_path / "results", say=lambda _: None)
    other_pictures(tmp_path / "data" / "shapes_unseen", name)
    with pytest.raises(StoreError, match=FILES):
        bench.run(*pictures(tmp_path / "data"), tmp_path / "results")
    evaluate = ["evaluate", "--dataset", "shapes_unseen", "--data-root", tmp_path / "data"]
    evaluate += ["--set", "backbone=conv4", "--set", "weights=none", "--set", "resize=16"]
    evaluate += ["--set", "crop=16"]
    assert main([str(word) for word in (*evaluate, "--results", tmp_path / "results")]) == 0
    assert not list(tmp_path.glob("results/evaluations/*invaspread*"))


def test_pictures_that_training_alone_would_see_may_change_without_one(tmp_path):
    first = bench.run(*pictures(tmp_path / "data", "random"), tmp_path, say=lambda _: None)
    other_pictures(tmp_path / "data" / "shapes_unseen", "train-3-4.png")
    assert bench.run(*pictures(tmp_path / "data", "random"), tmp_path) == first


def test_files_that_were_touched_or_copied_are_the_same_pictures(tmp_path):
    first = bench.run(*pictures(tmp_path / "data"), tmp_path / "results", say=lambda _: None)
    assert len(first.files) == 16
    shutil.copytree(tmp_path / "data", tmp_path / "elsewhere", copy_function=shutil.copy)
    for path in (tmp_path / "elsewhere").rglob("*.png"):
        os.utime(path, (1, 1))
    assert bench.run(*pictures(tmp_path / "elsewhere"), tmp_path / "results") == first


def test_a_picture_in_a_shard_takes_the_bytes_that_it_is_encoded_in(tmp_path):
    found = folder.load(tarballs.write_folder(tmp_path)).train
    tars, rows = members(found.images)
    assert found.images.sizes.tolist() == [len(encoded) for encoded in tars.read(rows)]
    assert provenance.files_fingerprint([found]) != ""


def test_a_stopped_training_never_goes_on_with_other_pictures(tmp_path, monkeypatch):
    take = Training._take_step
    with monkeypatch.context() as patch:
        patch.setattr("dml_bench.engine.SAVE_SECONDS", 0.0)
        patch.setattr(Training, "_take_step", lambda self, batch: stop_after(self, batch, take))
        with pytest.raises(StoppedError):
            bench.run(*pictures(tmp_path / "data"), tmp_path / "results", say=lambda _: None)
    other_pictures(tmp_path / "data" / "shapes_unseen", "train-3-4.png")
    with pytest.raises(StoreError, match=FILES):
        bench.run(*pictures(tmp_path / "data"), tmp_path / "results", say=lambda _: None)


def stop_after(training, batch, take, steps=4):
    if training.step == steps:
        raise StoppedError
    return take(training, batch)


def test_pictures_in_no_files_of_their_own_have_no_mark_and_nothing_is_refused(tmp_path):
    assert provenance.marks(toy(), "supervised")["image files"] == ""
    first = made(tmp_path, toy())
    assert first.files == ""
    path = tmp_path / "runs" / first.recipe.key / "result.json"
    said = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in said.items() if name != "files"}))
    assert made(tmp_path, toy()) == first


def test_sizes_follow_the_rows_that_are_chosen_and_the_parts_that_are_joined(tmp_path):
    for n, name in enumerate("abc"):
        (tmp_path / name).write_bytes(b"x" * n)
    files = images.Files(tmp_path, ["a", "b", "c"])
    assert files.sizes.tolist() == [0, 1, 2]
    chosen = images.Chosen(files, np.array([2, 0]))
    assert chosen.sizes.tolist() == [2, 0]
    assert images.Joined([files, chosen]).sizes.tolist() == [0, 1, 2, 2, 0]
    array = images.Array(np.zeros((2, 4, 4, 3), np.uint8))
    assert images.Chosen(array, np.array([1])).sizes is None
    assert images.Joined([files, array]).sizes is None


def test_a_result_from_before_training_images_were_noted_is_kept(tmp_path):
    first = made(tmp_path, toy())
    path = tmp_path / "runs" / first.recipe.key / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"training": ""}))
    assert made(tmp_path, other_train(toy())).metrics == first.metrics


def test_renumbered_classes_are_the_same_training_images():
    train = toy().train
    renumbered = changed(train, labels=30 - train.labels)
    marks = [training_fingerprint(split, labels=True) for split in (train, renumbered)]
    assert marks[0] == marks[1] != training_fingerprint(train, labels=False)


def stopped(results, monkeypatch, after=4):
    """Cut a training off after some steps; its state is kept."""
    monkeypatch.setattr("dml_bench.engine.SAVE_SECONDS", 0.0)
    take, taken = Training._take_step, []

    def take_or_stop(self, batch):
        if len(taken) == after:
            raise StoppedError
        taken.append(take(self, batch))

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_take_step", take_or_stop)
        with pytest.raises(StoppedError):
            made(results, toy())


def commit(monkeypatch, name, dirty=False):
    monkeypatch.setattr(provenance, "checkout", lambda: {"commit": name, "dirty": dirty})


def test_a_run_says_the_commit_that_it_began_with(tmp_path, monkeypatch):
    commit(monkeypatch, "aaaa")
    embeddings = bench.embeddings

    def and_commit(*given):
        commit(monkeypatch, "bbbb")
        return embeddings(*given)

    monkeypatch.setattr(bench, "embeddings", and_commit)
    found = made(tmp_path, toy()).environment
    assert (found["commit"], found["dirty"], "commits" in found) == ("aaaa", False, False)


def test_a_run_of_two_commits_says_both_and_is_not_published(tmp_path, monkeypatch):
    commit(monkeypatch, "aaaa")
    stopped(tmp_path, monkeypatch)
    commit(monkeypatch, "bbbb")
    result = made(tmp_path, toy())
    assert result.environment["commits"] == ["aaaa", "bbbb"]
    with pytest.raises(StoreError, match=r"expected a run of one commit, found .*: aaaa, bbbb"):
        publish(tmp_path, ["*"], tmp_path / "out")
    folder = tmp_path / "runs" / result.recipe.key
    assert not (folder / provenance.SESSIONS).exists()


def test_changes_in_any_session_make_a_run_dirty(tmp_path, monkeypatch):
    commit(monkeypatch, "aaaa", dirty=True)
    stopped(tmp_path, monkeypatch)
    commit(monkeypatch, "aaaa", dirty=False)
    found = made(tmp_path, toy()).environment
    assert (found["commit"], found["dirty"], "commits" in found) == ("aaaa", True, False)


def test_a_state_without_a_noted_session_is_of_an_unknown_commit(tmp_path, monkeypatch):
    commit(monkeypatch, "aaaa")
    stopped(tmp_path, monkeypatch)
    for note in tmp_path.glob(f"runs/*/{provenance.SESSIONS}"):
        note.unlink()
    assert made(tmp_path, toy()).environment["commits"] == ["unknown", "aaaa"]


def test_a_stopped_training_never_goes_on_with_other_images(tmp_path, monkeypatch):
    stopped(tmp_path, monkeypatch)
    with pytest.raises(StoreError, match=TRAIN):
        made(tmp_path, other_train(toy()))


def test_anew_forgets_a_stopped_training_and_refuses_a_finished_one(tmp_path, monkeypatch):
    stopped(tmp_path, monkeypatch)
    heard = []
    recipe = recipes.resolve({**SMALL, "dataset": "toy", "method": "invaspread"}, toy())
    bench.run(recipe, toy(), tmp_path, say=heard.append, anew=True)
    assert not [line for line in heard if "going on" in line]
    with pytest.raises(RecipeError, match=r"found a finished one: runs/toy-.*; delete this folder"):
        bench.run(recipe, toy(), tmp_path, anew=True)


def test_anew_leaves_the_state_of_a_run_that_another_process_is_at(tmp_path, monkeypatch):
    stopped(tmp_path, monkeypatch)
    recipe = recipes.resolve({**SMALL, "dataset": "toy", "method": "invaspread"}, toy())
    stored = Run(tmp_path, recipe)
    with stored.lock(), pytest.raises(StoreError, match="expected to be alone"):
        bench.run(recipe, toy(), tmp_path, anew=True)
    assert checkpoint.has_state(stored.folder)


def test_decoding_has_a_lap_of_its_own(tmp_path, monkeypatch):
    pack = packs.pack

    def slowly(split, *given, **named):
        time.sleep(0.5)
        return pack(split, *given, **named)

    monkeypatch.setattr(packs, "pack", slowly)
    seconds = made(tmp_path, toy()).seconds
    assert list(seconds) == ["pack", "train", "embed", "evaluate"]
    assert seconds["pack"] >= 1.0  # training and test images
    curve = made(tmp_path, toy()).curve
    assert seconds["train"] == pytest.approx(sum(row["seconds"] for row in curve))


def test_a_lap_of_training_is_the_sum_over_all_sessions(tmp_path, monkeypatch):
    loss = Method.loss

    def slowly(self, vectors, batch):
        time.sleep(0.1)
        return loss(self, vectors, batch)

    monkeypatch.setattr(Method, "loss", slowly)
    stopped(tmp_path, monkeypatch, after=6)
    result = made(tmp_path, toy())
    assert result.seconds["train"] >= 8 * 0.1
    for row in result.curve:
        assert row["images_per_second"] == pytest.approx(32 / row["seconds"])


def test_what_a_method_does_before_an_epoch_is_training_too(tmp_path, monkeypatch):
    monkeypatch.setattr(Method, "begin_epoch", lambda *_: time.sleep(0.3))
    assert made(tmp_path, toy()).seconds["train"] >= 2 * 0.3


def test_a_network_that_diverged_in_its_last_step_is_a_run_that_failed(tmp_path):
    said = {**SMALL, "batch": 32, "epochs": 1, "dataset": "toy", "method": "invaspread"}
    recipe = dataclasses.replace(recipes.resolve(said, toy()), lr=1e38)
    with pytest.raises(RunError, match=r"embedding test: expected .*; try a lower lr"):
        bench.run(recipe, toy(), tmp_path, say=lambda _: None)


def test_what_is_expected_is_not_written_while_another_process_is_at_work(tmp_path):
    result = made(tmp_path, toy(), "random")
    recipe = dataclasses.replace(result.recipe, expect={"recall@1": 0.3}, source="Table 1")
    with Run(tmp_path, recipe).lock(), pytest.raises(BusyError):
        bench.run(recipe, toy(), tmp_path, say=lambda _: None)
    assert made(tmp_path, toy(), "random").recipe.expect == {}
    assert bench.run(recipe, toy(), tmp_path).recipe.expect == {"recall@1": 0.3}
