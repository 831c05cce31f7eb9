"""Engines that fail are opened anew, once."""

from pathlib import Path

import pytest

from app.models.model_manager import ModelManager
from app.models.model_snapshot import LoadedModel
from model.detector import Detector
from model.errors import EngineError
from tests.app.test_model_manager import loaded, manager, put, said, unready

AGAIN = "its engine failed again after it was opened anew"


@pytest.fixture
def own_store(store: Path, tmp_path: Path) -> Path:
    """An own store with widget 1 in it."""
    put(store, tmp_path / "own_store", "widget", 1)
    return tmp_path / "own_store"


def serving(manager: ModelManager) -> Detector:
    found = manager.snapshot.models["widget"].serving
    assert isinstance(found, LoadedModel)
    return found.detector


def test_a_failed_engine_is_opened_anew_once(own_store: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    held = manager(own_store)
    held.reconciler.poll()
    first = serving(held)
    said(caplog)
    held.memory.rebuild(first)
    held.memory.rebuild(first)
    second = serving(held)
    assert second.engine is not first.engine
    assert said(caplog)[0] == "model widget version 1: its engine failed and is opened anew"
    held.memory.rebuild(first)  # reported by a batch that was on its way
    assert serving(held) is second
    held.memory.rebuild(second)
    for _ in range(4):
        held.reconciler.poll()
        assert held.snapshot.models["widget"].refused == {1: AGAIN}
        assert unready(held) == [f"model 'widget' has no version that serves: {AGAIN}"]
    (own_store / "widget" / "1" / "manifest.json").chmod(0o600)
    held.reconciler.poll()
    assert unready(held) == []


def test_a_store_that_is_away_meanwhile_does_not_undo_the_refusal(own_store: Path, tmp_path: Path) -> None:
    held = manager(own_store)
    held.reconciler.poll()
    held.memory.rebuild(serving(held))
    own_store.rename(tmp_path / "away")
    held.memory.rebuild(serving(held))
    held.reconciler.poll()
    (tmp_path / "away").rename(own_store)
    for _ in range(3):
        held.reconciler.poll()
        assert held.snapshot.models["widget"].refused == {1: AGAIN}


def test_a_failed_engine_is_opened_anew_again_after_a_while(own_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.models.model_memory.REBUILD_SECONDS", -1.0)
    held = manager(own_store)
    held.reconciler.poll()
    for _ in range(3):
        held.memory.rebuild(serving(held))
    assert loaded(held) == {"widget": [1]}


def test_a_failed_engine_that_cannot_be_opened_is_refused(own_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And tried again at every poll: the device may recover."""
    held = manager(own_store)
    held.reconciler.poll()
    with monkeypatch.context() as patch:
        patch.setattr("app.models.loader.load_detector", lost)
        held.memory.rebuild(serving(held))
        held.reconciler.poll()
        assert held.snapshot.models["widget"].refused == {1: "the device is lost"}
        assert unready(held) != []
    held.reconciler.poll()
    assert unready(held) == []


def lost(*_: object, **__: object) -> Detector:
    raise EngineError("the device is lost")
