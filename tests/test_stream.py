"""Trained from shards without a pack: the same bits, whatever is read ahead, by whom, how far."""

import json
import signal
import threading
import time

import fsspec
import numpy as np
import pytest
import tarballs
import torch
from children import numbers, nursery
from server import Site, serving
from toys import SMALL

from dml_bench import bench, dist, draws, recipes
from dml_bench.cli import main
from dml_bench.data import folder, members, share
from dml_bench.data.ahead import Ahead, share_of_memory
from dml_bench.data.batches import Batches
from dml_bench.data.members import Members, shards_of
from dml_bench.data.stream import Stream
from dml_bench.errors import DataError, RecipeError
from dml_bench.packs import Packs
from dml_bench.store import Run

SAID = {**SMALL, "dataset": "mine", "method": "invaspread", "resize": 16, "order": "shards:2"}
LARGEST = 2 * max(len(tarballs.png(label, 0)) for label in range(8))
BLOCK = 23 * LARGEST  # a block of the two largest shards, and more


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("place")
    tarballs.write_folder(root)
    return root


@pytest.fixture(scope="module")
def mine(place):
    return folder.load(place / "mine")


def trained(where, dataset, cap=None, workers=None, monkeypatch=None, packed=False, **said):
    """The weights that a training ends in, and its packs."""
    recipe = recipes.resolve({**SAID, **said}, dataset)
    dataset, held = share.as_trained(dataset, recipe)
    stored = Run(where, recipe)
    stored.folder.mkdir(parents=True, exist_ok=True)
    packs = Packs(dataset, recipe, where / "packs")
    if cap is not None:
        packs.ahead.cap = cap
    if packed:
        packs.ahead = None
    packs.make(held)
    assert isinstance(packs[dataset.train], Stream) != packed
    if workers:
        packs[dataset.train].pool._max_workers = workers
    model, curve = bench.train(
        recipe, dataset, packs, stored, held=held, device="cpu", say=lambda _: None
    )
    vectors = bench.embeddings(model, recipe, dataset, packs)[1].vectors
    return {**model.state_dict(), "gallery": torch.from_numpy(vectors)}, packs, curve


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.fixture(scope="module")
def whole(mine, tmp_path_factory):
    """What a training in the same order ends in, from a pack of the same images."""
    return trained(tmp_path_factory.mktemp("whole"), mine, packed=True)[0]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("cap", [0, LARGEST, BLOCK, 2**30])
def test_a_training_ends_in_the_bits_of_one_from_a_pack(mine, whole, tmp_path, cap, workers):
    found, packs, _ = trained(tmp_path, mine, cap=cap, workers=workers)
    assert same(found, whole)
    assert packs.ahead.most <= cap
    assert [path.name.split("-")[1] for path in (tmp_path / "packs").iterdir()] == ["test"]


def test_another_order_ends_in_other_bits(mine, whole, tmp_path):
    """Else the tests above would compare nothing."""
    assert not same(trained(tmp_path, mine, order="shards:1")[0], whole)


@pytest.mark.parametrize("scheme", ["memory", "http"])
def test_shards_that_lie_elsewhere_end_in_the_same_bits(whole, tmp_path, scheme):
    with serving(Site(tarballs.shards())) as site:
        where = site.url if scheme == "http" else "memory://elsewhere"
        for name, content in tarballs.shards().items():
            fsspec.filesystem("memory").pipe(f"/elsewhere/{name}", content)
        home = tarballs.write_folder(tmp_path / "data", f"{where}/train-{{0..4}}.tar")
        assert same(trained(tmp_path, folder.load(home), cap=BLOCK)[0], whole)


@pytest.mark.parametrize(
    "said",
    [
        {"validation": 0.5, "monitor": "recall@1"},
        {"share": 0.7},
        {"method": "triplet_semihard", "per_class": 2},
        {"method": "stml"},
        {"options": {"neighbour": True}},
    ],
    ids=str,
)
def test_what_else_a_recipe_says_ends_in_the_same_bits(mine, tmp_path, said):
    wanted, _, curve = trained(tmp_path / "pack", mine, packed=True, **said)
    found, _, again = trained(tmp_path / "stream", mine, cap=3 * LARGEST, **said)
    assert same(found, wanted)
    strip = {"seconds", "images_per_second"}
    plain = [
        [{k: v for k, v in row.items() if k not in strip} for row in c] for c in (curve, again)
    ]
    assert plain[0] == plain[1]


def test_a_gallery_of_training_images_is_not_packed_either(place, tmp_path):
    home = tarballs.write_folder(tmp_path)
    (home / "test.tar").write_bytes(tarballs.tar(tarballs.samples((12,), first=500)[0]))
    text = (home / "dataset.toml").read_text()
    (home / "dataset.toml").write_text(text.replace('"unseen"', '"seen"'))
    seen = folder.load(home)
    found, packs, _ = trained(tmp_path / "stream", seen, cap=BLOCK)
    assert isinstance(packs[seen.gallery], Stream)
    assert same(found, trained(tmp_path / "pack", seen, packed=True)[0])


def batches(dataset, cap=BLOCK, **said):
    recipe = recipes.resolve({**SAID, "augmentation": "none", **said}, dataset)
    packs = Packs(dataset, recipe, None)
    packs.ahead.cap = cap
    pixels = packs[dataset.train]
    shards = shards_of(dataset.train.images)
    return Batches(pixels, None, recipe, 1, torch.device("cpu"), shards)


def test_the_ranks_together_see_what_one_process_sees(mine, monkeypatch):
    whole = [batch.images for batch in batches(mine).epoch(1)]
    assert len(whole) == 5
    parts = []
    for rank in range(2):
        monkeypatch.setattr(dist, "part", lambda n, r=rank: slice(r * n // 2, (r + 1) * n // 2))
        parts.append([batch.images for batch in batches(mine).epoch(1)])
    for step, images in enumerate(whole):
        assert torch.equal(torch.cat([part[step] for part in parts], dim=1), images)


@pytest.mark.parametrize("gap", [0, None])
def test_a_rank_fetches_what_lies_between_its_images_too(mine, monkeypatch, gap):
    """So small images are fetched by each of two processes; without gaps each takes its half."""
    if gap is not None:
        monkeypatch.setattr(members, "GAP", gap)
    brought, inner = [], Members.bring
    monkeypatch.setattr(
        Members, "bring", lambda self, run: brought.append(self.span(run)) or inner(self, run)
    )
    sizes = mine.train.images.sizes
    for rank in range(2):
        monkeypatch.setattr(dist, "part", lambda n, r=rank: slice(r * n // 2, (r + 1) * n // 2))
        made = batches(mine, cap=2**30)
        own = sizes[made._own(made._order(1), 0)].sum()
        brought.clear()
        list(made.epoch(1))
        assert sum(brought) == own if gap == 0 else sum(brought) > 1.5 * own


def test_an_epoch_that_begins_in_the_middle_reads_no_shard_of_before(mine, monkeypatch):
    asked = []
    inner = Members.bring
    monkeypatch.setattr(Members, "bring", lambda self, run: asked.extend(run) or inner(self, run))
    made = batches(mine)
    asked.clear()
    whole = list(made.epoch(0))
    asked.clear()
    rest = list(made.epoch(0, start=3))
    assert torch.equal(rest[0].images, whole[3].images)
    fresh = batches(mine)
    asked.clear()
    list(fresh.epoch(0, start=3))
    assert sorted(asked) == sorted(fresh._order(0)[24:40].tolist())


SHARDS = np.repeat(range(5), tarballs.COUNTS)


@pytest.mark.parametrize("span", [1, 2, 3, 5, 9])
def test_the_order_is_a_permutation_in_blocks_of_few_shards(span):
    for epoch in range(20):
        order = draws.block_order(3, epoch, SHARDS, span)
        assert sorted(order.tolist()) == list(range(40))
        seen = list(dict.fromkeys(SHARDS[order].tolist()))
        start = 0
        for first in range(0, 5, span):
            block = sorted(seen[first : first + span])
            rows = np.flatnonzero(np.isin(SHARDS, block))
            assert sorted(order[start : start + len(rows)].tolist()) == rows.tolist()
            start += len(rows)


def test_the_order_is_drawn_from_seed_and_epoch_on_both_levels():
    orders = {(s, e): draws.block_order(s, e, SHARDS, 2) for s in range(3) for e in range(5)}
    again = draws.block_order(1, 2, SHARDS, 2)
    assert again.tolist() == orders[1, 2].tolist()
    assert len({tuple(order.tolist()) for order in orders.values()}) == 15
    assert len({tuple(dict.fromkeys(SHARDS[o].tolist())) for o in orders.values()}) > 8
    whole = draws.block_order(0, 0, SHARDS, 5)  # one block of all: no run of a shard
    assert (np.diff(SHARDS[whole]) != 0).sum() > 15


def test_a_class_comes_in_runs_within_a_block():
    labels = np.arange(40) * 7 % 4
    order = draws.block_order(0, 1, SHARDS, 2, labels, per_class=4)
    assert len(order) == 40
    runs = order.reshape(-1, 4)
    assert (labels[runs] == labels[runs][:, :1]).all()
    first_block = set(dict.fromkeys(SHARDS[order].tolist()).keys())
    assert all(len(set(SHARDS[run].tolist())) <= 2 for run in runs)
    assert len(first_block) >= 3


def test_files_are_read_from_the_beginning_to_the_end_a_block_after_the_other(mine, monkeypatch):
    asked = []
    inner = Members.bring
    monkeypatch.setattr(Members, "bring", lambda self, run: asked.append(run) or inner(self, run))
    made = batches(mine, cap=2**30)
    for epoch in range(3):
        made.pixels.ahead.spent.clear()
        made.pixels.ahead.bytes = 0
        asked.clear()
        order = made._order(epoch)
        list(made.epoch(epoch))
        shards = [int(SHARDS[run[0]]) for run in asked]
        assert shards == list(dict.fromkeys(SHARDS[order].tolist()))  # each once, as needed
        for run, shard in zip(asked, shards, strict=True):
            assert run.tolist() == np.flatnonzero(np.equal(SHARDS, shard)).tolist()


@pytest.mark.parametrize("cap", [0, LARGEST, 5 * LARGEST, BLOCK])
def test_the_cap_is_kept_however_the_images_are_asked_for(mine, cap, monkeypatch):
    """Counted by itself: what is held, and what the thread is reading, at each of its reads."""
    images, held = mine.train.images, []
    ahead = Ahead(images, cap)
    inner = Members.bring

    def count(more):
        held.append(sum(map(len, [*ahead.kept.values(), *ahead.spent.values()])) + more)

    def bring(self, run):
        if threading.current_thread().name == "shards":
            with ahead.room:
                count(self.span(run))
        return inner(self, run)

    monkeypatch.setattr(Members, "bring", bring)
    draw = np.random.default_rng(0)
    wanted = images.read(np.arange(40))
    for _ in range(30):
        order = draws.block_order(0, int(draw.integers(99)), SHARDS, 2)
        ahead.follow(order)
        for rows in np.split(order, 8)[: draw.integers(1, 9)]:
            more = draw.integers(0, 40, draw.integers(0, 4))  # of partners, out of order
            asked = [*rows.tolist(), *more.tolist()]
            assert ahead.take(asked) == [wanted[row] for row in asked]
            with ahead.room:
                count(0)
    ahead.follow(np.arange(0))
    assert max(held) <= cap
    assert ahead.most <= cap
    assert cap < BLOCK or max(held) > cap / 2  # it is used, too


def test_an_image_is_read_once_an_epoch_where_a_block_has_room(mine, monkeypatch):
    """The epochs after the first as well, whose beginning finds the store full of the last."""
    read = []
    inner = Members.bring
    monkeypatch.setattr(Members, "bring", lambda self, run: read.extend(run) or inner(self, run))
    made = batches(mine)
    for epoch in range(4):
        read.clear()
        list(made.epoch(epoch))
        assert len(read) == len(set(read))


def test_what_breaks_while_it_is_read_ahead_is_told_to_who_asks(place, tmp_path):
    with serving(Site(tarballs.shards())) as site:
        home = tarballs.write_folder(tmp_path, f"{site.url}/train-{{0..4}}.tar")
        made = batches(folder.load(home))
        del site.files["train-2.tar"]
        with pytest.raises(DataError, match=r"train-2.tar: expected a file .* no such file"):
            list(made.epoch(0))


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "shards"]


def test_nobody_reads_on_when_an_epoch_is_left(mine):
    made = batches(mine, cap=LARGEST)
    epoch = made.epoch(0)
    next(epoch)
    assert threads()
    epoch.close()
    deadline = time.monotonic() + 20
    while threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads() == []


@pytest.mark.parametrize(
    ("order", "said"),
    [("shard", "shuffle, or shards:K"), ("shards:0", "shards:K"), ("shards:x", "shards:K")],
)
def test_an_order_that_is_none_is_refused(mine, order, said):
    with pytest.raises(RecipeError, match=said):
        recipes.resolve({**SAID, "order": order}, mine)


def test_an_order_of_shards_needs_shards():
    from toys import toy

    with pytest.raises(RecipeError, match="expected training images in shards, found none in toy"):
        recipes.resolve({**SAID, "dataset": "toy"}, toy())


def test_the_order_is_in_the_key_but_for_the_usual_one(mine):
    made = {o: recipes.resolve({**SAID, "order": o}, mine).key for o in ("shards:2", "shards")}
    usual = {k: v for k, v in SAID.items() if k != "order"}
    plain = recipes.resolve(usual, mine)
    assert plain.key == recipes.resolve({**usual, "order": "shuffle"}, mine).key
    assert len({plain.key, *made.values()}) == 3
    assert recipes.resolve({**SAID, "order": "shards"}, mine).order == "shards:4"


def test_small_shards_are_packed_like_anything_else(mine, tmp_path):
    recipe = recipes.resolve({**SAID, "order": "shuffle"}, mine)
    pixels = Packs(mine, recipe, tmp_path)[mine.train]
    assert isinstance(pixels, np.ndarray)
    streamed = Packs(mine, recipes.resolve(SAID, mine), tmp_path)[mine.train]
    assert np.array_equal(streamed[:], pixels)
    assert np.array_equal(streamed[np.array([39, 0, 39])], pixels[[39, 0, 39]])


def test_without_a_cap_a_share_of_the_memory_is_held(monkeypatch, tmp_path):
    free = share_of_memory()
    assert free > 2**20
    limit = tmp_path / "memory.max"
    limit.write_text(f"{2**22}\n")
    monkeypatch.setattr("dml_bench.data.ahead.LIMIT", limit)
    assert share_of_memory() == 2**20
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert share_of_memory() == 2**18


def test_a_dataset_says_how_much_is_held(tmp_path):
    home = tarballs.write_folder(tmp_path)
    with (home / "dataset.toml").open("a") as file:
        file.write('read_ahead = "1.5GB"\n')
    found = folder.load(home)
    packs = Packs(found, recipes.resolve(SAID, found), tmp_path)
    assert packs.ahead.cap == 3 * 2**29


def words(place, results):
    said = [f"{k}={v}" for k, v in SAID.items() if k not in ("dataset", "method")]
    settings = [word for one in said for word in ("--set", one)]
    named = ["train", "--dataset", "mine", "--method", "invaspread", *settings]
    return [*named, "--data-root", str(place), "--results", str(results)]


def test_a_training_that_is_killed_in_the_middle_ends_in_the_same_bits(place, tmp_path):
    with nursery(tmp_path / "logs") as run:
        ended = run(*words(place, tmp_path / "whole"), stage={"name": "training"})
        assert ended.status == 0, ended.said
        lines, whole = ended.stage["lines"], numbers(tmp_path / "whole")
        for part in (0.2, 0.6, 0.9):
            results = tmp_path / f"killed-{part}"
            at = {"name": "training", "line": int(part * lines)}
            killed = run(*words(place, results), stage=at)
            assert killed.status == -signal.SIGKILL, killed.said
            again = run(*words(place, results))
            assert again.status == 0, again.said
            assert numbers(results) == whole


def test_the_command_says_the_order_in_its_result(place, tmp_path, capsys):
    assert main(words(place, tmp_path)) == 0
    (result,) = (tmp_path / "runs").glob("*/result.json")
    assert json.loads(result.read_text())["recipe"]["order"] == "shards:2"
    assert "train 40" not in capsys.readouterr().err
