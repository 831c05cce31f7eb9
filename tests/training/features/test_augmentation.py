"""Flipped copies of images and of what is known of their patches."""

from dataclasses import replace

import numpy as np
import pytest

from tests.training.conftest import even_features, prepare_patches, tiny_patches
from training.data.dataset import Dataset
from training.estimators.patches import PreparedPatches
from training.features.augmentation import flipped, flipped_coverage
from training.features.extraction import ImageLoader
from training.features.imagenet import Trunk

PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


@pytest.fixture(scope="module")
def mirrored(dataset: Dataset, trunk: Trunk) -> PreparedPatches:
    """`dataset` in all flipped copies, the masks too."""
    return prepare_patches(dataset, trunk, tiny_patches(flips=2))


def of(count: int) -> list[ImageLoader]:
    return [lambda i=i: PIXELS + np.uint8(i) for i in range(count)]  # type: ignore[misc]


def test_the_images_come_first_then_left_and_right_swapped_then_top_and_bottom() -> None:
    plain, sideways, upside_down = flipped(of(2), 2, 6)
    assert np.array_equal(plain[1](), PIXELS + 1)
    assert np.array_equal(sideways[1](), (PIXELS + 1)[:, ::-1])
    assert np.array_equal(upside_down[1](), (PIXELS + 1)[::-1])


@pytest.mark.parametrize(("flips", "max_images", "copies"), [(2, 6, 3), (2, 5, 2), (2, 4, 2), (0, 99, 1), (2, 1, 1)])
def test_large_data_has_fewer_copies(flips: int, max_images: int, copies: int) -> None:
    assert len(flipped(of(2), flips, max_images)) == copies


def test_what_is_known_of_patches_is_flipped_with_them() -> None:
    shares = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    expected = np.concatenate([shares, shares[:, :, ::-1], shares[:, ::-1]])
    assert np.array_equal(flipped_coverage(list(shares), 3), expected)
    assert np.array_equal(flipped_coverage(list(shares), 1), shares)


def test_each_copy_has_features_and_shares_of_its_own(mirrored: PreparedPatches, patches: PreparedPatches) -> None:
    assert even_features(mirrored).shape == (66, 64, 192)
    assert np.array_equal(even_features(mirrored)[:22], even_features(patches))
    assert not np.allclose(even_features(mirrored)[22:44], even_features(patches))
    sideways = patches.coverage.reshape(22, 8, 8)[:, :, ::-1].reshape(22, 64)
    assert np.array_equal(mirrored.coverage[22:44], sideways)


def test_all_copies_are_learnt_from_and_the_first_is_predicted(
    mirrored: PreparedPatches, patches: PreparedPatches
) -> None:
    chosen, others = np.arange(0, 22, 2), np.arange(1, 22, 2)
    model = mirrored.fit(chosen)
    assert not np.array_equal(model.patch_model.weights, patches.fit(chosen).patch_model.weights)
    assert np.array_equal(model.evidence(others), replace(model, prepared=patches).evidence(others))


def test_no_copy_of_an_image_that_is_not_chosen_is_seen(mirrored: PreparedPatches) -> None:
    chosen = np.arange(0, 22, 2)
    features = np.array(even_features(mirrored))
    for first in (0, 22, 44):
        features[first + 1 : first + 22 : 2] = np.nan
    poisoned = replace(mirrored, features=features)
    assert np.array_equal(poisoned.fit(chosen).patch_model.weights, mirrored.fit(chosen).patch_model.weights)
