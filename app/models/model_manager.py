"""Keeps the loaded models like the store: one thread that polls it, and does what it is asked to."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from app.errors import NotReadyError
from app.inference.watchdog import logged_stall
from app.models.changes import Audit, Changes
from app.models.jobs import Job, Jobs, done
from app.models.loader import Loader
from app.models.model_memory import ModelMemory
from app.models.model_metrics import LoadMetrics, ModelCollector
from app.models.model_snapshot import LoadedModel, ModelSnapshot
from app.models.reconciler import Reconciler
from app.models.version_files import read_version_file
from app.settings import Settings
from model.detector import Detector
from model.errors import UnknownVersionError
from model.recipes import ProductRecipes
from model.serving import Serving
from model.store import Store

log = logging.getLogger(__name__)


class ModelManager:
    """Only its thread changes `snapshot`; others read it, whole, at any time.

    It has a daemon thread and no executor: a call into a file system that has stalled never comes back, and Python
    waits for an executor's threads before the process ends.
    """

    def __init__(self, settings: Settings, metrics: CollectorRegistry, audit: Audit = lambda *_: None) -> None:
        """Raises KeyFileError."""
        self._settings = settings
        self._store = Store(settings.store, settings.default_model)
        self._stopped = threading.Event()
        loader, changes = Loader(settings, self._store), Changes(audit)
        self.memory = ModelMemory(settings, loader, LoadMetrics(metrics), changes)
        self.reconciler = Reconciler(settings, self._store, loader, self.memory, changes, self._stopped)
        self._jobs = Jobs()
        self._bug: str | None = None
        self._poll_at = time.monotonic()
        metrics.register(ModelCollector(lambda: self.snapshot, lambda: time.monotonic() - self.reconciler.polled_at))
        self.thread = threading.Thread(target=self._run, name="model manager", daemon=True)

    @property
    def snapshot(self) -> ModelSnapshot:
        return self.memory.snapshot

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        """Nothing more is loaded."""
        self._stopped.set()
        self._jobs.submit(lambda: None)  # wakes the thread

    def report(self, detector: Detector) -> None:
        """Its engine failed. From any thread; the manager's own sees to it at once."""
        self._jobs.submit(lambda: self.memory.rebuild(detector)).add_done_callback(self._log_bug)

    def challenge_folder(self, model: str) -> Path:
        """Where the model's challenge images lie. Raises StoreError."""
        return self._store.challenge(model)

    def reload(self) -> Future[None]:
        """Poll the store now."""
        return self._jobs.submit(self.reconciler.poll)

    def set_serving(self, name: str, config: Serving, by: str) -> Future[None]:
        """Write the model's serving.json and put it in force; `by`: the name of whose key it is.

        Fails with UnknownModelError, StoreError, or PinError where its version can't serve: then nothing is written.
        """
        return self._jobs.submit(lambda: self.reconciler.set_serving(name, config, by))

    def set_recipes(self, recipes: ProductRecipes, by: str) -> Future[None]:
        """Write recipes.json and put it in force; `by`: the name of whose key it is.

        Fails with StoreError, or PinError where a model or a version of it can't serve: then nothing is written.
        """
        return self._jobs.submit(lambda: self.reconciler.set_recipes(recipes, by))

    def read_file(self, name: str, version: int, file: str) -> Future[bytes]:
        """A file of a version, in memory or not. Fails as `read_version_file` raises."""
        return self._jobs.submit(lambda: read_version_file(self._store, name, version, file))

    async def obtain(self, name: str, version: int | None, until: float) -> LoadedModel:
        """The version that answers a request, loaded first where it isn't in memory: several requests load it once.

        Raises as `ModelSnapshot.find` does, or DeadlineError where it isn't there `until` then.
        """
        try:
            loaded = self.snapshot.find(name, version)
        except (NotReadyError, UnknownVersionError):
            if not self.snapshot.on_demand or name not in self.snapshot.models:
                raise
            job = self._jobs.submit(lambda: self.reconciler.provide(name, version))
            loaded = await done(job, until, f"model {name!r} was not loaded")
        self.memory.use(loaded)
        return loaded

    def unready(self) -> list[str]:
        """Why the service isn't ready, in words; empty: it is."""
        empty = f"the store {self._settings.store} is empty, or has not been read"
        return self.snapshot.unready("; ".join(self.reconciler.problems) or empty)

    def _run(self) -> None:
        job = self._polling()
        while not self._stopped.is_set():
            with logged_stall(f"polling the store {self._settings.store}, or loading a version from it,", log):
                job.run()
            job = self._next()

    def _next(self) -> Job[Any]:
        """What it is asked to do comes first, then polling when it is time, then what has time."""
        poll_in = self._poll_at - time.monotonic()
        idle = not self.reconciler.plan()
        if job := self._jobs.next(poll_in if idle else 0.0):
            return job
        return self._polling() if idle or poll_in <= 0 else self._unasked(self.reconciler.load_ahead)

    def _polling(self) -> Job[None]:
        return self._unasked(self._poll_in_turn)

    def _poll_in_turn(self) -> None:
        try:
            self.reconciler.poll()
        finally:
            self._poll_at = time.monotonic() + self._settings.store_poll_seconds

    def _unasked(self, work: Callable[[], None]) -> Job[None]:
        job = Job(work)
        job.done.add_done_callback(self._log_bug)
        return job

    def _log_bug(self, done: Future[None]) -> None:
        """Of work that nobody waits for; once, while it is the same."""
        error = done.exception()
        if error and repr(error) != self._bug:
            log.error("a bug: the store can't be followed; what is loaded goes on serving", exc_info=error)
        self._bug = repr(error) if error else None
