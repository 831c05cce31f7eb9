"""What is loaded."""

from fastapi import APIRouter

from app.documentation import problems
from app.errors import NotReadyError
from app.monitoring.statistics import ModelStatistics
from app.routes.dependencies import TheService
from app.schemas import ModelInfo, ModelList
from model.errors import UnknownModelError

router = APIRouter(tags=["models"])


@router.get("/v1/models")
async def list_models(service: TheService) -> ModelList:
    """Every model of the store with its loaded and its refused versions."""
    return ModelList.of(service.model_manager.snapshot)


@router.get("/v1/models/{model}", responses=problems(UnknownModelError, NotReadyError))
async def show_model(model: str, service: TheService) -> ModelInfo:
    """One model: its versions, input size, thresholds and their rule, defect rate and measured figures."""
    return ModelInfo.of(model, service.model_manager.snapshot.model(model))


@router.get("/v1/models/{model}/stats", responses=problems(UnknownModelError, NotReadyError))
async def show_statistics(model: str, service: TheService) -> ModelStatistics:
    """What it was asked and said in the last five minutes, and how long that took. /metrics has it for programs."""
    service.model_manager.snapshot.model(model)
    return service.statistics.of(model)
