"""What is known of a request when it has ended: told to the log, the statistics and the traces."""

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

from model.verdict import Decision

StepName = Literal["decode", "queue", "predict", "render"]


@dataclass(frozen=True)
class Step:
    """A part of an image's way."""

    name: StepName
    began: float
    """By time.perf_counter."""
    seconds: float


@dataclass(frozen=True)
class Judged:
    """One image of the request."""

    decision: Decision
    steps: tuple[Step, ...]


@dataclass
class RequestRecord:
    """Filled in on the way."""

    request_id: str
    method: str
    part_id: str | None = None
    """As it was sent: in ASCII, without spaces, and so in the log as well. What it means: app.part_id."""
    traceparent: str | None = None
    key: str | None = None
    """The name of the API key that was shown."""
    route: str = "unknown"
    """The template, never the path that a client made up."""
    status: int = 0
    """Of the answer that was begun; 0: none."""
    error: str | None = None
    model: str | None = None
    version: int | None = None
    judged: list[Judged] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)
    seconds: float = 0.0
    span: object | None = None
    """Of app.tracing."""

    def fields(self) -> dict[str, object]:
        """What a log's line says; no more of what the client sent than its ids, which are short and plain."""
        decisions = [judged.decision for judged in self.judged]
        fields: dict[str, object | None] = {
            "request_id": self.request_id,
            "part_id": self.part_id,
            "key": self.key,
            "method": self.method,
            "route": self.route,
            "status": self.status,
            "error": self.error,
            "model": self.model,
            "version": self.version,
            "decision": decisions[0] if len(decisions) == 1 else decisions or None,
            "ms": {name: round(1000 * seconds, 1) for name, seconds in self.times().items()},
        }
        return {name: value for name, value in fields.items() if value is not None}

    def times(self) -> dict[str, float]:
        """Seconds of each step, of the image that took longest in it, and of all together."""
        times: dict[str, float] = {}
        for step in (step for judged in self.judged for step in judged.steps):
            times[step.name] = max(times.get(step.name, 0.0), step.seconds)
        return times | {"total": self.seconds}


current: ContextVar[RequestRecord | None] = ContextVar("record", default=None)
"""Of the request that the running task belongs to."""
