"""Reply to an inference request: the outputs that were asked for, as JSON and as binary data behind it."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from fastapi import Response

from app.errors import TensorError
from app.inference.pipeline import InspectionResult
from app.models.model_snapshot import LoadedModel
from app.v2.message import JSON_LENGTH
from app.v2.request import OUTPUTS, InferRequest, Output
from app.v2.tensor import Values, binary_values, json_values
from model.detector import Detector
from model.gate import Inspectability


def encode_reply(request: InferRequest, loaded: LoadedModel, results: Sequence[InspectionResult]) -> Response:
    """Results in the request's order."""
    tensors = [_tensor(output, _VALUES[output.name](results, loaded.detector)) for output in request.outputs]
    head: dict[str, Any] = {"model_name": loaded.model, "model_version": str(loaded.version)}
    if request.id is not None:
        head["id"] = request.id
    if request.parameters:
        head["parameters"] = request.parameters
    json = msgspec.json.encode(head | {"outputs": [tensor for tensor, _ in tensors]})
    binary = b"".join(chunk for _, chunk in tensors)
    if not binary:
        return Response(json, media_type="application/json")
    return Response(json + binary, headers={JSON_LENGTH: str(len(json))}, media_type="application/octet-stream")


def _tensor(output: Output, values: Values) -> tuple[dict[str, Any], bytes]:
    """The tensor's JSON, and its binary data."""
    shape = list(values.shape) if isinstance(values, np.ndarray) else [len(values)]
    head: dict[str, Any] = {"name": output.name, "datatype": OUTPUTS[output.name][0], "shape": shape}
    if not output.binary:
        return head | {"data": json_values(values)}, b""
    chunk = binary_values(values)
    return head | {"parameters": {"binary_data_size": len(chunk)}}, chunk


def _anomaly_maps(results: Sequence[InspectionResult], detector: Detector) -> Values:
    if len({result.evidence.shape for result in results}) > 1:
        raise TensorError("anomaly_map can't be one tensor of images whose frames differ in size: send them one by one")
    return np.stack([detector.anomaly_map(result.evidence, result.heatmap_scale) for result in results])


def _reasons(inspectability: Inspectability) -> str:
    """The native reply's member `odd`, as JSON."""
    return msgspec.json.encode(inspectability.odd).decode()


_VALUES: Final[dict[str, Callable[[Sequence[InspectionResult], Detector], Values]]] = {
    "label": lambda results, _: [result.verdict.label for result in results],
    "probability": lambda results, _: np.array([result.verdict.probability for result in results], np.float64),
    "decision": lambda results, _: [result.verdict.decision for result in results],
    "inspectable": lambda results, _: np.array([result.inspectability.inspectable for result in results], np.bool_),
    "odd": lambda results, _: [_reasons(result.inspectability) for result in results],
    "typicality": lambda results, _: np.array([result.inspectability.typicality for result in results], np.float64),
    "anomaly_map": _anomaly_maps,
    "heatmap": lambda results, _: [result.png or b"" for result in results],
}
"""Values of each of OUTPUTS for a batch."""
