"""Watches every model that serves, and keeps its state. For the event loop's thread alone."""

import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from pydantic import BaseModel, Field

from app.drift.alarm import Alarm, Change, Watched
from app.drift.cusum import PartReference
from app.drift.model_drift import DriftState, ModelDrift
from app.models.model_snapshot import KnownModel
from app.monitoring.request_record import RequestRecord
from app.state_file import StateFile

log = logging.getLogger(__name__)

DriftStates = dict[str, DriftState]
SAVE_SECONDS: Final = 5.0
"""Between two writes of the state: so much of it is lost with a process that is killed."""


class DriftAlarm(BaseModel):
    """What has changed, and since when."""

    quantity: Watched = Field(description="rejects: there were none.")
    change: Change
    model_version: int
    since_part_id: str | None = Field(description="Of the first part since the change, as far as the sum tells.")
    since_inference_id: str | None
    since_request_id: str
    since: str = Field(description="When that part came, ISO 8601 in UTC.")
    parts: int = Field(description="From that one on.")
    mean: float | None = Field(description="Of the quantity over these parts; null: of the rejects.")
    text: str = Field(description="All of it as a sentence.")

    @staticmethod
    def of(alarm: Alarm) -> "DriftAlarm":
        since = alarm.since
        return DriftAlarm(
            quantity=alarm.quantity,
            change=alarm.change,
            model_version=alarm.version,
            since_part_id=since.part_id,
            since_inference_id=since.inference_id,
            since_request_id=since.request_id,
            since=datetime.fromtimestamp(since.at, UTC).isoformat(timespec="seconds"),
            parts=alarm.parts,
            mean=alarm.mean,
            text=alarm.text,
        )


class DriftLevel(BaseModel):
    """One sum."""

    quantity: Watched
    change: Change
    level: float = Field(description="As a share of its limit; from 1 on there is an alarm.")


class DriftStatistics(BaseModel):
    """A model's control charts, since it began to serve or an alarm was acknowledged."""

    parts_per_false_alarm: int | None = Field(description="null: the version that serves has no charts.")
    levels: list[DriftLevel]
    alarms: list[DriftAlarm] = Field(description="Not acknowledged yet.")


class DriftMonitor(Collector):
    """Only parts that the serving version inspects count; another version begins anew, and alarms stand."""

    def __init__(
        self, registry: CollectorRegistry, file: StateFile[DriftStates], clock: Callable[[], float] = time.time
    ) -> None:
        self._file = file
        self._clock = clock
        self._states = file.read({})
        self._models: dict[str, ModelDrift] = {}
        self._saved_at = clock()
        registry.register(self)

    def add(self, record: RequestRecord, serving: KnownModel | None) -> None:
        """A request that has ended, and the version of its model that serves."""
        if not record.images or serving is None or record.version != serving.version:
            return
        model, now = self._model(serving), self._clock()
        if model is None:
            return
        part = PartReference(now, record.request_id, record.part_id_text, record.inference_id)
        alarms = [alarm for image in record.images for alarm in model.add(image, part, now)]
        for alarm in alarms:
            log.warning("model %s version %d: drift: %s", serving.model, serving.version, alarm.text)
        if alarms or abs(now - self._saved_at) >= SAVE_SECONDS:
            self._save(now)

    def acknowledge(self, model: str, by: str) -> list[Alarm]:
        """Take back the model's alarms. `by`: who it was, for the log."""
        state = self._states.get(model)
        alarms = state.acknowledge() if state else []
        for alarm in alarms:
            log.warning("model %s: drift is acknowledged by %s: %s", model, by, alarm.text)
        self._save(self._clock())
        return alarms

    def of(self, model: str) -> DriftStatistics:
        watched, state = self._models.get(model), self._states.get(model)
        return DriftStatistics(
            parts_per_false_alarm=watched.drift.parts_per_false_alarm if watched else None,
            levels=[
                DriftLevel(quantity=quantity, change=change, level=round(level, 4))
                for quantity, change, level in (watched.levels() if watched else ())
            ],
            alarms=[DriftAlarm.of(alarm) for alarm in (state.alarms if state else ())],
        )

    def stop(self, seconds: float) -> None:
        """Write the state, and wait for it, so long at most."""
        if self._states:
            self._save(self._clock())
        self._file.flush(seconds)

    def collect(self) -> Iterator[Metric]:
        level = GaugeMetricFamily(
            "camspector_drift_level", "Sum as a share of its limit.", labels=["model", "quantity", "change"]
        )
        alarm = GaugeMetricFamily(
            "camspector_drift_alarm", "1: not acknowledged yet.", labels=["model", "quantity", "change"]
        )
        for name, state in self._states.items():
            standing = {each.key for each in state.alarms}
            levels = [*self._models[name].levels()] if name in self._models else []
            for quantity, change, value in levels:
                level.add_metric([name, quantity, change], value)
            for quantity, change in {(quantity, change) for quantity, change, _ in levels} | standing:
                alarm.add_metric([name, quantity, change], (quantity, change) in standing)
        yield from (level, alarm)

    def _model(self, serving: KnownModel) -> ModelDrift | None:
        """None: the version has no charts."""
        drift = serving.terms.manifest.drift
        watched = self._models.get(serving.model)
        if watched and (watched.state.version, watched.terms) == (serving.version, serving.terms):
            return watched
        if drift is None:
            self._models.pop(serving.model, None)
            return None
        state = self._states.get(serving.model)
        if state is None or state.version != serving.version:
            state = DriftState(serving.version, alarms=state.alarms if state else [])
        self._states[serving.model] = state
        self._models[serving.model] = watched = ModelDrift(serving.terms, drift, state)
        return watched

    def _save(self, now: float) -> None:
        self._saved_at = now
        self._file.write(msgspec.json.encode(self._states))
