"""The service's engine and pipeline in this process, without HTTP, admission and deadlines."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from app.body.upload import Upload
from app.errors import BodyTooLargeError, CodecsUnavailableError, NotReadyError, QueueFullError, problem_of
from app.inference.admission import Admitted
from app.inference.latency_estimator import Kind
from app.inference.pipeline import Heatmap, InspectionResult, RenderOptions
from app.inference.runtime import InferenceRuntime
from app.models.loader import Loader
from app.models.model_snapshot import LoadedModel
from app.monitoring.metrics import Metrics
from app.records.inspection import STEPS, Basis, Inspection, Origin
from app.schemas import Prediction
from app.score.errors import NoVerdictError, StoppedError, UsageError
from app.score.journal import Run
from app.settings import LONGEST_DEADLINE_MS, Settings
from model.engines.devices import Device, choose_device
from model.errors import EngineError
from model.serving import Serving
from model.store import Store

log = logging.getLogger(__name__)

_CONTENT_TYPE: Final = "application/octet-stream"
_RETRY_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Choice:
    """A version, and the model's serving.json as it was then."""

    model: str
    version: int
    serving: Serving


def choose(settings: Settings, model: str | None, version: int | None) -> Choice:
    """The version that serves, or the one that is named. Raises UsageError or any error of a store."""
    store = Store(settings.store, settings.default_model)
    name = model or settings.default_model or _only(store)
    serving = store.serving(name)
    return Choice(name, version or store.serving_version(name, serving), serving)


def run_of(loaded: LoadedModel) -> Run:
    """What the rows of such a run depend on."""
    return Run(loaded.model, loaded.version, "local", f"{loaded.config_sha256} {loaded.detector.variant.name}")


def _only(store: Store) -> str:
    models = store.models()
    if len(models) != 1:
        raise UsageError(f"--model: which? In {store.root} there are: {', '.join(models) or 'none'}")
    return models[0]


@dataclass(frozen=True)
class LocalInspector:
    """Times are those of work: without waiting for others of the same run."""

    loaded: LoadedModel
    loader: Loader
    store: Store
    device: Device
    max_bytes: int
    inference: InferenceRuntime

    @property
    def version(self) -> int:
        return self.loaded.version

    async def followed(self) -> "LocalInspector":
        """See `Inspector.followed`."""
        loaded = await self.inference.pipeline.in_executor(self._serving)
        return self if loaded is self.loaded else replace(self, loaded=loaded)

    async def inspect(self, image: bytes, name: str, heatmap: Heatmap) -> Prediction:
        """See `Inspector.inspect`."""
        inspecting = asyncio.create_task(self._answer(image, heatmap))
        while not inspecting.done():
            await asyncio.wait({inspecting}, timeout=1)
            if stalled := self.inference.watchdog.stalled(time.monotonic()):
                inspecting.cancel()
                raise StoppedError(stalled)
        return inspecting.result()

    async def _answer(self, image: bytes, heatmap: Heatmap) -> Prediction:
        while True:
            try:
                return await self._inspect(image, heatmap)
            except QueueFullError:  # as many images that take long as may be are being decoded
                await asyncio.sleep(_RETRY_SECONDS)
            except (NotReadyError, CodecsUnavailableError) as error:
                raise StoppedError(str(error)) from error
            except Exception as error:
                if isinstance(error, EngineError):
                    await self.inference.pipeline.in_executor(self._check_engine)
                if problem_of(error).status == 500:
                    log.exception("a bug: an image has no verdict")
                raise NoVerdictError(problem_of(error).error, str(error)) from error

    async def _inspect(self, image: bytes, heatmap: Heatmap) -> Prediction:
        """Raises any error of the table in app.errors."""
        if len(image) > self.max_bytes:
            raise BodyTooLargeError(f"the file has more than {self.max_bytes:,} bytes")
        pipeline = self.inference.pipeline
        image = await pipeline.in_executor(Upload(image, _CONTENT_TYPE, "", self.max_bytes).image)
        until = asyncio.get_running_loop().time() + LONGEST_DEADLINE_MS / 1000
        kind = Kind.of(self.loaded.key, len(image))
        with self.inference.latency.work(kind) as work:
            decoded = await pipeline.decode(image, self.loaded, until)
            origin = Origin("", round(1000 * time.time()))

            def encode(results: list[InspectionResult]) -> Prediction:
                (result,) = results
                worked = {name: round(1000 * result.record.worked(name), 1) for name in STEPS}
                inspection = Inspection.of(result, Basis.of(self.loaded), origin, None, regions=True)
                return Prediction.of(replace(inspection, timing_ms=worked), result.png, regions=True)

            options, admitted = RenderOptions(heatmap), Admitted(kind, until, work)
            return await pipeline.inspect([decoded], self.loaded, options, admitted, encode)

    def _serving(self) -> LoadedModel:
        name = self.loaded.model
        serving = self.store.serving(name)
        number = self.store.serving_version(name, serving)
        loaded = self.loaded if number == self.loaded.version else self.loader.load(name, number, self.device)
        return loaded.under(serving)

    def _check_engine(self) -> None:
        """Whether an engine that failed fails of any image. Raises StoppedError."""
        size = self.loaded.detector.input_size
        try:
            self.loaded.detector.engine.run(np.zeros((1, size, size, 3), np.uint8))
        except EngineError as error:
            raise StoppedError(f"the engine failed: {error}") from error


@asynccontextmanager
async def local_inspector(settings: Settings, choice: Choice) -> AsyncIterator[LocalInspector]:
    """Raises any error of a version or a device."""
    store, device = Store(settings.store, settings.default_model), choose_device(settings.device)
    loader = Loader(settings, store)
    loaded = await asyncio.to_thread(loader.load, choice.model, choice.version, device)
    inference = InferenceRuntime(settings, Metrics())
    inference.start()
    try:
        yield LocalInspector(loaded.under(choice.serving), loader, store, device, settings.max_bytes, inference)
    finally:
        inference.stop()
