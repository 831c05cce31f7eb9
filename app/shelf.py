"""The models that can be asked, and every way in which they change; each change is one step for who reads."""

import logging
import math
import threading
import time
from collections.abc import Collection
from dataclasses import replace
from typing import Final

from app.loader import Loader
from app.metrics import Metrics
from app.model_snapshot import LoadedModel, ModelSnapshot, ModelState
from app.settings import Settings
from model.engines.devices import Device
from model.engines.engine import Engine
from model.errors import CamspectorError, EngineError, PinError, ServingError
from model.serving import SERVING, Serving
from model.store import Store

log = logging.getLogger(__name__)

REBUILD_SECONDS: Final = 600.0
"""An engine that fails again within this time isn't mended by opening it anew."""


class Shelf:
    """For one thread, the registry's; others read `snapshot`, whole, at any time."""

    def __init__(self, settings: Settings, store: Store, metrics: Metrics, stopped: threading.Event) -> None:
        """`stopped`: no more is loaded."""
        self.snapshot = ModelSnapshot()
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._loader = Loader(settings, store)
        self._stopped = stopped
        self._rebuilt_at: dict[tuple[str, int], float] = {}

    def see(self, name: str, versions: list[int]) -> None:
        """What the store holds of a model."""
        refused = {number: why for number, why in self._model(name).refused.items() if number in versions}
        self._put(name, replace(self._model(name), stored=tuple(versions), refused=refused))

    def forget(self, gone: Collection[str]) -> None:
        """Of models that the store has no more, keep only what serves."""
        for name in gone:
            model = self._model(name)
            serves = f"; version {model.serving.version} goes on serving" if model.serving else ""
            if model.stored:
                log.warning("model %s is not in the store any more%s", name, serves)
            self._put(name, replace(model, stored=(), refused={}))
            if not model.loaded:
                self._publish({other: each for other, each in self.snapshot.models.items() if other != name})

    def bring_in(self, name: str, versions: list[int], device: Device) -> None:
        """Follow the model's serving.json; then load its newest versions."""
        error: CamspectorError | None = None
        try:
            self._follow(name, self._store.serving(name), versions, device)
        except (PinError, ServingError) as raised:
            error = raised
        self._put(name, replace(self._model(name), fault=str(error or "")))
        if isinstance(error, ServingError) and not self._model(name).loaded:
            return  # better no verdicts than such as weren't meant
        self._load_newest(name, versions, device)

    def prepared(self, name: str, serving: Serving, device: Device) -> dict[int, LoadedModel]:
        """The version that a serving.json would name, loaded and not yet shown to anyone.

        Raises UnknownModelError, StoreError or PinError.
        """
        return self._pinned(name, serving, self._store.versions(name), device)

    def follow(self, name: str, serving: Serving, prepared: dict[int, LoadedModel]) -> None:
        """Let a serving.json be in force, all of it in one step; `prepared`: the version that it names."""
        model = self._model(name)
        if model.file != serving:
            log.info("model %s: %s is in force: %s", name, SERVING, serving)
        loaded = {number: self._at_line(each, serving) for number, each in {**model.loaded, **prepared}.items()}
        self._put(name, replace(model, file=serving, loaded=loaded))

    def rebuild(self, engines: Collection[Engine], device: Device) -> None:
        """Load those versions again whose engine failed; refuse one whose rebuilt engine failed soon again."""
        for name, model in self.snapshot.models.items():
            for version, loaded in model.loaded.items():
                if any(loaded.detector.engine is engine for engine in engines):
                    self._rebuild(name, version, device)

    def _rebuild(self, name: str, version: int, device: Device) -> None:
        before, now = self._rebuilt_at.get((name, version), -math.inf), time.monotonic()
        self._rebuilt_at[name, version] = now
        rebuilt = None
        if now - before > REBUILD_SECONDS:
            log.warning("model %s version %d: its engine failed and is opened anew", name, version)
            rebuilt = self._load(name, version, device)
        else:
            error = EngineError("its engine failed again after it was opened anew")
            self._loader.refuse(name, version, error)
            self._refuse(name, version, error)
        others = {number: loaded for number, loaded in self._model(name).loaded.items() if number != version}
        if rebuilt:
            others[version] = self._at_line(rebuilt, self._model(name).file)
        self._put(name, replace(self._model(name), loaded=others))

    def _follow(self, name: str, serving: Serving, versions: list[int], device: Device) -> None:
        """`follow` what the store's file says. Raises PinError where its version can't serve."""
        try:
            pinned = self._pinned(name, serving, versions, device)
        except PinError:
            if not self._model(name).loaded:  # nothing was in force that could stay so
                self._put(name, replace(self._model(name), file=serving))
            raise
        self.follow(name, serving, pinned)

    def _pinned(self, name: str, serving: Serving, versions: list[int], device: Device) -> dict[int, LoadedModel]:
        """The version that a serving.json names, loaded; empty: it names none. Raises PinError."""
        number = serving.version
        if number is None:
            return {}
        if number not in versions:
            raise PinError(f"{SERVING} names version {number}, which is not in the store; there are: {versions}")
        loaded = self._model(name).loaded.get(number) or self._load(name, number, device)
        if loaded is None:
            raise PinError(f"{SERVING} names version {number}, which is refused: {self._model(name).refused[number]}")
        return {number: loaded}

    def _load_newest(self, name: str, versions: list[int], device: Device) -> None:
        """Bring the newest versions in that can be loaded, then let older ones go: in-flight requests keep theirs.

        The version that serving.json names stays.
        """
        file = self._model(name).file
        kept = {number: each for number, each in self._model(name).loaded.items() if number == file.version}
        for version in sorted(set(versions) - kept.keys(), reverse=True):
            if len(kept) == self._settings.versions_kept or self._stopped.is_set():
                break
            loaded = self._model(name).loaded.get(version) or self._load(name, version, device)
            if loaded:
                kept[version] = self._at_line(loaded, file)
                self._put(name, replace(self._model(name), loaded={**self._model(name).loaded, version: kept[version]}))
        if kept and not self._stopped.is_set():
            self._put(name, replace(self._model(name), loaded=kept))

    def _load(self, name: str, version: int, device: Device) -> LoadedModel | None:
        """Load one version, or say why it is refused."""
        try:
            loaded = self._loader.load(name, version, device)
        except CamspectorError as error:
            self._refuse(name, version, error)
            return None
        remaining = {number: reason for number, reason in self._model(name).refused.items() if number != version}
        self._put(name, replace(self._model(name), refused=remaining))
        detector = loaded.detector
        how = (detector.variant.name, detector.engine.name, detector.engine.device)
        log.info("model %s version %d is loaded: %s by %s on %s", name, version, *how)
        return loaded

    def _refuse(self, name: str, version: int, error: CamspectorError) -> None:
        refused = self._model(name).refused
        if refused.get(version) != str(error):
            log.error("model %s version %d is refused: %s", name, version, error)
        self._put(name, replace(self._model(name), refused={**refused, version: str(error)}))

    def _at_line(self, loaded: LoadedModel, file: Serving) -> LoadedModel:
        """With the line's share of defects and thresholds: the file's, else the settings', else the version's own."""
        rate = file.defect_rate or self._settings.defect_rate.get(loaded.model)
        thresholds = file.line_thresholds() or self._settings.thresholds.get(loaded.model)
        if (rate, thresholds) == (loaded.detector.line_rate, loaded.detector.line_thresholds):
            return loaded
        return replace(loaded, detector=replace(loaded.detector, line_rate=rate, line_thresholds=thresholds))

    def _model(self, name: str) -> ModelState:
        return self.snapshot.models.get(name, ModelState())

    def _put(self, name: str, model: ModelState) -> None:
        """Replace one model."""
        was, now = self._model(name).serving, model.serving
        self._publish({**self.snapshot.models, name: model})
        if now and now.version != (was and was.version):
            log.info("model %s: version %d serves now%s", name, now.version, f" (was {was.version})" if was else "")

    def _publish(self, models: dict[str, ModelState]) -> None:
        """A new snapshot in one step: readers see either the old or the new."""
        gone = self.snapshot.models.keys() - models
        self.snapshot = ModelSnapshot(dict(sorted(models.items())))
        for name, model in models.items():
            self._metrics.show_model(name, model)
        for name in gone:
            self._metrics.forget_model(name)
