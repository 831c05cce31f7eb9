"""What a model's serving.json does: pins, thresholds and shares of defects, and what holds while it is broken."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from app.metrics import Metrics
from app.model_manager import ModelManager
from app.schemas import ModelInfo, VersionInfo
from app.settings import Settings
from model.errors import PinError, StoreError, UnknownModelError
from model.serving import Serving
from model.verdict import Thresholds
from tests.app.test_model_manager import breaking, loaded, put, registry, said, unready


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")


@pytest.fixture
def shelf(store: Path, tmp_path: Path) -> Path:
    """An own store with widget 1, 2 and 3."""
    for version in (1, 2, 3):
        put(store, tmp_path / "shelf", "widget", version)
    return tmp_path / "shelf"


def say(shelf: Path, text: str) -> None:
    (shelf / "widget" / "serving.json").write_text(text)


def info(held: ModelManager) -> ModelInfo:
    return ModelInfo.of("widget", held.snapshot.models["widget"])


def served(held: ModelManager) -> VersionInfo:
    """The information on the version that serves."""
    said = info(held)
    return next(version for version in said.versions if version.version == said.serving)


def test_pinned_version_is_loaded_and_serves_though_it_is_older(shelf: Path, caplog: pytest.LogCaptureFixture) -> None:
    say(shelf, '{"version": 1}')
    held = registry(shelf)
    held.look("cpu")
    assert loaded(held) == {"widget": [1, 3]}
    assert held.snapshot.find("widget").version == 1
    assert held.snapshot.find("widget", 3).version == 3
    assert (info(held).pinned, info(held).fault) == (1, None)
    assert "model widget: version 1 serves now" in said(caplog)


def test_pin_rolls_back_and_its_end_rolls_forward(shelf: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = registry(shelf)
    held.look("cpu")
    newest = held.snapshot.find("widget").detector
    said(caplog)
    say(shelf, '{"version": 1}')
    held.look("cpu")
    assert said(caplog) == [
        "model widget version 1 is loaded: float32 by torch on cpu",
        'model widget: serving.json is in force: {"version":1}',
        "model widget: version 1 serves now (was 3)",
    ]
    (shelf / "widget" / "serving.json").unlink()
    held.look("cpu")
    assert (loaded(held), held.snapshot.find("widget").version) == ({"widget": [2, 3]}, 3)
    assert held.snapshot.find("widget").detector is newest  # never let go of, so not loaded again
    assert info(held).pinned is None


def test_pinned_version_goes_on_serving_when_a_newer_one_comes(store: Path, shelf: Path) -> None:
    say(shelf, '{"version": 2}')
    held = registry(shelf)
    held.look("cpu")
    put(store, shelf, "widget", 4)
    held.look("cpu")
    assert (loaded(held), held.snapshot.find("widget").version) == ({"widget": [2, 4]}, 2)


def test_thresholds_and_share_change_as_one_without_loading(shelf: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = registry(shelf)
    held.look("cpu")
    before = held.snapshot.find("widget").detector
    said(caplog)
    say(shelf, '{"thresholds": {"review": 0.1, "label": 0.2, "reject": 0.3}, "defect_rate": 0.02}')
    held.look("cpu")
    after = held.snapshot.find("widget").detector
    assert after.engine is before.engine
    assert (after.thresholds, after.defect_rate) == (Thresholds(0.1, 0.2, 0.3), 0.02)
    assert {each.detector.defect_rate for each in held.snapshot.models["widget"].loaded.values()} == {0.02}
    assert (before.thresholds, before.line_rate) == (Thresholds(0.3, 0.42, 0.6), None)  # for who has it already
    assert len(said(caplog)) == 1
    held.look("cpu")
    assert held.snapshot.find("widget").detector is after


@pytest.mark.parametrize(
    ("file", "rate", "thresholds"),
    [
        ("{}", ("settings", 0.05), ("settings", 0.9)),
        ('{"version": 2}', ("settings", 0.05), ("settings", 0.9)),
        ('{"defect_rate": 0.01}', ("file", 0.01), ("settings", 0.9)),
        ('{"thresholds": 0.7}', ("settings", 0.05), ("file", 0.7)),
    ],
)
def test_the_file_wins_over_the_settings(
    shelf: Path, file: str, rate: tuple[str, float], thresholds: tuple[str, float]
) -> None:
    say(shelf, file)
    held = registry(shelf, defect_rate={"widget": 0.05}, thresholds={"widget": 0.9})
    held.look("cpu")
    version = served(held)
    assert (version.defect_rate_source, version.defect_rate) == rate
    assert (version.thresholds_source, version.thresholds.label) == thresholds


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"version": 9}', "serving.json names version 9, which is not in the store; there are: [1, 2, 3, 4]"),
        ('{"version": 4, "thresholds": 0.9}', "serving.json names version 4, which is refused: "),
        ('{"thresholds": 0.9', "serving.json can't be read: Input data was truncated"),
        ('{"threshold": 0.9}', "serving.json can't be read: Object contains unknown field `threshold`"),
    ],
)
def test_while_the_file_is_broken_what_was_in_force_stays_so(
    store: Path, shelf: Path, caplog: pytest.LogCaptureFixture, text: str, reason: str
) -> None:
    breaking(put(store, shelf, "widget", 4))
    say(shelf, '{"version": 2, "thresholds": 0.8}')
    metrics = Metrics()
    held = ModelManager(Settings(store=shelf, device="cpu"), metrics)
    held.look("cpu")
    said(caplog)
    say(shelf, text)
    held.look("cpu")
    held.look("cpu")
    version = served(held)
    assert (version.version, version.thresholds.label, info(held).pinned) == (2, 0.8, 2)
    fault = info(held).fault
    assert fault is not None
    assert reason in fault
    assert said(caplog) == [f"model widget: {fault}"]
    assert gauge(metrics, "model_serving_file_refused") == 1
    say(shelf, '{"version": 3}')
    held.look("cpu")
    assert (info(held).serving, info(held).fault) == (3, None)
    assert said(caplog)[-1] == f"no longer so: model widget: {fault}"
    assert gauge(metrics, "model_serving_file_refused") == 0


def test_without_anything_in_force_a_broken_file_is_waited_for(shelf: Path) -> None:
    """The version's own thresholds may be far from what was meant: no verdicts are better."""
    say(shelf, "{")
    held = registry(shelf)
    held.look("cpu")
    assert loaded(held) == {"widget": []}
    (reason,) = unready(held)
    assert "model 'widget' has no version that serves: " in reason
    assert "serving.json can't be read" in reason
    say(shelf, "{}")
    held.look("cpu")
    assert unready(held) == []


def test_without_anything_in_force_a_pinned_version_is_waited_for(store: Path, shelf: Path) -> None:
    """The newest may be the very one that was rolled back; it can be asked by its number."""
    say(shelf, '{"version": 4}')
    held = registry(shelf)
    held.look("cpu")
    held.look("cpu")
    assert (loaded(held), info(held).serving) == ({"widget": [2, 3]}, None)
    (reason,) = unready(held)
    assert "serving.json names version 4, which is not in the store" in reason
    put(store, shelf, "widget", 4)
    held.look("cpu")
    assert (unready(held), info(held).serving) == ([], 4)


def test_pinned_version_that_vanishes_goes_on_serving(shelf: Path) -> None:
    say(shelf, '{"version": 1}')
    held = registry(shelf)
    held.look("cpu")
    shutil.rmtree(shelf / "widget" / "1")
    held.look("cpu")
    assert (info(held).serving, loaded(held)) == (1, {"widget": [1, 3]})
    assert "which is not in the store" in (info(held).fault or "")


def test_set_serving_writes_and_follows(shelf: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = registry(shelf)
    held.look("cpu")
    said(caplog)
    held._set_serving("widget", Serving(version=1, defect_rate=0.1), "cpu")
    assert [line for line in said(caplog) if "is loaded" in line] == [
        "model widget version 1 is loaded: float32 by torch on cpu"
    ]
    assert (info(held).serving, served(held).defect_rate) == (1, 0.1)
    assert registry_of(shelf).snapshot.find("widget").version == 1


def registry_of(shelf: Path) -> ModelManager:
    """As after a restart."""
    held = registry(shelf)
    held.look("cpu")
    return held


def test_set_serving_changes_nothing_where_the_version_cannot_serve(store: Path, shelf: Path) -> None:
    breaking(put(store, shelf, "widget", 4))
    held = registry_of(shelf)
    for version, reason in [(4, "is refused: .*golden"), (9, "not in the store")]:
        with pytest.raises(PinError, match=reason):
            held._set_serving("widget", Serving(version=version), "cpu")
    with pytest.raises(UnknownModelError):
        held._set_serving("../shelf/widget", Serving(), "cpu")
    assert not (shelf / "widget" / "serving.json").exists()
    assert (info(held).serving, info(held).fault) == (3, None)


def test_set_serving_in_a_store_that_cannot_be_written(shelf: Path) -> None:
    held = registry_of(shelf)
    (shelf / "widget" / "serving.json").mkdir()
    before = held.snapshot.models["widget"].loaded
    with pytest.raises(StoreError, match=r"serving.json can't be changed"):
        held._set_serving("widget", Serving(version=1), "cpu")
    assert info(held).serving == 3
    assert held.snapshot.models["widget"].loaded is before


def test_a_new_version_named_in_a_store_that_cannot_be_written_serves_nobody(store: Path, shelf: Path) -> None:
    """Nor does any other where the file in force can't be read: better no verdicts than such as weren't meant."""
    (shelf / "widget" / "serving.json").mkdir()
    held = registry_of(shelf)
    assert info(held).serving is None
    put(store, shelf, "widget", 4)
    before = held.snapshot.models["widget"].loaded
    with pytest.raises(StoreError, match=r"serving.json can't be changed"):
        held._set_serving("widget", Serving(version=4, thresholds=0.8), "cpu")
    assert held.snapshot.models["widget"].loaded is before


def test_a_version_serves_with_its_thresholds_or_not_at_all(
    store: Path, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = registry_of(shelf)
    put(store, shelf, "widget", 4)
    seen = []
    publish = held._shelf._publish

    def published(models: dict[str, Any]) -> None:
        publish(models)
        seen.extend(each.detector.thresholds.label for number, each in models["widget"].loaded.items() if number == 4)

    monkeypatch.setattr(held._shelf, "_publish", published)
    held._set_serving("widget", Serving(version=4, thresholds=0.8), "cpu")
    assert set(seen) == {0.8}


def gauge(metrics: Metrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(name, {"model": "widget"})


def test_metrics_follow_the_models(store: Path, shelf: Path) -> None:
    metrics = Metrics()
    held = ModelManager(Settings(store=shelf, device="cpu"), metrics)
    breaking(put(store, shelf, "widget", 4))
    held.look("cpu")
    assert (gauge(metrics, "model_serving_version"), gauge(metrics, "model_refused_versions")) == (3, 1)
    how = {"model": "widget", "engine": "torch", "variant": "float32", "device": "cpu"}
    assert metrics.registry.get_sample_value("model_engine_info", how) == 1
    shutil.rmtree(shelf / "widget" / "4")
    say(shelf, '{"version": 1}')
    held.look("cpu")
    assert (gauge(metrics, "model_serving_version"), gauge(metrics, "model_refused_versions")) == (1, 0)


def test_a_broken_model_that_vanishes_leaves_the_metrics(store: Path, tmp_path: Path) -> None:
    breaking(put(store, tmp_path, "widget", 1))
    metrics = Metrics()
    held = ModelManager(Settings(store=tmp_path, device="cpu"), metrics)
    held.look("cpu")
    assert (gauge(metrics, "model_serving_version"), gauge(metrics, "model_refused_versions")) == (0, 1)
    shutil.rmtree(tmp_path / "widget")
    held.look("cpu")
    assert gauge(metrics, "model_refused_versions") is None
