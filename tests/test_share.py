"""A fixed share of the training images: which, how many, and what it changes."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from toys import SMALL, split, toy, toy_seen

from dml_bench import bench, recipes
from dml_bench.data.share import as_trained, chosen, some
from dml_bench.errors import RecipeError
from dml_bench.types import Dataset

NAMES = tuple(f"train/{n}.png" for n in range(1000))


def relabelled(dataset):
    train = replace(dataset.train, labels=np.roll(dataset.train.labels, 5))
    return replace(dataset, train=train)


def test_the_count_is_exact():
    for share in (0.1, 0.25, 0.333, 0.5, 0.9, 1.0):
        assert len(chosen(NAMES, share)) == round(share * 1000)
    assert [len(chosen(NAMES[:n], 0.5)) for n in (3, 5)] == [2, 2]  # 1.5 and 2.5: to the even
    assert len(chosen(NAMES[:3], 0.001)) == 1


def test_it_is_the_same_images_whatever_their_order():
    rows = np.random.default_rng(0).permutation(1000)
    there = {NAMES[row] for row in chosen(NAMES, 0.1)}
    shuffled = tuple(NAMES[row] for row in rows)
    assert {shuffled[row] for row in chosen(shuffled, 0.1)} == there


def test_these_ids_are_chosen_for_good():
    assert [NAMES[row] for row in chosen(NAMES, 0.003)] == [
        "train/107.png",
        "train/344.png",
        "train/996.png",
    ]


def test_a_smaller_share_lies_within_a_larger_one():
    assert set(chosen(NAMES, 0.1)) < set(chosen(NAMES, 0.3)) < set(chosen(NAMES, 1.0))


def test_it_is_as_good_as_drawn():
    """Tenths of many sets of names: each place is taken about equally often."""
    taken = Counter(
        row for n in range(200) for row in chosen(tuple(f"{n}/{k}" for k in range(50)), 0.1)
    )
    assert sum(taken.values()) == 1000
    assert max(taken.values()) < 40  # 20 expected, 4 standard deviations beyond it


def test_labels_have_no_say():
    plain, other = some(toy(), 0.5), some(relabelled(toy()), 0.5)
    assert plain.train.ids == other.train.ids
    assert not (plain.train.labels == other.train.labels).all()


def test_images_labels_and_ids_stay_together_in_their_order():
    whole, part = toy().train, some(toy(), 0.3).train
    rows = [whole.ids.index(name) for name in part.ids]
    assert rows == sorted(rows)
    assert (part.labels == whole.labels[rows]).all()
    for place, row in enumerate(rows):
        assert (np.array(part.images[place]) == np.array(whole.images[row])).all()


def test_the_test_of_unseen_classes_stays_as_it_was():
    whole = toy()
    part = some(whole, 0.5)
    assert (part.query, part.gallery) == (whole.query, whole.gallery)
    assert part.fingerprint == whole.fingerprint


def test_what_is_searched_among_seen_classes_shrinks_with_the_training_images():
    part = some(toy_seen(), 0.5)
    assert part.gallery is part.train
    assert len(part.gallery) == 16
    assert part.fingerprint != toy_seen().fingerprint


def test_a_gallery_of_its_own_stays():
    train, test = split("train", [0, 1, 2, 3]), split("test", [0, 1, 2, 3], each=3, seed=1)
    bank = split("bank", [0, 1, 2, 3], each=2, seed=2)
    assert some(Dataset("apart", "Apart", train, test, bank, "seen"), 0.5).gallery is bank


def test_images_are_held_out_of_the_share():
    recipe = recipes.resolve(
        {
            "dataset": "toy",
            "method": "invaspread",
            **SMALL,
            "share": 0.75,
            "validation": 0.5,
            "monitor": "recall@1",
        },
        toy(),
    )
    dataset, held = as_trained(toy(), recipe)
    within = set(some(toy(), 0.75).train.ids)
    assert set(dataset.train.ids) | set(held.asked.query.ids) == within


def test_the_counts_and_the_fingerprint_of_the_training_say_it(tmp_path):
    def ran(**said):
        recipe = recipes.resolve({"dataset": "toy", "method": "invaspread", **SMALL, **said}, toy())
        return bench.run(recipe, toy(), tmp_path, say=lambda _: None)

    whole, part, other = ran(epochs=1), ran(epochs=1, share=0.5), ran(epochs=1, share=0.5, seed=1)
    assert (whole.counts["train_images"], part.counts["train_images"]) == (32, 16)
    assert whole.fingerprint == part.fingerprint
    assert part.training == other.training != whole.training
    assert part.counts["images_seen"] == 16


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1])
def test_a_share_of_nothing_or_of_more_than_all_is_refused(share):
    with pytest.raises(RecipeError, match="share: expected"):
        recipes.resolve({"dataset": "toy", "method": "invaspread", **SMALL, "share": share}, toy())
