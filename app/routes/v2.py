"""Open Inference Protocol v2 over HTTP, as KServe and Triton speak it."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from fastapi.exceptions import RequestValidationError

from app.admission import Admitted
from app.body.upload import Upload
from app.documentation import INFER_REPLIES, VERSION, problems
from app.errors import NotReadyError
from app.latency_estimator import Kind
from app.routes.dependencies import TheService
from app.routes.health import unwell
from app.routes.request_scope import Positive, RequestScope, TheRequestScope, Version
from app.v2.infer import infer
from app.v2.request import read_order
from app.v2.schemas import INFER_BODY, InferReply, Live, ModelMetadata, ModelReady, Ready, ServerMetadata
from model.errors import UnknownModelError, UnknownVersionError

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol v2"])

UNREADY = problems(NotReadyError)
UNKNOWN = problems(UnknownModelError, NotReadyError)
UNKNOWN_VERSION = problems(RequestValidationError, UnknownModelError, UnknownVersionError, NotReadyError)
JSON_LENGTH = "Inference-Header-Content-Length"

TheJsonLength = Annotated[
    Positive | None, Header(alias=JSON_LENGTH, description="Bytes of JSON, where binary data follows it.")
]


@router.get("")
async def server_metadata() -> ServerMetadata:
    """What the server is."""
    return ServerMetadata(name="camspector", version=VERSION, extensions=["binary_tensor_data"])


@router.get("/health/live", response_model=Live, responses=UNREADY)
async def server_live(request: Request, service: TheService) -> Response | Live:
    """As /livez."""
    return unwell(request, service.dead()) or Live(live=True)


@router.get("/health/ready", response_model=Ready, responses=UNREADY)
async def server_ready(request: Request, service: TheService) -> Response | Ready:
    """As /readyz."""
    return unwell(request, service.unready()) or Ready(ready=True)


@router.get("/models/{model}", responses=UNKNOWN)
async def model_metadata(service: TheService, model: str) -> ModelMetadata:
    """What a model takes and gives, by the version that serves."""
    snapshot = service.registry.snapshot
    return ModelMetadata.of(snapshot.model(model), snapshot.find(model))


@router.get("/models/{model}/versions/{version}", responses=UNKNOWN_VERSION)
async def version_metadata(service: TheService, model: str, version: Version) -> ModelMetadata:
    """What one version takes and gives."""
    snapshot = service.registry.snapshot
    return ModelMetadata.of(snapshot.model(model), snapshot.find(model, version))


@router.get("/models/{model}/ready", responses=UNKNOWN)
async def model_ready(service: TheService, model: str) -> ModelReady:
    """Whether a version of the model is loaded and self-tested."""
    return ModelReady(name=service.registry.snapshot.find(model).model, ready=True)


@router.get("/models/{model}/versions/{version}/ready", responses=UNKNOWN_VERSION)
async def version_ready(service: TheService, model: str, version: Version) -> ModelReady:
    """Whether this version is loaded and self-tested."""
    return ModelReady(name=service.registry.snapshot.find(model, version).model, ready=True)


@router.post("/models/{model}/infer", response_model=InferReply, responses=INFER_REPLIES, openapi_extra=INFER_BODY)
async def infer_by_model(call: TheRequestScope, model: str, json_length: TheJsonLength = None) -> Response:
    """Judge a batch of images by the version that serves."""
    return await _answer(call, model, None, json_length)


@router.post(
    "/models/{model}/versions/{version}/infer",
    response_model=InferReply,
    responses=INFER_REPLIES,
    openapi_extra=INFER_BODY,
)
async def infer_by_version(
    call: TheRequestScope, model: str, version: Version, json_length: TheJsonLength = None
) -> Response:
    """Judge a batch of images by one version of a model."""
    return await _answer(call, model, version, json_length)


async def _answer(call: RequestScope, model: str, version: int | None, json_length: int | None) -> Response:
    loaded, settings, pipeline = call.find(model, version), call.service.settings, call.service.pipeline

    async def reply(upload: Upload, admitted: Admitted) -> Response:
        order = await pipeline.work(
            lambda: read_order(upload.content(), json_length, loaded.detector.input_size, settings.max_batch)
        )
        kind = Kind.of(loaded.key, len(upload.body) // order.size)
        admitted.work.end()  # as one image of the whole body's size
        call.service.admission.check_time(kind, admitted.until - asyncio.get_running_loop().time(), images=order.size)
        with call.service.latency.work(kind, order.size):
            said = await infer(order, loaded, pipeline, kind, admitted.until)
        if not said.binary:
            return Response(said.json, media_type="application/json")
        headers = {JSON_LENGTH: str(len(said.json))}
        return Response(said.json + said.binary, headers=headers, media_type="application/octet-stream")

    return await call.answer(loaded, reply)
