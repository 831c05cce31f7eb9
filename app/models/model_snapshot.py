"""What is loaded, refused and available at one moment: never changed, only replaced."""

import hashlib
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from functools import cached_property

from app.errors import NotReadyError
from model.detector import Detector
from model.errors import UnknownModelError, UnknownVersionError
from model.serving import Serving, encode


@dataclass(frozen=True)
class LoadedModel:
    """A loaded version of a model."""

    model: str
    version: int
    detector: Detector
    config: Serving = field(default_factory=Serving)
    """The content of serving.json that it is under."""

    @property
    def key(self) -> tuple[str, int]:
        """Model and version."""
        return self.model, self.version

    @cached_property
    def config_sha256(self) -> str:
        """SHA-256 of the serving config, as it is written to serving.json."""
        return hashlib.sha256(encode(self.config)).hexdigest()

    def under(self, config: Serving) -> "LoadedModel":
        """With the serving config's defect rate, thresholds and checks, where it has any."""
        detector = self.detector.under(config)
        if detector == self.detector:  # the very same one: what waits for it fits a batch
            detector = self.detector
        if detector is self.detector and config == self.config:
            return self
        return replace(self, detector=detector, config=config)


@dataclass(frozen=True)
class ModelState:
    """One model of the store."""

    available: tuple[int, ...] = ()
    """Versions in the store at the last poll, ascending."""
    loaded: Mapping[int, LoadedModel] = field(default_factory=dict)
    refused: Mapping[int, str] = field(default_factory=dict)
    """Versions that can't be used, with the reason."""
    serving_config: Serving = field(default_factory=Serving)
    """The content of serving.json that is in force."""
    serving_error: str = ""
    """Why the present content of serving.json isn't in force; empty: it is."""

    @property
    def serving(self) -> LoadedModel | None:
        """The version that answers where none is named: the pinned one, else the newest loaded."""
        return self.loaded.get(self.serving_config.version or max(self.loaded, default=0))

    @property
    def unavailable_reason(self) -> str:
        """The end of a sentence on a model of which no version serves."""
        reasons = [*filter(None, [self.serving_error]), *self.refused.values()]
        return ": " + "; ".join(reasons) if reasons else " yet"

    def applying(self, config: Serving, error: str = "") -> "ModelState":
        """With another serving config in force for all its versions."""
        loaded = {version: each.under(config) for version, each in self.loaded.items()}
        return replace(self, serving_config=config, serving_error=error, loaded=loaded)

    def loading(self, loaded: LoadedModel) -> "ModelState":
        """With one more version, or another engine for one."""
        refused = {version: reason for version, reason in self.refused.items() if version != loaded.version}
        return replace(self, loaded={**self.loaded, loaded.version: loaded.under(self.serving_config)}, refused=refused)

    def unloading(self, versions: Set[int]) -> "ModelState":
        """Without those versions; requests in flight keep theirs."""
        return replace(self, loaded={number: each for number, each in self.loaded.items() if number not in versions})

    def refusing(self, version: int, reason: str) -> "ModelState":
        """With one version that can't be used."""
        return replace(self, refused={**self.refused, version: reason})


@dataclass(frozen=True)
class ModelSnapshot:
    """Every model, by name."""

    models: Mapping[str, ModelState] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    """Models without which the service isn't ready: the default one, and the store's first that are still there."""

    def model(self, name: str) -> ModelState:
        """Raises UnknownModelError, naming the models that there are; NotReadyError while there are none."""
        if not self.models:
            raise NotReadyError("no model is loaded yet: the store is empty, or has not been read")
        if name not in self.models:
            raise UnknownModelError(f"no model {name!r}; there are: {', '.join(self.models)}")
        return self.models[name]

    def find(self, name: str, version: int | None = None) -> LoadedModel:
        """The version that serves a request. Raises UnknownModelError, UnknownVersionError or NotReadyError."""
        model = self.model(name)
        if version is None:
            if model.serving is None:
                raise NotReadyError(f"no version of model {name!r} serves{model.unavailable_reason}")
            return model.serving
        if version in model.loaded:
            return model.loaded[version]
        if version in model.refused:
            raise UnknownVersionError(f"version {version} of model {name!r} was refused: {model.refused[version]}")
        if version not in model.available:
            raise UnknownVersionError(f"model {name!r} has no version {version}; loaded are: {_numbers(model.loaded)}")
        raise UnknownVersionError(
            f"version {version} of model {name!r} is in the store, but not loaded; loaded are: {_numbers(model.loaded)}"
        )

    def served(self) -> list[str]:
        """Models that have a version that serves."""
        return [name for name, model in self.models.items() if model.serving]

    def default(self, configured: str | None) -> str:
        """The name that POST /predict means: the only model that is loaded, or required and still being loaded.

        Raises UnknownModelError, naming the models, where that is open.
        """
        if configured is not None:
            return configured
        meant = [
            name
            for name, model in self.models.items()
            if model.serving or (name in self.required and not model.refused)
        ]
        if len(meant) > 1:
            raise UnknownModelError(
                f"there are several models: {', '.join(meant)}; use /v1/models/NAME/predict or set default_model"
            )
        return next(iter(meant or self.models), "")

    def unready(self, empty: str) -> list[str]:
        """Why the service isn't ready, in words; none: it is. `empty`: why there may be no models."""
        if not self.required:
            return [f"no model is loaded yet: {empty}"]
        return [
            f"model {name!r} has no version that serves{self.models[name].unavailable_reason}"
            if name in self.models
            else f"the default model {name!r} is not in the store; there are: {', '.join(self.models)}"
            for name in sorted(self.required - set(self.served()))
        ]

    def warnings(self, default_model: str | None) -> set[str]:
        """Where serving configs or settings don't fit the models."""
        errors = {name: model.serving_error for name, model in self.models.items() if model.serving_error}
        warnings, served = {f"model {name}: {error}" for name, error in errors.items()}, self.served()
        if default_model is None and len(served) > 1:
            names = ", ".join(served)
            warnings.add(f"POST /predict is 404 while several models are loaded ({names}): set default_model")
        return warnings

    def with_model(self, name: str, model: ModelState) -> "ModelSnapshot":
        return replace(self, models=dict(sorted({**self.models, name: model}.items())))


def _numbers(versions: Mapping[int, object]) -> str:
    return ", ".join(str(version) for version in sorted(versions)) or "none"
