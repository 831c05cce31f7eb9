"""Outcomes of challenge images, and when each model last passed a run. For the event loop's thread alone."""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import msgspec
from pydantic import BaseModel, Field

from app.monitoring.metrics import Metrics
from app.state_file import StateFile
from model.challenge import GOOD, passes
from model.verdict import Decision


class ChallengeStatistics(BaseModel):
    """Of a model's challenge images since the start; the last passed run may be of before."""

    passed: int = Field(description="Images that were decided as expected.")
    failed: int = Field(description="Images that were not, or had no decision.")
    last_passed: str | None = Field(description="When a run was last passed, ISO 8601 in UTC; null: not known of any.")


PassedRuns = dict[str, float]
"""Seconds since the epoch, by model: a clock that goes on while the process doesn't."""


class ChallengeOutcomes:
    """Counts outcomes, apart from all production figures.

    A run of the store's images is passed where every one is decided as expected. Of live challenge parts, one good part
    and one defective one make a run: it is passed when both were decided as expected, with no other outcome between.
    """

    def __init__(
        self,
        hours: float | None,
        metrics: Metrics,
        file: StateFile[PassedRuns],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`hours`: how old the last passed run may be; None: as old as it likes."""
        self._hours = hours
        self._metrics = metrics
        self._file = file
        self._clock = clock
        self._passed = file.read({})
        self._counts: dict[tuple[str, bool], int] = {}
        self._live: dict[str, set[bool]] = {}
        """Of each model's live run: whether a good part, and whether a defective one, was decided as expected."""
        for model, at in self._passed.items():
            metrics.challenge_passed.labels(model).set(at)

    def count(self, model: str, kind: str, decision: Decision | None) -> bool:
        """One image's outcome; returns whether it is the expected one. `decision` None: it had none."""
        passed = decision is not None and passes(kind, decision)
        self._metrics.challenges.labels(model, kind, "passed" if passed else "failed").inc()
        self._counts[model, passed] = self._counts.get((model, passed), 0) + 1
        return passed

    def count_live(self, model: str, kind: str, decisions: Iterable[Decision | None]) -> None:
        """Outcomes of live challenge parts of one kind."""
        for decision in decisions:
            seen = self._live.setdefault(model, set())
            if not self.count(model, kind, decision):
                seen.clear()
                continue
            seen.add(kind == GOOD)
            if len(seen) == 2:
                self.pass_run(model)
                seen.clear()

    def pass_run(self, model: str) -> None:
        """A run of all that it takes was passed just now."""
        self._passed[model] = now = self._clock()
        self._metrics.challenge_passed.labels(model).set(now)
        self._file.write(msgspec.json.encode(self._passed))

    def stop(self, seconds: float) -> None:
        """Wait until the last passed run is written, so long at most."""
        self._file.flush(seconds)

    def of(self, model: str) -> ChallengeStatistics:
        at = self._passed.get(model)
        return ChallengeStatistics(
            passed=self._counts.get((model, True), 0),
            failed=self._counts.get((model, False), 0),
            last_passed=None if at is None else _text(at),
        )

    def unready(self, models: Iterable[str]) -> list[str]:
        """Of which of these models the last passed run is too old, in words."""
        if self._hours is None:
            return []
        return [problem for model in models if (problem := self._too_old(model, self._hours))]

    def _too_old(self, model: str, hours: float) -> str:
        at = self._passed.get(model)
        if at is None:
            return f"model {model!r} has passed no challenge run yet (--challenge-hours {hours:g})"
        age = (self._clock() - at) / 3600
        if age <= hours:
            return ""
        return f"model {model!r} last passed a challenge run {age:.1f} hours ago (--challenge-hours {hours:g})"


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
