"""The inspection of images: decode → queue → engine → post-process → encode."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.inference.admission import Admitted
from app.inference.batch_queue import BatchQueue, EngineResult
from app.inference.latency_estimator import Cost, Kind, LatencyEstimator
from app.models.model_snapshot import LoadedModel
from app.monitoring.request_record import ImageRecord, Step, current
from app.sandbox.pool import CodecPool
from model.detector import Detector
from model.drift import Quantity
from model.engines.output import FrameOutput, concatenate
from model.errors import EngineError
from model.evidence import HeatmapScale
from model.gate import WATCHED, Inspectability
from model.regions import Region, find_regions
from model.render import heatmap_png
from model.verdict import Verdict

if TYPE_CHECKING:
    from app.records.inspection import Inspection

Heatmap = Literal["none", "map", "gray", "overlay"]
"""map: a value a patch, for the client to enlarge; gray: at the input size; overlay: on the image as it was sent."""
Pixels = NDArray[np.uint8]
T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RenderOptions:
    """Optional parts of a reply; only those asked for are computed."""

    heatmap: Heatmap = "gray"
    regions: bool = True


@dataclass(frozen=True)
class PreprocessedImage:
    """An image as the network sees it, uint8 H×W×3: S×S, or a frame of several tiles."""

    pixels: NDArray[np.uint8]
    width: int
    height: int
    """Size of the image that was sent, EXIF-transposed, in pixels."""
    decode: Step
    encoded: bytes = b""
    """The image as it was sent; empty: it was sent as pixels."""

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the image that was sent; None: it was sent as pixels, and nobody knows."""
        return (self.width, self.height) if self.encoded else None


@dataclass(frozen=True)
class InspectionResult:
    """Verdict on one image, and what was asked for beside it."""

    image: PreprocessedImage
    evidence: NDArray[np.float32]
    """The network's evidence map, h×w."""
    heatmap_scale: HeatmapScale
    """What renders it."""
    heatmap: NDArray[np.float32] | None
    """In 0..1, as `Detector.heatmap` gives it."""
    regions: list[Region]
    png: bytes | None
    """The heatmap or the overlay."""
    record: ImageRecord

    @property
    def verdict(self) -> Verdict:
        return self.record.verdict

    @property
    def inspectability(self) -> Inspectability:
        return self.record.inspectability


class Pipeline:
    """Decodes and draws overlays in codec processes, runs the network through `queue`, and the rest that takes
    processor time in `workers`; nothing runs on the event loop."""

    def __init__(
        self,
        executor: Executor,
        codecs: CodecPool,
        queue: BatchQueue,
        latency: LatencyEstimator,
        drawing: LatencyEstimator,
    ) -> None:
        self._executor = executor
        self._codecs = codecs
        self._queue = queue
        self._latency = latency
        self._drawing = drawing

    async def in_executor(self, function: Callable[[], T]) -> T:
        """The function's result, computed in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, function)

    async def decode(
        self, image: bytes, loaded: LoadedModel, until: float, read_seconds: float = 0.0
    ) -> PreprocessedImage:
        """An encoded image as the network sees it; `read_seconds` were spent on taking it out of its body.

        Raises ImageError or RefusedError.
        """
        began = time.perf_counter()
        resizing = loaded.detector.manifest.preprocessing.resizing
        size, pixels, worked = await self._codecs.decode(image, resizing, until)
        pixels = await self.fill(pixels, loaded)
        seconds = time.perf_counter() - began
        step = Step("decode", began - read_seconds, read_seconds + seconds, waited=seconds - worked)
        return PreprocessedImage(pixels, size.width, size.height, step, image)

    async def fill(self, pixels: NDArray[np.uint8], loaded: LoadedModel) -> NDArray[np.uint8]:
        """A frame H×W×3 without what lies outside the version's region of interest, where it has one."""
        preprocessor = loaded.detector.preprocessor
        return await self.in_executor(lambda: preprocessor.fill(pixels)) if preprocessor.roi else pixels

    async def inspect(
        self,
        images: Sequence[PreprocessedImage],
        loaded: LoadedModel,
        options: RenderOptions,
        admitted: Admitted,
        encode: Callable[[list[InspectionResult]], T],
    ) -> T:
        """What `encode` makes of the results, in the thread where they are computed.

        Raises RefusedError where the images' tiles are too many to be done in time, EngineError, and for overlays as
        `decode` does. Cancelled, the images leave the queue.
        """
        detector = loaded.detector
        cut = [detector.tiling.cut(image.pixels) for image in images]
        if detector.scales_alike:  # else it was known how many tiles they have
            ordinary = detector.tiling.count(*detector.frame_size)
            admitted.weigh([len(tiles) for tiles in cut], ordinary, admitted.until - asyncio.get_running_loop().time())
        tiles = await self._run_engine(cut, detector)

        def post_process() -> list[InspectionResult]:
            return [_post_process(*pair, loaded, options) for pair in zip(images, tiles, strict=True)]

        if options.heatmap == "overlay":
            results = await self.in_executor(post_process)
            self._record(admitted.kind, results)
            admitted.work.end()
            drawn = [await self._overlay(result, loaded, admitted) for result in results]
            return await self.in_executor(lambda: encode(drawn))
        results, reply = await self.in_executor(lambda: (results := post_process(), encode(results)))
        self._record(admitted.kind, results)
        return reply

    async def draw(
        self, inspection: "Inspection", image: bytes, kind: Heatmap, until: float, *, regions: bool = True
    ) -> bytes | None:
        """A heatmap's or an overlay's PNG as it was when the image was inspected; None: none is wanted.

        Raises as `decode` does.
        """
        if kind == "none":
            return None
        if kind == "map":
            return await self.in_executor(
                lambda: heatmap_png(inspection.basis.heatmap_scale.patch_values(inspection.evidence))
            )
        if kind == "gray":
            return await self.in_executor(lambda: heatmap_png(inspection.heatmap()))
        heatmap, found = await self.in_executor(lambda: (inspection.heatmap(), inspection.regions() if regions else []))
        png, _ = await self._codecs.overlay(image, inspection.basis.full_scale, heatmap, found, until)
        return png

    async def _run_engine(self, images: Sequence[Sequence[Pixels]], detector: Detector) -> list[list[EngineResult]]:
        """Output for each image's tiles; where one fails, or this is cancelled, the others leave the queue.

        A tile is a view of its image: only a batch in the network has pixels of its own.
        """
        answers = [asyncio.wrap_future(self._queue.put(detector, tile)) for tiles in images for tile in tiles]
        try:
            results = iter(await asyncio.gather(*answers))
            return [[next(results) for _ in tiles] for tiles in images]
        finally:
            for answer in answers:
                answer.cancel()

    async def _overlay(self, result: InspectionResult, loaded: LoadedModel, admitted: Admitted) -> InspectionResult:
        """The result with a PNG of its image, heatmap and regions drawn in.

        The image is decoded once more: until the network has answered, nobody keeps its pixels.
        """
        assert result.heatmap is not None
        image, full_scale = result.image.encoded, loaded.detector.manifest.preprocessing.full_scale
        began = time.perf_counter()
        with self._drawing.work(admitted.kind):
            png, seconds = await self._codecs.overlay(image, full_scale, result.heatmap, result.regions, admitted.until)
        ended = time.perf_counter()
        self._drawing.learn(admitted.kind, Cost(seconds, seconds), ended - began)
        result.record.steps.append(Step("render", ended - seconds, seconds))
        return replace(result, png=png)

    def _record(self, kind: Kind, results: list[InspectionResult]) -> None:
        """Tell the latency estimate and the request's record of images that are done."""
        for image in (result.record for result in results):
            steps = image.steps
            worked = sum(step.worked / step.images for step in steps), sum(step.worked for step in steps)
            cost = Cost(*worked, tiles=image.tiles)
            self._latency.learn(kind, cost, sum(step.seconds for step in steps))
            if record := current.get():
                record.images.append(image)


def _post_process(
    image: PreprocessedImage, tiles: Sequence[EngineResult], loaded: LoadedModel, options: RenderOptions
) -> InspectionResult:
    began = time.perf_counter()
    output = loaded.detector.merge(concatenate([tile.output for tile in tiles]), image.pixels)
    verdict, inspectability = _inspect(image, output, loaded)
    scale = loaded.detector.heatmap_scale(output)
    rendered = options.regions or options.heatmap in ("gray", "overlay")
    heatmap = loaded.detector.heatmap(output) if rendered else None
    regions = find_regions(heatmap, image.width, image.height) if heatmap is not None and options.regions else []
    png = heatmap_png(heatmap) if heatmap is not None and options.heatmap == "gray" else None
    if options.heatmap == "map":
        png = heatmap_png(scale.patch_values(output.evidence))
    steps = [
        image.decode,
        *_engine_steps(tiles),
        Step("render", began, time.perf_counter() - began),
    ]
    measures: dict[Quantity, float] = {
        name: inspectability.measures[name] for name in WATCHED if name in inspectability.measures
    }
    measures["log_odds"] = verdict.log_odds - loaded.detector.shift
    record = ImageRecord(verdict, steps, measures, inspectability, tiles=len(tiles), cleared=output.cleared)
    return InspectionResult(image, output.evidence, scale, heatmap, regions, png, record)


def _engine_steps(tiles: Sequence[EngineResult]) -> list[Step]:
    """From the first tile's first moment in the queue to the last one's answer."""
    first = min(tiles, key=lambda tile: tile.began)
    seconds = max(tile.began + tile.predict_seconds for tile in tiles) - first.began
    worked = sum(tile.predict_seconds / tile.batch for tile in tiles)
    return [
        Step("queue", first.began - first.queue_seconds, first.queue_seconds, waited=first.queue_seconds),
        Step("predict", first.began, seconds, images=seconds / worked if worked else 1),
    ]


def _inspect(image: PreprocessedImage, output: FrameOutput, loaded: LoadedModel) -> tuple[Verdict, Inspectability]:
    """The verdict, with the gate's decision where the image isn't inspectable. Raises EngineError, once it is in the
    log."""
    detector = loaded.detector
    try:
        verdict = detector.verdict(output.evidence)
        inspectability = detector.inspectability(image.pixels, output.features, image.size)
        return replace(verdict, decision=inspectability.decision(verdict.decision)), inspectability
    except EngineError as error:  # the client is only told that the log has it
        log.error("model %s version %d: %s", loaded.model, loaded.version, error)
        raise
