"""Inspections as they come, for listeners: each has a short queue, which loses its oldest when it is full."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pydantic import BaseModel, Field

from app.errors import QueueFullError
from app.monitoring.request_record import RequestRecord, Retained
from model.gate import CheckName
from model.verdict import Decision, Label

WAITING: Final = 100
"""Events that wait for one slow listener, at most."""
LISTENERS: Final = 32


class InspectionEvent(BaseModel):
    """One inspected image."""

    at: float = Field(description="Seconds since 1970.")
    model: str
    model_version: int
    inference_id: str | None = Field(description="null: the request failed after the image was inspected.")
    part_id: str | None
    label: Label
    decision: Decision
    inspectable: bool
    odd: list[CheckName] = Field(description="Checks by which it wasn't inspectable; empty: it was.")
    probability: float
    log_odds: float
    recorded: Retained | None = Field(
        description="What /v1/inspections has of it: the image too, or the evidence alone; null: nothing, or not yet."
    )
    seconds: float = Field(description="From the request's headers to its reply.")


class Listener:
    """The events that one listener has not yet had. For the event loop's thread alone."""

    def __init__(self) -> None:
        self.lost = 0
        self._queue: asyncio.Queue[str] = asyncio.Queue(WAITING)

    def put(self, event: str) -> None:
        if self._queue.full():
            self._queue.get_nowait()
            self.lost += 1
        self._queue.put_nowait(event)

    async def get(self, seconds: float) -> str | None:
        """The next event as JSON; None: there was none for so long."""
        try:
            return await asyncio.wait_for(self._queue.get(), seconds)
        except TimeoutError:
            return None


class Events:
    """Who listens."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    def check(self) -> None:
        """Raises QueueFullError where nobody else can listen."""
        if len(self._listeners) >= LISTENERS:
            raise QueueFullError(f"{LISTENERS} clients listen already")

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """A listener, who hears what comes from now on."""
        listener = Listener()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def publish(self, record: RequestRecord) -> None:
        """The images of a request that has ended; without a listener nothing is done."""
        if not self._listeners or record.model is None or record.version is None:
            return
        for image in record.images:
            verdict = image.verdict
            event = InspectionEvent(
                at=time.time(),
                model=record.model,
                model_version=record.version,
                inference_id=image.inference_id,
                part_id=record.part_id_text,
                label=verdict.label,
                decision=verdict.decision,
                inspectable=image.inspectability.inspectable,
                odd=[reason.check for reason in image.inspectability.odd],
                probability=verdict.probability,
                log_odds=verdict.log_odds,
                recorded=image.recorded,
                seconds=record.seconds,
            ).model_dump_json()
            for listener in self._listeners:
                listener.put(event)
