"""The last minutes of every model, for people."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from pydantic import BaseModel, Field

from app.monitoring.request_record import RequestRecord

WINDOW_SECONDS: Final = 300.0
MOST_REQUESTS: Final = 2000


class Latency(BaseModel):
    """Milliseconds."""

    p50: float
    p99: float


class ModelStatistics(BaseModel):
    """What a model was asked and said of late."""

    model: str
    seconds: float = Field(
        description="How far back this looks: 300, or less after over 2000 requests or a late start."
    )
    requests: int
    per_second: float
    statuses: dict[str, int]
    errors: dict[str, int] = Field(description="Requests by the problem's `error`.")
    decisions: dict[str, int] = Field(description="Images.")
    latency_ms: dict[str, Latency] = Field(
        description="Of the requests that were answered with 200: decode, queue, predict, render and total."
    )


class Statistics:
    """Of the requests that came as far as to a model. For the event loop's thread alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._ended: dict[str, deque[tuple[float, RequestRecord]]] = {}

    def add(self, record: RequestRecord) -> None:
        """A request that has ended."""
        if record.model is not None:
            record.span = None
            self._ended.setdefault(record.model, deque(maxlen=MOST_REQUESTS)).append((self._clock(), record))

    def of(self, model: str) -> ModelStatistics:
        now = self._clock()
        ended = self._ended.get(model, deque())
        since = max(now - WINDOW_SECONDS, ended[0][0] if len(ended) == MOST_REQUESTS else self._began)
        records = [record for at, record in ended if at >= since]
        return ModelStatistics(
            model=model,
            seconds=round(now - since, 1),
            requests=len(records),
            per_second=round(len(records) / max(now - since, 1.0), 3),
            statuses=dict(sorted(Counter(str(record.status) for record in records).items())),
            errors=dict(Counter(record.error for record in records if record.error)),
            decisions=dict(Counter(decision for record in records for decision in record.decisions)),
            latency_ms=_latencies(record.times() for record in records if record.status == 200),
        )


def _latencies(times: Iterable[dict[str, float]]) -> dict[str, Latency]:
    by_step: dict[str, list[float]] = {}
    for each in times:
        for name, seconds in each.items():
            by_step.setdefault(name, []).append(1000 * seconds)
    return {name: _latency(values) for name, values in by_step.items()}


def _latency(values: list[float]) -> Latency:
    p50, p99 = np.percentile(values, [50, 99])
    return Latency(p50=round(float(p50), 1), p99=round(float(p99), 1))
