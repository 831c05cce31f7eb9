"""POST /predict and its like: the verdict on one image."""

import re
import time
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends, Query, Request, Response

from app.body.upload import Upload
from app.documentation import PREDICT_REPLIES, UPLOAD
from app.inference.admission import Admitted
from app.inference.pipeline import Heatmap, InspectionResult, RenderOptions
from app.models.model_snapshot import LoadedModel
from app.monitoring.request_record import current
from app.part_id import part_id_text
from app.routes.request_scope import RequestScope, TheRequestScope, Version
from app.schemas import Prediction
from model.errors import UndecodableImageError, UnsupportedFormatError

router = APIRouter(tags=["predict"])


async def _render_options(
    request: Request,
    heatmap: Annotated[
        Heatmap, Query(description="The heatmap in the reply. gray is cheap; a full-size overlay costs most of all.")
    ] = "gray",
    regions: Annotated[bool, Query(description="Whether regions are looked for; without, the list is empty.")] = True,
) -> RenderOptions:
    return RenderOptions("overlay" if _wants_png(request) else heatmap, regions)


TheRenderOptions = Annotated[RenderOptions, Depends(_render_options)]


@router.post("/predict", response_model=Prediction, responses=PREDICT_REPLIES, openapi_extra=UPLOAD)
async def predict_by_default_model(scope: TheRequestScope, options: TheRenderOptions) -> Response:
    """Inspect an image by the default model: the configured one, else the only one that is loaded."""
    model = scope.service.model_manager.snapshot.default(scope.service.settings.default_model)
    return await _answer(scope, scope.find(model), options)


@router.post("/v1/models/{model}/predict", response_model=Prediction, responses=PREDICT_REPLIES, openapi_extra=UPLOAD)
async def predict(scope: TheRequestScope, model: str, options: TheRenderOptions) -> Response:
    """Inspect an image by the version of a model that serves: the newest, or the one that serving.json names."""
    return await _answer(scope, scope.find(model), options)


@router.post(
    "/v1/models/{model}/versions/{version}/predict",
    response_model=Prediction,
    responses=PREDICT_REPLIES,
    openapi_extra=UPLOAD,
)
async def predict_by_version(
    scope: TheRequestScope, model: str, version: Version, options: TheRenderOptions
) -> Response:
    """Inspect an image by one version of a model."""
    return await _answer(scope, scope.find(model, version), options)


async def _answer(scope: RequestScope, loaded: LoadedModel, options: RenderOptions) -> Response:
    pipeline, record = scope.service.pipeline, current.get()
    part_id = part_id_text(record.part_id) if record and record.part_id else None
    as_png, inference_id = _wants_png(scope.request), uuid4().hex
    if record and not as_png:
        record.inference_id = inference_id

    def encode(results: list[InspectionResult]) -> Response:
        (result,) = results
        return _png_reply(result) if as_png else _json_reply(result, loaded, inference_id, part_id)

    async def reply(upload: Upload, admitted: Admitted) -> Response:
        began = time.perf_counter()
        image = upload.body if upload.is_image else await pipeline.in_executor(upload.image)
        read_seconds = time.perf_counter() - began
        try:
            decoded = await pipeline.decode(image, loaded, admitted.until, read_seconds)
        except (UnsupportedFormatError, UndecodableImageError) as error:
            raise type(error)(f"{error}{upload.advice()}") from error
        return await pipeline.inspect([decoded], loaded, options, admitted, encode)

    return await scope.answer(loaded, reply, overlay=options.heatmap == "overlay")


def _wants_png(request: Request) -> bool:
    """Whether PNG is accepted and JSON isn't. Quality 0 means not acceptable (RFC 9110, section 12.4.2)."""
    accepted = set()
    for each in request.headers.get("accept", "").lower().split(","):
        media_type, *parameters = (piece.strip() for piece in each.split(";"))
        if not any(re.fullmatch(r"q=0(\.0*)?", parameter) for parameter in parameters):
            accepted.add(media_type)
    return "image/png" in accepted and "application/json" not in accepted


def _json_reply(result: InspectionResult, loaded: LoadedModel, inference_id: str, part_id: str | None) -> Response:
    prediction = Prediction.of(result, loaded, inference_id, part_id)
    return Response(prediction.model_dump_json(), media_type="application/json")


def _png_reply(result: InspectionResult) -> Response:
    verdict = result.verdict
    headers = {
        "X-Camspector-Label": verdict.label,
        "X-Camspector-Decision": verdict.decision,
        "X-Camspector-Probability": f"{verdict.probability:.6g}",
    }
    return Response(result.png, media_type="image/png", headers=headers)
