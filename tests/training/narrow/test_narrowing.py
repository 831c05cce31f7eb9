"""A narrow trunk gives nearly what the full one gives, from the images that it may see."""

from dataclasses import replace

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
    weights = narrowed(fresh_network(trunk, SMALL, 0, "cpu"), hypercolumn.trunk, images, 0, noise)
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
    first, again, other = (narrowed(network, narrow_widths(0.25), images, seed) for seed in (0, 0, 1))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)
