"""One image's way: bytes → pixels → queue → evidence → verdict, regions and the pictures asked for."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.admission import Admitted
from app.batch_queue import BatchQueue, Evidence
from app.body.upload import Upload
from app.latency_estimator import Cost, Kind, LatencyEstimator
from app.metrics import Metrics
from app.model_snapshot import LoadedModel
from app.request_record import Judged, Step, current
from app.sandbox.pool import CodecPool
from model.errors import EngineError
from model.regions import Region, find_regions
from model.render import heatmap_png
from model.verdict import Verdict

Heatmap = Literal["none", "gray", "overlay"]


@dataclass(frozen=True)
class RenderOptions:
    """What is to be made beside the verdict; nothing else is."""

    heatmap: Heatmap = "gray"
    regions: bool = True


T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreprocessedImage:
    """An image as the network sees it."""

    pixels: NDArray[np.uint8]
    width: int
    height: int
    """Of the upright image that was sent."""
    wait_seconds: float
    """For a codec process."""
    seconds: float
    """Of reading, decoding and resizing."""


@dataclass(frozen=True)
class InspectionResult:
    """Everything that a reply says."""

    loaded: LoadedModel
    verdict: Verdict
    regions: list[Region]
    picture: bytes | None
    """The PNG that was asked for."""
    width: int
    height: int
    decode_seconds: float
    queue_seconds: float
    predict_seconds: float
    render_seconds: float


class Pipeline:
    """Runs inspections: decoding and overlays in codec processes, the network through `queue`, what else takes
    processor time in `workers`, nothing on the event loop."""

    def __init__(
        self,
        workers: Executor,
        codecs: CodecPool,
        queue: BatchQueue,
        latency: LatencyEstimator,
        drawing: LatencyEstimator,
        metrics: Metrics,
    ) -> None:
        self._workers = workers
        self._codecs = codecs
        self._queue = queue
        self._latency = latency
        self._drawing = drawing
        self._metrics = metrics

    async def inspect(
        self, upload: Upload, loaded: LoadedModel, wanted: RenderOptions, admitted: Admitted
    ) -> InspectionResult:
        """Raises RequestError, ImageError, RefusedError or EngineError. Cancelled, it drops what has not begun."""
        began = time.perf_counter()
        image = await self.work(upload.image)
        prepared = await self.prepare(image, loaded, admitted.until, time.perf_counter() - began)
        evidence = await self.evidence(prepared, loaded)
        inspection = await self.work(lambda: _judge(prepared, evidence, loaded, wanted))
        self.count(admitted.kind, loaded, inspection.verdict, prepared, evidence, inspection.render_seconds)
        if wanted.heatmap == "overlay":
            admitted.work.end()
            inspection = await self._with_overlay(inspection, image, evidence, admitted)
        return inspection

    async def prepare(
        self, image: bytes, loaded: LoadedModel, until: float, read_seconds: float = 0.0
    ) -> PreprocessedImage:
        """An encoded image as the network sees it. Raises ImageError or RefusedError."""
        began = time.perf_counter()
        preprocessing = loaded.detector.manifest.preprocessing
        decoded, pixels, seconds = await self._codecs.decode(
            image, preprocessing.input_size, preprocessing.full_scale, until
        )
        wait = time.perf_counter() - began - seconds
        return PreprocessedImage(pixels, decoded.width, decoded.height, wait, read_seconds + seconds)

    async def evidence(self, prepared: PreprocessedImage, loaded: LoadedModel) -> Evidence:
        """What the network says. Cancelled, the image leaves the queue. Raises EngineError."""
        return await asyncio.wrap_future(self._queue.put(loaded.detector, prepared.pixels))

    async def work(self, function: Callable[[], T]) -> T:
        """Run it in a worker."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, function)

    def count(
        self,
        kind: Kind,
        loaded: LoadedModel,
        verdict: Verdict,
        prepared: PreprocessedImage,
        evidence: Evidence,
        render_seconds: float,
    ) -> None:
        """One image more in the metrics, the estimate of latency and the request's record."""
        own, network = prepared.seconds + render_seconds, evidence.predict_seconds
        cost = Cost(own + network / evidence.batch, own + network)
        waited = prepared.wait_seconds + evidence.queue_seconds
        self._latency.learn(kind, cost, cost.service_seconds + waited)
        if record := current.get():
            record.judged.append(_judged(verdict, prepared, evidence, render_seconds))
        metrics = self._metrics
        metrics.verdicts.labels(loaded.model, str(loaded.version), verdict.label, verdict.decision).inc()
        metrics.probability.labels(loaded.model).observe(verdict.probability)
        metrics.preprocess_seconds.observe(prepared.seconds)
        metrics.queue_seconds.observe(evidence.queue_seconds)
        metrics.predict_seconds.observe(evidence.predict_seconds)
        metrics.postprocess_seconds.observe(render_seconds)

    async def _with_overlay(
        self, inspection: InspectionResult, image: bytes, evidence: Evidence, admitted: Admitted
    ) -> InspectionResult:
        """The image is decoded once more: until the network has answered, nobody keeps its pixels."""
        detector = inspection.loaded.detector
        full_scale = detector.manifest.preprocessing.full_scale
        heatmap = await self.work(lambda: detector.picture(evidence.map))
        began = time.perf_counter()
        with self._drawing.work(admitted.kind):
            png, seconds = await self._codecs.overlay(image, full_scale, heatmap, inspection.regions, admitted.until)
        self._drawing.learn(admitted.kind, Cost(seconds, seconds), time.perf_counter() - began)
        return replace(inspection, picture=png, render_seconds=inspection.render_seconds + seconds)


def _judged(verdict: Verdict, prepared: PreprocessedImage, evidence: Evidence, render_seconds: float) -> Judged:
    """Rendering ends now, and decoding when the queue begins."""
    queued = evidence.began - evidence.queue_seconds
    decoding = prepared.wait_seconds + prepared.seconds
    steps = (
        Step("decode", queued - decoding, decoding),
        Step("queue", queued, evidence.queue_seconds),
        Step("predict", evidence.began, evidence.predict_seconds),
        Step("render", time.perf_counter() - render_seconds, render_seconds),
    )
    return Judged(verdict.decision, steps)


def _judge(
    prepared: PreprocessedImage, evidence: Evidence, loaded: LoadedModel, wanted: RenderOptions
) -> InspectionResult:
    began = time.perf_counter()
    verdict = verdict_on(evidence, loaded)
    regions: list[Region] = []
    picture = None
    if wanted.regions or wanted.heatmap == "gray":
        values = loaded.detector.picture(evidence.map)
        if wanted.regions:
            regions = find_regions(values, prepared.width, prepared.height)
        if wanted.heatmap == "gray":
            picture = heatmap_png(values)
    return InspectionResult(
        loaded=loaded,
        verdict=verdict,
        regions=regions,
        picture=picture,
        width=prepared.width,
        height=prepared.height,
        decode_seconds=prepared.wait_seconds + prepared.seconds,
        queue_seconds=evidence.queue_seconds,
        predict_seconds=evidence.predict_seconds,
        render_seconds=time.perf_counter() - began,
    )


def verdict_on(evidence: Evidence, loaded: LoadedModel) -> Verdict:
    """Raises EngineError, once it is in the log."""
    try:
        return loaded.detector.verdict(evidence.map)
    except EngineError as error:  # the client is only told that the log has it
        log.error("model %s version %d: %s", loaded.model, loaded.version, error)
        raise
