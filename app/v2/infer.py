"""An order carried out: every image of its batch judged, and the outputs that were asked for."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from app.batch_queue import EngineResult
from app.errors import EmptyImageError
from app.latency_estimator import Kind
from app.model_snapshot import LoadedModel
from app.pipeline import Pipeline, PreprocessedImage, verdict_on
from app.v2.request import OUTPUTS, InferenceRequest, Output
from app.v2.tensor import Values, binary_values, json_values
from model.detector import Detector
from model.errors import ImageError
from model.render import heatmap_png
from model.verdict import Verdict


@dataclass(frozen=True)
class Judged:
    """One image of the batch."""

    verdict: Verdict
    evidence: EngineResult


@dataclass(frozen=True)
class Reply:
    """A body: JSON, and behind it the binary data."""

    json: bytes
    binary: bytes


async def infer(order: InferenceRequest, loaded: LoadedModel, pipeline: Pipeline, kind: Kind, until: float) -> Reply:
    """Raises ImageError or EmptyImageError that names the image, or EngineError. Cancelled, it drops what is queued."""
    prepared = await _prepare(order, loaded, pipeline, until)
    evidence = await _all([pipeline.evidence(image, loaded) for image in prepared])
    reply, judged, seconds = await pipeline.work(lambda: _judge(order, evidence, loaded))
    for image, said in zip(prepared, judged, strict=True):
        pipeline.count(kind, loaded, said.verdict, image, said.evidence, seconds / len(judged))
    return reply


async def _prepare(
    order: InferenceRequest, loaded: LoadedModel, pipeline: Pipeline, until: float
) -> list[PreprocessedImage]:
    """One after the other, so that it is the first bad image that is named, and a big batch has one codec process."""
    if order.pixels is not None:
        size = loaded.detector.input_size
        return [PreprocessedImage(pixels, size, size, 0.0, 0.0) for pixels in order.pixels]
    prepared = []
    for index, data in enumerate(order.images):
        if not data:
            raise EmptyImageError(f"image {index} has no bytes")
        try:
            prepared.append(await pipeline.prepare(data, loaded, until))
        except ImageError as error:
            raise type(error)(f"image {index}: {error}") from error
    return prepared


async def _all(coroutines: Sequence[Any]) -> list[EngineResult]:
    """Their results; when one fails, or this is cancelled, the others are cancelled."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


def _judge(
    order: InferenceRequest, evidence: Sequence[EngineResult], loaded: LoadedModel
) -> tuple[Reply, list[Judged], float]:
    """The reply, the verdicts in it, and the seconds that it took."""
    began = time.perf_counter()
    judged = [Judged(verdict_on(each, loaded), each) for each in evidence]
    tensors = [_tensor(output, _VALUES[output.name](judged, loaded.detector)) for output in order.outputs]
    head: dict[str, Any] = {"model_name": loaded.model, "model_version": str(loaded.version)}
    if order.id is not None:
        head["id"] = order.id
    if order.parameters:
        head["parameters"] = order.parameters
    json = msgspec.json.encode(head | {"outputs": [tensor for tensor, _ in tensors]})
    binary = b"".join(chunk for _, chunk in tensors)
    return Reply(json, binary), judged, time.perf_counter() - began


def _tensor(output: Output, values: Values) -> tuple[dict[str, Any], bytes]:
    """What stands in the JSON, and behind it."""
    shape = list(values.shape) if isinstance(values, np.ndarray) else [len(values)]
    head: dict[str, Any] = {"name": output.name, "datatype": OUTPUTS[output.name][0], "shape": shape}
    if not output.binary:
        return head | {"data": json_values(values)}, b""
    chunk = binary_values(values)
    return head | {"parameters": {"binary_data_size": len(chunk)}}, chunk


def _anomaly_maps(judged: Sequence[Judged], detector: Detector) -> Values:
    return np.stack([detector.calibrated(each.evidence.map) for each in judged])


_VALUES: Final[dict[str, Callable[[Sequence[Judged], Detector], Values]]] = {
    "label": lambda judged, _: [each.verdict.label for each in judged],
    "probability": lambda judged, _: np.array([each.verdict.probability for each in judged], np.float64),
    "decision": lambda judged, _: [each.verdict.decision for each in judged],
    "anomaly_map": _anomaly_maps,
    "heatmap": lambda judged, detector: [heatmap_png(detector.picture(each.evidence.map)) for each in judged],
}
"""How each of OUTPUTS comes from the batch."""
