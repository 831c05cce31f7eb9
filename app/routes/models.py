"""What is loaded."""

from fastapi import APIRouter

from app.challenge.outcomes import ChallengeStatistics
from app.documentation import problems
from app.drift.monitor import DriftStatistics
from app.errors import NotReadyError
from app.monitoring.statistics import ModelStatistics
from app.routes.dependencies import TheService
from app.schemas import ModelInfo, ModelList
from model.errors import UnknownModelError

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


@router.get("/v1/models/{model}/stats", responses=problems(UnknownModelError, NotReadyError))
async def show_statistics(model: str, service: TheService) -> Statistics:
    """What it was asked and said in the last five minutes, and how long that took. /metrics has it for programs."""
    service.model_manager.snapshot.model(model)
    lately = service.statistics.of(model)
    challenge, drift = service.challenges.of(model), service.drift.of(model)
    return Statistics(**lately.model_dump(), challenge=challenge, drift=drift)
