"""Engines that fail are opened anew, once."""

from pathlib import Path

import pytest

from app.model_manager import ModelManager
from model.detector import Detector
from model.errors import EngineError
from tests.app.test_model_manager import loaded, put, registry, said, unready

AGAIN = "its engine failed again after it was opened anew"


@pytest.fixture
def shelf(store: Path, tmp_path: Path) -> Path:
    """An own store with widget 1 in it."""
    put(store, tmp_path / "shelf", "widget", 1)
    return tmp_path / "shelf"


def serving(registry: ModelManager) -> Detector:
    found = registry.snapshot.models["widget"].serving
    assert found
    return found.detector


def test_a_failed_engine_is_opened_anew_once(shelf: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    registry_ = registry(shelf)
    registry_.look("cpu")
    first = serving(registry_)
    registry_.rebuild("cpu")
    assert serving(registry_) is first
    said(caplog)
    registry_.report(first)
    registry_.report(first)
    registry_.rebuild("cpu")
    second = serving(registry_)
    assert second.engine is not first.engine
    assert said(caplog)[0] == "model widget version 1: its engine failed and is opened anew"
    registry_.report(first)  # by a batch that was on its way
    registry_.rebuild("cpu")
    assert serving(registry_) is second
    registry_.report(second)
    registry_.rebuild("cpu")
    for _ in range(4):
        registry_.look("cpu")
        assert registry_.snapshot.models["widget"].refused == {1: AGAIN}
        assert unready(registry_) == [f"model 'widget' has no version that serves: {AGAIN}"]
    (shelf / "widget" / "1" / "manifest.json").chmod(0o600)
    registry_.look("cpu")
    assert unready(registry_) == []


def failed_twice(shelf: Path) -> ModelManager:
    registry_ = registry(shelf)
    registry_.look("cpu")
    registry_.report(serving(registry_))
    registry_.rebuild("cpu")
    registry_.report(serving(registry_))
    return registry_


def test_a_store_that_is_away_meanwhile_does_not_undo_the_refusal(shelf: Path, tmp_path: Path) -> None:
    registry_ = failed_twice(shelf)
    shelf.rename(tmp_path / "away")
    registry_.rebuild("cpu")
    registry_.look("cpu")
    (tmp_path / "away").rename(shelf)
    for _ in range(3):
        registry_.look("cpu")
        assert registry_.snapshot.models["widget"].refused == {1: AGAIN}


def test_a_failed_engine_is_opened_anew_again_after_a_while(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.shelf.REBUILD_SECONDS", -1.0)
    registry_ = registry(shelf)
    registry_.look("cpu")
    for _ in range(3):
        registry_.report(serving(registry_))
        registry_.rebuild("cpu")
    assert loaded(registry_) == {"widget": [1]}


def test_a_failed_engine_that_cannot_be_opened_is_refused(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And tried again at every look: the device may recover."""
    registry_ = registry(shelf)
    registry_.look("cpu")
    with monkeypatch.context() as patch:
        patch.setattr("app.loader.load_detector", lost)
        registry_.report(serving(registry_))
        registry_.rebuild("cpu")
        registry_.look("cpu")
        assert registry_.snapshot.models["widget"].refused == {1: "the device is lost"}
        assert unready(registry_) != []
    registry_.look("cpu")
    assert unready(registry_) == []


def lost(*_: object, **__: object) -> Detector:
    raise EngineError("the device is lost")
