"""The map: the same every time, classes near their own, whole classes rather than crumbs of all."""

import numpy as np
import pytest

from dml_bench.pages.projection import MOST_CLASSES, MOST_IMAGES, project, sample
from dml_bench.types import Embeddings


@pytest.fixture(scope="module")
def clouds():
    draw = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 20)
    return Embeddings(draw.normal(size=(4, 16))[labels] + draw.normal(size=(80, 16)) / 9, labels)


def test_a_map_is_the_same_every_time_and_fits_its_frame(clouds):
    rows = np.arange(80)
    first, second = project(clouds, rows), project(clouds, rows)
    assert (first == second).all()
    assert first.min() >= 0
    assert first.max() <= 1
    assert np.ptp(first, axis=0).max() == pytest.approx(1)


def test_clouds_that_lie_apart_lie_apart_on_the_map(clouds):
    places = project(clouds, np.arange(80))
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (clouds.labels[apart.argmin(axis=1)] == clouds.labels).all()


def test_a_sample_holds_whole_classes():
    labels = np.repeat(np.arange(300), 12)
    rows = sample(labels)
    classes, counts = np.unique(labels[rows], return_counts=True)
    assert len(classes) == MOST_CLASSES
    assert set(counts) == {12}
    assert (rows == sample(labels)).all()


def test_a_sample_is_bounded_and_holds_each_class():
    rows = sample(np.repeat([3, 8], 5000))
    assert len(rows) == MOST_IMAGES
    assert (np.bincount(np.repeat([3, 8], 5000)[rows])[[3, 8]] == MOST_IMAGES // 2).all()


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_a_handful_of_images_has_a_map(clouds, n):
    places = project(clouds, np.arange(n))
    assert places.shape == (n, 2)
    assert np.isfinite(places).all()


def test_images_that_are_all_alike_have_a_map():
    same = Embeddings(np.ones((30, 4)), np.zeros(30, int))
    assert np.isfinite(project(same, np.arange(30))).all()


def test_a_single_dimension_has_a_map():
    signs = Embeddings(np.repeat([[1.0], [-1.0]], 9, axis=0), np.zeros(18, int))
    assert np.isfinite(project(signs, np.arange(18))).all()
