"""Keeps the models in memory like the store: what a poll finds, or a call changes, is planned, and carried out."""

import logging
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import replace

from app.models.changes import Changes
from app.models.loader import Loader
from app.models.model_memory import ModelMemory
from app.models.model_snapshot import LoadedModel
from app.models.reload_plan import Action, Apply, Load, StoredModel, Unload, observed, pin_error, plan
from app.monitoring.log_once import LogOnce
from app.settings import Settings
from model.errors import PinError, RecipesError
from model.recipes import ProductRecipes, named_versions
from model.serving import Serving
from model.store import Store

log = logging.getLogger(__name__)


class Reconciler:
    """Only for the model manager's thread."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        loader: Loader,
        memory: ModelMemory,
        changes: Changes,
        stopped: threading.Event,
    ) -> None:
        """`stopped`: nothing more is to be loaded."""
        self._settings = settings
        self._store = store
        self._loader = loader
        self._memory = memory
        self._changes = changes
        self._stopped = stopped
        self._stored: dict[str, StoredModel] = {}
        """The store as the last poll found it."""
        self._warnings = LogOnce(log)
        self.polled_at = time.monotonic()
        """When a poll was last completed."""

    @property
    def problems(self) -> list[str]:
        """What the last poll found wrong, in words."""
        return sorted(self._warnings.current)

    def poll(self) -> None:
        """Follow the store. What serves goes on serving where the store can't be read or lost a model."""
        memory, (stored, problems) = self._memory, self._loader.read_store()
        before = memory.snapshot
        memory.snapshot = observed(before, stored, self._settings.default_model, complete=not problems)
        for name in [name for name, model in before.models.items() if model.available]:
            if not memory.state(name).available:
                serving = memory.state(name).serving
                serves = f"; version {serving.version} goes on serving" if serving else ""
                log.warning("model %s is not in the store any more%s", name, serves)
        if stored:  # an empty store is one that is away
            self._apply_recipes()
        named = named_versions(memory.snapshot.recipes)
        self._stored = {name: replace(model, named=named.get(name, model.named)) for name, model in stored.items()}
        memory.failed = {}
        self._follow()
        warnings = memory.snapshot.warnings(self._settings.default_model, self._settings.models_max_bytes)
        self._warnings.update(problems | warnings | set(self._store.strays()))
        self.polled_at = time.monotonic()

    def plan(self, names: Collection[str] | None = None) -> list[Action]:
        """All that is to be done, as far as it was seen."""
        stored = {
            name: replace(model, failed=self._memory.failed[name]) if name in self._memory.failed else model
            for name, model in self._stored.items()
            if names is None or name in names
        }
        return plan(stored, self._settings.versions_kept, self._memory.snapshot)

    def load_ahead(self) -> None:
        """One version that nobody has asked for yet, so that a broken one is known before its product comes."""
        try:
            for action in self.plan()[:1]:
                self._carry_out(action)
        except Exception:
            self._stored = {}  # a bug: nothing is to be done until the next poll
            raise

    def provide(self, name: str, version: int | None) -> LoadedModel:
        """The version that answers a request, from memory or the store. Raises as `ModelSnapshot.find` does."""
        while not self._stopped.is_set():
            if loaded := self._memory.recall(name, version):
                return loaded
            action = next(self._towards(name, version), None)
            if action is None:
                break
            self._carry_out(action)
        return self._memory.snapshot.find(name, version)

    def set_serving(self, name: str, config: Serving, by: str) -> None:
        """See `ModelManager.set_serving`."""
        named = named_versions(self._memory.snapshot.recipes).get(name, frozenset())
        stored = StoredModel(tuple(self._store.versions(name)), config, named=named)
        prepared, pinned = None, config.version
        if pinned is not None:
            if pinned in stored.versions and pinned not in self._memory.state(name).known:
                prepared = self._memory.load(name, pinned)
                stored = replace(stored, failed=frozenset() if prepared else frozenset([pinned]))
            if error := pin_error(stored, pinned, self._memory.state(name).refused):
                raise PinError(error)
        self._store.set_serving(name, config)
        self._stored = {**self._stored, name: stored}
        with self._changes.by(by):
            self._follow([name], prepared)
        self.poll()

    def set_recipes(self, recipes: ProductRecipes, by: str) -> None:
        """See `ModelManager.set_recipes`."""
        self.poll()
        memory = self._memory
        for name, versions in named_versions(recipes).items():
            state = memory.state(name)
            for version in sorted(versions & {*state.available} - {*state.known, *state.refused}):
                if loaded := memory.load(name, version):
                    memory.show(loaded, memory.state(name))
        if problems := replace(memory.snapshot, recipes=recipes).recipe_problems():
            raise PinError("; ".join(f"recipe {number}: {problem}" for number, problem in problems.items()))
        self._store.set_recipes(recipes)
        with self._changes.by(by):
            self._apply_recipes()
        self.poll()

    def _apply_recipes(self) -> None:
        """Put recipes.json in force in one step; where it can't be read, what was in force stays so."""
        found, before = self._loader.read_recipes(), self._memory.snapshot
        if isinstance(found, RecipesError):
            self._memory.snapshot = replace(before, recipes_error=str(found))
        else:
            self._memory.snapshot = replace(before, recipes=found, recipes_error="")
            self._changes.of_recipes(before, found)

    def _follow(self, names: Collection[str] | None = None, prepared: LoadedModel | None = None) -> None:
        """Do what has no time. `prepared`: a version that is loaded, and not shown to anyone yet."""
        while not self._stopped.is_set():
            action = next((each for each in self.plan(names) if self._is_urgent(each, prepared)), None)
            if action is None:
                return
            self._carry_out(action, prepared)

    def _is_urgent(self, action: Action, prepared: LoadedModel | None) -> bool:
        """Whether it has no time until somebody asks for it, or until nothing else is to be done."""
        if not isinstance(action, Load) or not self._memory.snapshot.on_demand:
            return True
        is_prepared = prepared is not None and prepared.key == action.key
        return is_prepared or self._memory.snapshot.is_resident(action.model)

    def _towards(self, name: str, version: int | None) -> Iterator[Action]:
        """What is to be done of a model, but for the loading of other versions than the one that is named."""
        for action in self.plan([name]):
            if not isinstance(action, Load) or version in (None, action.version):
                yield action

    def _carry_out(self, action: Action, prepared: LoadedModel | None = None) -> None:
        name, state, memory = action.model, self._memory.state(action.model), self._memory
        if isinstance(action, Apply):
            memory.put(name, state.applying(action.config, action.error))
        elif isinstance(action, Unload):
            memory.put(name, state.unloading(action.versions))
        elif loaded := prepared if prepared and prepared.key == action.key else memory.load(*action.key):
            memory.show(loaded, state.applying(action.config) if action.config else state)
