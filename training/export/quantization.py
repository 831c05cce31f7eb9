"""The network in 8-bit integers, for CPUs."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray

from model.engines import ort
from training.export.onnx_graph import FLOAT_NODES
from training.features.extraction import ImageLoader

_CALIBRATION_IMAGES: Final = 64

_tools: Any = ort.submodule("quantization")
_shapes: Any = ort.submodule("quantization.shape_inference")


def quantized(model: onnx.ModelProto, loaders: Sequence[ImageLoader], seed: int) -> bytes:
    """The ONNX file of `model` with its trunk in int8, on ranges seen in some of these images, drawn by `seed`.

    Activations uint8 by tensor, weights int8 by output channel, from smallest to largest value, QDQ format (ONNX
    Runtime's static quantization; Jacob et al. 2018, section 3). conv1_1 stays in float: 1 % of the work, and a fourth
    of the error (docs/performance.md).
    """
    drawn = np.random.default_rng(seed).permutation(len(loaders))[:_CALIBRATION_IMAGES]
    with tempfile.TemporaryDirectory() as folder:
        source, prepared, target = (Path(folder, f"{name}.onnx") for name in ("float32", "prepared", "int8"))
        onnx.save(model, source)
        _shapes.quant_pre_process(source, prepared, skip_optimization=True, skip_symbolic_shape=True)
        _tools.quantize_static(
            prepared,
            target,
            _Reader(loaders[i] for i in drawn),
            quant_format=_tools.QuantFormat.QDQ,
            activation_type=_tools.QuantType.QUInt8,
            weight_type=_tools.QuantType.QInt8,
            per_channel=True,
            calibrate_method=_tools.CalibrationMethod.MinMax,
            nodes_to_exclude=[node.name for node in model.graph.node if node.name.startswith(FLOAT_NODES)],
        )
        return target.read_bytes()


class _Reader(_tools.CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime has no types
    """One image at a time, so that memory holds one image's activations."""

    def __init__(self, loaders: Iterator[ImageLoader]) -> None:
        self._loaders = loaders

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        load = next(self._loaders, None)
        return None if load is None else {"pixels": load()[np.newaxis]}
