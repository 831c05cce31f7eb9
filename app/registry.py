"""Keeps the catalogue like the store: a thread that looks, loads beside what serves, and swaps."""

import logging
import threading
from dataclasses import replace

from app.catalogue import Catalogue, Loaded, Model
from app.settings import Settings
from model.detector import load_detector
from model.engines.engine import Device, choose_device
from model.errors import CamspectorError, EngineError
from model.store import Store

log = logging.getLogger(__name__)


class Registry:
    """Only its thread writes `catalogue` and `required`; others read them, whole, at any time."""

    def __init__(self, settings: Settings) -> None:
        self.catalogue = Catalogue()
        self.required: set[str] = set()
        """Models without which the service isn't ready: those of the store's first models, and the default model."""
        self._settings = settings
        self._store = Store(settings.store)
        self._stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, name="registry", daemon=True)
        self._signatures: dict[tuple[str, int], object] = {}
        self._complaints: set[str] = set()

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        device = choose_device(self._settings.device)
        while not self._stopped.is_set():
            self.look(device)
            self._stopped.wait(self._settings.store_poll_seconds)

    def look(self, device: Device) -> None:
        """Load what is new in the store. What serves goes on serving where the store can't be read or lost a model."""
        stored, complaints = self._read_store()
        for complaint in complaints - self._complaints:
            log.error("%s", complaint)
        self._complaints = complaints
        if stored and not self.required:
            self.required = {*stored, *filter(None, [self._settings.default_model])}
        for name, versions in stored.items():
            refused = {number: why for number, why in self._model(name).refused.items() if number in versions}
            self._put(name, replace(self._model(name), stored=tuple(versions), refused=refused))
        for name, versions in stored.items():
            self._load_newest(name, versions, device)

    def _read_store(self) -> tuple[dict[str, list[int]], set[str]]:
        """The versions of every model that can be read, and what is wrong with the others."""
        stored, complaints = {}, set()
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
            detector = load_detector(path, device, self._settings.defect_rate.get(name))
        except (CamspectorError, OSError) as error:
            if isinstance(error, EngineError):  # the device's fault, and it may recover: try at every look
                self._signatures.pop((name, version), None)
            if refused.get(version) != str(error):
                log.error("model %s version %d is refused: %s", name, version, error)
            self._put(name, replace(self._model(name), refused={**refused, version: str(error)}))
            return None
        remaining = {number: reason for number, reason in refused.items() if number != version}
        self._put(name, replace(self._model(name), refused=remaining))
        log.info("model %s version %d is loaded on %s", name, version, detector.engine.device)
        return Loaded(name, version, detector)

    def _model(self, name: str) -> Model:
        return self.catalogue.models.get(name, Model())

    def _put(self, name: str, model: Model) -> None:
        """Replace one model in a new catalogue: readers see either the old or the new."""
        models = {**self.catalogue.models, name: model}
        self.catalogue = Catalogue(dict(sorted(models.items())))
