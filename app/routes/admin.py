"""Changing what serves, without a restart."""

import asyncio
from concurrent.futures import Future
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from app.body.upload import receive
from app.documentation import AUDITED, RECIPES_BODY, SERVING_BODY, problems
from app.drift.monitor import DriftAlarm
from app.errors import (
    AdminNeedsKeysError,
    BodyTooLargeError,
    DeadlineError,
    KeyNotAllowedError,
    MalformedBodyError,
    NoRecordsError,
    NotReadyError,
    QueueFullError,
    RecordsUnavailableError,
    SlowBodyError,
    UnsupportedEncodingError,
)
from app.middleware.keys import Key
from app.records.schemas import AuditPage, ChangeInfo
from app.routes.dependencies import TheService
from app.routes.inspections import the_records
from app.routes.recipes import RecipeList
from app.routes.recording import RECORDED
from app.routes.request_scope import Positive
from app.schemas import Change, ModelInfo, Reloaded
from model import recipes
from model import serving as servings
from model.errors import PinError, RecipesError, ServingError, StoreError, UnknownModelError


class Acknowledged(BaseModel):
    """What an administrator has taken note of."""

    acknowledged: list[DriftAlarm]


MAX_BYTES: Final = 10_000
"""Of a serving.json."""
MAX_RECIPES_BYTES: Final = 1_000_000
"""Of a recipes.json: some ten thousand products."""
WAIT_SECONDS: Final = 60.0
"""For a version to be loaded and tested."""


async def only_admin(request: Request) -> None:
    """Dependency: an administrator's key was shown. Raises AdminNeedsKeysError or KeyNotAllowedError."""
    key: Key | None = request.state.key
    if key is None:
        raise AdminNeedsKeysError("who may change what serves is not settled: start the service with --keys-file")
    if key.role != "admin":
        raise KeyNotAllowedError(f"the key {key.name!r} has the role {key.role}; this needs admin")


_OF_WRITING: Final = (
    UnsupportedEncodingError,
    MalformedBodyError,
    PinError,
    StoreError,
    SlowBodyError,
    BodyTooLargeError,
    QueueFullError,
)
router = APIRouter(
    prefix="/v1/admin",
    tags=["admin"],
    dependencies=[Depends(only_admin)],
    responses=problems(KeyNotAllowedError, AdminNeedsKeysError, DeadlineError),
)


@router.post("/reload", responses=AUDITED)
async def reload(response: Response, service: TheService) -> Reloaded:
    """Poll the store now, and answer when everything new is loaded or refused, and what changed is in the audit, as
    after a change by a call."""
    before = service.model_manager.snapshot
    await _done(service.model_manager.reload())
    await _tell_audited(response, service)
    return Reloaded(changed=Change.between(before, service.model_manager.snapshot))


@router.put(
    "/models/{model}/serving",
    openapi_extra=SERVING_BODY,
    responses=AUDITED | problems(ServingError, UnknownModelError, *_OF_WRITING),
)
async def put_serving(model: str, request: Request, response: Response, service: TheService) -> ModelInfo:
    """Write the model's serving.json: the version that serves, thresholds and defect rate, all in one step.

    What it leaves out is as without the file, so `{}` takes everything back. A version that can't be loaded changes
    nothing. With --records the change is in the audit before the reply is sent, or the header says that it isn't yet.
    """
    config = servings.decode(await _content(request, service, MAX_BYTES), "the body")
    await _done(service.model_manager.set_serving(model, config, request.state.key.name))
    await _tell_audited(response, service)
    return ModelInfo.of(model, service.model_manager.snapshot.model(model))


@router.put("/recipes", openapi_extra=RECIPES_BODY, responses=AUDITED | problems(RecipesError, *_OF_WRITING))
async def put_recipes(request: Request, response: Response, service: TheService) -> RecipeList:
    """Write recipes.json, whole: what each number that X-Recipe may have stands for, all in one step.

    Where a model isn't there, or a version can't be loaded, nothing is changed. With --records the change is in the
    audit before the reply is sent, or the header says that it isn't yet.
    """
    wanted = recipes.decode(await _content(request, service, MAX_RECIPES_BYTES), "the body")
    await _done(service.model_manager.set_recipes(wanted, request.state.key.name))
    await _tell_audited(response, service)
    return RecipeList.of(service.model_manager.snapshot)


@router.get("/audit", responses=problems(NoRecordsError, RecordsUnavailableError))
async def audit(
    service: TheService,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[Positive | None, Query(description="`next` of the page before: the next page.")] = None,
) -> AuditPage:
    """What was changed of serving.json, recipes.json, labels and keys; the newest first. Needs --records."""
    rows = await (await the_records(service)).audited(limit + 1, cursor)
    changes = [ChangeInfo.of(change) for _, change in rows[:limit]]
    return AuditPage(changes=changes, next=rows[limit - 1][0] if len(rows) > limit else None)


@router.post("/models/{model}/drift/acknowledge", responses=problems(UnknownModelError, NotReadyError))
async def acknowledge_drift(model: str, request: Request, service: TheService) -> Acknowledged:
    """Take back the model's alarms of drift, and begin their charts anew. Who did so is in the log."""
    service.model_manager.snapshot.model(model)
    alarms = service.drift.acknowledge(model, request.state.key.name)
    return Acknowledged(acknowledged=[DriftAlarm.of(alarm) for alarm in alarms])


async def _content(request: Request, service: TheService, most: int) -> bytes:
    """The body, of so many bytes at most. Raises as `receive` does, or MalformedBodyError."""
    with service.admission.body() as body:
        upload = await receive(request, most, body)
    return upload.content()


async def _tell_audited(response: Response, service: TheService) -> None:
    """With --records, once what was changed is in the audit, or can't be for now."""
    if service.records:
        response.headers[RECORDED] = "true" if await service.records.audit_written() else "false"


async def _done(future: Future[None]) -> None:
    try:
        await asyncio.wait_for(asyncio.wrap_future(future), WAIT_SECONDS)
    except TimeoutError:
        raise DeadlineError(
            f"not done within {WAIT_SECONDS:g} s; GET /v1/models says what became of it, or is becoming"
        ) from None
