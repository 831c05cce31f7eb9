"""The verdict on an image."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BeforeValidator, Field
from starlette.requests import ClientDisconnect

from app.documentation import PREDICT_REPLIES, UPLOAD
from app.errors import DeadlineError
from app.inspection import Heatmap, Inspection
from app.routes.dependencies import TheService
from app.schemas import Prediction
from app.settings import LONGEST_DEADLINE_MS
from app.upload import receive

router = APIRouter(tags=["predict"])


def _digits(text: str) -> str:
    """What int() would also take, as +1, 1_0 or 1.0, is a mistake here."""
    if not re.fullmatch("[1-9][0-9]*", text):
        raise ValueError("must be a positive whole number, in digits alone")
    return text


Version = Annotated[int, Field(ge=1), BeforeValidator(_digits)]
Milliseconds = Annotated[int, Field(ge=1, le=LONGEST_DEADLINE_MS), BeforeValidator(_digits)]


@dataclass(frozen=True)
class Call:
    """What the three routes have in common."""

    request: Request
    service: TheService
    heatmap: Annotated[
        Heatmap, Query(description="The picture in the reply. gray is cheap; a full-size overlay costs most of all.")
    ] = "gray"
    deadline_ms: Annotated[
        Milliseconds | None,
        Header(alias="X-Deadline-Ms", description="Time for this request, in milliseconds."),
    ] = None

    async def answer(self, model: str, version: int | None = None) -> Response:
        """Raises what the table of app.errors holds."""
        service = self.service
        loaded = service.registry.catalogue.find(model, version)
        as_png = _wants_png(self.request.headers.get("accept", ""))
        with service.queue.place():  # before the body is read: no more bodies in memory than places
            async with _time_limit(self.deadline_ms or service.settings.deadline_ms) as limit:
                upload = await receive(self.request, service.settings.max_bytes)
                async with _ended_by_disconnect(self.request, limit):
                    inspection = await service.inspector.inspect(upload, loaded, "overlay" if as_png else self.heatmap)
                    reply = _png_reply if as_png else _json_reply  # an overlay may be large: not on the event loop
                    return await asyncio.get_running_loop().run_in_executor(service.workers, reply, inspection)


TheCall = Annotated[Call, Depends()]


@router.post("/predict", response_model=Prediction, responses=PREDICT_REPLIES, openapi_extra=UPLOAD)
async def predict_by_default_model(call: TheCall) -> Response:
    """Judge an image by the default model: the configured one, else the only one in the store."""
    registry = call.service.registry
    return await call.answer(registry.catalogue.default(call.service.settings.default_model, registry.required))


@router.post("/v1/models/{model}/predict", response_model=Prediction, responses=PREDICT_REPLIES, openapi_extra=UPLOAD)
async def predict(call: TheCall, model: str) -> Response:
    """Judge an image by a model's newest version."""
    return await call.answer(model)


@router.post(
    "/v1/models/{model}/versions/{version}/predict",
    response_model=Prediction,
    responses=PREDICT_REPLIES,
    openapi_extra=UPLOAD,
)
async def predict_by_version(call: TheCall, model: str, version: Version) -> Response:
    """Judge an image by one version of a model."""
    return await call.answer(model, version)


@asynccontextmanager
async def _time_limit(milliseconds: int) -> AsyncIterator[asyncio.Timeout]:
    """Cancel what runs inside when its time is up, and raise DeadlineError."""
    try:
        async with asyncio.timeout(milliseconds / 1000) as limit:
            yield limit
    except TimeoutError:
        raise DeadlineError(f"there was no answer within the deadline of {milliseconds} ms") from None


@asynccontextmanager
async def _ended_by_disconnect(request: Request, limit: asyncio.Timeout) -> AsyncIterator[None]:
    """Once its body is read: let a client that goes away use up its time limit, and raise ClientDisconnect."""
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone = True
        if not limit.expired():
            limit.reschedule(0)

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if gone:
            raise ClientDisconnect from None
        raise
    finally:
        watcher.cancel()


def _wants_png(accept: str) -> bool:
    return "image/png" in accept and "application/json" not in accept


def _json_reply(inspection: Inspection) -> Response:
    return Response(Prediction.of(inspection, uuid4().hex).model_dump_json(), media_type="application/json")


def _png_reply(inspection: Inspection) -> Response:
    verdict = inspection.verdict
    headers = {
        "X-Camspector-Label": verdict.label,
        "X-Camspector-Decision": verdict.decision,
        "X-Camspector-Probability": f"{verdict.probability:.6g}",
    }
    return Response(inspection.picture, media_type="image/png", headers=headers)
