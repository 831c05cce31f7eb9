"""POST /predict and its like: the verdict on one image."""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError

from app.body.upload import Upload
from app.documentation import PREDICT_REPLIES, UPLOAD
from app.inference.admission import Admitted
from app.inference.pipeline import Heatmap, InspectionResult, RenderOptions
from app.models.model_snapshot import LoadedModel
from app.monitoring.request_record import current
from app.part_id import HEADER
from app.plc_line import check_length, line_of
from app.records.inspection import Inspection
from app.routes.media import preferred
from app.routes.recording import IdempotencyKey, Recording
from app.routes.request_scope import RequestScope, TheRequestScope, Version
from app.schemas import Prediction
from model.errors import UndecodableImageError, UnsupportedFormatError

router = APIRouter(tags=["predict"])


async def _render_options(
    request: Request,
    heatmap: Annotated[
        Heatmap,
        Query(
            description="The heatmap in the reply. map has one pixel a patch, for the client to enlarge: cheapest; "
            "gray is as large as the network's input; a full-size overlay costs most of all."
        ),
    ] = "gray",
    regions: Annotated[bool, Query(description="Whether regions are looked for; without, the list is empty.")] = True,
) -> RenderOptions:
    return {
        "application/json": RenderOptions(heatmap, regions),
        "image/png": RenderOptions("overlay", regions),
        "text/plain": RenderOptions("none", regions=False),
    }[_form(request)]


TheRenderOptions = Annotated[RenderOptions, Depends(_render_options)]


@router.post("/predict", response_model=Prediction, responses=PREDICT_REPLIES, openapi_extra=UPLOAD)
async def predict_by_default_model(
    scope: TheRequestScope, options: TheRenderOptions, key: IdempotencyKey = None
) -> Response:
    """Inspect an image by the model of X-Recipe, else by the default one: the configured, else the only one loaded."""
    return await _answer(scope, await scope.find(), options, key)


@router.post("/v1/models/{model}/predict", response_model=Prediction, responses=PREDICT_REPLIES, openapi_extra=UPLOAD)
async def predict(
    scope: TheRequestScope, model: str, options: TheRenderOptions, key: IdempotencyKey = None
) -> Response:
    """Inspect an image by the version of a model that serves: the newest, or the one that serving.json names."""
    return await _answer(scope, await scope.find(model), options, key)


@router.post(
    "/v1/models/{model}/versions/{version}/predict",
    response_model=Prediction,
    responses=PREDICT_REPLIES,
    openapi_extra=UPLOAD,
)
async def predict_by_version(
    scope: TheRequestScope, model: str, version: Version, options: TheRenderOptions, key: IdempotencyKey = None
) -> Response:
    """Inspect an image by one version of a model."""
    return await _answer(scope, await scope.find(model, version), options, key)


async def _answer(scope: RequestScope, loaded: LoadedModel, options: RenderOptions, key: str | None) -> Response:
    pipeline, form = scope.service.inference.pipeline, _form(scope.request)
    sent_part_id = _sent_part_id()
    if form == "text/plain":
        _check_line(loaded, sent_part_id)

    def respond(inspection: Inspection, png: bytes | None) -> Response:
        if form == "image/png":
            return _png_reply(inspection, png)
        if form == "text/plain":
            return Response(line_of(inspection, sent_part_id), media_type="text/plain; charset=us-ascii")
        prediction = Prediction.of(inspection, png, regions=options.regions)
        return Response(prediction.model_dump_json(), media_type="application/json")

    async def reply(upload: Upload, admitted: Admitted) -> Response:
        recording, began = Recording.of(scope, loaded, key), time.perf_counter()
        image = upload.body if upload.is_image else await pipeline.in_executor(upload.image)
        sha256 = await pipeline.in_executor(lambda: recording.sha256(image)) if recording.recalls else None
        read_seconds = time.perf_counter() - began
        async with recording.recalled(sha256, _left(admitted)) as recalled:
            if recalled:
                png = await pipeline.draw(recalled, image, options.heatmap, admitted.until, regions=options.regions)
                response = respond(recalled, png)
                return recording.replay(response, recalled)
            try:
                decoded = await pipeline.decode(image, loaded, admitted.until, read_seconds)
            except (UnsupportedFormatError, UndecodableImageError) as error:
                raise type(error)(f"{error}{upload.advice()}") from error

            def encode(results: list[InspectionResult]) -> tuple[Response, Inspection]:
                (result,) = results
                digest = sha256 or recording.sha256(image)
                inspection = Inspection.of(result, recording.basis, recording.origin, digest, options.regions)
                return respond(inspection, result.png), inspection

            response, inspection = await pipeline.inspect([decoded], loaded, options, admitted, encode)
            return await recording.keep(response, [inspection], [image], _left(admitted))

    return await scope.answer(loaded, reply, overlay=options.heatmap == "overlay")


def _form(request: Request) -> str:
    """Media type of the reply: JSON, unless another is accepted and JSON isn't."""
    return preferred(request, ["application/json", "image/png", "text/plain"])


def _sent_part_id() -> str | None:
    record = current.get()
    return record.part_id if record else None


def _check_line(loaded: LoadedModel, part_id: str | None) -> None:
    """Raises RequestValidationError."""
    try:
        check_length(*loaded.key, part_id)
    except ValueError as error:
        raise RequestValidationError([{"loc": ("header", HEADER), "msg": str(error)}]) from None


def _left(admitted: Admitted) -> float:
    """Seconds that the request has left."""
    return admitted.until - asyncio.get_running_loop().time()


def _png_reply(inspection: Inspection, png: bytes | None) -> Response:
    verdict = inspection.verdict
    headers = {
        "X-Camspector-Label": verdict.label,
        "X-Camspector-Decision": verdict.decision,
        "X-Camspector-Probability": f"{verdict.probability:.6g}",
        "X-Camspector-Inspectable": "true" if inspection.inspectable else "false",
        "X-Camspector-Typicality": f"{inspection.typicality:.6g}",
    }
    if inspection.odd:
        headers["X-Camspector-Odd"] = ", ".join(reason.check for reason in inspection.odd)
    return Response(png, media_type="image/png", headers=headers)
