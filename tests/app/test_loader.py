"""What happens to a version before it serves."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.models.loader import Loader
from app.settings import Settings
from model.detector import Detector
from model.engines.output import NetworkOutput
from model.errors import DeviceMemoryError, EngineError, SchemaError
from model.store import Store
from tests.app.conftest import FakeEngine, fake_detector


class Engine(FakeEngine):
    """Has memory for `room` images, and says what it ran."""

    room = 8
    failure: Exception | None = None

    def run(self, pixels: NDArray[np.uint8], *, exclusive: bool = True) -> NetworkOutput:
        self.ran.append((len(pixels), exclusive))
        if self.failure:
            raise self.failure
        if len(pixels) > self.room:
            raise DeviceMemoryError("full")
        return NetworkOutput(np.zeros((len(pixels), 4, 4), np.float32), np.ones((len(pixels), 1), np.float32))

    @property
    def ran(self) -> list[tuple[int, bool]]:
        ran: list[tuple[int, bool]] = self.__dict__.setdefault("_ran", [])
        return ran


@pytest.fixture
def engine(store: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Every version is loaded with this one."""
    engine = Engine(name="torch")  # whose file the version has

    def load(*_: object, **__: object) -> Detector:
        return fake_detector(store, engine)

    monkeypatch.setattr("app.models.loader.load_detector", load)
    return engine


def loader(store: Path, max_batch: int) -> Loader:
    return Loader(Settings(store=store, max_batch=max_batch), Store(store))


@pytest.mark.parametrize(("max_batch", "sizes"), [(1, [1]), (7, [1, 2, 4, 7]), (8, [1, 2, 4, 8])])
def test_batches_of_every_size_go_through_first(store: Path, engine: Engine, max_batch: int, sizes: list[int]) -> None:
    assert loader(store, max_batch).load("widget", 1, "cpu").version == 1
    assert engine.ran == [(size, exclusive) for size in sizes for exclusive in (True, False)]


def test_an_engine_that_gains_nothing_from_batches_gets_none(store: Path, engine: Engine) -> None:
    """Its golden images have gone through it one by one, both ways (tests/model/test_engines.py)."""
    engine.preferred_batch_size = 1
    loader(store, 8).load("widget", 1, "cpu")
    assert engine.ran == []


@pytest.mark.parametrize(("room", "serves"), [(4, True), (1, True), (0, False)])
def test_too_little_memory_refuses_only_where_not_one_image_fits(
    store: Path, engine: Engine, room: int, serves: bool
) -> None:
    engine.room = room
    if serves:
        assert loader(store, 8).load("widget", 1, "cpu").detector.engine is engine
    else:
        with pytest.raises(DeviceMemoryError, match="full"):
            loader(store, 8).load("widget", 1, "cpu")


def test_a_version_that_fails_warming_up_is_refused(store: Path, engine: Engine) -> None:
    engine.failure = EngineError("no such kernel")
    held = loader(store, 8)
    with pytest.raises(EngineError, match="no such kernel"):
        held.load("widget", 1, "cpu")
    engine.failure = None
    assert held.load("widget", 1, "cpu").version == 1


def test_a_refusal_keeps_nothing_of_the_load_that_failed(store: Path, tmp_path: Path) -> None:
    """Its traceback would hold the engine, and grow at every look."""
    shutil.copytree(store, own := tmp_path / "own")
    (own / "widget" / "1" / "manifest.json").write_text("{}")
    held, refusals = loader(own, 8), []
    for _ in range(3):
        with pytest.raises(SchemaError) as caught:
            held.load("widget", 1, "cpu")
        refusals.append(caught.value)
    assert len({str(refusal) for refusal in refusals}) == 1
    assert len({id(refusal) for refusal in refusals}) == 3
    (_, kept), *others = held._refused.values()
    assert (kept.__traceback__, kept.__context__, others) == (None, None, [])
