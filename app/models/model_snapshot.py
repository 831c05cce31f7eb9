"""What is loaded, refused and available at one moment: never changed, only replaced."""

import hashlib
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

from app.errors import NotReadyError
from model.detector import Detector
from model.errors import UnknownModelError, UnknownRecipeError, UnknownVersionError
from model.manifest import EngineName
from model.recipes import RECIPES, ProductRecipe
from model.serving import Serving, encode
from model.terms import Terms

T = TypeVar("T")


@dataclass(frozen=True)
class LoadedModel:
    """A loaded version of a model."""

    model: str
    version: int
    detector: Detector
    config: Serving = field(default_factory=Serving)
    """The content of serving.json that it is under."""
    size: int = 0
    """Memory that it takes, estimated in bytes."""

    @property
    def terms(self) -> Terms:
        return self.detector.terms

    @property
    def engine(self) -> EngineName:
        return self.detector.engine.name

    @property
    def device(self) -> str:
        return self.detector.engine.device

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

    def unloaded(self) -> "UnloadedModel":
        return UnloadedModel(self.model, self.version, self.terms, self.engine, self.device, self.config)


@dataclass(frozen=True)
class UnloadedModel:
    """A version that was loaded and tested, and left the memory: whoever asks for it has it loaded again."""

    model: str
    version: int
    terms: Terms
    engine: EngineName
    device: str
    config: Serving

    def under(self, config: Serving) -> "UnloadedModel":
        return replace(self, terms=self.terms.under(config), config=config)


KnownModel = LoadedModel | UnloadedModel


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
    unloaded: Mapping[int, UnloadedModel] = field(default_factory=dict)

    @property
    def known(self) -> dict[int, KnownModel]:
        """Versions that can answer, in memory or not."""
        return {**self.unloaded, **self.loaded}

    @property
    def serving(self) -> KnownModel | None:
        """The version that answers where none is named: the pinned one, else the newest that can."""
        known = self.known
        return known.get(self.serving_config.version or max(known, default=0))

    def find(self, version: int | None) -> KnownModel | None:
        """A version that can answer, the one that serves where none is named; None: it can't."""
        return self.serving if version is None else self.known.get(version)

    @property
    def unavailable_reason(self) -> str:
        """The end of a sentence on a model of which no version serves."""
        reasons = [*filter(None, [self.serving_error]), *self.refused.values()]
        return ": " + "; ".join(reasons) if reasons else " yet"

    def applying(self, config: Serving, error: str = "") -> "ModelState":
        """With another serving config in force for all its versions."""
        loaded = {version: each.under(config) for version, each in self.loaded.items()}
        unloaded = {version: each.under(config) for version, each in self.unloaded.items()}
        return replace(self, serving_config=config, serving_error=error, loaded=loaded, unloaded=unloaded)

    def loading(self, loaded: LoadedModel) -> "ModelState":
        """With one more version, or another engine for one."""
        version, own = loaded.version, loaded.under(self.serving_config)
        refused, unloaded = _without(self.refused, version), _without(self.unloaded, version)
        return replace(self, loaded={**self.loaded, version: own}, unloaded=unloaded, refused=refused)

    def evicting(self, version: int) -> "ModelState":
        """With one version out of memory; requests in flight keep theirs."""
        unloaded = {**self.unloaded, version: self.loaded[version].unloaded()}
        return replace(self, loaded=_without(self.loaded, version), unloaded=unloaded)

    def unloading(self, versions: Set[int]) -> "ModelState":
        """Without those versions; requests in flight keep theirs."""
        return replace(self, loaded=_without(self.loaded, *versions), unloaded=_without(self.unloaded, *versions))

    def refusing(self, version: int, reason: str) -> "ModelState":
        """With one version that can't be used, or not again."""
        return replace(self, refused={**self.refused, version: reason}, unloaded=_without(self.unloaded, version))


@dataclass(frozen=True)
class ModelSnapshot:
    """Every model, by name."""

    models: Mapping[str, ModelState] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    """Models without which the service isn't ready: the default one, and of the store's first that are still there the
    resident ones, or all where all are loaded."""
    recipes: Mapping[int, ProductRecipe] = field(default_factory=dict)
    """recipes.json that is in force."""
    recipes_error: str = ""
    """Why the present recipes.json isn't in force; empty: it is."""
    on_demand: bool = False
    """Whether models are loaded when they are asked for."""

    def model(self, name: str) -> ModelState:
        """Raises UnknownModelError, naming the models that there are; NotReadyError while there are none."""
        if not self.models:
            raise NotReadyError("no model is loaded yet: the store is empty, or has not been read")
        if name not in self.models:
            raise UnknownModelError(f"no model {name!r}; there are: {', '.join(self.models)}")
        return self.models[name]

    def find(self, name: str, version: int | None = None) -> LoadedModel:
        """The version that serves a request. Raises as `know` does, or NotReadyError where it isn't in memory."""
        known = self.know(name, version)
        if isinstance(known, UnloadedModel):
            raise NotReadyError(f"version {known.version} of model {name!r} is not loaded now")
        return known

    def know(self, name: str, version: int | None = None) -> KnownModel:
        """The same, in memory or not. Raises UnknownModelError, UnknownVersionError or NotReadyError."""
        model = self.model(name)
        if version is None:
            if model.serving is None:
                raise NotReadyError(f"no version of model {name!r} serves{model.unavailable_reason}")
            return model.serving
        if version in model.known:
            return model.known[version]
        if version in model.refused:
            raise UnknownVersionError(f"version {version} of model {name!r} was refused: {model.refused[version]}")
        if version not in model.available:
            raise UnknownVersionError(f"model {name!r} has no version {version}; loaded are: {_numbers(model.known)}")
        raise UnknownVersionError(
            f"version {version} of model {name!r} is in the store, but not loaded; loaded are: {_numbers(model.known)}"
        )

    def recipe(self, number: int) -> ProductRecipe:
        """Raises UnknownRecipeError, which names those that there are."""
        if number not in self.recipes:
            error = f"; {self.recipes_error}" if self.recipes_error else ""
            raise UnknownRecipeError(f"no recipe {number}; there are: {_numbers(self.recipes)}{error}")
        return self.recipes[number]

    def recipe_problems(self) -> dict[int, str]:
        """Why recipes can't be used, as far as it is known, by number; those that can be are left out."""
        return {number: problem for number, each in self.recipes.items() if (problem := self._recipe_problem(each))}

    def _recipe_problem(self, recipe: ProductRecipe) -> str:
        if recipe.model not in self.models:
            return f"no model {recipe.model!r}"
        model = self.models[recipe.model]
        if recipe.version is None or recipe.version in {*model.known, *model.available} - model.refused.keys():
            return ""
        if recipe.version in model.refused:
            return f"version {recipe.version} of model {recipe.model!r} was refused: {model.refused[recipe.version]}"
        return f"model {recipe.model!r} has no version {recipe.version}"

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
            if model.serving or ((self.on_demand or name in self.required) and not model.refused)
        ]
        if len(meant) > 1:
            raise UnknownModelError(
                f"there are several models: {', '.join(meant)}; use /v1/models/NAME/predict or set default_model"
            )
        return next(iter(meant or self.models), "")

    def unready(self, empty: str) -> list[str]:
        """Why the service isn't ready, in words; none: it is. `empty`: why there may be no models."""
        if not self.required and not self._could_serve:
            return [f"no model is loaded yet: {empty}"]
        return [
            f"model {name!r} has no version that serves{self.models[name].unavailable_reason}"
            if name in self.models
            else f"the default model {name!r} is not in the store; there are: {', '.join(self.models)}"
            for name in sorted(self.required - set(self.served()))
        ]

    @property
    def _could_serve(self) -> bool:
        """Whether a model can be loaded when it is asked for, as far as it is known."""
        models = self.models.values() if self.on_demand else ()
        return any(model.known or set(model.available) - model.refused.keys() for model in models)

    def is_resident(self, name: str) -> bool:
        """Whether the model's serving version stays in memory."""
        return name in self.required or (name in self.models and self.models[name].serving_config.resident)

    @property
    def residents(self) -> set[tuple[str, int]]:
        """What serves of resident models: it stays in memory."""
        serving = {name: model.serving for name, model in self.models.items() if self.is_resident(name)}
        return {(name, each.version) for name, each in serving.items() if each}

    @property
    def size(self) -> int:
        """Memory that all loaded versions take, estimated in bytes."""
        return sum(each.size for model in self.models.values() for each in model.loaded.values())

    def warnings(self, default_model: str | None, max_bytes: int = 0) -> set[str]:
        """Where serving configs or settings don't fit the models."""
        errors = {name: model.serving_error for name, model in self.models.items() if model.serving_error}
        warnings, served = {f"model {name}: {error}" for name, error in errors.items()}, self.served()
        if default_model is None and len(served) > 1:
            names = ", ".join(served)
            warnings.add(f"POST /predict is 404 while several models are loaded ({names}): set default_model")
        loaded = [self.models[name].loaded.get(version) for name, version in self.residents]
        if self.on_demand and (size := sum(each.size for each in loaded if each)) > max_bytes:
            warnings.add(f"resident models take {size:,} bytes of memory, more than --models-max-bytes has")
        warnings |= {f"{RECIPES}: recipe {number}: {problem}" for number, problem in self.recipe_problems().items()}
        return warnings | {self.recipes_error} - {""}

    def with_model(self, name: str, model: ModelState) -> "ModelSnapshot":
        return replace(self, models=dict(sorted({**self.models, name: model}.items())))


def _without(versions: Mapping[int, T], *numbers: int) -> dict[int, T]:
    return {number: each for number, each in versions.items() if number not in numbers}


def _numbers(versions: Mapping[int, object]) -> str:
    return ", ".join(str(version) for version in sorted(versions)) or "none"
