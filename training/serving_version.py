"""The version of a model that serves, opened as the service opens it: under its serving.json."""

from dataclasses import dataclass

from model.detector import Detector, load_detector
from model.engines.devices import Device
from model.store import Store


@dataclass(frozen=True)
class ServingVersion:
    """A version, ready to decide."""

    model: str
    version: int
    detector: Detector


def open_serving(store: Store, model: str, version: int | None, device: Device) -> ServingVersion:
    """`version` None: the one that serves, by serving.json or as the newest.

    Raises UnknownModelError, UnknownVersionError, ArtifactError, EngineError or ServingError.
    """
    serving = store.serving(model)
    number = version or store.serving_version(model, serving)
    return ServingVersion(model, number, load_detector(store.path(model, number), device).under(serving))
