"""Open Inference Protocol v2 over HTTP, as KServe and Triton speak it."""

import asyncio
import time
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from fastapi.exceptions import RequestValidationError

from app.body.upload import Upload
from app.documentation import INFER_REPLIES, VERSION, problems
from app.errors import EmptyImageError, NotReadyError
from app.inference.admission import Admitted
from app.inference.latency_estimator import Kind
from app.inference.pipeline import InspectionResult, Pipeline, PreprocessedImage
from app.models.model_snapshot import LoadedModel
from app.monitoring.request_record import Step
from app.records.inspection import Inspection
from app.routes.dependencies import TheService
from app.routes.health import unwell
from app.routes.recording import Recording
from app.routes.request_scope import Positive, RequestScope, TheRequestScope, Version
from app.v2.message import JSON_LENGTH
from app.v2.reply import encode_reply
from app.v2.request import InferRequest, read_request
from app.v2.schemas import INFER_BODY, InferReply, Live, ModelMetadata, ModelReady, Ready, ServerMetadata
from model.errors import ImageError, UnknownModelError, UnknownVersionError

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol v2"])

UNREADY = problems(NotReadyError)
UNKNOWN = problems(UnknownModelError, NotReadyError)
UNKNOWN_VERSION = problems(RequestValidationError, UnknownModelError, UnknownVersionError, NotReadyError)

TheJsonLength = Annotated[
    Positive | None, Header(alias=JSON_LENGTH, description="Bytes of JSON, where binary data follows it.")
]


@router.get("")
async def server_metadata() -> ServerMetadata:
    """Name, version and extensions of the server."""
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
    """Inputs and outputs of a model, by the version that serves."""
    snapshot = service.model_manager.snapshot
    return ModelMetadata.of(snapshot.model(model), snapshot.know(model))


@router.get("/models/{model}/versions/{version}", responses=UNKNOWN_VERSION)
async def version_metadata(service: TheService, model: str, version: Version) -> ModelMetadata:
    """Inputs and outputs of one version."""
    snapshot = service.model_manager.snapshot
    return ModelMetadata.of(snapshot.model(model), snapshot.know(model, version))


@router.get("/models/{model}/ready", responses=UNKNOWN)
async def model_ready(service: TheService, model: str) -> ModelReady:
    """Whether a version of the model is self-tested, and loaded, or will be when it is asked for."""
    return ModelReady(name=service.model_manager.snapshot.know(model).model, ready=True)


@router.get("/models/{model}/versions/{version}/ready", responses=UNKNOWN_VERSION)
async def version_ready(service: TheService, model: str, version: Version) -> ModelReady:
    """Whether this version is self-tested, and loaded, or will be when it is asked for."""
    return ModelReady(name=service.model_manager.snapshot.know(model, version).model, ready=True)


@router.post("/models/{model}/infer", response_model=InferReply, responses=INFER_REPLIES, openapi_extra=INFER_BODY)
async def infer_by_model(scope: TheRequestScope, model: str, json_length: TheJsonLength = None) -> Response:
    """Inspect a batch of images by the version that serves."""
    return await _answer(scope, model, None, json_length)


@router.post(
    "/models/{model}/versions/{version}/infer",
    response_model=InferReply,
    responses=INFER_REPLIES,
    openapi_extra=INFER_BODY,
)
async def infer_by_version(
    scope: TheRequestScope, model: str, version: Version, json_length: TheJsonLength = None
) -> Response:
    """Inspect a batch of images by one version of a model."""
    return await _answer(scope, model, version, json_length)


async def _answer(scope: RequestScope, model: str, version: int | None, json_length: int | None) -> Response:
    service, loaded = scope.service, await scope.find(model, version)
    frame, max_batch, pipeline = loaded.detector.frame_size, service.settings.max_batch, service.inference.pipeline

    async def reply(upload: Upload, admitted: Admitted) -> Response:
        request = await pipeline.in_executor(lambda: read_request(upload.content(), json_length, frame, max_batch))
        kind = Kind.of(loaded.key, len(upload.body) // request.size)
        admitted.work.end()  # as one image of the whole body's size
        left = admitted.until - asyncio.get_running_loop().time()
        service.admission.check_time(kind, left, images=request.size)
        recording = Recording.of(scope, loaded)

        def encode(results: list[InspectionResult]) -> tuple[Response, list[Inspection]]:
            return encode_reply(request, loaded, results), [
                Inspection.of(
                    result,
                    recording.basis,
                    recording.origin,
                    recording.sha256(result.image.encoded),
                    request.options.regions,
                )
                for result in results
            ]

        with service.inference.latency.work(kind, request.size) as work:
            batch = replace(admitted, kind=kind, work=work)
            images = await _decode(request, loaded, pipeline, admitted.until)
            response, inspections = await pipeline.inspect(images, loaded, request.options, batch, encode)
        left = admitted.until - asyncio.get_running_loop().time()
        return await recording.keep(response, inspections, [image.encoded for image in images], left)

    return await scope.answer(loaded, reply)


async def _decode(
    request: InferRequest, loaded: LoadedModel, pipeline: Pipeline, until: float
) -> list[PreprocessedImage]:
    """One after the other, so that it is the first bad image that is named, and a big batch has one codec process.

    Raises ImageError or EmptyImageError that names the image, or RefusedError.
    """
    if request.pixels is not None:
        sent = Step("decode", time.perf_counter(), 0.0)
        size = loaded.detector.frame_size
        return [PreprocessedImage(await pipeline.fill(pixels, loaded), *size, sent) for pixels in request.pixels]
    images = []
    for index, image in enumerate(request.images):
        if not image:
            raise EmptyImageError(f"image {index} has no bytes")
        try:
            images.append(await pipeline.decode(image, loaded, until))
        except ImageError as error:
            raise type(error)(f"image {index}: {error}") from error
    return images
