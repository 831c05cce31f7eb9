"""Errors of the HTTP API: one table from error class to status, one body (RFC 9457) for all."""

import math
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import ClassVar, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.addresses import path_of
from app.monitoring.request_record import current
from model import errors as model_errors
from model.errors import CamspectorError


class RequestError(CamspectorError):
    """The request can't be understood."""


class MissingFieldError(RequestError):
    """The body has no image where one is expected."""


class MalformedBodyError(RequestError):
    """The body isn't the multipart, JSON or base64 that it claims to be."""


class EmptyImageError(RequestError):
    """The body, or the field with the image, has no bytes."""


class BodyTooLargeError(RequestError):
    """More bytes than the limit."""


class UnsupportedEncodingError(RequestError):
    """The body has a Content-Encoding that isn't taken."""

    headers: ClassVar = {"Accept-Encoding": "gzip, deflate"}


class TensorError(RequestError):
    """Under /v2: a tensor isn't one that the model takes or gives, or its data doesn't fit its shape."""


class BatchTooLargeError(RequestError):
    """Under /v2: more images in one request than the limit."""


class SlowBodyError(RequestError):
    """The request's body didn't arrive in time."""


class RefusedError(CamspectorError):
    """The request is fine, but can't be served now."""

    def __init__(self, reason: str, retry_after_ms: int | None = None) -> None:
        """`retry_after_ms`: when the same request may succeed, where it was measured."""
        super().__init__(reason)
        self.retry_after_ms = retry_after_ms


class QueueFullError(RefusedError):
    """As many requests are being worked on as the settings allow."""


class DeadlineUnreachableError(RefusedError):
    """At the measured speed the answer would come after the deadline."""


class NotReadyError(RefusedError):
    """What serves this request isn't loaded yet."""


class CodecsUnavailableError(RefusedError):
    """No process that decodes images can be started, or lives until it has an image: the system has no room for it."""


class RecordsUnavailableError(RefusedError):
    """The inspection records can't be read or written now."""


class DeadlineError(RefusedError):
    """The request's time ran out before its answer was there."""


class NoRecordsError(CamspectorError):
    """The service keeps no inspection records."""


class UnknownInspectionError(CamspectorError):
    """No inspection with that id is in the records."""


class ImageNotKeptError(CamspectorError):
    """The inspection is in the records, its image isn't."""


class IdempotencyKeyError(RequestError):
    """The idempotency key was sent before, with other bytes or for another model."""


class AccessError(CamspectorError):
    """The request isn't let in."""


class UnknownHostError(AccessError):
    """The Host header names none of the allowed hosts."""


class KeyMissingError(AccessError):
    """A key is needed, and none was sent."""

    headers: ClassVar = {"WWW-Authenticate": "Bearer"}


class KeyUnknownError(KeyMissingError):
    """The key that was sent isn't one."""


class KeyNotAllowedError(AccessError):
    """The key's role isn't enough."""


class AdminNeedsKeysError(AccessError):
    """Without keys nobody is an administrator."""


class NoReportError(CamspectorError):
    """The version has no report that can be given out."""


@dataclass(frozen=True)
class Problem:
    """One row of the table."""

    status: int
    error: str
    """Short and stable: what a program tests for."""
    retry_after: int | None = None
    """Seconds after which the same request may succeed."""


TABLE: Final[dict[type[Exception], Problem]] = {
    MissingFieldError: Problem(400, "missing-field"),
    MalformedBodyError: Problem(400, "malformed-body"),
    EmptyImageError: Problem(400, "empty-image"),
    RequestValidationError: Problem(400, "bad-parameter"),
    TensorError: Problem(400, "bad-tensor"),
    BatchTooLargeError: Problem(400, "batch-too-large"),
    model_errors.ServingError: Problem(400, "bad-serving"),
    model_errors.RecipesError: Problem(400, "bad-recipes"),
    UnknownHostError: Problem(400, "unknown-host"),
    KeyMissingError: Problem(401, "key-missing"),
    KeyUnknownError: Problem(401, "key-unknown"),
    KeyNotAllowedError: Problem(403, "key-not-allowed"),
    AdminNeedsKeysError: Problem(403, "admin-needs-keys"),
    model_errors.UnknownModelError: Problem(404, "unknown-model"),
    model_errors.UnknownVersionError: Problem(404, "unknown-version"),
    model_errors.UnknownRecipeError: Problem(404, "unknown-recipe"),
    NoReportError: Problem(404, "no-report"),
    NoRecordsError: Problem(404, "no-records"),
    UnknownInspectionError: Problem(404, "unknown-inspection"),
    ImageNotKeptError: Problem(404, "image-not-kept"),
    SlowBodyError: Problem(408, "slow-body"),
    model_errors.PinError: Problem(409, "version-not-usable"),
    model_errors.StoreError: Problem(409, "store-not-usable"),
    model_errors.ChallengeError: Problem(409, "challenge-not-usable"),
    BodyTooLargeError: Problem(413, "body-too-large"),
    model_errors.ImageTooLargeError: Problem(413, "image-too-large"),
    model_errors.UnsupportedFormatError: Problem(415, "unsupported-format"),
    UnsupportedEncodingError: Problem(415, "unsupported-encoding"),
    model_errors.UndecodableImageError: Problem(422, "undecodable-image"),
    model_errors.MultipleFramesError: Problem(422, "multiple-frames"),
    model_errors.ImageTooCostlyError: Problem(422, "image-too-costly"),
    IdempotencyKeyError: Problem(422, "idempotency-key-reused"),
    model_errors.BrightnessError: Problem(422, "brightness-beyond-scale"),
    model_errors.FrameSizeError: Problem(422, "frame-size"),
    QueueFullError: Problem(429, "queue-full", retry_after=1),
    DeadlineUnreachableError: Problem(429, "deadline-unreachable", retry_after=1),
    ClientDisconnect: Problem(499, "client-gone"),  # not sent to anyone, but counted in the metrics
    NotReadyError: Problem(503, "not-ready", retry_after=5),
    CodecsUnavailableError: Problem(503, "codecs-unavailable", retry_after=1),
    RecordsUnavailableError: Problem(503, "records-unavailable", retry_after=1),
    model_errors.DeviceMemoryError: Problem(503, "device-out-of-memory", retry_after=1),
    model_errors.EngineError: Problem(503, "engine-failed", retry_after=1),
    DeadlineError: Problem(504, "deadline-passed"),
    Exception: Problem(500, "internal-error"),  # a bug
}


class ProblemBody(BaseModel):
    """The body of every error."""

    type: str
    title: str
    status: int
    detail: str = Field(description="What is wrong with this request, for people.")
    error: str = Field(
        description="Short and stable, for programs. Under /v2 a colon and the detail follow it: clients of that "
        "protocol show nothing else."
    )
    request_id: str = Field(description="The reply's X-Request-ID; the service's log has it too.")
    retry_after_ms: int | None = Field(None, description="As Retry-After, which is rounded up to whole seconds.")

    @staticmethod
    def of(problem: Problem, detail: str, request_id: str, retry_after_ms: int | None = None) -> "ProblemBody":
        return ProblemBody(
            type=f"urn:camspector:error:{problem.error}",
            title=problem.error.replace("-", " ").capitalize(),
            status=problem.status,
            detail=detail,
            error=problem.error,
            request_id=request_id,
            retry_after_ms=retry_after_ms,
        )


def problem_of(error: Exception) -> Problem:
    """The row of the error's class, or of its nearest base."""
    if isinstance(error, HTTPException):  # the framework's own: no such path, wrong method
        return Problem(error.status_code, _slug(HTTPStatus(error.status_code).phrase))
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def problem_response(request: Request, error: Exception) -> Response:
    """`error` as application/problem+json (RFC 9457)."""
    problem = problem_of(error)
    if record := current.get():
        record.error = problem.error
    headers = dict(getattr(error, "headers", None) or {})  # of the framework's own, as Allow
    wait_ms = getattr(error, "retry_after_ms", None) or (problem.retry_after and 1000 * problem.retry_after)
    if wait_ms:
        headers["Retry-After"] = str(math.ceil(wait_ms / 1000))
    body = ProblemBody.of(problem, _detail(error), request.state.request_id, wait_ms)
    if is_v2(request):
        problem = under_v2(problem)
        body = body.model_copy(update={"status": problem.status, "error": f"{body.error}: {body.detail}"})
    return Response(body.model_dump_json(exclude_none=True), problem.status, headers, "application/problem+json")


def refusal(request: Request, error: Exception) -> Response:
    """`problem_response`, counted in the service's metrics."""
    request.app.state.service.metrics.rejected.labels(problem_of(error).error).inc()
    return problem_response(request, error)


def is_v2(request: Request) -> bool:
    """Whether the address is one of the Open Inference Protocol."""
    path = path_of(request.scope)
    return path == "/v2" or path.startswith("/v2/")


def under_v2(problem: Problem) -> Problem:
    """The protocol knows 400 alone for what is wrong with an image."""
    return replace(problem, status=400) if problem.status in (415, 422) else problem


def install_handlers(app: FastAPI) -> None:
    """Answer every error of the table, and the framework's own, with a problem."""

    async def answer(request: Request, error: Exception) -> Response:
        return refusal(request, error)

    kinds: set[type[Exception]] = {HTTPException, *TABLE}
    for kind in kinds - {Exception}:  # bugs pass through to app.middleware.request_context
        app.add_exception_handler(kind, answer)


def _detail(error: Exception) -> str:
    if isinstance(error, RequestValidationError):
        return "; ".join(f"{'.'.join(str(step) for step in each['loc'])}: {each['msg']}" for each in error.errors())
    if isinstance(error, HTTPException):
        return str(error.detail)
    if isinstance(error, model_errors.EngineError):
        return "The device failed or is out of memory; the service's log has the details."
    if isinstance(error, CamspectorError):
        return str(error)
    return "Not the request's fault; the service's log has the details under this request_id."


def _slug(phrase: str) -> str:
    return phrase.lower().replace(" ", "-")
