"""What a step sees."""

import numpy as np
import pytest
import torch
from toys import SMALL, toy

from dml_bench import recipes
from dml_bench.data.batches import Batches
from dml_bench.errors import RecipeError

PIXELS = np.random.default_rng(0).integers(0, 255, (30, 3, 16, 16), dtype=np.uint8)
LABELS = np.arange(30) % 3


def batches(labels=None, views=2, **said):
    recipe = recipes.resolve({"dataset": "toy", "method": "invaspread", **SMALL, **said}, toy())
    return Batches(PIXELS, labels, recipe, views, torch.device("cpu"))


def test_an_epoch_that_begins_in_the_middle_goes_on_with_the_same_batches():
    whole = list(batches().epoch(1))
    rest = list(batches().epoch(1, start=2))
    assert len(whole) == 30 // 8
    assert len(rest) == 1
    assert torch.equal(rest[0].images, whole[2].images)
    assert torch.equal(rest[0].ids, whole[2].ids)


def test_nothing_is_left_to_do_after_the_last_step():
    assert list(batches().epoch(0, start=3)) == []


def test_two_views_of_an_image_are_drawn_apart():
    batch = next(batches().epoch(0))
    assert batch.images.shape == (2, 8, 3, 16, 16)
    assert not torch.equal(batch.images[0], batch.images[1])


def test_the_second_view_shows_the_partner():
    partners = np.roll(np.arange(30), 1)
    batch = next(batches(augmentation="none").epoch(0, partners=partners))
    assert torch.equal(batch.images[1], torch.from_numpy(PIXELS[partners[batch.ids]]))
    assert torch.equal(batch.images[0], torch.from_numpy(PIXELS[batch.ids]))


def test_no_labels_are_handed_to_a_method_without_supervision():
    assert next(batches().epoch(0)).labels is None


def test_labels_go_with_their_images_in_runs_of_a_class():
    batch = next(batches(LABELS, views=1, per_class=4).epoch(0))
    assert torch.equal(batch.labels, torch.from_numpy(LABELS[batch.ids]))
    assert (batch.labels.reshape(2, 4) == batch.labels.reshape(2, 4)[:, :1]).all()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"batch": 31}, "at least one batch of 31 images, found 30"),
        ({"crop": 17}, "found crop 17 of 16 x 16"),
        ({"per_class": 4}, "per_class to divide the batch of a supervised method"),
    ],
)
def test_what_no_batch_can_be_made_of_is_refused(said, message):
    with pytest.raises(RecipeError, match=message):
        batches(**said)


def test_a_run_length_that_does_not_divide_the_batch_is_refused():
    with pytest.raises(RecipeError, match="per_class 3, batch 8"):
        batches(LABELS, per_class=3)
