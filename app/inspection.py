"""One image's way: bytes → photo → pixels → queue → evidence → verdict, regions and the pictures asked for."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.catalogue import Loaded
from app.engine_queue import EngineQueue, Evidence
from app.forecast import Forecast, Times
from app.metrics import Metrics
from app.record import Judged, Step, current
from app.upload import Upload
from model.errors import EngineError
from model.image import decode, to_8bit
from model.regions import Region, find_regions
from model.render import heatmap_png, overlay_png
from model.verdict import Verdict

Heatmap = Literal["none", "gray", "overlay"]


@dataclass(frozen=True)
class Wanted:
    """What is to be made beside the verdict; nothing else is."""

    heatmap: Heatmap = "gray"
    regions: bool = True


T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """An image as the network sees it."""

    pixels: NDArray[np.uint8]
    width: int
    height: int
    """Of the upright photo that was sent."""
    photo: Image.Image | None
    """8-bit, kept where an overlay is to be drawn on it."""
    seconds: float


@dataclass(frozen=True)
class Inspection:
    """Everything that a reply says."""

    loaded: Loaded
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


class Inspector:
    """Runs inspections: Pillow's work in `workers`, the network's through `queue`, nothing on the event loop."""

    def __init__(
        self, workers: Executor, queue: EngineQueue, max_pixels: int, forecast: Forecast, metrics: Metrics
    ) -> None:
        self._workers = workers
        self._queue = queue
        self._max_pixels = max_pixels
        self._forecast = forecast
        self._metrics = metrics

    async def inspect(self, upload: Upload, loaded: Loaded, wanted: Wanted) -> Inspection:
        """Raises RequestError, ImageError or EngineError. Cancelled, it drops what has not begun."""
        prepared = await self.prepare(upload.image, loaded, keep_photo=wanted.heatmap == "overlay")
        evidence = await self.evidence(prepared, loaded)
        inspection = await self.work(lambda: _judge(prepared, evidence, loaded, wanted))
        self.count(loaded, inspection.verdict, prepared, evidence, inspection.render_seconds)
        return inspection

    async def prepare(self, read: Callable[[], bytes], loaded: Loaded, *, keep_photo: bool = False) -> Prepared:
        """The image that `read` gives, as the network sees it. Raises ImageError and what `read` raises."""
        return await self.work(lambda: self._prepare(read, loaded, keep_photo))

    async def evidence(self, prepared: Prepared, loaded: Loaded) -> Evidence:
        """What the network says. Cancelled, the image leaves the queue. Raises EngineError."""
        return await asyncio.wrap_future(self._queue.put(loaded.detector, prepared.pixels))

    async def work(self, function: Callable[[], T]) -> T:
        """Run it in a worker."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, function)

    def count(
        self, loaded: Loaded, verdict: Verdict, prepared: Prepared, evidence: Evidence, render_seconds: float
    ) -> None:
        """One image more in the metrics, the forecast and the request's record."""
        own, network = prepared.seconds + render_seconds, evidence.predict_seconds
        times = Times(share=own + network / evidence.batch, alone=own + network)
        self._forecast.learn(loaded.key, times, times.alone + evidence.queue_seconds)
        if record := current.get():
            record.judged.append(_judged(verdict, prepared, evidence, render_seconds))
        metrics = self._metrics
        metrics.verdicts.labels(loaded.model, str(loaded.version), verdict.label, verdict.decision).inc()
        metrics.probability.labels(loaded.model).observe(verdict.probability)
        metrics.preprocess_seconds.observe(prepared.seconds)
        metrics.queue_seconds.observe(evidence.queue_seconds)
        metrics.predict_seconds.observe(evidence.predict_seconds)
        metrics.postprocess_seconds.observe(render_seconds)

    def _prepare(self, read: Callable[[], bytes], loaded: Loaded, keep_photo: bool) -> Prepared:
        began = time.perf_counter()
        photo = decode(read(), max_pixels=self._max_pixels)
        pixels = loaded.detector.squash(photo)
        full_scale = loaded.detector.manifest.preprocessing.full_scale
        kept = to_8bit(photo, full_scale) if keep_photo else None
        return Prepared(pixels, photo.width, photo.height, kept, time.perf_counter() - began)


def _judged(verdict: Verdict, prepared: Prepared, evidence: Evidence, render_seconds: float) -> Judged:
    """Rendering ends now, and decoding when the queue begins."""
    queued = evidence.began - evidence.queue_seconds
    steps = (
        Step("decode", queued - prepared.seconds, prepared.seconds),
        Step("queue", queued, evidence.queue_seconds),
        Step("predict", evidence.began, evidence.predict_seconds),
        Step("render", time.perf_counter() - render_seconds, render_seconds),
    )
    return Judged(verdict.decision, steps)


def _judge(prepared: Prepared, evidence: Evidence, loaded: Loaded, wanted: Wanted) -> Inspection:
    began = time.perf_counter()
    verdict = verdict_on(evidence, loaded)
    regions: list[Region] = []
    picture = None
    if wanted.regions or wanted.heatmap != "none":
        values = loaded.detector.picture(evidence.map)
        if wanted.regions:
            regions = find_regions(values, prepared.width, prepared.height)
        if prepared.photo is not None:
            picture = overlay_png(prepared.photo, values, regions)
        elif wanted.heatmap == "gray":
            picture = heatmap_png(values)
    return Inspection(
        loaded=loaded,
        verdict=verdict,
        regions=regions,
        picture=picture,
        width=prepared.width,
        height=prepared.height,
        decode_seconds=prepared.seconds,
        queue_seconds=evidence.queue_seconds,
        predict_seconds=evidence.predict_seconds,
        render_seconds=time.perf_counter() - began,
    )


def verdict_on(evidence: Evidence, loaded: Loaded) -> Verdict:
    """Raises EngineError, once it is in the log."""
    try:
        return loaded.detector.verdict(evidence.map)
    except EngineError as error:  # the client is only told that the log has it
        log.error("model %s version %d: %s", loaded.model, loaded.version, error)
        raise
