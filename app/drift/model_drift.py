"""The charts of one version, and the state of them."""

from collections.abc import Iterator

import msgspec

from app.drift.alarm import Alarm, Change, Watched, drift_alarm, rejects_alarm
from app.drift.cusum import Cusum, PartReference, RunWithoutReject, longest_run
from app.monitoring.request_record import ImageRecord
from model.drift import Direction, Drift, Quantity
from model.terms import Terms
from model.verdict import threshold_log_odds


class DriftState(msgspec.Struct):
    """What survives a restart."""

    version: int
    sums: dict[str, Cusum] = {}
    """By "quantity direction"."""
    run: RunWithoutReject = msgspec.field(default_factory=RunWithoutReject)
    alarms: list[Alarm] = []

    @property
    def standing(self) -> set[tuple[Watched, Change]]:
        """What this version's own alarms are of."""
        return {alarm.key for alarm in self.alarms if alarm.version == self.version}

    def acknowledge(self) -> list[Alarm]:
        """Take back all alarms, begin this version's sums of them anew, and return them."""
        standing, alarms, self.alarms = self.standing, self.alarms, []
        for alarm in alarms:
            if alarm.key not in standing:
                continue
            if alarm.quantity == "rejects":
                self.run.restart()
            elif cusum := self.sums.get(f"{alarm.quantity} {alarm.change}"):
                cusum.restart()
        return alarms


class ModelDrift:
    """Watches one version. What an alarm of its own stands for isn't watched until that is acknowledged."""

    def __init__(self, terms: Terms, drift: Drift, state: DriftState) -> None:
        self.terms = terms
        self.drift = drift
        self.state = state
        self.reject_probability = _reject_probability(terms, drift)
        run_length = drift.alarms * drift.parts_per_false_alarm
        self.longest_run = longest_run(self.reject_probability, run_length)
        for quantity, direction, _ in self._sides():
            state.sums.setdefault(f"{quantity} {direction}", Cusum())

    def add(self, image: ImageRecord, part: PartReference, now: float) -> list[Alarm]:
        """One more part; returns new alarms."""
        standing = self.state.standing
        alarms = []
        for quantity, chart in self.drift.charts.items():
            value = image.measures.get(quantity)
            if value is None or (chart.below is not None and value >= chart.below):
                continue
            for direction, limit in chart.limits.items():
                if (quantity, direction) in standing:
                    continue
                cusum = self.state.sums[f"{quantity} {direction}"]
                cusum.add(chart.step(value, direction), value, part)
                if cusum.value >= limit:
                    alarms.append(drift_alarm(quantity, direction, chart, cusum, self.state.version, now))
        alarms += self._missing_reject(image, part, now, standing)
        self.state.alarms += alarms
        return alarms

    def levels(self) -> Iterator[tuple[Watched, Change, float]]:
        """Every sum as a share of its limit; 1: an alarm."""
        for quantity, direction, limit in self._sides():
            yield quantity, direction, self.state.sums[f"{quantity} {direction}"].value / limit
        if self.longest_run:
            yield "rejects", "missing", self.state.run.parts / self.longest_run

    def _sides(self) -> Iterator[tuple[Quantity, Direction, int]]:
        for quantity, chart in self.drift.charts.items():
            for direction, limit in chart.limits.items():
                yield quantity, direction, limit

    def _missing_reject(
        self, image: ImageRecord, part: PartReference, now: float, standing: set[tuple[Watched, Change]]
    ) -> list[Alarm]:
        if self.longest_run is None or ("rejects", "missing") in standing:
            return []
        run = self.state.run
        run.add(part, rejected=image.verdict.decision == "reject")
        if run.parts < self.longest_run:
            return []
        return [rejects_alarm(run, self.terms.defect_rate, self.reject_probability, self.state.version, now)]


def _reject_probability(terms: Terms, drift: Drift) -> float:
    """Of a part to be rejected for a defect, at the line's defect rate and thresholds; 0 where nobody named a rate."""
    if terms.line_rate is None and terms.manifest.operating_point.defect_rate is None:
        return 0.0
    rejected = drift.rejected_defects(threshold_log_odds(terms.thresholds.reject) - terms.shift)
    return terms.defect_rate * rejected
