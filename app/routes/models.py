"""What is loaded."""

import asyncio

import numpy as np
from fastapi import APIRouter, Response

from app.challenge.outcomes import ChallengeStatistics
from app.documentation import problems
from app.drift.monitor import DriftStatistics
from app.errors import NotReadyError
from app.monitoring.statistics import ModelStatistics
from app.routes.dependencies import TheService
from app.routes.request_scope import Version
from app.schemas import ModelInfo, ModelList
from model.errors import UnknownModelError, UnknownVersionError
from model.roi import Roi

router = APIRouter(tags=["models"])


class Statistics(ModelStatistics):
    """Of a model: the last minutes, and what is watched for longer."""

    challenge: ChallengeStatistics
    drift: DriftStatistics


@router.get("/v1/models")
async def list_models(service: TheService) -> ModelList:
    """Every model of the store with its loaded and its refused versions."""
    return ModelList.of(service.model_manager.snapshot)


@router.get("/v1/models/{model}", responses=problems(UnknownModelError, NotReadyError))
async def show_model(model: str, service: TheService) -> ModelInfo:
    """One model: its versions, input size, thresholds and their rule, defect rate and measured figures."""
    return ModelInfo.of(model, service.model_manager.snapshot.model(model))


@router.get(
    "/v1/models/{model}/versions/{version}/roi.png",
    response_class=Response,
    responses={
        200: {"description": "PNG.", "content": {"image/png": {}}},
        **problems(UnknownModelError, UnknownVersionError, NotReadyError),
    },
)
async def show_roi(model: str, version: Version, service: TheService) -> Response:
    """Where images of a loaded version count: white, as large as its frame. All white where everything does."""
    detector = service.model_manager.snapshot.find(model, version).detector
    roi = detector.roi or Roi(np.ones(detector.frame_size[::-1], np.bool_))
    return Response(await asyncio.to_thread(lambda: roi.png), media_type="image/png")


@router.get("/v1/models/{model}/stats", responses=problems(UnknownModelError, NotReadyError))
async def show_statistics(model: str, service: TheService) -> Statistics:
    """What it was asked and said in the last five minutes, and how long that took. /metrics has it for programs."""
    service.model_manager.snapshot.model(model)
    lately = service.statistics.of(model)
    challenge, drift = service.challenges.of(model), service.drift.of(model)
    return Statistics(**lately.model_dump(), challenge=challenge, drift=drift)
