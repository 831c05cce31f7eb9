"""What a model's serving.json does: pins, thresholds and shares of defects, and what holds while it is broken."""

import shutil
from pathlib import Path

import pytest

from app.models.model_manager import ModelManager
from app.models.model_snapshot import ModelState
from app.monitoring.metrics import Metrics
from app.schemas import ModelInfo, VersionInfo
from app.settings import Settings
from model.errors import PinError, StoreError, UnknownModelError
from model.serving import Serving
from model.verdict import Thresholds
from tests.app.test_model_manager import breaking, loaded, manager, put, said, unready


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")


@pytest.fixture
def own_store(store: Path, tmp_path: Path) -> Path:
    """An own store with widget 1, 2 and 3."""
    for version in (1, 2, 3):
        put(store, tmp_path / "own_store", "widget", version)
    return tmp_path / "own_store"


def say(own_store: Path, text: str) -> None:
    (own_store / "widget" / "serving.json").write_text(text)


def info(held: ModelManager) -> ModelInfo:
    return ModelInfo.of("widget", held.snapshot.models["widget"])


def served(held: ModelManager) -> VersionInfo:
    """The information on the version that serves."""
    said = info(held)
    return next(version for version in said.versions if version.version == said.serving)


def test_pinned_version_is_loaded_and_serves_though_it_is_older(
    own_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    say(own_store, '{"version": 1}')
    held = manager(own_store)
    held.reconciler.poll()
    assert loaded(held) == {"widget": [1, 3]}
    assert held.snapshot.find("widget").version == 1
    assert held.snapshot.find("widget", 3).version == 3
    assert (info(held).pinned, info(held).serving_error) == (1, None)
    assert "model widget: version 1 serves now" in said(caplog)


def test_pin_rolls_back_and_its_end_rolls_forward(own_store: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = manager(own_store)
    held.reconciler.poll()
    newest = held.snapshot.find("widget").detector
    said(caplog)
    say(own_store, '{"version": 1}')
    held.reconciler.poll()
    assert said(caplog) == [
        "model widget version 1 is loaded: float32 by torch on cpu",
        'model widget: serving.json is in force: {"version":1}',
        "model widget: version 1 serves now (previous: 3)",
    ]
    (own_store / "widget" / "serving.json").unlink()
    held.reconciler.poll()
    assert (loaded(held), held.snapshot.find("widget").version) == ({"widget": [2, 3]}, 3)
    assert held.snapshot.find("widget").detector is newest  # never let go of, so not loaded again
    assert info(held).pinned is None


def test_pinned_version_goes_on_serving_when_a_newer_one_comes(store: Path, own_store: Path) -> None:
    say(own_store, '{"version": 2}')
    held = manager(own_store)
    held.reconciler.poll()
    put(store, own_store, "widget", 4)
    held.reconciler.poll()
    assert (loaded(held), held.snapshot.find("widget").version) == ({"widget": [2, 4]}, 2)


def test_thresholds_and_share_change_as_one_without_loading(own_store: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = manager(own_store)
    held.reconciler.poll()
    before = held.snapshot.find("widget").detector
    said(caplog)
    say(own_store, '{"thresholds": {"review": 0.1, "label": 0.2, "reject": 0.3}, "defect_rate": 0.02}')
    held.reconciler.poll()
    after = held.snapshot.find("widget").detector
    assert after.engine is before.engine
    assert (after.thresholds, after.defect_rate) == (Thresholds(0.1, 0.2, 0.3), 0.02)
    assert {each.detector.defect_rate for each in held.snapshot.models["widget"].loaded.values()} == {0.02}
    assert (before.thresholds, before.line_rate) == (Thresholds(0.3, 0.42, 0.6), None)  # for who has it already
    assert len(said(caplog)) == 1
    held.reconciler.poll()
    assert held.snapshot.find("widget").detector is after


@pytest.mark.parametrize(
    ("file", "rate", "thresholds"),
    [
        ("{}", ("data", 1 / 3), ("version", 0.42)),
        ('{"version": 2}', ("data", 1 / 3), ("version", 0.42)),
        ('{"defect_rate": 0.01}', ("serving.json", 0.01), ("version", 0.42)),
        ('{"thresholds": 0.7}', ("data", 1 / 3), ("serving.json", 0.7)),
    ],
)
def test_the_file_wins_over_the_version_member_by_member(
    own_store: Path, file: str, rate: tuple[str, float], thresholds: tuple[str, float]
) -> None:
    say(own_store, file)
    held = manager(own_store)
    held.reconciler.poll()
    for version in info(held).versions:
        assert (version.defect_rate_source, version.defect_rate) == (rate[0], pytest.approx(rate[1]))
        assert (version.thresholds_source, version.thresholds.label) == thresholds


def test_defect_rate_of_the_line_shifts_the_log_odds(own_store: Path) -> None:
    say(own_store, '{"defect_rate": 0.01}')
    held = manager(own_store)
    held.reconciler.poll()
    assert held.snapshot.find("widget").detector.shift == pytest.approx(-4.595 + 0.693, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"version": 9}', "serving.json names version 9, which is not in the store; there are: [1, 2, 3, 4]"),
        ('{"version": 4, "thresholds": 0.9}', "serving.json names version 4, which is refused: "),
        ('{"thresholds": 0.9', "serving.json can't be read: Input data was truncated"),
        ('{"threshold": 0.9}', "serving.json can't be read: Object contains unknown field `threshold`"),
    ],
)
def test_while_the_file_is_broken_what_is_in_force_stays_so(
    store: Path, own_store: Path, caplog: pytest.LogCaptureFixture, text: str, reason: str
) -> None:
    breaking(put(store, own_store, "widget", 4))
    say(own_store, '{"version": 2, "thresholds": 0.8}')
    metrics = Metrics()
    held = ModelManager(Settings(store=own_store, device="cpu"), metrics.registry)
    held.reconciler.poll()
    said(caplog)
    say(own_store, text)
    held.reconciler.poll()
    held.reconciler.poll()
    version = served(held)
    assert (version.version, version.thresholds.label, info(held).pinned) == (2, 0.8, 2)
    error = info(held).serving_error
    assert error is not None
    assert reason in error
    assert said(caplog) == [f"model widget: {error}"]
    assert gauge(metrics, "camspector_model_serving_error") == 1
    say(own_store, '{"version": 3}')
    held.reconciler.poll()
    assert (info(held).serving, info(held).serving_error) == (3, None)
    assert said(caplog)[-1] == f"resolved: model widget: {error}"
    assert gauge(metrics, "camspector_model_serving_error") == 0


def test_without_anything_in_force_a_broken_file_is_waited_for(own_store: Path) -> None:
    """The version's own thresholds may be far from what was meant: no verdicts are better."""
    say(own_store, "{")
    held = manager(own_store)
    held.reconciler.poll()
    assert loaded(held) == {"widget": []}
    (reason,) = unready(held)
    assert "model 'widget' has no version that serves: " in reason
    assert "serving.json can't be read" in reason
    say(own_store, "{}")
    held.reconciler.poll()
    assert unready(held) == []


def test_without_anything_in_force_a_pinned_version_is_waited_for(store: Path, own_store: Path) -> None:
    """The newest may be the very one that was rolled back; it can be asked by its number."""
    say(own_store, '{"version": 4}')
    held = manager(own_store)
    held.reconciler.poll()
    held.reconciler.poll()
    assert (loaded(held), info(held).serving) == ({"widget": [2, 3]}, None)
    (reason,) = unready(held)
    assert "serving.json names version 4, which is not in the store" in reason
    put(store, own_store, "widget", 4)
    held.reconciler.poll()
    assert (unready(held), info(held).serving) == ([], 4)


def test_pinned_version_that_vanishes_goes_on_serving(own_store: Path) -> None:
    say(own_store, '{"version": 1}')
    held = manager(own_store)
    held.reconciler.poll()
    shutil.rmtree(own_store / "widget" / "1")
    held.reconciler.poll()
    assert (info(held).serving, loaded(held)) == (1, {"widget": [1, 3]})
    assert "which is not in the store" in (info(held).serving_error or "")


def test_set_serving_writes_and_follows(own_store: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = manager(own_store)
    held.reconciler.poll()
    said(caplog)
    held.reconciler.set_serving("widget", Serving(version=1, defect_rate=0.1), "office")
    assert [line for line in said(caplog) if "is loaded" in line] == [
        "model widget version 1 is loaded: float32 by torch on cpu"
    ]
    assert (info(held).serving, served(held).defect_rate) == (1, 0.1)
    assert restarted(own_store).snapshot.find("widget").version == 1


def restarted(own_store: Path) -> ModelManager:
    """As after a restart."""
    held = manager(own_store)
    held.reconciler.poll()
    return held


def test_set_serving_changes_nothing_where_the_version_cannot_serve(store: Path, own_store: Path) -> None:
    breaking(put(store, own_store, "widget", 4))
    held = restarted(own_store)
    for version, reason in [(4, "is refused: .*golden"), (9, "not in the store")]:
        with pytest.raises(PinError, match=reason):
            held.reconciler.set_serving("widget", Serving(version=version), "office")
    with pytest.raises(UnknownModelError):
        held.reconciler.set_serving("../own_store/widget", Serving(), "office")
    assert not (own_store / "widget" / "serving.json").exists()
    assert (info(held).serving, info(held).serving_error) == (3, None)


def test_set_serving_in_a_store_that_cannot_be_written(own_store: Path) -> None:
    held = restarted(own_store)
    (own_store / "widget" / "serving.json").mkdir()
    before = held.snapshot.models["widget"].loaded
    with pytest.raises(StoreError, match=r"serving.json can't be changed"):
        held.reconciler.set_serving("widget", Serving(version=1), "office")
    assert info(held).serving == 3
    assert held.snapshot.models["widget"].loaded is before


def test_a_new_version_named_in_a_store_that_cannot_be_written_serves_nobody(store: Path, own_store: Path) -> None:
    """Nor does any other where the file in force can't be read: better no verdicts than such as weren't meant."""
    (own_store / "widget" / "serving.json").mkdir()
    held = restarted(own_store)
    assert info(held).serving is None
    put(store, own_store, "widget", 4)
    before = held.snapshot.models["widget"].loaded
    with pytest.raises(StoreError, match=r"serving.json can't be changed"):
        held.reconciler.set_serving("widget", Serving(version=4, thresholds=0.8), "office")
    assert held.snapshot.models["widget"].loaded is before


def test_a_version_serves_with_its_thresholds_or_not_at_all(
    store: Path, own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = restarted(own_store)
    put(store, own_store, "widget", 4)
    seen: list[float] = []
    put_state = held.memory.put

    def put_and_see(name: str, state: ModelState) -> None:
        put_state(name, state)
        versions = held.snapshot.models["widget"].loaded
        seen.extend(each.detector.thresholds.label for number, each in versions.items() if number == 4)

    monkeypatch.setattr(held.memory, "put", put_and_see)
    held.reconciler.set_serving("widget", Serving(version=4, thresholds=0.8), "office")
    assert set(seen) == {0.8}


def gauge(metrics: Metrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(name, {"model": "widget"})


def test_metrics_follow_the_models(store: Path, own_store: Path) -> None:
    metrics = Metrics()
    held = ModelManager(Settings(store=own_store, device="cpu"), metrics.registry)
    breaking(put(store, own_store, "widget", 4))
    held.reconciler.poll()
    assert (
        gauge(metrics, "camspector_model_serving_version"),
        gauge(metrics, "camspector_model_refused_versions"),
    ) == (3, 1)
    labels = {"model": "widget", "engine": "torch", "variant": "float32", "device": "cpu"}
    assert metrics.registry.get_sample_value("camspector_model_engine_info", labels) == 1
    shutil.rmtree(own_store / "widget" / "4")
    say(own_store, '{"version": 1}')
    held.reconciler.poll()
    assert (
        gauge(metrics, "camspector_model_serving_version"),
        gauge(metrics, "camspector_model_refused_versions"),
    ) == (1, 0)


def test_a_broken_model_that_vanishes_leaves_the_metrics(store: Path, tmp_path: Path) -> None:
    breaking(put(store, tmp_path, "widget", 1))
    metrics = Metrics()
    held = ModelManager(Settings(store=tmp_path, device="cpu"), metrics.registry)
    held.reconciler.poll()
    assert (
        gauge(metrics, "camspector_model_serving_version"),
        gauge(metrics, "camspector_model_refused_versions"),
    ) == (0, 1)
    shutil.rmtree(tmp_path / "widget")
    held.reconciler.poll()
    assert gauge(metrics, "camspector_model_refused_versions") is None
