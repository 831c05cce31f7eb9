"""The ONNX file computes what the reference network computes, whatever the hypercolumn."""

import numpy as np
import onnx
import pytest
import torch

from model.engines.ort import onnxruntime
from model.hypercolumn import Hypercolumn, narrow_widths
from model.network import VGG16CAM
from training.export.onnx_graph import FLOAT_NODES, onnx_model


@pytest.mark.parametrize(
    "hypercolumn",
    [
        Hypercolumn(),
        Hypercolumn((3, 4), 8),
        Hypercolumn((1, 2), 2),
        Hypercolumn((2, 3, 4), 16),
        Hypercolumn((5,), 16, image_head=True),
        Hypercolumn((2, 3, 4), 8, image_head=True),
        Hypercolumn((2, 3, 4), 8, image_head=True, trunk=narrow_widths(0.25)),
        Hypercolumn((3, 5), 16, trunk=narrow_widths(0.375)),
    ],
)
def test_same_output(hypercolumn: Hypercolumn) -> None:
    torch.manual_seed(3)
    network = VGG16CAM(hypercolumn).eval()
    pixels = np.random.default_rng(5).integers(0, 256, (2, 64, 64, 3), np.uint8)
    with torch.inference_mode():
        expected, expected_features = (each.numpy() for each in network.outputs(torch.from_numpy(pixels)))
    model = onnx_model(network.weights(), hypercolumn, 64)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    maps, features = session.run(None, {"pixels": pixels})
    side = 64 // hypercolumn.stride
    assert maps.shape == expected.shape == (2, side, side)
    np.testing.assert_allclose(maps, expected, atol=1e-4 * np.abs(expected).max())
    assert features.shape == (2, hypercolumn.features(side))
    np.testing.assert_allclose(features, expected_features, atol=1e-5 * np.abs(expected_features).max())


def test_what_stays_in_float() -> None:
    hypercolumn = Hypercolumn((3, 4), 8, image_head=True)
    torch.manual_seed(3)
    model = onnx_model(VGG16CAM(hypercolumn).weights(), hypercolumn, 64)
    quantized = [node.name for node in model.graph.node if not node.name.startswith(FLOAT_NODES)]
    assert [name for name in quantized if name.startswith("conv")] == [
        "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "conv4_1", "conv4_2", "conv4_3"
    ]  # fmt: skip
    assert not any(name.startswith(("head", "gate")) for name in quantized)
