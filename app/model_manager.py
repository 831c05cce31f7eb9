"""Keeps the snapshot like the store: a thread that looks, and does what it is asked to."""

import logging
import os
import threading
import time
from collections import deque
from concurrent.futures import Future

from app.errand import Errands
from app.log_once import LogOnce
from app.metrics import Metrics
from app.model_snapshot import ModelSnapshot
from app.overdue import Overdue
from app.settings import Settings
from app.shelf import Shelf
from model.detector import Detector
from model.engines.devices import Device, choose_device
from model.errors import CamspectorError
from model.serving import Serving
from model.store import Store

log = logging.getLogger(__name__)


class ModelManager:
    """Only its thread changes `snapshot` and `required`; others read them, whole, at any time."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.required: set[str] = set()
        """Models without which the service isn't ready: the default one, and the store's first that are still there."""
        self._settings = settings
        self._store = Store(settings.store, settings.default_model)
        self._stopped = threading.Event()
        self._shelf = Shelf(settings, self._store, metrics, self._stopped)
        self._errands = Errands()
        self._complaints = LogOnce(log)
        self._overdue = Overdue(f"the look at the store {settings.store}, or the loading of a version of it,", log)
        self._looked_at = time.monotonic()
        metrics.store_look_age.set_function(lambda: time.monotonic() - self._looked_at)
        self.thread = threading.Thread(target=self._run, name="registry", daemon=True)
        self._failed: deque[Detector] = deque()

    @property
    def snapshot(self) -> ModelSnapshot:
        """As it is now."""
        return self._shelf.snapshot

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
        errand = None
        while not self._stopped.is_set():
            with self._overdue.watching():
                if errand:
                    errand.run(device)
                else:
                    self.look(device)
            errand = self._errands.next(self._settings.store_poll_seconds)

    def look(self, device: Device) -> None:
        """Load what is new in the store. What serves goes on serving where the store can't be read or lost a model."""
        stored, complaints = self._read_store()
        configured = set(filter(None, [self._settings.default_model]))
        if not complaints:  # what can't be read may still be there
            self.required = self.required & (configured | stored.keys() | set(self.snapshot.able()))
            self._shelf.forget(self.snapshot.models.keys() - stored)
        for name, versions in stored.items():
            self._shelf.see(name, versions)
        if stored and not self.required:
            self.required = {*stored, *configured}
        for name, versions in stored.items():
            self._shelf.bring_in(name, versions, device)
        self._complaints.are(complaints | self._doubts() | set(self._store.strays()))
        self._looked_at = time.monotonic()

    def rebuild(self, device: Device) -> None:
        """See to the engines that failed."""
        self._shelf.rebuild([self._failed.popleft().engine for _ in range(len(self._failed))], device)

    def _set_serving(self, name: str, serving: Serving, device: Device) -> None:
        prepared = self._shelf.prepared(name, serving, device)
        self._store.set_serving(name, serving)
        self._shelf.follow(name, serving, prepared)
        self.look(device)

    def waiting(self) -> list[str]:
        """Why the service isn't ready, in words; empty: it is."""
        snapshot = self.snapshot
        if not self.required:
            empty = f"the store {self._settings.store} is empty, or has not been read"
            return ["no model is loaded yet: " + ("; ".join(sorted(self._complaints.now)) or empty)]
        return [
            f"model {name!r} has no version that serves{snapshot.models[name].because}"
            if name in snapshot.models
            else f"the default model {name!r} is not in the store; there are: {', '.join(snapshot.models)}"
            for name in sorted(self.required - set(snapshot.able()))
        ]

    def _doubts(self) -> set[str]:
        """Where settings or files don't fit the models."""
        models, able = self.snapshot.models, ", ".join(self.snapshot.able())
        doubts = {
            f"{setting} is set for model {name!r}, which is not in the store; there are: {', '.join(models)}"
            for setting in ("defect_rate", "thresholds")
            for name in getattr(self._settings, setting).keys() - models
            if models
        } | {f"model {name}: {model.fault}" for name, model in models.items() if model.fault}
        if self._settings.default_model is None and ", " in able:
            doubts.add(f"POST /predict is 404 while several models are loaded ({able}): set default_model")
        return doubts

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
