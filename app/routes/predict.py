"""The verdict on an image."""

import asyncio
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Query, Response

from app.catalogue import Loaded
from app.documentation import PREDICT_REPLIES, UPLOAD
from app.inspection import Heatmap, Inspection
from app.routes.call import Call, TheCall, Version
from app.schemas import Prediction
from app.upload import Upload

router = APIRouter(tags=["predict"])

TheHeatmap = Annotated[
    Heatmap, Query(description="The picture in the reply. gray is cheap; a full-size overlay costs most of all.")
]


@router.post("/predict", response_model=Prediction, responses=PREDICT_REPLIES, openapi_extra=UPLOAD)
async def predict_by_default_model(call: TheCall, heatmap: TheHeatmap = "gray") -> Response:
    """Judge an image by the default model: the configured one, else the only one in the store."""
    registry = call.service.registry
    model = registry.catalogue.default(call.service.settings.default_model, registry.required)
    return await _answer(call, call.find(model), heatmap)


@router.post("/v1/models/{model}/predict", response_model=Prediction, responses=PREDICT_REPLIES, openapi_extra=UPLOAD)
async def predict(call: TheCall, model: str, heatmap: TheHeatmap = "gray") -> Response:
    """Judge an image by a model's newest version."""
    return await _answer(call, call.find(model), heatmap)


@router.post(
    "/v1/models/{model}/versions/{version}/predict",
    response_model=Prediction,
    responses=PREDICT_REPLIES,
    openapi_extra=UPLOAD,
)
async def predict_by_version(call: TheCall, model: str, version: Version, heatmap: TheHeatmap = "gray") -> Response:
    """Judge an image by one version of a model."""
    return await _answer(call, call.find(model, version), heatmap)


async def _answer(call: Call, loaded: Loaded, heatmap: Heatmap) -> Response:
    service = call.service
    as_png = _wants_png(call.request.headers.get("accept", ""))

    async def reply(upload: Upload) -> Response:
        inspection = await service.inspector.inspect(upload, loaded, "overlay" if as_png else heatmap)
        make = _png_reply if as_png else _json_reply  # an overlay may be large: not on the event loop
        return await asyncio.get_running_loop().run_in_executor(service.workers, make, inspection)

    return await call.answer(loaded, reply)


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
