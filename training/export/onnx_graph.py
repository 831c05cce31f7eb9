"""The network as a standard ONNX file."""

from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from model.hypercolumn import MEAN_WEIGHT, Hypercolumn, grid_window
from model.preprocessing import MEAN
from model.weights import Weights

_OPSET: Final = 17
_IR_VERSION: Final = 10
_HEAD: Final = "head_"
_GATE: Final = "gate_"
FLOAT_NODES: Final = ("pixels", "normalised", "conv1_1", "relu1_1", _HEAD, "evidence", "context", _GATE, "features")
"""Prefixes of the names of nodes that stay in float where the rest is quantized."""


def onnx_model(weights: Weights, hypercolumn: Hypercolumn, input_size: int) -> onnx.ModelProto:
    """`pixels` uint8 N×S×S×3 to `evidence` float32 N×h×w in log-odds, `features` N×F and, where the image head leaves
    the network apart, `context` N×h×w: what `VGG16CAM.outputs` computes.

    The dense layer is one 1×1 convolution a block, with the row anomaly − good: evidence needs no other. With an image
    head it has a second channel, whose mean over the image is added to every patch.
    """
    graph = _Graph()
    mean = graph.constant("mean", np.array(MEAN, np.float32).reshape(1, 3, 1, 1))
    x = graph.node("Transpose", ["pixels"], "pixels_nchw", perm=[0, 3, 1, 2])
    x = graph.node("Cast", [x], "pixels_float", to=TensorProto.FLOAT)
    x = graph.node("Sub", [x, mean], "normalised")
    row = (weights["dense.weight"][1] - weights["dense.weight"][0]).reshape(-1, hypercolumn.channels)
    rows = dict(zip(hypercolumn.blocks, np.split(row, np.cumsum(hypercolumn.widths)[:-1], axis=1), strict=True))
    maps = []
    for number, convolutions in enumerate(hypercolumn.convolutions, 1):
        if number > 1:
            if convolutions[0][0] < hypercolumn.convolutions[number - 2][-1][1]:  # a narrow trunk beside a wide tap
                ends = [
                    graph.constant(f"trunk{number - 1}_{name}", np.array([value], np.int64))
                    for name, value in (("first", 0), ("last", convolutions[0][0]), ("axis", 1))
                ]
                x = graph.node("Slice", [x, *ends], f"trunk{number - 1}")
            x = graph.node("MaxPool", [x], f"pool{number - 1}", kernel_shape=[2, 2], strides=[2, 2])
        for position in range(1, len(convolutions) + 1):
            name = f"conv{number}_{position}"
            kernel = graph.constant(f"{name}.weight", weights[f"{name}.weight"])
            bias = graph.constant(f"{name}.bias", weights[f"{name}.bias"])
            x = graph.node("Conv", [x, kernel, bias], name, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
            x = graph.node("Relu", [x], f"relu{number}_{position}")
        if number in rows:
            kernel = graph.constant(f"{_HEAD}conv{number}.weight", rows[number][:, :, None, None])
            weighted = graph.node("Conv", [x, kernel], f"{_HEAD}conv{number}", kernel_shape=[1, 1])
            side = hypercolumn.stride >> (number - 1)
            maps.append(graph.averaged(weighted, f"{_HEAD}pool{number}", side, side))
    graph.grid_features(x, hypercolumn, input_size)
    total = graph.node("Sum", maps, f"{_HEAD}sum")
    image = ""
    if hypercolumn.image_head:
        total, image = graph.nodes("Split", [total], [f"{_HEAD}patches", f"{_HEAD}image"], axis=1)
        if not hypercolumn.head_apart:
            total = graph.node("Add", [total, graph.node("GlobalAveragePool", [image], f"{_HEAD}mean")], f"{_HEAD}both")
    bias = graph.constant(f"{_HEAD}bias", np.float32(weights["dense.bias"][1] - weights["dense.bias"][0]).reshape(1))
    total = graph.node("Add", [total, bias], f"{_HEAD}biased")
    channel = graph.constant(f"{_HEAD}channel", np.array([1], np.int64))
    graph.node("Squeeze", [total, channel], "evidence")
    if hypercolumn.head_apart:
        of_head = np.float32(weights["dense.head_bias"][1] - weights["dense.head_bias"][0]).reshape(1)
        image = graph.node("Add", [image, graph.constant(f"{_HEAD}image_bias", of_head)], f"{_HEAD}image_biased")
        graph.node("Squeeze", [image, channel], "context")
    return graph.model(input_size, input_size // hypercolumn.stride, hypercolumn)


class _Graph:
    """Nodes and constants so far; each node is named like its first output."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        return self.nodes(kind, inputs, [output], **attributes)[0]

    def nodes(self, kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> list[str]:
        self._nodes.append(helper.make_node(kind, inputs, outputs, name=outputs[0], **attributes))
        return outputs

    def averaged(self, x: str, output: str, window: int, stride: int) -> str:
        """Means over windows of that many positions; the input itself where each is one."""
        if window == stride == 1:
            return x
        return self.node("AveragePool", [x], output, kernel_shape=[window] * 2, strides=[stride] * 2)

    def grid_features(self, deepest: str, hypercolumn: Hypercolumn, input_size: int) -> None:
        """The gate's features: `VGG16CAM.grid_features`."""
        side = hypercolumn.stride >> (hypercolumn.blocks[-1] - 1)
        patches = self.averaged(deepest, f"{_GATE}patches", side, side)
        cells = self.averaged(patches, f"{_GATE}cells", *grid_window(input_size // hypercolumn.stride))
        mean = self.node("GlobalAveragePool", [cells], f"{_GATE}mean")
        weight = self.constant(f"{_GATE}weight", np.array([MEAN_WEIGHT], np.float32))
        added = self.node("Mul", [mean, weight], f"{_GATE}added")
        self.node("Flatten", [self.node("Add", [cells, added], f"{_GATE}both")], "features", axis=1)

    def model(self, input_size: int, side: int, hypercolumn: Hypercolumn) -> onnx.ModelProto:
        outputs = {"evidence": [side, side], "features": [hypercolumn.features(side)]}
        if hypercolumn.head_apart:
            outputs["context"] = [side, side]
        graph = helper.make_graph(
            self._nodes,
            "vgg16cam",
            [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", input_size, input_size, 3])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape]) for name, shape in outputs.items()],
            self._constants,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION, producer_name="camspector"
        )
        onnx.checker.check_model(model, full_check=True)
        return model
