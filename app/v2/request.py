"""Inference request, validated against the model's inputs and outputs before anything is decoded or computed."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.errors import BatchTooLargeError, TensorError
from app.inference.pipeline import RenderOptions
from app.v2.message import InputTensor, Parameters, RequestedOutput, RequestJson, split_body
from app.v2.tensor import read_bytes, read_strings

OUTPUTS: Final = {
    "label": ("BYTES", [-1]),
    "probability": ("FP64", [-1]),
    "decision": ("BYTES", [-1]),
    "inspectable": ("BOOL", [-1]),
    "odd": ("BYTES", [-1]),
    "typicality": ("FP64", [-1]),
    "anomaly_map": ("FP32", [-1, -1, -1]),
    "heatmap": ("BYTES", [-1]),
}
"""Datatype and shape of each output; −1 is a size that varies."""
DEFAULT_OUTPUTS: Final = ("label", "probability", "decision")
"""Outputs of a request that names none: the protocol would have all, but a map costs more than the verdict."""
_OTHER_SHAPES: Final = {"image": [[1]]}
"""Further accepted shapes of one element: a column of texts, as MLServer's codec and Triton's batches send it."""
_VALUES_PER_NUMBER: Final = 2
"""Values allowed per number of the largest batch: nested lists have brackets too."""
_NOT_OFFERED: Final = ("shared_memory_region", "classification")


def inputs_of(width: int, height: int) -> dict[str, tuple[str, list[int]]]:
    """Datatype and shape of each input, for a version whose frames are width×height."""
    return {"image": ("BYTES", [-1]), "pixels": ("UINT8", [-1, height, width, 3])}


@dataclass(frozen=True)
class Output:
    """One output to send, as binary data or in the JSON."""

    name: str
    binary: bool


@dataclass(frozen=True)
class InferRequest:
    """A valid request: a batch of encoded images, or of pixels."""

    images: list[bytes]
    pixels: NDArray[np.uint8] | None
    """N×H×W×3, as the network sees them; None: `images` are to be decoded."""
    outputs: list[Output]
    id: str | None
    parameters: Parameters
    """Parameters that the reply repeats."""

    @property
    def options(self) -> RenderOptions:
        """What the pipeline has to render for the outputs."""
        heatmap = any(output.name == "heatmap" for output in self.outputs)
        return RenderOptions("gray" if heatmap else "none", regions=False)

    @property
    def size(self) -> int:
        """Images in the batch."""
        return len(self.images if self.pixels is None else self.pixels)


def read_request(body: bytes, json_length: int | None, frame: tuple[int, int], max_images: int) -> InferRequest:
    """`frame`: width and height. Raises MalformedBodyError, MissingFieldError, TensorError or BatchTooLargeError."""
    request, chunks = split_body(body, json_length, _VALUES_PER_NUMBER * max_images * 3 * math.prod(frame))
    if len(request.inputs) != 1:
        raise TensorError(f"send one input, image or pixels; the request has {len(request.inputs)}")
    tensor = request.inputs[0]
    _check(tensor, chunks[0], frame, max_images)
    images = read_strings(tensor, chunks[0]) if tensor.name == "image" else []
    pixels = read_bytes(tensor, chunks[0]) if tensor.name == "pixels" else None
    echoed = {name: value for name, value in _given(request.parameters).items() if name != "binary_data_output"}
    return InferRequest(images, pixels, _outputs(request), request.id, echoed)


def _check(tensor: InputTensor, binary: bytes | None, frame: tuple[int, int], max_images: int) -> None:
    """Check name, datatype and shape before the data is read. Raises TensorError or BatchTooLargeError."""
    inputs = inputs_of(*frame)
    if tensor.name not in inputs:
        raise TensorError(f"no input {tensor.name[:40]!r}; there are: {', '.join(inputs)}")
    datatype, shape = inputs[tensor.name]
    if tensor.datatype != datatype:
        raise TensorError(f"input {tensor.name!r} is {datatype}, not {tensor.datatype[:40]!r}")
    if not tensor.shape or tensor.shape[1:] not in (shape[1:], *_OTHER_SHAPES.get(tensor.name, [])):
        raise TensorError(f"input {tensor.name!r} has the shape {shape}, −1 for the batch, not {tensor.shape[:9]}")
    if tensor.shape[0] == 0:
        raise TensorError(f"input {tensor.name!r} is a batch of no image")
    if tensor.shape[0] > max_images:
        raise BatchTooLargeError(f"a batch of {tensor.shape[0]} images; the limit is {max_images}")
    if binary is not None and tensor.text:
        raise TensorError(f"input {tensor.name!r} has both data and binary_data_size")
    _refuse_extensions(tensor.name, tensor.parameters)


def _outputs(request: RequestJson) -> list[Output]:
    binary = _flag(request.parameters, "binary_data_output", default=False)
    requested = request.outputs or [RequestedOutput(name) for name in DEFAULT_OUTPUTS]
    names = [output.name for output in requested]
    for name in names:
        if name not in OUTPUTS:
            raise TensorError(f"no output {name[:40]!r}; there are: {', '.join(OUTPUTS)}")
        if names.count(name) > 1:
            raise TensorError(f"output {name!r} is requested more than once")
    for output in requested:
        _refuse_extensions(output.name, output.parameters)
    return [Output(output.name, _flag(output.parameters, "binary_data", default=binary)) for output in requested]


def _given(parameters: Parameters | None) -> Parameters:
    """Parameters that aren't null."""
    return {name: value for name, value in (parameters or {}).items() if value is not None}


def _flag(parameters: Parameters | None, name: str, *, default: bool) -> bool:
    value = _given(parameters).get(name, default)
    if not isinstance(value, bool):
        raise TensorError(f"the parameter {name} must be true or false")
    return value


def _refuse_extensions(tensor: str, parameters: Parameters | None) -> None:
    for name in _NOT_OFFERED:
        if name in _given(parameters):
            raise TensorError(f"{tensor!r} asks for {name}, an extension of the protocol that is not offered")
