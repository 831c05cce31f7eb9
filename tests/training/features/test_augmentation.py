"""Mirrored views of pictures and of what is known of their places."""

from dataclasses import replace

import numpy as np
import pytest

from tests.training.conftest import prepare_places, tiny_places
from training.data.dataset import Dataset
from training.estimators.patches import PatchLearner
from training.features.augmentation import mirrored_coverage, views_of
from training.features.extraction import Picture
from training.features.imagenet import Trunk

PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


@pytest.fixture(scope="module")
def mirrored(found: Dataset, trunk: Trunk) -> PatchLearner:
    """`found` in all views, the masks too."""
    return prepare_places(found, trunk, tiny_places(views=3))


def of(count: int) -> list[Picture]:
    return [lambda i=i: PIXELS + np.uint8(i) for i in range(count)]  # type: ignore[misc]


def test_the_pictures_come_first_then_left_and_right_swapped_then_top_and_bottom() -> None:
    plain, sideways, upside_down = views_of(of(2), 3, 6)
    assert np.array_equal(plain[1](), PIXELS + 1)
    assert np.array_equal(sideways[1](), (PIXELS + 1)[:, ::-1])
    assert np.array_equal(upside_down[1](), (PIXELS + 1)[::-1])


@pytest.mark.parametrize(("most", "most_pictures", "views"), [(3, 6, 3), (3, 5, 2), (3, 4, 2), (1, 99, 1), (3, 1, 1)])
def test_large_data_has_fewer_views(most: int, most_pictures: int, views: int) -> None:
    assert len(views_of(of(2), most, most_pictures)) == views


def test_what_is_known_of_places_is_mirrored_with_them() -> None:
    shares = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    expected = np.concatenate([shares, shares[:, :, ::-1], shares[:, ::-1]])
    assert np.array_equal(mirrored_coverage(shares, 3), expected)
    assert np.array_equal(mirrored_coverage(shares, 1), shares)


def test_each_view_has_features_and_shares_of_its_own(mirrored: PatchLearner, places: PatchLearner) -> None:
    assert mirrored.columns.shape == (66, 64, 192)
    assert np.array_equal(mirrored.columns[:22], places.columns)
    assert not np.allclose(mirrored.columns[22:44], places.columns)
    sideways = places.coverage.reshape(22, 8, 8)[:, :, ::-1].reshape(22, 64)
    assert np.array_equal(mirrored.coverage[22:44], sideways)


def test_all_views_are_learnt_from_and_the_first_is_judged(mirrored: PatchLearner, places: PatchLearner) -> None:
    chosen, others = np.arange(0, 22, 2), np.arange(1, 22, 2)
    model = mirrored.learn(chosen)
    assert not np.array_equal(model.line.weights, places.learn(chosen).line.weights)
    assert np.array_equal(model.maps(others), replace(model, learner=places).maps(others))


def test_no_view_of_an_image_that_is_not_chosen_is_seen(mirrored: PatchLearner) -> None:
    chosen = np.arange(0, 22, 2)
    columns = np.array(mirrored.columns)
    for first in (0, 22, 44):
        columns[first + 1 : first + 22 : 2] = np.nan
    poisoned = replace(mirrored, columns=columns)
    assert np.array_equal(poisoned.learn(chosen).line.weights, mirrored.learn(chosen).line.weights)
