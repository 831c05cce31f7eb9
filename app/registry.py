"""Keeps the catalogue like the store: a thread that looks, loads beside what serves, and swaps."""

import logging
import math
import os
import threading
import time
from collections import deque
from dataclasses import replace
from typing import Final

from app.catalogue import Catalogue, Loaded, Model, because
from app.settings import Settings
from model.detector import Detector, load_detector
from model.engines.devices import Device, choose_device
from model.errors import CamspectorError, EngineError
from model.store import Store

log = logging.getLogger(__name__)

REBUILD_SECONDS: Final = 600.0
"""An engine that fails again within this time isn't mended by opening it anew."""


class Registry:
    """Only its thread writes `catalogue` and `required`; others read them, whole, at any time."""

    def __init__(self, settings: Settings) -> None:
        self.catalogue = Catalogue()
        self.required: set[str] = set()
        """Models without which the service isn't ready: the default one, and the store's first that are still there."""
        self._settings = settings
        self._store = Store(settings.store)
        self._stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, name="registry", daemon=True)
        self._signatures: dict[tuple[str, int], object] = {}
        self._complaints: set[str] = set()
        self._failed: deque[Detector] = deque()
        self._rebuilt_at: dict[tuple[str, int], float] = {}
        self._wanted = threading.Event()

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._wanted.set()

    def report(self, detector: Detector) -> None:
        """Its engine failed. From any thread; the registry's own sees to it at once."""
        self._failed.append(detector)
        self._wanted.set()

    def _run(self) -> None:
        device = choose_device(self._settings.device)
        while not self._stopped.is_set():
            self._wanted.clear()
            self.rebuild(device)
            self.look(device)
            self._wanted.wait(self._settings.store_poll_seconds)

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
            self._load_newest(name, versions, device)
        self._complain(complaints | self._doubts())

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
            reason = "its engine failed again after it was opened anew"
            log.error("model %s version %d is refused: %s", name, version, reason)
            self._put(name, replace(self._model(name), refused={**self._model(name).refused, version: reason}))
        others = {number: loaded for number, loaded in self._model(name).loaded.items() if number != version}
        self._put(name, replace(self._model(name), loaded={**others, version: rebuilt} if rebuilt else others))

    def waiting(self) -> list[str]:
        """Why the service isn't ready, in words; empty: it is."""
        catalogue = self.catalogue
        if not self.required:
            empty = f"the store {self._settings.store} is empty, or has not been read"
            return ["no model is loaded yet: " + ("; ".join(sorted(self._complaints)) or empty)]
        return [
            f"model {name!r} has no loaded version{because(catalogue.models[name].refused)}"
            if name in catalogue.models
            else f"the default model {name!r} is not in the store; there are: {', '.join(catalogue.models)}"
            for name in sorted(self.required - set(catalogue.able()))
        ]

    def _complain(self, complaints: set[str]) -> None:
        """Log each once when it comes, and once when it goes."""
        for complaint in sorted(complaints - self._complaints):
            log.warning("%s", complaint)
        for complaint in sorted(self._complaints - complaints):
            log.info("no longer so: %s", complaint)
        self._complaints = complaints

    def _doubts(self) -> set[str]:
        """Where the settings don't fit the models."""
        models, able = self.catalogue.models, ", ".join(self.catalogue.able())
        doubts = {
            f"{setting} is set for model {name!r}, which is not in the store; there are: {', '.join(models)}"
            for setting in ("defect_rate", "thresholds")
            for name in getattr(self._settings, setting).keys() - models
            if models
        }
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
        self.catalogue = Catalogue(
            {name: model for name, model in self.catalogue.models.items() if name not in gone or model.loaded}
        )

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

    def _load_newest(self, name: str, versions: list[int], device: Device) -> None:
        """Bring the newest versions in that can be loaded, then let older ones go: in-flight requests keep theirs."""
        kept: dict[int, Loaded] = {}
        for version in sorted(versions, reverse=True):
            if len(kept) == self._settings.versions_kept or self._stopped.is_set():
                break
            loaded = self._model(name).loaded.get(version) or self._load(name, version, device)
            if loaded:
                kept[version] = loaded
                self._put(name, replace(self._model(name), loaded={**self._model(name).loaded, version: loaded}))
        if kept and not self._stopped.is_set():
            self._put(name, replace(self._model(name), loaded=kept))

    def _load(self, name: str, version: int, device: Device) -> Loaded | None:
        """Load and self-test one version; a refused one is tried again only when its files have changed."""
        refused = self._model(name).refused
        try:
            path = self._store.path(name, version)
            signature = sorted((str(file), file.stat().st_ctime_ns, file.stat().st_size) for file in path.rglob("*"))
            if version in refused and self._signatures.get((name, version)) == signature:
                return None
            self._signatures[name, version] = signature
            rate, thresholds = self._settings.defect_rate.get(name), self._settings.thresholds.get(name)
            engine, variant = self._settings.engine, self._settings.variant
            detector = load_detector(path, device, rate, thresholds, engine=engine, variant=variant)
        except (CamspectorError, OSError) as error:
            if isinstance(error, EngineError):  # the device's fault, and it may recover: try at every look
                self._signatures.pop((name, version), None)
            if refused.get(version) != str(error):
                log.error("model %s version %d is refused: %s", name, version, error)
            self._put(name, replace(self._model(name), refused={**refused, version: str(error)}))
            return None
        remaining = {number: reason for number, reason in refused.items() if number != version}
        self._put(name, replace(self._model(name), refused=remaining))
        how = (detector.variant.name, detector.engine.name, detector.engine.device)
        log.info("model %s version %d is loaded: %s by %s on %s", name, version, *how)
        return Loaded(name, version, detector)

    def _model(self, name: str) -> Model:
        return self.catalogue.models.get(name, Model())

    def _put(self, name: str, model: Model) -> None:
        """Replace one model in a new catalogue: readers see either the old or the new."""
        was, now = self._model(name).serving, model.serving
        models = {**self.catalogue.models, name: model}
        self.catalogue = Catalogue(dict(sorted(models.items())))
        if now and now is not was:
            log.info("model %s: version %d serves now%s", name, now.version, f" (was {was.version})" if was else "")
