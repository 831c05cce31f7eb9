"""From a request's images to an alarm, its acknowledgement, and what survives a restart."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from app.drift.monitor import DriftMonitor, DriftStates
from app.models.model_snapshot import LoadedModel
from app.monitoring.request_record import ImageRecord, RequestRecord
from app.state_file import StateFile
from model.drift import Chart, Drift
from model.serving import Serving
from model.verdict import Decision, Verdict
from tests.app.conftest import FakeEngine, fake_detector
from tests.app.test_latency_estimator import Clock

QUARTERS = Chart([-1.0, 0.0, 1.0], [25] * 4, [-23, -6, 6, 23], 11, {"up": 40, "down": 40}, 0.0, 1.0, below=2.0)
HALVES = Chart([100.0], [50, 50], [-13, 13], 11, {"down": 10}, 100.0, 8.0)
DRIFT = Drift(
    parts_per_false_alarm=1000,
    charts={"log_odds": QUARTERS, "brightness": HALVES},
    defect_log_odds=[1.0, 3.0, 5.0, 7.0],
)


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.now = 1_764_115_200.0
    return clock


def loaded(store: Path, version: int = 1, drift: Drift | None = DRIFT) -> LoadedModel:
    detector = fake_detector(store, FakeEngine())
    return LoadedModel("widget", version, replace(detector, manifest=replace(detector.manifest, drift=drift)))


def opened(folder: Path | None, clock: Clock) -> DriftMonitor:
    return DriftMonitor(CollectorRegistry(), StateFile(folder, "drift.json", DriftStates), clock)


def answered(part: str, decision: Decision = "accept", version: int = 1, **measures: float) -> RequestRecord:
    image = ImageRecord(Verdict("good", decision, 0.1, 0.0), [], measures, inference_id="i")  # type: ignore[arg-type]
    return RequestRecord(f"request-{part}", "POST", part_id=part, model="widget", version=version, images=[image])


def alarm(monitor: DriftMonitor, serving: LoadedModel, start: int = 0) -> int:
    """Parts until an alarm of log-odds."""
    for number in range(start, 100):
        monitor.add(answered(f"part%20{number}", log_odds=1.5), serving)
        if monitor.of("widget").alarms:
            return number - start + 1
    raise AssertionError("no alarm")


def test_an_alarm_says_what_changed_by_how_much_and_since_when(
    store: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    monitor, serving = opened(None, clock), loaded(store)
    monitor.add(answered("before", log_odds=-2.0), serving)
    assert alarm(monitor, serving) == 4  # 12 each, and 40 are the limit
    (found,) = monitor.of("widget").alarms
    assert found.text == (
        "the log-odds of accepted parts have risen: 1.5 on average over the last 4 parts, 1.5 standard deviations "
        "above the 0 of held-out good images; since part part 0 (2025-11-26T00:00:00+00:00)"
    )
    assert (found.quantity, found.change, found.model_version, found.parts, found.mean) == ("log_odds", "up", 1, 4, 1.5)
    assert (found.since_part_id, found.since_inference_id, found.since_request_id) == (
        "part 0",
        "i",
        "request-part%200",
    )
    assert f"model widget version 1: drift: {found.text}" in caplog.text


def test_an_alarm_is_given_once_until_it_is_acknowledged(
    store: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monitor, serving = opened(None, clock), loaded(store)
    alarm(monitor, serving)
    for number in range(50):
        monitor.add(answered(str(number), log_odds=1.5), serving)
    assert caplog.text.count("drift: the log-odds") == 1
    (acknowledged,) = monitor.acknowledge("widget", "office")
    assert f"model widget: drift is acknowledged by office: {acknowledged.text}" in caplog.text
    assert monitor.of("widget").alarms == []
    assert monitor.acknowledge("widget", "office") == []
    assert monitor.acknowledge("gizmo", "office") == []
    assert alarm(monitor, serving) == 4


def test_only_accepted_log_odds_count_and_only_what_there_is(store: Path, clock: Clock) -> None:
    monitor, serving = opened(None, clock), loaded(store)
    for number in range(50):
        monitor.add(answered(str(number), log_odds=2.0), serving)
    assert {level.level for level in monitor.of("widget").levels} == {0.0}
    monitor.add(answered("dark", brightness=7.0), serving)
    levels = {(level.quantity, level.change): level.level for level in monitor.of("widget").levels}
    assert levels == {("log_odds", "up"): 0.0, ("log_odds", "down"): 0.0, ("brightness", "down"): 0.2}


def test_a_version_that_does_not_serve_is_not_watched(store: Path, clock: Clock) -> None:
    monitor, serving = opened(None, clock), loaded(store)
    monitor.add(answered("1", version=2, log_odds=1.5), serving)
    monitor.add(answered("1", log_odds=1.5), None)
    monitor.add(RequestRecord("r", "POST", model="widget", version=1), serving)
    assert monitor.of("widget").levels == []


def test_another_version_begins_anew_and_alarms_stand(store: Path, clock: Clock) -> None:
    monitor, serving = opened(None, clock), loaded(store)
    alarm(monitor, serving)
    monitor.add(answered("2", version=2, brightness=1.0), loaded(store, 2))
    found = monitor.of("widget")
    assert [each.model_version for each in found.alarms] == [1]
    assert [each.level for each in found.levels] == [0.0, 0.0, 0.2]


def test_an_alarm_of_another_version_silences_no_chart(store: Path, clock: Clock) -> None:
    monitor, newer = opened(None, clock), loaded(store, 2)
    alarm(monitor, loaded(store))
    for number in range(4):
        monitor.add(answered(str(number), version=2, log_odds=1.5), newer)
    assert [(each.model_version, each.quantity) for each in monitor.of("widget").alarms] == [
        (1, "log_odds"),
        (2, "log_odds"),
    ]
    for number in range(4):
        monitor.add(answered(str(number), version=2, log_odds=1.5), newer)
    assert len(monitor.of("widget").alarms) == 2


def test_acknowledging_another_versions_alarm_leaves_the_sums(store: Path, clock: Clock) -> None:
    monitor = opened(None, clock)
    alarm(monitor, loaded(store))
    monitor.add(answered("2", version=2, log_odds=1.5), loaded(store, 2))
    monitor.acknowledge("widget", "office")
    assert max(level.level for level in monitor.of("widget").levels) == pytest.approx(12 / 40)


def test_a_version_without_charts(store: Path, clock: Clock) -> None:
    monitor = opened(None, clock)
    monitor.add(answered("1", log_odds=1.5), loaded(store, drift=None))
    found = monitor.of("widget")
    assert (found.parts_per_false_alarm, found.levels, found.alarms) == (None, [], [])


def test_other_thresholds_go_on_with_the_same_sums(store: Path, clock: Clock) -> None:
    monitor, serving = opened(None, clock), loaded(store)
    monitor.add(answered("1", log_odds=1.5), serving)
    monitor.add(answered("2", log_odds=1.5), serving.under(Serving(thresholds=0.9)))
    assert max(level.level for level in monitor.of("widget").levels) == pytest.approx(24 / 40)


def test_no_reject_among_so_many_parts(store: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """At 2 %, of whose log-odds here 3 of 4 reach the threshold, one in 67 is rejected; N follows from that alone."""
    monitor = opened(None, clock)
    serving = loaded(store).under(Serving(thresholds=0.5, defect_rate=0.2))
    shift = serving.detector.shift
    rejected = sum(value + shift >= 0.0 for value in DRIFT.defect_log_odds) / 4
    probability = 0.2 * rejected
    n = int(np.ceil(np.log1p(4 * 1000 * probability) / -np.log1p(-probability)))
    for number in range(n - 1):
        monitor.add(answered(str(number)), serving)
    assert monitor.of("widget").alarms == []
    monitor.add(answered("rejected", "reject"), serving)
    for number in range(n):
        assert monitor.of("widget").alarms == []
        monitor.add(answered(str(number), "review"), serving)
    (found,) = monitor.of("widget").alarms
    assert (found.quantity, found.change, found.parts, found.since_part_id) == ("rejects", "missing", n, "0")
    assert f"none of the last {n} parts was rejected, although at a defect rate of 20 % one in" in found.text
    monitor.acknowledge("widget", "office")
    assert monitor.of("widget").levels[-1].level == 0.0


def test_without_the_lines_rate_no_reject_is_missing(store: Path, clock: Clock) -> None:
    monitor = opened(None, clock)
    monitor.add(answered("1"), loaded(store))
    assert "rejects" not in {level.quantity for level in monitor.of("widget").levels}


def test_state_survives_a_restart(store: Path, clock: Clock, tmp_path: Path) -> None:
    monitor, serving = opened(tmp_path, clock), loaded(store)
    for number in range(3):
        monitor.add(answered(str(number), log_odds=1.5), serving)
    monitor.stop(10)
    again = opened(tmp_path, clock)
    assert alarm(again, serving, start=3) == 1
    assert again.of("widget").alarms[0].since_part_id == "0"
    again.stop(10)
    third = opened(tmp_path, clock)
    assert [each.quantity for each in third.of("widget").alarms] == ["log_odds"]  # before any part is inspected
    assert 'change="up",model="widget",quantity="log_odds"} 1.0' in generate_latest_text(third)
    third.acknowledge("widget", "office")
    assert alarm(third, serving) == 4  # its sum began anew
    third.stop(10)


def test_the_state_is_written_every_few_seconds_and_at_alarms(store: Path, clock: Clock, tmp_path: Path) -> None:
    monitor, serving = opened(tmp_path, clock), loaded(store)
    monitor.add(answered("1", log_odds=1.5), serving)
    assert not (tmp_path / "drift.json").exists()
    clock.now += 6
    monitor.add(answered("2", log_odds=1.5), serving)
    monitor._file.flush(10)
    assert opened(tmp_path, clock)._states["widget"].sums["log_odds up"].value == 24
    alarm(monitor, serving)
    monitor._file.flush(10)
    assert len(opened(tmp_path, clock)._states["widget"].alarms) == 1


def generate_latest_text(monitor: DriftMonitor) -> str:
    registry = CollectorRegistry()
    registry.register(monitor)
    return generate_latest(registry).decode()


def test_metrics(store: Path, clock: Clock) -> None:
    monitor, serving = opened(None, clock), loaded(store)
    monitor.add(answered("1", log_odds=1.5), serving)
    text = generate_latest_text(monitor)
    assert 'camspector_drift_level{change="up",model="widget",quantity="log_odds"} 0.3' in text
    assert 'camspector_drift_alarm{change="up",model="widget",quantity="log_odds"} 0.0' in text
    alarm(monitor, serving)
    assert 'camspector_drift_alarm{change="up",model="widget",quantity="log_odds"} 1.0' in generate_latest_text(monitor)
