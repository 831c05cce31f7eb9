"""The verdict on an image."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from starlette.requests import ClientDisconnect

from app.documentation import PREDICT_REPLIES, UPLOAD
from app.errors import DeadlineError
from app.inspection import Heatmap, Inspection
from app.routes.dependencies import TheService
from app.schemas import Prediction
from app.upload import receive

router = APIRouter(tags=["predict"])


@dataclass(frozen=True)
class Call:
    """What the three routes have in common."""

    request: Request
    service: TheService
    heatmap: Annotated[
        Heatmap, Query(description="The picture in the reply. gray is cheap; a full-size overlay costs most of all.")
    ] = "gray"
    deadline_ms: Annotated[
        int | None,
        Header(alias="X-Deadline-Ms", ge=1, le=3_600_000, description="Time for this request, in milliseconds."),
    ] = None

    async def answer(self, model: str, version: int | None = None) -> Response:
        """Raises what the table of app.errors holds."""
        service = self.service
        loaded = service.registry.catalogue.find(model, version)
        service.queue.check()
        as_png = _wants_png(self.request.headers.get("accept", ""))
        async with _time_limit(self.deadline_ms or service.settings.deadline_ms) as limit:
            upload = await receive(self.request, service.settings.max_bytes)
            with service.queue.place():
                async with _ended_by_disconnect(self.request, limit):
                    inspection = await service.inspector.inspect(upload, loaded, "overlay" if as_png else self.heatmap)
                    reply = _png_reply if as_png else _json_reply  # an overlay may be large: not on the event loop
                    return await asyncio.get_running_loop().run_in_executor(service.workers, reply, inspection)


TheCall = Annotated[Call, Depends()]


@router.post("/predict", response_model=Prediction, responses=PREDICT_REPLIES, openapi_extra=UPLOAD)
async def predict_by_default_model(call: TheCall) -> Response:
    """Judge an image by the default model: the configured one, else the only one in the store."""
    return await call.answer(call.service.registry.catalogue.default(call.service.settings.default_model))


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
async def predict_by_version(call: TheCall, model: str, version: Annotated[int, Path(ge=1)]) -> Response:
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
