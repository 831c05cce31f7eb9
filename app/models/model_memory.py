"""Versions come into memory when they are asked for, and leave it by least recent use."""

import logging
import math
import time
from functools import cached_property
from typing import Final

from app.models.changes import Changes
from app.models.eviction import evictions
from app.models.loader import Loader
from app.models.model_metrics import LoadMetrics
from app.models.model_snapshot import LoadedModel, ModelSnapshot, ModelState
from app.settings import Settings
from model.detector import Detector
from model.engines.devices import Device, choose_device
from model.errors import CamspectorError, EngineError

log = logging.getLogger(__name__)

REBUILD_SECONDS: Final = 600.0
"""An engine that fails again within this time isn't mended by opening it anew."""


class ModelMemory:
    """Only the model manager's thread changes it, but for `use`; others read `snapshot`, whole, at any time."""

    def __init__(self, settings: Settings, loader: Loader, metrics: LoadMetrics, changes: Changes) -> None:
        self.snapshot = ModelSnapshot(on_demand=settings.models_max_bytes > 0)
        self.failed: dict[str, frozenset[int]] = {}
        """Versions that could not be loaded since the last poll."""
        self._settings = settings
        self._loader = loader
        self._metrics = metrics
        self._changes = changes
        self._used_at: dict[tuple[str, int], float] = {}
        """When a request was last given a version that is in memory."""
        self._rebuilt_at: dict[tuple[str, int], float] = {}

    def use(self, version: LoadedModel) -> None:
        """A request is given it. From any thread."""
        self._used_at[version.key] = time.monotonic()

    def recall(self, name: str, version: int | None) -> LoadedModel | None:
        """A version that can answer, the one that serves where none is named: loaded again where it left the memory.

        None: there is none, or none any more.
        """
        while known := self.state(name).find(version):
            if isinstance(known, LoadedModel):
                return known
            self._used_at[name, known.version] = time.monotonic()
            if loaded := self.load(name, known.version):
                return self.show(loaded, self.state(name))
        return None

    def load(self, name: str, version: int) -> LoadedModel | None:
        """A version that nobody is shown yet. None: it is refused."""
        try:
            began = time.monotonic()
            known = self.state(name).unloaded.get(version)
            loaded = self._loader.load(name, version, self._device, known)
            self._metrics.seconds.observe(time.monotonic() - began)
        except CamspectorError as error:
            self._refuse(name, version, error)
            return None
        detector = loaded.detector
        runs = (detector.variant.name, detector.engine.name, detector.engine.device)
        log.info("model %s version %d is loaded: %s by %s on %s", name, version, *runs)
        self.failed[name] = self.failed.get(name, frozenset()) - {version}
        return loaded

    def show(self, loaded: LoadedModel, state: ModelState) -> LoadedModel:
        """Put it beside the others of `state`, its model's, and let others go where that is too much."""
        self.put(loaded.model, state.loading(loaded))
        if self.snapshot.on_demand:
            for name, version in [
                *evictions(self.snapshot, self._settings.models_max_bytes, self._used_at, loaded.key)
            ]:
                self._evict(name, version)
        return self.state(loaded.model).loaded[loaded.version]

    def rebuild(self, detector: Detector) -> None:
        """Its engine failed: load the version again; refuse it where a rebuilt engine failed soon again."""
        versions = [each for state in self.snapshot.models.values() for each in state.loaded.values()]
        for name, version in [each.key for each in versions if each.detector.engine is detector.engine]:
            before, now = self._rebuilt_at.get((name, version), -math.inf), time.monotonic()
            self._rebuilt_at[name, version] = now
            loaded = None
            if now - before > REBUILD_SECONDS:
                log.warning("model %s version %d: its engine failed and is opened anew", name, version)
                loaded = self.load(name, version)
            else:
                error = EngineError("its engine failed again after it was opened anew")
                self._loader.refuse(name, version, error)
                self._refuse(name, version, error)
            state = self.state(name)
            self.put(name, state.loading(loaded) if loaded else state.unloading({version}))

    def state(self, name: str) -> ModelState:
        return self.snapshot.models.get(name, ModelState())

    def put(self, name: str, state: ModelState) -> None:
        """Replace one model's state."""
        before = self.state(name)
        self.snapshot = self.snapshot.with_model(name, state)
        self._changes.of_model(name, before, state)

    @cached_property
    def _device(self) -> Device:
        return choose_device(self._settings.device)

    def _evict(self, name: str, version: int) -> None:
        self.put(name, self.state(name).evicting(version))
        self._used_at.pop((name, version), None)
        self._metrics.evictions.inc()
        log.info("model %s version %d leaves the memory", name, version)

    def _refuse(self, name: str, version: int, error: CamspectorError) -> None:
        state = self.state(name)
        if state.refused.get(version) != str(error):
            log.error("model %s version %d is refused: %s", name, version, error)
        self.put(name, state.refusing(version, str(error)))
        self.failed[name] = self.failed.get(name, frozenset()) | {version}
