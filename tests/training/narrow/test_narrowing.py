"""A narrow trunk gives nearly what the full one gives, from the images that it may see."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from model.hypercolumn import BLOCKS, Hypercolumn, narrow_widths
from model.network import VGG16CAM
from model.weights import trunk_shapes
from tests.training.conftest import part_image
from training.estimators.network import fresh_network
from training.features.imagenet import Trunk
from training.narrow.images import NarrowingImages
from training.narrow.narrowing import narrowed
from training.narrow.targets import TargetCache, Targets, find_targets, targets_size

SMALL = Hypercolumn((1, 2), 4)


@pytest.fixture(scope="module")
def images() -> NarrowingImages:
    pixels = [np.asarray(part_image(i, defective=i % 2 > 0, size=64)) for i in range(6)]
    return NarrowingImages(np.stack(pixels), np.full((6, 256), np.nan, np.float32))


def features(network: VGG16CAM, pixels: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return network.columns(network.layers(network.normalised(torch.from_numpy(pixels)))).numpy()


def narrow_network(trunk: Trunk, share: float, images: NarrowingImages, noise: float) -> VGG16CAM:
    hypercolumn = replace(SMALL, trunk=narrow_widths(share))
    full = fresh_network(trunk, SMALL, 0, "cpu")
    weights = narrowed(full, hypercolumn.trunk, find_targets(full, hypercolumn.trunk, images, 0), noise)
    assert {name: values.shape for name, values in weights.items()} == trunk_shapes(hypercolumn)
    return fresh_network(weights, hypercolumn, 0, "cpu")


def test_with_all_channels_it_is_the_network_that_it_was(trunk: Trunk, images: NarrowingImages) -> None:
    network = narrow_network(trunk, 1.0, images, noise=0.0)
    assert network.hypercolumn.trunk == BLOCKS
    expected = features(fresh_network(trunk, SMALL, 0, "cpu"), images.pixels)
    np.testing.assert_allclose(features(network, images.pixels), expected, atol=1e-3 * expected.max())


def test_the_wider_the_nearer(trunk: Trunk, images: NarrowingImages) -> None:
    expected = features(fresh_network(trunk, SMALL, 0, "cpu"), images.pixels)
    errors = []
    for share in (0.125, 0.25, 0.5):
        network = narrow_network(trunk, share, images, noise=1.0)
        given = features(network, images.pixels)
        # The trunk's channels come first, in the order of the choice: the same features, in another order.
        mine, theirs = (np.sort(values[:, 64:].reshape(6, 128, -1).mean(2), axis=1) for values in (given, expected))
        errors.append(float(np.square(mine - theirs).mean()))
    assert errors == sorted(errors, reverse=True)


def test_the_same_images_and_seed_give_the_same_weights(trunk: Trunk, images: NarrowingImages) -> None:
    network = fresh_network(trunk, SMALL, 0, "cpu")
    widths = narrow_widths(0.25)
    first, again, other = (narrowed(network, widths, find_targets(network, widths, images, seed)) for seed in (0, 0, 1))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("share", [0.125, 0.25, 0.375])
def test_a_wider_trunks_targets_give_the_same_weights_to_the_bit(
    share: float, trunk: Trunk, images: NarrowingImages
) -> None:
    network, widths = fresh_network(trunk, SMALL, 0, "cpu"), narrow_widths(share)
    own, wider = (find_targets(network, narrow_widths(widest), images, 0) for widest in (share, 0.5))
    assert {name: layer.outputs.shape[1] for name, layer in wider.layers.items()} == {
        "conv1_1": 32,
        "conv1_2": 64,
        "conv2_1": 64,
        "conv2_2": 128,
    }
    first, second = (narrowed(network, widths, targets) for targets in (own, wider))
    assert first.keys() == second.keys() == trunk_shapes(SMALL).keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_what_targets_take_on_the_disk_is_known(trunk: Trunk, images: NarrowingImages) -> None:
    widest = narrow_widths(0.5)
    targets = find_targets(fresh_network(trunk, SMALL, 0, "cpu"), widest, images, 0)
    of_six_images = sum(layer.outputs.nbytes for layer in targets.layers.values())
    assert targets_size(SMALL, widest) == 6 * of_six_images


def test_the_last_targets_are_kept(trunk: Trunk, images: NarrowingImages) -> None:
    found: list[list[int]] = []

    def find(indices: list[int]) -> Targets:
        found.append(indices)
        return Targets(images.pixels, np.zeros((6, 1, 2)), {})

    cache = TargetCache(2)
    first, *_, again = (cache(np.array(i), partial(find, i)) for i in ([1, 2], [3], [1, 2]))
    assert again is first
    for indices in ([4], [3], [1, 2]):
        cache(np.array(indices), partial(find, indices))
    assert found == [[1, 2], [3], [4], [1, 2]]
    none = TargetCache(0)
    assert none(np.array([1]), partial(find, [1])) is not none(np.array([1]), partial(find, [1]))
