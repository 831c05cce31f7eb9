"""The map is the verdict, and one image's answer doesn't depend on its neighbours."""

import numpy as np
import pytest
import torch
from torch import nn

from model.evidence import Pooling
from model.hypercolumn import GRID, MEAN_WEIGHT, Hypercolumn, grid_window
from model.network import VGG16CAM
from model.weights import tensor_shapes

CONV5 = Hypercolumn()


@pytest.fixture(scope="module")
def network() -> VGG16CAM:
    torch.manual_seed(0)
    network = VGG16CAM(CONV5).eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    nn.init.normal_(network.dense.weight, std=0.002)
    nn.init.normal_(network.dense.bias)
    return network


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, 32, 48, 3), dtype=np.uint8))


@torch.inference_mode()
def test_mean_of_the_map_is_the_log_odds_of_the_pooled_network(network: VGG16CAM, pixels: torch.Tensor) -> None:
    """Against the network as it is usually written: pool, dense layer, softmax."""
    evidence = network(pixels).numpy()
    pooled = network.layers(network.normalised(pixels))[-1].mean((2, 3))
    probability = torch.softmax(network.dense(pooled).double(), 1)
    expected = torch.log(probability[:, 1] / probability[:, 0]).numpy()
    assert np.abs(expected).max() > 0.1
    assert np.allclose(Pooling()(evidence), expected, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_an_image_has_the_same_map_alone_and_in_any_batch(network: VGG16CAM, pixels: torch.Tensor) -> None:
    together = network(pixels)
    assert together.shape == (5, 2, 3)
    for size in (1, 2, 3):
        for start in range(0, 5, size):
            assert torch.allclose(
                network(pixels[start : start + size]), together[start : start + size], atol=1e-4, rtol=0
            )


@torch.inference_mode()
def test_blocks_can_be_run_in_two_goes(network: VGG16CAM, pixels: torch.Tensor) -> None:
    for stop in (1, 3, 4):
        part = network.frozen(pixels, stop=stop)
        (whole,) = network.layers(network.normalised(pixels))
        assert torch.equal(network.layers(part, start=stop)[0], whole)


@torch.inference_mode()
@pytest.mark.parametrize("hypercolumn", [Hypercolumn((3, 4), 8), Hypercolumn((2, 5), 16)])
def test_evidence_is_linear_in_the_averaged_features(hypercolumn: Hypercolumn, pixels: torch.Tensor) -> None:
    torch.manual_seed(1)
    network = VGG16CAM(hypercolumn).eval()
    layers = network.layers(network.normalised(pixels))
    columns = network.columns(layers)
    assert columns.shape == (5, hypercolumn.channels, 32 // hypercolumn.stride, 48 // hypercolumn.stride)
    first = hypercolumn.stride >> (hypercolumn.blocks[0] - 1)
    assert torch.allclose(columns[0, 0, 1, 0], layers[0][0, 0, first : 2 * first, :first].mean(), atol=1e-5)
    difference = network.dense.weight[1] - network.dense.weight[0]
    expected = torch.einsum("c,nchw->nhw", difference, columns) + network.dense.bias[1] - network.dense.bias[0]
    assert torch.allclose(network(pixels), expected, atol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("blocks", [(3, 4), (5,)])
def test_the_image_head_adds_the_same_to_every_patch(blocks: tuple[int, ...], pixels: torch.Tensor) -> None:
    torch.manual_seed(1)
    network = VGG16CAM(Hypercolumn(blocks, 16, image_head=True)).eval()
    without = VGG16CAM(Hypercolumn(blocks, 16)).eval()
    of_patches, of_image = np.split(network.weights()["dense.weight"], 2, axis=1)
    without.set_weights(network.weights() | {"dense.weight": of_patches})
    means = network.columns(network.layers(network.normalised(pixels))).mean((2, 3))
    expected = means @ torch.from_numpy(of_image[1] - of_image[0])
    assert torch.allclose(network(pixels) - without(pixels), expected[:, None, None].expand(5, 2, 3), atol=1e-4)
    assert expected.abs().min() > 1e-3


def test_weights_have_the_declared_names_and_come_back(network: VGG16CAM) -> None:
    weights = network.weights()
    assert {name: values.shape for name, values in weights.items()} == tensor_shapes(CONV5)
    other = VGG16CAM(CONV5)
    other.set_weights(weights)
    assert all(np.array_equal(values, weights[name]) for name, values in other.weights().items())


def test_normalisation_takes_imagenets_mean_off_in_rgb_order() -> None:
    """conv1_1 passes the six half-planes ±R, ±G, ±B of the centre pixel; block 1 is cut down to it."""
    network = VGG16CAM(CONV5)
    first = network.blocks[0].conv1_1
    assert isinstance(first, nn.Conv2d)
    assert first.bias is not None
    with torch.no_grad():
        first.weight.zero_()
        first.bias.zero_()
        first.weight[:3, :, 1, 1] = torch.eye(3)
        first.weight[3:6, :, 1, 1] = -torch.eye(3)
    network.blocks[0] = nn.Sequential(first, nn.ReLU())
    pixels = torch.tensor([255, 0, 10], dtype=torch.uint8).expand(1, 16, 16, 3)
    with torch.inference_mode():
        seen = network.frozen(pixels, stop=1)[0, :6, 4, 4]
    assert (seen[:3] - seen[3:]).tolist() == pytest.approx([255 - 123.68, -116.779, 10 - 103.939], abs=1e-4)


@pytest.mark.parametrize(("blocks", "stride", "size"), [((5,), 16, 32), ((2, 3, 4), 8, 64), ((2, 3, 4), 16, 112)])
def test_grid_features_are_means_of_the_deepest_layers_patches(blocks: tuple[int, ...], stride: int, size: int) -> None:
    hypercolumn = Hypercolumn(blocks, stride)
    network = VGG16CAM(hypercolumn).eval()
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8))
    with torch.inference_mode():
        evidence, features = network.outputs(pixels)
        columns = network.columns(network.layers(network.normalised(pixels)))
    side = size // stride
    assert features.shape == (2, hypercolumn.features(side))
    window, step = grid_window(side)
    last = (min(GRID, side) - 1) * step
    cells = features.reshape(2, hypercolumn.widths[-1], min(GRID, side), min(GRID, side))
    cells = cells - MEAN_WEIGHT / (1 + MEAN_WEIGHT) * cells.mean((2, 3), keepdim=True)
    deepest = columns[:, -hypercolumn.widths[-1] :]
    assert torch.allclose(cells[:, :, 0, -1], deepest[:, :, :window, last:].mean((2, 3)), atol=1e-5)
    assert last + window == side
    assert torch.equal(evidence, network(pixels))
