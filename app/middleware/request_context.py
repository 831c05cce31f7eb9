"""Context of every request: its ids, its record, the answer to a bug, and an end that the client can read."""

import asyncio
import logging
import re
import time
import uuid
from contextlib import suppress
from typing import Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.body.upload import declared_length
from app.connection.http_protocol import ARRIVES_BY
from app.errors import NotReadyError, SlowBodyError, refusal
from app.monitoring.logs import log_request
from app.monitoring.metrics import Metrics
from app.monitoring.request_record import ImageRecord, RequestRecord, current
from app.part_id import HEADER, check_part_id
from app.service import Service

log = logging.getLogger(__name__)

_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_METHODS: Final = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
LINGER_SECONDS: Final = 10.0
LINGER_BYTES: Final = 100_000_000
"""How long, and how much of, the rest of a refused body is read and thrown away. A connection closed with unread bytes
in it is reset, and the client may never see the answer (nginx: lingering_close)."""

SMALL_BYTES: Final = 1_000_000


class RequestContext:
    """ASGI middleware, outermost: keeps each request's record, and passes it to metrics, log, traces and statistics."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        channel = _Channel(scope, receive, send, self._service)
        record, tracing = channel.record, self._service.tracing
        current.set(record)
        if tracing:
            tracing.begin(record)
        try:
            channel.check_part_id()
            await self._app(scope, channel.receive, channel.send)
        except RequestValidationError as unsound:  # the part's id; the application answers its own
            await refusal(Request(scope), unsound)(scope, channel.receive, channel.send)
        except asyncio.CancelledError:  # the process stops, and the time to finish is over
            if not record.status:
                error = NotReadyError("the service is shutting down")
                await refusal(Request(scope), error)(scope, channel.receive, channel.send)
        except Exception as error:
            if record.status:  # too late for another answer: the server cuts the connection and logs
                raise
            log.exception("request %s failed", record.request_id)
            await refusal(Request(scope), error)(scope, channel.receive, channel.send)
        finally:
            record.route = getattr(scope.get("route"), "path", record.route)
            record.seconds = time.perf_counter() - record.began
            self._publish(record)
        await channel.finish()

    def _publish(self, record: RequestRecord) -> None:
        """Pass on the record of a request that has ended."""
        _observe(self._service.metrics, record)
        log_request(record)
        if self._service.tracing:
            self._service.tracing.end(record)
        if not record.is_challenge:
            self._service.statistics.add(record)
            self._service.events.publish(record)
            self._service.watch(record)
        elif record.challenge_kind and record.model:
            decisions = [image.verdict.decision for image in record.images] if record.status == 200 else [None]
            self._service.challenges.count_live(record.model, record.challenge_kind, decisions)


class _Channel:
    """One request and its answer: ASGI's receive and send, with ids echoed and the rest of an unread body dropped."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, service: Service) -> None:
        headers = Headers(scope=scope)
        self.record = RequestRecord(
            request_id=_valid(_ID, headers.get("x-request-id")) or uuid.uuid4().hex,
            method=scope["method"] if scope["method"] in _METHODS else "other",
            traceparent=_valid(_TRACEPARENT, headers.get("traceparent")),
        )
        scope.setdefault("state", {})["request_id"] = self.record.request_id
        self._arrives_by: float | None = scope["state"].get(ARRIVES_BY)
        self._unfinished = False
        self._part_ids = headers.getlist(HEADER)
        self._receive = receive
        self._send = send
        self._service = service
        self._echoed = {
            "X-Request-ID": self.record.request_id,
            "traceparent": self.record.traceparent,
        }
        self._body_left = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        self._is_small = 0 < declared_length(headers) <= SMALL_BYTES

    def check_part_id(self) -> None:
        """Raises RequestValidationError for an X-Part-ID that identifies no part."""
        try:
            self.record.part_id = self._echoed[HEADER] = check_part_id(self._part_ids)
        except ValueError as error:
            raise RequestValidationError([{"loc": ("header", HEADER), "msg": str(error)}]) from None

    async def receive(self) -> Message:
        """Raises SlowBodyError."""
        try:
            async with asyncio.timeout_at(self._arrives_by if self._body_left and not self.record.status else None):
                message = await self._receive()
        except TimeoutError:
            raise SlowBodyError("the request took too long to arrive") from None
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._body_left = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.record.status = message["status"]
            await self._read_small_body()
            headers = MutableHeaders(scope=message)
            for name, value in self._echoed.items():
                if value:
                    headers[name] = value
            if self._body_left or self._service.draining:
                headers["Connection"] = "close"
        elif self._body_left and not message.get("more_body", False):
            message = {**message, "more_body": True}  # complete for the client, but the connection stays open
            self._unfinished = True
        await self._send(message)

    async def _read_small_body(self) -> None:
        """Read a small body that has arrived already: its connection can then stay open after a refusal."""
        if not (self._body_left and self._is_small):
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                while self._body_left:
                    await self.receive()

    async def finish(self) -> None:
        """After an answer that was given before the body was read: read and drop the rest, then close."""
        if not self._unfinished:
            return
        left = LINGER_BYTES
        with suppress(TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(LINGER_SECONDS):
                while self._body_left and left > 0:
                    left -= len((await self.receive()).get("body", b""))
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _observe(metrics: Metrics, record: RequestRecord) -> None:
    metrics.requests.labels(record.method, record.route, str(record.status)).inc()
    metrics.request_seconds.labels(record.method, record.route).observe(record.seconds)
    for image in record.images:
        if not record.is_challenge:
            _count_verdict(metrics, record, image)
        metrics.preprocess_seconds.observe(image.worked("decode"))
        metrics.queue_seconds.observe(image.seconds("queue"))
        metrics.predict_seconds.observe(image.seconds("predict"))
        metrics.postprocess_seconds.observe(image.seconds("render"))


def _count_verdict(metrics: Metrics, record: RequestRecord, image: ImageRecord) -> None:
    verdict = image.verdict
    model, version = str(record.model), str(record.version)
    metrics.verdicts.labels(model, version, verdict.label, verdict.decision).inc()
    if image.cleared:
        metrics.cleared.labels(model, version).inc()
    metrics.probability.labels(model).observe(verdict.probability)
    for reason in image.inspectability.odd:
        metrics.odd.labels(model, reason.check).inc()


def _valid(form: re.Pattern[str], value: str | None) -> str | None:
    return value if value and form.fullmatch(value) else None
