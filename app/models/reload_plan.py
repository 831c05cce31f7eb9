"""What is to be done so that the loaded models follow the store. Pure: no I/O, no clock."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace

from app.models.model_snapshot import ModelSnapshot, ModelState
from model.errors import ServingError
from model.serving import SERVING, Serving


@dataclass(frozen=True)
class StoredModel:
    """A model as a poll found it in the store."""

    versions: tuple[int, ...]
    """Ascending."""
    serving_config: Serving | ServingError = field(default_factory=Serving)
    failed: frozenset[int] = frozenset()
    """Versions that could not be loaded since."""
    named: frozenset[int] = frozenset()
    """Versions that recipes name: they are kept, however old."""


@dataclass(frozen=True)
class Apply:
    """Put a serving config in force, or say why the present one isn't."""

    model: str
    config: Serving
    error: str = ""


@dataclass(frozen=True)
class Load:
    """Load a version and show it."""

    model: str
    version: int
    config: Serving | None = None
    """Put in force in the same step, as it names this version; None: what is in force stays so."""

    @property
    def key(self) -> tuple[str, int]:
        return self.model, self.version


@dataclass(frozen=True)
class Unload:
    """Let versions go."""

    model: str
    versions: frozenset[int]


Action = Apply | Load | Unload


def plan(stored: Mapping[str, StoredModel], versions_kept: int, snapshot: ModelSnapshot) -> list[Action]:
    """All that is to be done, in order, where every version can be loaded; where one can't, it is to be planned anew.

    Models that `stored` hasn't go on serving. Empty: nothing is to be done.
    """
    return [
        action
        for name, model in stored.items()
        for action in _plan_model(
            name, model, versions_kept, snapshot.models.get(name, ModelState()), snapshot.is_resident(name)
        )
    ]


def pin_error(model: StoredModel, version: int, refused: Mapping[int, str]) -> str:
    """Why a version that a serving config names can't serve; empty: it can, as far as it is known."""
    if version not in model.versions:
        return f"{SERVING} names version {version}, which is not in the store; there are: {[*model.versions]}"
    if version in model.failed:
        return f"{SERVING} names version {version}, which is refused: {refused[version]}"
    return ""


def observed(
    snapshot: ModelSnapshot,
    stored: Mapping[str, StoredModel],
    default_model: str | None,
    *,
    complete: bool,
) -> ModelSnapshot:
    """The snapshot with what a poll found.

    `complete`: what it didn't find is gone, and only what is loaded of that goes on serving.
    """
    models = dict(snapshot.models)
    for name in models.keys() - stored if complete else ():
        gone = replace(models.pop(name), available=(), refused={})
        if gone.known:
            models[name] = gone
    for name, found in stored.items():
        state = models.get(name, ModelState())
        refused = {number: reason for number, reason in state.refused.items() if number in found.versions}
        models[name] = replace(state, available=found.versions, refused=refused)
    first = {name for name, found in stored.items() if not snapshot.on_demand or _is_resident(found)}
    required = _required(snapshot, stored.keys(), first, {default_model} - {None}, complete=complete)
    return replace(snapshot, models=dict(sorted(models.items())), required=required)


def _required(
    snapshot: ModelSnapshot, stored: Set[str], first: Set[str], configured: Set[str | None], *, complete: bool
) -> frozenset[str]:
    required = snapshot.required
    if complete:
        required &= stored | configured | set(snapshot.served())
    if stored and not required:
        required = frozenset(name for name in {*first, *configured} if name)
    return required


def _is_resident(stored: StoredModel) -> bool:
    return isinstance(stored.serving_config, Serving) and stored.serving_config.resident


def _plan_model(name: str, stored: StoredModel, versions_kept: int, state: ModelState, resident: bool) -> list[Action]:
    actions: list[Action] = []
    config, error = _in_force(stored, state)
    loaded, pinned = set(state.known), config.version
    if pinned is not None and pinned not in loaded and not error:
        actions.append(Load(name, pinned, config))
        loaded.add(pinned)
    elif (config, error) != (state.serving_config, state.serving_error):
        actions.append(Apply(name, config, error))
    if isinstance(stored.serving_config, ServingError) and not loaded:
        return actions  # better no verdicts than such as weren't meant
    kept = loaded & {pinned}
    for version in sorted(set(stored.versions) - stored.failed - kept, reverse=True):
        if len(kept) >= versions_kept and version not in stored.named:
            continue
        if version not in loaded:
            actions.append(Load(name, version))
        kept.add(version)
    if kept and loaded - kept:
        actions.append(Unload(name, frozenset(loaded - kept)))
    if not actions and resident and state.serving and state.serving.version not in state.loaded:
        actions.append(Load(name, state.serving.version))
    return actions


def _in_force(stored: StoredModel, state: ModelState) -> tuple[Serving, str]:
    """The serving config that is to be in force, and why it isn't the stored one.

    Where that can't be followed, what was in force stays so. Where nothing was, as nothing is loaded, its thresholds
    hold for who names a version, and none serves: the newest may be the very one that was rolled back.
    """
    config = stored.serving_config
    if isinstance(config, ServingError):
        return state.serving_config, str(config)
    if config.version is None:
        return config, ""
    error = pin_error(stored, config.version, state.refused)
    return (state.serving_config if error and state.known else config), error
