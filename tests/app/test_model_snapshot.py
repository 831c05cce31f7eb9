"""Which version a request means."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import NotReadyError
from app.models.model_snapshot import LoadedModel, ModelSnapshot, ModelState
from model.errors import UnknownModelError, UnknownVersionError
from tests.app.conftest import FakeEngine, fake_detector


@pytest.fixture
def snapshot(store: Path) -> ModelSnapshot:
    """widget: 1 in the store only, 2 and 3 loaded, 4 refused; gadget: nothing loaded yet."""
    detector = fake_detector(store, FakeEngine())
    loaded = {number: LoadedModel("widget", number, detector) for number in (2, 3)}
    return ModelSnapshot({"gadget": ModelState((1,)), "widget": ModelState((1, 2, 3, 4), loaded, {4: "it is broken"})})


def test_newest_loaded_serves(snapshot: ModelSnapshot) -> None:
    assert snapshot.find("widget").version == 3
    assert snapshot.find("widget", 2).version == 2


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        (1, "in the store, but not loaded; loaded are: 2, 3"),
        (4, "was refused: it is broken"),
        (5, "has no version 5; loaded are: 2, 3"),
    ],
)
def test_other_versions(snapshot: ModelSnapshot, version: int, reason: str) -> None:
    with pytest.raises(UnknownVersionError, match=reason):
        snapshot.find("widget", version)


def test_model_that_is_still_loading(snapshot: ModelSnapshot) -> None:
    with pytest.raises(NotReadyError, match="no version of model 'gadget' serves yet"):
        snapshot.find("gadget")


def test_unknown_model(snapshot: ModelSnapshot) -> None:
    with pytest.raises(UnknownModelError, match="no model 'x'; there are: gadget, widget"):
        snapshot.find("x")


def test_default(snapshot: ModelSnapshot) -> None:
    both = ModelSnapshot({**snapshot.models, "gadget": snapshot.models["widget"]})
    assert both.default("gadget") == "gadget"
    with pytest.raises(UnknownModelError, match="several models: gadget, widget"):
        both.default(None)
    assert ModelSnapshot({"widget": ModelState()}).default(None) == "widget"


def test_default_is_the_only_model_that_is_loaded(snapshot: ModelSnapshot) -> None:
    assert snapshot.default(None) == "widget"


def test_no_default_while_the_first_models_are_being_loaded(snapshot: ModelSnapshot) -> None:
    """The first to be there must not answer for another."""
    required = frozenset({"gadget", "widget"})
    with pytest.raises(UnknownModelError, match="several models: gadget, widget"):
        replace(snapshot, required=required).default(None)
    refused = {**snapshot.models, "gadget": ModelState((1,), refused={1: "it is broken"})}
    assert ModelSnapshot(refused, required).default(None) == "widget"


def test_nothing_loaded() -> None:
    with pytest.raises(NotReadyError, match="the store is empty"):
        ModelSnapshot().find(ModelSnapshot().default(None))
