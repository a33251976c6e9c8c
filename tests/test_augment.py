"""Augmentations against torchvision's on the same parameters, and their laws."""

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as TF
from torch.overrides import TorchFunctionMode
from torchvision.transforms import RandomResizedCrop

from dml_bench import augment, colour, crops
from dml_bench.devices import on
from dml_bench.errors import UnknownNameError

needs_accelerator = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="there is no accelerator here"
)
EVERY = ["R+C+G+F", "crop+C+G+F", "affine+C", "crop+F", "F", "none"]


def images(n=16, height=40, width=48, seed=0):
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(seed))


def uniform(n, width, seed=0):
    return torch.rand(n, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [12, 24, 64])
def test_a_resized_crop_is_the_one_that_torchvision_cuts_from_the_same_box(size):
    pictures, u = images(), uniform(16, 22)
    found = crops.random_resized_crop(pictures, u, size)
    boxes = torch.stack(crops._boxes(u, 40, 48), dim=1).int().tolist()
    for picture, box, crop in zip(pictures, boxes, found, strict=True):
        expected = TF.resized_crop(picture, *box, [size, size], antialias=True)
        torch.testing.assert_close(crop, expected, atol=1e-5, rtol=0)


def test_boxes_are_spread_as_torchvisions_are():
    _, _, tall, wide = crops._boxes(uniform(4000, 22), 100, 100)
    torch.manual_seed(0)
    theirs = torch.tensor(
        [
            RandomResizedCrop.get_params(images(1, 100, 100)[0], (0.2, 1), (3 / 4, 4 / 3))[2:]
            for _ in range(4000)
        ]
    ).double()
    for ours, reference in (
        (tall * wide, theirs.prod(dim=1)),
        (wide / tall, theirs[:, 1] / theirs[:, 0]),
    ):
        at = torch.linspace(0, 1, 11, dtype=torch.float64)
        torch.testing.assert_close(ours.quantile(at), reference.quantile(at), rtol=0.06, atol=0)


def test_a_box_that_no_try_fits_is_the_widest_the_ratios_allow():
    u = torch.ones(1, 22) * 0.999  # the largest area at the widest ratio never fits a tall image
    top, left, tall, wide = (v.item() for v in crops._boxes(u, 200, 20))
    assert (tall, wide) == (27, 20)
    assert (top, left) == (86, 0)


@pytest.mark.parametrize(
    ("ours", "theirs", "strengths"),
    [
        (colour._brightness, TF.adjust_brightness, (0.6, 1.4)),
        (colour._contrast, TF.adjust_contrast, (0.6, 1.4)),
        (colour._saturation, TF.adjust_saturation, (0.6, 1.4)),
        (colour._hue, TF.adjust_hue, (-0.4, 0.25, 0.4)),
    ],
)
def test_a_change_of_colour_is_torchvisions(ours, theirs, strengths):
    for strength in strengths:
        expected = theirs(images(), strength)
        found = ours(images(), torch.full((16, 1, 1, 1), strength))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_jitter_makes_the_four_changes_in_the_drawn_order():
    u = torch.tensor([[0.9, 0.2, 0.7, 0.8, 0.4, 0.1, 0.3, 0.2]])  # orders: 1, 3, 2, 0
    picture = images(1)
    expected = TF.adjust_contrast(picture, 0.6 + 0.8 * 0.2)
    expected = TF.adjust_hue(expected, 0.4 * (2 * 0.8 - 1))
    expected = TF.adjust_saturation(expected, 0.6 + 0.8 * 0.7)
    expected = TF.adjust_brightness(expected, 0.6 + 0.8 * 0.9)
    torch.testing.assert_close(colour.colour_jitter(picture, u), expected, atol=1e-5, rtol=0)


def test_gray_and_flip_happen_as_often_as_they_should():
    pictures = images(1, 4, 4).expand(4000, -1, -1, -1)
    gray = colour.random_grayscale(pictures, uniform(4000, 1))
    share = (gray[:, 0] == gray[:, 1]).flatten(1).all(dim=1).float().mean()
    flipped = augment.random_flip(pictures.clone(), uniform(4000, 1))
    mirrored = (flipped == pictures.flip(-1)).flatten(1).all(dim=1).float().mean()
    assert share == pytest.approx(0.2, abs=0.02)
    assert mirrored == pytest.approx(0.5, abs=0.03)


def test_a_random_crop_reaches_every_place_and_stays_inside():
    marked = torch.arange(6 * 7).reshape(1, 1, 6, 7).expand(3000, 3, -1, -1)
    corners = crops.random_crop(marked, uniform(3000, 2), 4)[:, 0, 0, 0]
    assert sorted(set(corners.tolist())) == [
        7 * top + left for top in range(3) for left in range(4)
    ]


def test_affine_without_a_draw_in_any_direction_changes_nothing():
    pictures = images(2, 16, 16)
    torch.testing.assert_close(crops.affine(pictures, torch.full((2, 6), 0.5), 16), pictures)


def test_leaving_a_part_out_moves_no_other_draw():
    whole = augment.draw("R+C+G+F", seed=3, epoch=1, n=5, views=2)
    less = augment.draw("R+G", seed=3, epoch=1, n=5, views=2)
    assert set(less) == {"R", "G"}
    assert all(np.array_equal(less[name], whole[name]) for name in less)


@pytest.mark.parametrize("other", [{"seed": 4}, {"epoch": 2}])
def test_another_seed_or_epoch_draws_anew(other):
    first = augment.draw("F", seed=3, epoch=1, n=50, views=2)["F"]
    second = augment.draw("F", **{"seed": 3, "epoch": 1, "n": 50, "views": 2, **other})["F"]
    assert not np.array_equal(first, second)
    assert not np.array_equal(first[:, 0], first[:, 1])  # nor are the views alike


def test_an_image_is_augmented_alike_in_any_company():
    pixels = (images(6, 32, 32) * 255).byte()
    tables = {k: v[:, 0] for k, v in augment.draw("R+C+G+F", 0, 0, 6, 1).items()}
    together = augment.apply(pixels, tables, 32)
    alone = augment.apply(pixels[4:5], {k: v[4:5] for k, v in tables.items()}, 32)
    torch.testing.assert_close(together[4:5], alone, atol=1e-6, rtol=0)
    assert together.min() >= 0
    assert together.max() <= 1


def test_without_parts_the_centre_is_cut():
    pixels = torch.arange(36).reshape(1, 1, 6, 6).expand(1, 3, 6, 6).byte()
    assert augment.apply(pixels, {}, 2)[0, 0].tolist() == [[14, 15], [20, 21]]


def test_an_unknown_part_is_refused_with_the_known():
    with pytest.raises(UnknownNameError, match="there is R, crop, affine, C, G, F, none"):
        augment.parts("R+X")


def batch_of(augmentation, n=24):
    """Pixels, and what two views of eight of them are drawn."""
    pixels = (images(n, 40, 40) * 255).byte()
    drawn = augment.draw(augmentation, 1, 0, 16, 1)
    return pixels, {name: table[:, 0] for name, table in drawn.items()}, torch.arange(16) % 8


@pytest.mark.parametrize(
    ("sooner", "plain"),
    [(augment._flip_by_numpy, augment._flip), (augment._rows_by_numpy, lambda i, rows: i[rows])],
    ids=["flip", "rows"],
)
@pytest.mark.parametrize("rows", [[], [3], [5, 0, 2], range(16)], ids=len)
def test_what_numpy_does_sooner_an_accelerator_does_alike(sooner, plain, rows):
    chosen = torch.tensor(list(rows), dtype=torch.int64)
    for pictures in (images(), (images() * 255).byte()):
        first, second = pictures.clone(), pictures.clone()
        made = [do(of, chosen) for do, of in ((sooner, first), (plain, second))]
        assert torch.equal(first, second)
        assert made == [None, None] or torch.equal(*made)


def test_a_crop_is_the_same_by_numpy_and_on_an_accelerator():
    rows, top, left = (torch.randint(0, n, (50,)) for n in (16, 40 - 24 + 1, 48 - 24 + 1))
    for pictures in (images(), (images() * 255).byte()):
        found = crops._cut_by_numpy(pictures, 24, rows, top, left)
        assert torch.equal(found, crops._cut(pictures, 24, rows, top, left))
        assert torch.equal(found[7], pictures[rows[7], :, top[7] :, left[7] :][:, :24, :24])


class Copies(TorchFunctionMode):
    """Names what makes a tensor of numbers that lie on the processor."""

    def __init__(self):
        super().__init__()
        self.made = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in (torch.tensor, torch.Tensor.to):
            self.made.append(func.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("augmentation", EVERY)
def test_no_value_is_asked_of_an_accelerator_and_all_it_gets_is_pinned(augmentation, monkeypatch):
    """On a device without values: whoever wants one fails."""
    pixels, tables, rows = batch_of(augmentation)
    plain = augment.apply(pixels, tables, 32, rows)

    def to_meta(device, tensor):
        return torch.empty_like(tensor, device=device)

    for part in (augment, colour):
        monkeypatch.setattr(part, "on", to_meta)
    meta = torch.device("meta")
    with Copies() as copies:
        found = augment.apply(to_meta(meta, pixels), tables, 32, to_meta(meta, rows))
    assert copies.made == []
    assert (found.shape, found.dtype) == (plain.shape, plain.dtype)


@needs_accelerator
@pytest.mark.parametrize("augmentation", EVERY)
def test_an_accelerator_is_not_waited_for_and_makes_the_same_batch(augmentation):
    pixels, tables, rows = batch_of(augmentation)
    device = torch.device("cuda")
    there = pixels.to(device)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = augment.apply(there, tables, 32, on(device, rows))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    plain = augment.apply(pixels, tables, 32, rows)
    torch.testing.assert_close(found.cpu().float(), plain.float(), atol=1e-4, rtol=0)
