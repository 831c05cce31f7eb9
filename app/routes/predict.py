"""The verdict on an image."""

import re
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends, Query, Request, Response

from app.admission import Admitted
from app.body.upload import Upload
from app.documentation import PREDICT_REPLIES, UPLOAD
from app.model_snapshot import LoadedModel
from app.part_id import part_id_text
from app.pipeline import Heatmap, InspectionResult, RenderOptions
from app.request_record import current
from app.routes.request_scope import RequestScope, TheRequestScope, Version
from app.schemas import Prediction
from model.errors import UndecodableImageError, UnsupportedFormatError

router = APIRouter(tags=["predict"])


async def _wanted(
    request: Request,
    heatmap: Annotated[
        Heatmap, Query(description="The picture in the reply. gray is cheap; a full-size overlay costs most of all.")
    ] = "gray",
    regions: Annotated[bool, Query(description="Whether regions are looked for; without, the list is empty.")] = True,
) -> RenderOptions:
    return RenderOptions("overlay" if _wants_png(request) else heatmap, regions)


TheRenderOptions = Annotated[RenderOptions, Depends(_wanted)]


@router.post("/predict", response_model=Prediction, responses=PREDICT_REPLIES, openapi_extra=UPLOAD)
async def predict_by_default_model(call: TheRequestScope, wanted: TheRenderOptions) -> Response:
    """Judge an image by the default model: the configured one, else the only one that is loaded."""
    registry = call.service.registry
    model = registry.snapshot.default(call.service.settings.default_model, registry.required)
    return await _answer(call, call.find(model), wanted)


@router.post("/v1/models/{model}/predict", response_model=Prediction, responses=PREDICT_REPLIES, openapi_extra=UPLOAD)
async def predict(call: TheRequestScope, model: str, wanted: TheRenderOptions) -> Response:
    """Judge an image by the version of a model that serves: the newest, or the one that serving.json names."""
    return await _answer(call, call.find(model), wanted)


@router.post(
    "/v1/models/{model}/versions/{version}/predict",
    response_model=Prediction,
    responses=PREDICT_REPLIES,
    openapi_extra=UPLOAD,
)
async def predict_by_version(call: TheRequestScope, model: str, version: Version, wanted: TheRenderOptions) -> Response:
    """Judge an image by one version of a model."""
    return await _answer(call, call.find(model, version), wanted)


async def _answer(call: RequestScope, loaded: LoadedModel, wanted: RenderOptions) -> Response:
    pipeline, record = call.service.pipeline, current.get()
    part_id = part_id_text(record.part_id) if record and record.part_id else None
    png = _wants_png(call.request)

    async def reply(upload: Upload, admitted: Admitted) -> Response:
        try:
            inspection = await pipeline.inspect(upload, loaded, wanted, admitted)
        except (UnsupportedFormatError, UndecodableImageError) as error:
            raise type(error)(f"{error}{upload.advice()}") from error
        # An overlay may be large: not on the event loop.
        return await pipeline.work(lambda: _png_reply(inspection) if png else _json_reply(inspection, part_id))

    return await call.answer(loaded, reply, overlay=wanted.heatmap == "overlay")


def _wants_png(request: Request) -> bool:
    """Where PNG is asked for and JSON isn't. A kind of quality 0 is one not wanted (RFC 9110, section 12.4.2)."""
    wanted = set()
    for each in request.headers.get("accept", "").lower().split(","):
        kind, *parameters = (part.strip() for part in each.split(";"))
        if not any(re.fullmatch(r"q=0(\.0*)?", parameter) for parameter in parameters):
            wanted.add(kind)
    return "image/png" in wanted and "application/json" not in wanted


def _json_reply(inspection: InspectionResult, part_id: str | None) -> Response:
    prediction = Prediction.of(inspection, uuid4().hex, part_id)
    return Response(prediction.model_dump_json(), media_type="application/json")


def _png_reply(inspection: InspectionResult) -> Response:
    verdict = inspection.verdict
    headers = {
        "X-Camspector-Label": verdict.label,
        "X-Camspector-Decision": verdict.decision,
        "X-Camspector-Probability": f"{verdict.probability:.6g}",
    }
    return Response(inspection.picture, media_type="image/png", headers=headers)
