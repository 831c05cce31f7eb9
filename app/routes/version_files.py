"""Files of a version, as training made them: its report, and where its images count."""

import asyncio
from typing import Final

import numpy as np
from fastapi import APIRouter, Response

from app.documentation import problems
from app.errors import DeadlineError, NoReportError, NotReadyError
from app.routes.dependencies import TheService
from app.routes.request_scope import Version
from model.errors import StoreError, UnknownModelError, UnknownVersionError
from model.roi import Roi

WAIT_SECONDS: Final = 30.0
"""For the store, and for a version that is just being loaded."""

_HEADERS: Final = {
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; sandbox",  # a stranger's file: it runs nothing, and asks nobody
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_DECLARED: Final = {name: {"schema": {"type": "string"}, "required": True} for name in _HEADERS}
_PROBLEMS: Final = problems(NoReportError, UnknownModelError, UnknownVersionError, StoreError, DeadlineError)

router = APIRouter(prefix="/v1/models/{model}/versions/{version}", tags=["models"], responses=_PROBLEMS)


@router.get(
    "/report",
    response_class=Response,
    responses={200: {"description": "HTML.", "content": {"text/html": {}}, "headers": _DECLARED}},
)
async def report(model: str, version: Version, service: TheService) -> Response:
    """The version's report for people: what it was made from, and how good it was measured to be."""
    return Response(
        await _read(service, model, version, "report/report.html"), media_type="text/html", headers=_HEADERS
    )


@router.get(
    "/report.json",
    response_class=Response,
    responses={200: {"description": "JSON.", "content": {"application/json": {}}, "headers": _DECLARED}},
)
async def report_json(model: str, version: Version, service: TheService) -> Response:
    """The same for programs: figures, points of the curves, and log-odds of the measured images by kind."""
    return Response(
        await _read(service, model, version, "report/report.json"), media_type="application/json", headers=_HEADERS
    )


@router.get(
    "/roi.png",
    response_class=Response,
    responses={200: {"description": "PNG.", "content": {"image/png": {}}}, **problems(NotReadyError)},
)
async def roi(model: str, version: Version, service: TheService) -> Response:
    """Where images count for a version that can answer: white, as large as its frame. All white where everything
    does."""
    preprocessing = service.model_manager.snapshot.know(model, version).terms.manifest.preprocessing
    if preprocessing.roi:
        content = await _read(service, model, version, preprocessing.roi)
    else:
        everywhere = Roi(np.ones(preprocessing.resizing.frame_size[::-1], np.bool_))
        content = await asyncio.to_thread(lambda: everywhere.png)
    return Response(content, media_type="image/png")


async def _read(service: TheService, model: str, version: int, file: str) -> bytes:
    future = service.model_manager.read_file(model, version, file)
    try:
        return await asyncio.wait_for(asyncio.wrap_future(future), WAIT_SECONDS)
    except TimeoutError:
        raise DeadlineError(f"the store did not answer within {WAIT_SECONDS:g} s") from None
