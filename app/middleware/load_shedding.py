"""Requests that would be refused for want of time or room are refused at once, at a quarter of the cost."""

import re
from typing import Final

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.addresses import path_of
from app.body.upload import declared_length
from app.errors import RefusedError, refusal
from app.inference.latency_estimator import Kind
from app.models.model_snapshot import LoadedModel
from app.monitoring.request_record import current
from app.service import Service
from app.settings import LONGEST_DEADLINE_MS
from model.errors import CamspectorError

_VERDICT: Final = re.compile(r"/predict|/(?:v1|v2)/models/([^/]+)(?:/versions/([1-9][0-9]{0,8}))?/(?:predict|infer)")


class LoadShedding:
    """ASGI middleware, before any routing. What isn't plain is left to the route: it asks the same question."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            request = Request(scope)
            try:
                self._check(request)
            except RefusedError as error:
                await refusal(request, error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, request: Request) -> None:
        """Raises QueueFullError or DeadlineUnreachableError."""
        path = path_of(request.scope)
        named = _VERDICT.fullmatch(path)
        deadline = request.headers.get("x-deadline-ms", str(self._service.settings.deadline_ms))
        if (
            not named
            or "x-recipe" in request.headers
            or not re.fullmatch("[1-9][0-9]{0,4}", deadline)
            or int(deadline) > LONGEST_DEADLINE_MS
        ):
            return
        try:
            loaded = self._find(named[1], int(named[2]) if named[2] else None)
        except CamspectorError:
            return
        if record := current.get():
            record.route = re.sub("(?<=/models/)[^/]+", "{model}", re.sub("(?<=/versions/)[^/]+", "{version}", path))
            record.model, record.version = loaded.key
        self._service.admission.check(Kind.of(loaded.key, declared_length(request.headers)), int(deadline) / 1000)

    def _find(self, model: str | None, version: int | None) -> LoadedModel:
        snapshot = self._service.model_manager.snapshot
        return snapshot.find(model or snapshot.default(self._service.settings.default_model), version)
