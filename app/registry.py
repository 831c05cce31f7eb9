"""Keeps the catalogue like the store: a thread that looks, loads beside what serves, and swaps."""

import logging
import math
import os
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import replace
from typing import Final

from app.catalogue import Catalogue, Loaded, Model
from app.complaints import Complaints
from app.errand import Errands
from app.loader import Loader
from app.metrics import Metrics
from app.settings import Settings
from model.detector import Detector
from model.engines.devices import Device, choose_device
from model.errors import CamspectorError, EngineError, PinError, ServingError
from model.serving import SERVING, Serving
from model.store import Store

log = logging.getLogger(__name__)

REBUILD_SECONDS: Final = 600.0
"""An engine that fails again within this time isn't mended by opening it anew."""


class Registry:
    """Only its thread writes `catalogue` and `required`; others read them, whole, at any time."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.catalogue = Catalogue()
        self.required: set[str] = set()
        """Models without which the service isn't ready: the default one, and the store's first that are still there."""
        self._settings = settings
        self._metrics = metrics
        self._store = Store(settings.store)
        self._loader = Loader(settings, self._store)
        self._stopped = threading.Event()
        self._errands = Errands()
        self._complaints = Complaints(log)
        self.thread = threading.Thread(target=self._run, name="registry", daemon=True)
        self._failed: deque[Detector] = deque()
        self._rebuilt_at: dict[tuple[str, int], float] = {}

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._errands.ask(lambda _: None)  # wakes the thread

    def report(self, detector: Detector) -> None:
        """Its engine failed. From any thread; the registry's own sees to it at once."""
        self._failed.append(detector)
        self._errands.ask(self.rebuild)

    def reload(self) -> Future[None]:
        """Look at the store now."""
        return self._errands.ask(self.look)

    def set_serving(self, name: str, serving: Serving) -> Future[None]:
        """Write the model's serving.json and follow it.

        Fails with UnknownModelError, StoreError, or PinError where its version can't serve: then nothing is written.
        """
        return self._errands.ask(lambda device: self._set_serving(name, serving, device))

    def _run(self) -> None:
        device = choose_device(self._settings.device)
        self.look(device)
        while not self._stopped.is_set():
            if errand := self._errands.next(self._settings.store_poll_seconds):
                errand.run(device)
            else:
                self.look(device)

    def look(self, device: Device) -> None:
        """Load what is new in the store. What serves goes on serving where the store can't be read or lost a model."""
        stored, complaints = self._read_store()
        configured = set(filter(None, [self._settings.default_model]))
        if not complaints:  # what can't be read may still be there
            self.required = self.required & (configured | stored.keys() | set(self.catalogue.able()))
            self._forget(self.catalogue.models.keys() - stored)
        for name, versions in stored.items():
            refused = {number: why for number, why in self._model(name).refused.items() if number in versions}
            self._put(name, replace(self._model(name), stored=tuple(versions), refused=refused))
        if stored and not self.required:
            self.required = {*stored, *configured}
        for name, versions in stored.items():
            self._bring_in(name, versions, device)
        self._complaints.are(complaints | self._doubts())

    def rebuild(self, device: Device) -> None:
        """Load those versions again whose engine failed; refuse one whose rebuilt engine failed soon again."""
        engines = [self._failed.popleft().engine for _ in range(len(self._failed))]
        for name, model in self.catalogue.models.items():
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

    def waiting(self) -> list[str]:
        """Why the service isn't ready, in words; empty: it is."""
        catalogue = self.catalogue
        if not self.required:
            empty = f"the store {self._settings.store} is empty, or has not been read"
            return ["no model is loaded yet: " + ("; ".join(sorted(self._complaints.now)) or empty)]
        return [
            f"model {name!r} has no version that serves{catalogue.models[name].because}"
            if name in catalogue.models
            else f"the default model {name!r} is not in the store; there are: {', '.join(catalogue.models)}"
            for name in sorted(self.required - set(catalogue.able()))
        ]

    def _doubts(self) -> set[str]:
        """Where settings or files don't fit the models."""
        models, able = self.catalogue.models, ", ".join(self.catalogue.able())
        doubts = {
            f"{setting} is set for model {name!r}, which is not in the store; there are: {', '.join(models)}"
            for setting in ("defect_rate", "thresholds")
            for name in getattr(self._settings, setting).keys() - models
            if models
        } | {f"model {name}: {model.fault}" for name, model in models.items() if model.fault}
        if self._settings.default_model is None and ", " in able:
            doubts.add(f"POST /predict is 404 while several models are loaded ({able}): set default_model")
        return doubts

    def _forget(self, gone: set[str]) -> None:
        """Of models that the store has no more, keep only what serves."""
        for name in gone:
            model = self._model(name)
            serves = f"; version {model.serving.version} goes on serving" if model.serving else ""
            if model.stored:
                log.warning("model %s is not in the store any more%s", name, serves)
            self._put(name, replace(model, stored=(), refused={}))
            if not model.loaded:
                self._publish({other: each for other, each in self.catalogue.models.items() if other != name})

    def _read_store(self) -> tuple[dict[str, list[int]], set[str]]:
        """The versions of every model that can be read, and what is wrong with the others."""
        stored, complaints = {}, set()
        if not os.path.exists(self._settings.store):
            complaints.add(f"the store {self._settings.store} is not there")
        try:
            for name in self._store.models():
                try:
                    stored[name] = self._store.versions(name)
                except CamspectorError as error:
                    complaints.add(str(error))
        except CamspectorError as error:
            complaints.add(str(error))
        return stored, complaints

    def _bring_in(self, name: str, versions: list[int], device: Device) -> None:
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

    def _follow(self, name: str, serving: Serving, versions: list[int], device: Device) -> None:
        """Let a serving.json be in force, all of it in one step. Raises PinError where its version can't serve."""
        try:
            pinned = self._pinned(name, serving, versions, device)
        except PinError:
            if not self._model(name).loaded:  # nothing was in force that could stay so
                self._put(name, replace(self._model(name), file=serving))
            raise
        model = self._model(name)
        if model.file != serving:
            log.info("model %s: %s is in force: %s", name, SERVING, serving)
        loaded = {number: self._at_line(each, serving) for number, each in {**model.loaded, **pinned}.items()}
        self._put(name, replace(model, file=serving, loaded=loaded))

    def _pinned(self, name: str, serving: Serving, versions: list[int], device: Device) -> dict[int, Loaded]:
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

    def _set_serving(self, name: str, serving: Serving, device: Device) -> None:
        self._pinned(name, serving, self._store.versions(name), device)
        self._store.set_serving(name, serving)
        self.look(device)

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

    def _load(self, name: str, version: int, device: Device) -> Loaded | None:
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

    def _at_line(self, loaded: Loaded, file: Serving) -> Loaded:
        """With the line's share of defects and thresholds: the file's, else the settings', else the version's own."""
        rate = file.defect_rate or self._settings.defect_rate.get(loaded.model)
        thresholds = file.line_thresholds() or self._settings.thresholds.get(loaded.model)
        if (rate, thresholds) == (loaded.detector.line_rate, loaded.detector.line_thresholds):
            return loaded
        return replace(loaded, detector=replace(loaded.detector, line_rate=rate, line_thresholds=thresholds))

    def _model(self, name: str) -> Model:
        return self.catalogue.models.get(name, Model())

    def _put(self, name: str, model: Model) -> None:
        """Replace one model."""
        was, now = self._model(name).serving, model.serving
        self._publish({**self.catalogue.models, name: model})
        if now and now.version != (was and was.version):
            log.info("model %s: version %d serves now%s", name, now.version, f" (was {was.version})" if was else "")

    def _publish(self, models: dict[str, Model]) -> None:
        """A new catalogue in one step: readers see either the old or the new."""
        gone = self.catalogue.models.keys() - models
        self.catalogue = Catalogue(dict(sorted(models.items())))
        for name, model in models.items():
            self._metrics.show_model(name, model)
        for name in gone:
            self._metrics.forget_model(name)
