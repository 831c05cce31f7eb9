"""What is in the store, and from a version there to one that can serve: read, self-tested and warm."""

import os
from pathlib import Path
from typing import Final

import numpy as np

from app.models.model_snapshot import LoadedModel, UnloadedModel
from app.models.reload_plan import StoredModel
from app.settings import Settings
from model.detector import Detector, load_detector, reopen_detector
from model.engines.devices import Device
from model.errors import (
    CamspectorError,
    DeviceMemoryError,
    EngineError,
    RecipesError,
    ServingError,
    StoreError,
    UnreadableFileError,
)
from model.recipes import ProductRecipes
from model.serving import Serving
from model.signatures import TrustedKeys
from model.store import Store, read_serving
from model.store_layout import ModelFolder

_SIZE_FACTOR: Final = 4
"""Memory of a version for each byte of the file that its engine runs. ONNX Runtime's two sessions keep the weights, and
once more in the order that the processor likes: 3.5 in float32, 2.4 in int8 (docs/performance.md)."""


class Loader:
    """Remembers what was refused, and tries it again only when its files have changed."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Raises KeyFileError."""
        self._settings = settings
        self._store = store
        self._trusted = TrustedKeys.read(settings.trusted_keys) if settings.trusted_keys else None
        self._opened: dict[tuple[str, int], object] = {}
        """Signatures of the files that what was loaded last came from."""
        self._refused: dict[tuple[str, int], tuple[object, CamspectorError]] = {}

    def read_store(self) -> tuple[dict[str, StoredModel], set[str]]:
        """Every model that can be read, and what is wrong with the others."""
        stored: dict[str, StoredModel] = {}
        problems: set[str] = set()
        if not os.path.exists(self._store.root):
            problems.add(f"the store {self._store.root} is not there")
        try:
            for name, folder in self._store.model_folders().items():
                if isinstance(folder, StoreError):
                    problems.add(str(folder))
                else:
                    stored[name] = StoredModel(tuple(folder.versions), _serving_config(folder))
        except StoreError as error:
            problems.add(str(error))
        return stored, problems

    def read_recipes(self) -> ProductRecipes | RecipesError:
        try:
            return self._store.recipes()
        except RecipesError as error:
            return error

    def load(self, model: str, version: int, device: Device, known: UnloadedModel | None = None) -> LoadedModel:
        """`known`: the version as it was before it left the memory; what was tested then isn't tested again in full,
        unless its files are others now.

        Raises ArtifactError, EngineError, or what Store.path raises.
        """
        key, signature = (model, version), self._signature(model, version)
        seen, refusal = self._refused.get(key, (None, None))
        if refusal is not None and seen == signature:
            raise _without_frames(refusal)
        self._refused.pop(key, None)
        try:
            path = self._store.path(model, version)
            if known and signature == self._opened.get(key):
                detector = reopen_detector(path, device, known.terms, known.engine)
            else:
                detector = self._load(path, device)
            if detector.engine.preferred_batch_size > 1:  # else the golden images have done it
                self._warm(detector)
            size = _SIZE_FACTOR * _size_of(path, detector)
        except CamspectorError as error:
            if not isinstance(error, EngineError):  # it's the device's, and may recover: try at every poll
                self._refused[key] = signature, _without_frames(error)
            raise
        self._opened[key] = signature
        return LoadedModel(model, version, detector, size=size)

    def _load(self, path: Path, device: Device) -> Detector:
        if self._trusted:
            self._trusted.check(path)
        return load_detector(path, device, engine=self._settings.engine, variant=self._settings.variant)

    def refuse(self, model: str, version: int, error: CamspectorError) -> None:
        """Let `load` raise it while the version's files are those that were loaded."""
        key = model, version
        self._refused[key] = self._opened[key], error

    def _warm(self, detector: Detector) -> None:
        """Kernels are chosen and memory is taken at an engine's first batches: not at the expense of a request.

        A large batch without memory is no reason to refuse: app.inference.worker halves it.
        """
        size, most = detector.input_size, min(self._settings.max_batch, detector.engine.preferred_batch_size)
        for count in sorted({*(1 << power for power in range(most.bit_length())), most}):
            for exclusive in (True, False):
                try:
                    detector.engine.run(np.zeros((count, size, size, 3), np.uint8), exclusive=exclusive)
                except DeviceMemoryError:
                    if count == 1:
                        raise

    def _signature(self, model: str, version: int) -> object:
        """Changes with any file, or its permissions."""
        folder = self._store.path(model, version)
        try:
            return sorted((str(file), file.stat().st_ctime_ns, file.stat().st_size) for file in folder.rglob("*"))
        except OSError as error:
            raise UnreadableFileError(f"{folder} can't be read: {error}") from error


def _serving_config(folder: ModelFolder) -> Serving | ServingError:
    try:
        return read_serving(folder.home)
    except ServingError as error:
        return error


def _size_of(path: Path, detector: Detector) -> int:
    """Bytes of the files that the engine runs. Raises UnreadableFileError."""
    try:
        return sum((path / name).stat().st_size for name in detector.variant.files_of(detector.engine.name))
    except OSError as error:
        raise UnreadableFileError(f"{path} can't be read: {error}") from error


def _without_frames(error: CamspectorError) -> CamspectorError:
    """The same error with no traceback: that would keep what the failed load had in hand, and grow each time."""
    return type(error)(*error.args)
