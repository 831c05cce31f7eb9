"""What is loaded, refused and merely there, at one moment; never changed, only replaced."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from app.errors import NotReadyError
from model.detector import Detector
from model.errors import UnknownModelError, UnknownVersionError
from model.serving import Serving


@dataclass(frozen=True)
class LoadedModel:
    """A version that can be asked."""

    model: str
    version: int
    detector: Detector

    @property
    def key(self) -> tuple[str, int]:
        """What it is known by."""
        return self.model, self.version


@dataclass(frozen=True)
class ModelState:
    """One model of the store."""

    stored: tuple[int, ...] = ()
    """The versions that the store had at the last look, ascending."""
    loaded: Mapping[int, LoadedModel] = field(default_factory=dict)
    refused: Mapping[int, str] = field(default_factory=dict)
    """Broken versions, and why."""
    file: Serving = field(default_factory=Serving)
    """What its serving.json says, as far as that is in force."""
    fault: str = ""
    """Why what serving.json says now isn't in force; empty: it is."""

    @property
    def serving(self) -> LoadedModel | None:
        """The version that is meant where none is named: the one in serving.json, else the newest loaded."""
        number = self.file.version or max(self.loaded, default=0)
        return self.loaded.get(number)

    @property
    def because(self) -> str:
        """The end of a sentence on what doesn't serve."""
        reasons = [*filter(None, [self.fault]), *self.refused.values()]
        return ": " + "; ".join(reasons) if reasons else " yet"


@dataclass(frozen=True)
class ModelSnapshot:
    """Every model, by name."""

    models: Mapping[str, ModelState] = field(default_factory=dict)

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
                raise NotReadyError(f"no version of model {name!r} serves{model.because}")
            return model.serving
        if version in model.loaded:
            return model.loaded[version]
        if version in model.refused:
            raise UnknownVersionError(f"version {version} of model {name!r} was refused: {model.refused[version]}")
        if version not in model.stored:
            raise UnknownVersionError(f"model {name!r} has no version {version}; loaded are: {_numbers(model.loaded)}")
        raise UnknownVersionError(
            f"version {version} of model {name!r} is in the store, but not loaded; loaded are: {_numbers(model.loaded)}"
        )

    def able(self) -> list[str]:
        """The models that have a version that serves."""
        return [name for name, model in self.models.items() if model.serving]

    def default(self, configured: str | None, required: Set[str] = frozenset()) -> str:
        """The name that POST /predict means: the only model that is loaded, or required and still being loaded.

        Raises UnknownModelError, naming the models, where that is open.
        """
        if configured is not None:
            return configured
        meant = [
            name for name, model in self.models.items() if model.serving or (name in required and not model.refused)
        ]
        if len(meant) > 1:
            raise UnknownModelError(
                f"there are several models: {', '.join(meant)}; use /v1/models/NAME/predict or set default_model"
            )
        return next(iter(meant or self.models), "")


def _numbers(versions: Mapping[int, object]) -> str:
    return ", ".join(str(version) for version in sorted(versions)) or "none"
