"""Which version a request means."""

from pathlib import Path

import pytest

from app.catalogue import Catalogue, Loaded, Model
from app.errors import NotReadyError
from model.errors import UnknownModelError, UnknownVersionError
from tests.app.conftest import FakeEngine, fake_detector


@pytest.fixture
def catalogue(store: Path) -> Catalogue:
    """widget: 1 in the store only, 2 and 3 loaded, 4 refused; gadget: nothing loaded yet."""
    detector = fake_detector(store, FakeEngine())
    loaded = {number: Loaded("widget", number, detector) for number in (2, 3)}
    return Catalogue({"gadget": Model((1,)), "widget": Model((1, 2, 3, 4), loaded, {4: "it is broken"})})


def test_newest_loaded_serves(catalogue: Catalogue) -> None:
    assert catalogue.find("widget").version == 3
    assert catalogue.find("widget", 2).version == 2


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        (1, "in the store, but not loaded; loaded are: 2, 3"),
        (4, "was refused: it is broken"),
        (5, "has no version 5; loaded are: 2, 3"),
    ],
)
def test_other_versions(catalogue: Catalogue, version: int, reason: str) -> None:
    with pytest.raises(UnknownVersionError, match=reason):
        catalogue.find("widget", version)


def test_model_that_is_still_loading(catalogue: Catalogue) -> None:
    with pytest.raises(NotReadyError, match="no version of model 'gadget' serves yet"):
        catalogue.find("gadget")


def test_unknown_model(catalogue: Catalogue) -> None:
    with pytest.raises(UnknownModelError, match="no model 'x'; there are: gadget, widget"):
        catalogue.find("x")


def test_default(catalogue: Catalogue) -> None:
    both = Catalogue({**catalogue.models, "gadget": catalogue.models["widget"]})
    assert both.default("gadget") == "gadget"
    with pytest.raises(UnknownModelError, match="several models: gadget, widget"):
        both.default(None)
    assert Catalogue({"widget": Model()}).default(None) == "widget"


def test_default_is_the_only_model_that_is_loaded(catalogue: Catalogue) -> None:
    assert catalogue.default(None) == "widget"


def test_no_default_while_the_first_models_are_being_loaded(catalogue: Catalogue) -> None:
    """The first to be there must not judge what is meant for another."""
    with pytest.raises(UnknownModelError, match="several models: gadget, widget"):
        catalogue.default(None, required={"gadget", "widget"})
    refused = Catalogue({**catalogue.models, "gadget": Model((1,), refused={1: "it is broken"})})
    assert refused.default(None, required={"gadget", "widget"}) == "widget"


def test_nothing_loaded() -> None:
    with pytest.raises(NotReadyError, match="the store is empty"):
        Catalogue().find(Catalogue().default(None))
