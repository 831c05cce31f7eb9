"""Keeps the loaded models like the store: one thread that polls it, and does what it is asked to."""

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from prometheus_client import CollectorRegistry

from app.errors import NotReadyError
from app.inference.watchdog import logged_stall
from app.models.eviction import evictions
from app.models.jobs import Job, Jobs, done
from app.models.loader import Loader
from app.models.model_metrics import LoadMetrics, ModelCollector
from app.models.model_snapshot import LoadedModel, ModelSnapshot, ModelState
from app.models.reload_plan import Action, Apply, Load, StoredModel, Unload, observed, pin_error, plan
from app.models.version_files import read_version_file
from app.monitoring.log_once import LogOnce
from app.settings import Settings
from model.detector import Detector
from model.engines.devices import Device, choose_device
from model.errors import CamspectorError, EngineError, PinError, RecipesError, UnknownVersionError
from model.recipes import RECIPES, ProductRecipes, compact, named_versions
from model.serving import SERVING, Serving
from model.store import Store

log = logging.getLogger(__name__)

REBUILD_SECONDS: Final = 600.0
"""An engine that fails again within this time isn't mended by opening it anew."""


class ModelManager:
    """Only its thread changes `snapshot`; others read it, whole, at any time.

    It has a daemon thread and no executor: a call into a file system that has stalled never comes back, and Python
    waits for an executor's threads before the process ends.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: CollectorRegistry,
        audit: Callable[[Literal["serving", "recipes"], str, str, str], object] = lambda *_: None,
    ) -> None:
        """`audit` is told of which file, of which model or of the store, what is in force, and by whose key, else that
        the file says so."""
        self.snapshot = ModelSnapshot(on_demand=settings.models_max_bytes > 0)
        self._settings = settings
        self._store = Store(settings.store, settings.default_model)
        self._loader = Loader(settings, self._store)
        self._jobs = Jobs()
        self._stored: dict[str, StoredModel] = {}
        """The store as the last poll found it, and what could not be loaded since."""
        self._used_at: dict[tuple[str, int], float] = {}
        """When a request was last given a version that is in memory."""
        self._stopped = threading.Event()
        self._audit = audit
        self._changed_by: str | None = None
        """Name of the key; None: a file was changed."""
        self._recipes: str | None = None
        """What the audit was last told of recipes.json."""
        self._warnings = LogOnce(log)
        self._bug: str | None = None
        self._rebuilt_at: dict[tuple[str, int], float] = {}
        self._poll_at = self._polled_at = time.monotonic()
        self._load_metrics = LoadMetrics(metrics)
        metrics.register(ModelCollector(lambda: self.snapshot, lambda: time.monotonic() - self._polled_at))
        self.thread = threading.Thread(target=self._run, name="model manager", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        """Nothing more is loaded."""
        self._stopped.set()
        self._jobs.submit(lambda: None)  # wakes the thread

    def report(self, detector: Detector) -> None:
        """Its engine failed. From any thread; the manager's own sees to it at once."""
        self._jobs.submit(lambda: self.rebuild(detector)).add_done_callback(self._log_bug)

    def challenge_folder(self, model: str) -> Path:
        """Where the model's challenge images lie. Raises StoreError."""
        return self._store.challenge(model)

    def reload(self) -> Future[None]:
        """Poll the store now."""
        return self._jobs.submit(self.poll)

    def set_serving(self, name: str, config: Serving, by: str) -> Future[None]:
        """Write the model's serving.json and put it in force; `by`: the name of whose key it is.

        Fails with UnknownModelError, StoreError, or PinError where its version can't serve: then nothing is written.
        """
        return self._jobs.submit(lambda: self._set_serving(name, config, by))

    def set_recipes(self, recipes: ProductRecipes, by: str) -> Future[None]:
        """Write recipes.json and put it in force; `by`: the name of whose key it is.

        Fails with StoreError, or PinError where a model or a version of it can't serve: then nothing is written.
        """
        return self._jobs.submit(lambda: self._set_recipes(recipes, by))

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
            job = self._jobs.submit(lambda: self._provide(name, version))
            loaded = await done(job, until, f"model {name!r} was not loaded")
        self._used_at[loaded.key] = time.monotonic()
        return loaded

    def unready(self) -> list[str]:
        """Why the service isn't ready, in words; empty: it is."""
        empty = f"the store {self._settings.store} is empty, or has not been read"
        return self.snapshot.unready("; ".join(sorted(self._warnings.current)) or empty)

    def poll(self) -> None:
        """Follow the store. What serves goes on serving where the store can't be read or lost a model."""
        stored, problems = self._loader.read_store()
        before = self.snapshot
        self.snapshot = observed(before, stored, self._settings.default_model, complete=not problems)
        for name in [name for name, model in before.models.items() if model.available]:
            if not self._state(name).available:
                serving = self._state(name).serving
                serves = f"; version {serving.version} goes on serving" if serving else ""
                log.warning("model %s is not in the store any more%s", name, serves)
        if stored:  # an empty store is one that is away
            self._apply_recipes()
        self._stored = {name: replace(model, named=self._named(name)) for name, model in stored.items()}
        self._follow()
        warnings = self.snapshot.warnings(self._settings.default_model, self._settings.models_max_bytes)
        self._warnings.update(problems | warnings | set(self._store.strays()))
        self._polled_at = time.monotonic()

    def _apply_recipes(self) -> None:
        """Put recipes.json in force in one step; where it can't be read, what was in force stays so."""
        found = self._loader.read_recipes()
        if isinstance(found, RecipesError):
            self.snapshot = replace(self.snapshot, recipes_error=str(found))
            return
        if (content := compact(found)) != self._recipes:
            self._recipes = content
            self._audit("recipes", RECIPES, content, self._changed_by or RECIPES)
        if found != self.snapshot.recipes or self.snapshot.recipes_error:
            self.snapshot = replace(self.snapshot, recipes=found, recipes_error="")
            log.info("%s is in force: recipes %s", RECIPES, ", ".join(map(str, found)) or "none")

    def _named(self, name: str) -> frozenset[int]:
        """Versions of a model that recipes name."""
        return frozenset(version for model, version in named_versions(self.snapshot.recipes) if model == name)

    def rebuild(self, detector: Detector) -> None:
        """Its engine failed: load the version again; refuse it where a rebuilt engine failed soon again."""
        versions = [each for state in self.snapshot.models.values() for each in state.loaded.values()]
        for name, version in [each.key for each in versions if each.detector.engine is detector.engine]:
            before, now = self._rebuilt_at.get((name, version), -math.inf), time.monotonic()
            self._rebuilt_at[name, version] = now
            loaded = None
            if now - before > REBUILD_SECONDS:
                log.warning("model %s version %d: its engine failed and is opened anew", name, version)
                loaded = self._load(name, version)
            else:
                error = EngineError("its engine failed again after it was opened anew")
                self._loader.refuse(name, version, error)
                self._refuse(name, version, error)
            state = self._state(name)
            self._put(name, state.loading(loaded) if loaded else state.unloading({version}))

    def _run(self) -> None:
        job = self._polling()
        while not self._stopped.is_set():
            with logged_stall(f"polling the store {self._settings.store}, or loading a version from it,", log):
                job.run()
            job = self._next()

    def _next(self) -> Job[Any]:
        """What it is asked to do comes first, then polling when it is time, then what has time."""
        poll_in = self._poll_at - time.monotonic()
        idle = not self._plan()
        if job := self._jobs.next(poll_in if idle else 0.0):
            return job
        return self._polling() if idle or poll_in <= 0 else self._unasked(self._load_ahead)

    def _polling(self) -> Job[None]:
        return self._unasked(self._poll_in_turn)

    def _poll_in_turn(self) -> None:
        try:
            self.poll()
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

    @cached_property
    def _device(self) -> Device:
        return choose_device(self._settings.device)

    def _plan(self, names: Collection[str] | None = None) -> list[Action]:
        """All that is to be done, as far as it was seen."""
        stored = {name: model for name, model in self._stored.items() if names is None or name in names}
        return plan(stored, self._settings.versions_kept, self.snapshot)

    def _follow(self, names: Collection[str] | None = None, prepared: LoadedModel | None = None) -> None:
        """Do what has no time. `prepared`: a version that is loaded, and not shown to anyone yet."""
        while not self._stopped.is_set():
            action = next((each for each in self._plan(names) if self._is_urgent(each, prepared)), None)
            if action is None:
                return
            self._carry_out(action, prepared)

    def _is_urgent(self, action: Action, prepared: LoadedModel | None) -> bool:
        """Whether it has no time until somebody asks for it, or until nothing else is to be done."""
        if not isinstance(action, Load) or not self.snapshot.on_demand:
            return True
        return self.snapshot.is_resident(action.model) or (prepared is not None and prepared.key == action.key)

    def _load_ahead(self) -> None:
        """One version that nobody has asked for yet, so that a broken one is known before its product comes."""
        try:
            for action in self._plan()[:1]:
                self._carry_out(action)
        except Exception:
            self._stored = {}  # a bug: nothing is to be done until the next poll
            raise

    def _carry_out(self, action: Action, prepared: LoadedModel | None = None) -> None:
        name, state = action.model, self._state(action.model)
        if isinstance(action, Apply):
            self._put(name, state.applying(action.config, action.error))
        elif isinstance(action, Unload):
            self._put(name, state.unloading(action.versions))
        elif loaded := prepared if prepared and prepared.key == action.key else self._load(*action.key):
            self._show(loaded, state.applying(action.config) if action.config else state)

    def _show(self, loaded: LoadedModel, state: ModelState) -> None:
        """Put it beside its model's other versions, and let others go where that is too much."""
        self._put(loaded.model, state.loading(loaded))
        if self.snapshot.on_demand:
            limit = self._settings.models_max_bytes
            for name, version in [*evictions(self.snapshot, limit, self._used_at, loaded.key)]:
                self._put(name, self._state(name).evicting(version))
                self._used_at.pop((name, version), None)
                self._load_metrics.evictions.inc()
                log.info("model %s version %d leaves the memory", name, version)

    def _provide(self, name: str, version: int | None) -> LoadedModel:
        """The version that answers a request, from memory or the store. Raises as `ModelSnapshot.find` does."""
        while not self._stopped.is_set():
            state = self._state(name)
            known = state.serving if version is None else state.known.get(version)
            if isinstance(known, LoadedModel):
                return known
            if known:
                self._used_at[name, known.version] = time.monotonic()
                if loaded := self._load(name, known.version):
                    self._show(loaded, self._state(name))
                    return loaded.under(state.serving_config)
                continue
            wanted = (
                each for each in self._plan([name]) if not isinstance(each, Load) or version in (None, each.version)
            )
            action = next(wanted, None)
            if action is None:
                break
            self._carry_out(action)
        return self.snapshot.find(name, version)

    def _set_serving(self, name: str, config: Serving, by: str) -> None:
        stored = StoredModel(tuple(self._store.versions(name)), config, named=self._named(name))
        prepared, pinned = None, config.version
        if pinned is not None:
            if pinned in stored.versions and pinned not in self._state(name).known:
                prepared = self._load(name, pinned)
                stored = replace(stored, failed=frozenset() if prepared else frozenset([pinned]))
            if error := pin_error(stored, pinned, self._state(name).refused):
                raise PinError(error)
        self._store.set_serving(name, config)
        self._stored = {**self._stored, name: stored}
        with self._changes_by(by):
            self._follow([name], prepared)
        self.poll()

    def _set_recipes(self, recipes: ProductRecipes, by: str) -> None:
        self.poll()
        for name, version in sorted(named_versions(recipes)):
            state = self._state(name)
            if version in {*state.available} - {*state.known, *state.refused} and (loaded := self._load(name, version)):
                self._show(loaded, self._state(name))
        if problems := replace(self.snapshot, recipes=recipes).recipe_problems():
            raise PinError("; ".join(f"recipe {number}: {problem}" for number, problem in problems.items()))
        self._store.set_recipes(recipes)
        with self._changes_by(by):
            self._apply_recipes()
        self.poll()

    @contextmanager
    def _changes_by(self, key: str) -> Iterator[None]:
        self._changed_by = key
        try:
            yield
        finally:
            self._changed_by = None

    def _load(self, name: str, version: int) -> LoadedModel | None:
        """None: it is refused."""
        try:
            began = time.monotonic()
            known = self._state(name).unloaded.get(version)
            loaded = self._loader.load(name, version, self._device, known)
            self._load_metrics.seconds.observe(time.monotonic() - began)
        except CamspectorError as error:
            self._refuse(name, version, error)
            return None
        detector = loaded.detector
        runs = (detector.variant.name, detector.engine.name, detector.engine.device)
        log.info("model %s version %d is loaded: %s by %s on %s", name, version, *runs)
        return loaded

    def _refuse(self, name: str, version: int, error: CamspectorError) -> None:
        state = self._state(name)
        if state.refused.get(version) != str(error):
            log.error("model %s version %d is refused: %s", name, version, error)
        self._put(name, state.refusing(version, str(error)))
        if stored := self._stored.get(name):
            self._stored = {**self._stored, name: replace(stored, failed=stored.failed | {version})}

    def _state(self, name: str) -> ModelState:
        return self.snapshot.models.get(name, ModelState())

    def _put(self, name: str, state: ModelState) -> None:
        """Replace one model's state."""
        old, previous, serving = self._state(name), self._state(name).serving, state.serving
        self.snapshot = self.snapshot.with_model(name, state)
        changed = state.serving_config != old.serving_config
        if changed and not state.serving_error:
            log.info("model %s: %s is in force: %s", name, SERVING, state.serving_config)
        if changed or (serving and not previous):
            self._audit("serving", name, str(state.serving_config), self._changed_by or SERVING)
        if serving and serving.version != (previous and previous.version):
            before = f" (previous: {previous.version})" if previous else ""
            log.info("model %s: version %d serves now%s", name, serving.version, before)
