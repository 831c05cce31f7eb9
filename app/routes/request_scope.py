"""Scope of a request for a verdict: its deadline, admission, body, and its end when the client disconnects."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import unquote

from fastapi import Depends, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BeforeValidator, Field
from starlette.requests import ClientDisconnect

from app.body.upload import Upload, declared_length, receive
from app.errors import DeadlineError
from app.inference.admission import Admitted
from app.inference.latency_estimator import Kind
from app.models.model_snapshot import LoadedModel
from app.monitoring.request_record import current
from app.routes.dependencies import TheService
from app.service import Service
from app.settings import LONGEST_DEADLINE_MS
from model.challenge import GOOD
from model.recipes import MOST

DEFECT: Final = "defect"
"""Any kind of defect, where it doesn't matter or the model was trained on none."""


def _digits(text: str) -> str:
    """The text if it is digits alone. Raises ValueError for what int() would also take, as +1 or 1_0."""
    if not re.fullmatch("[1-9][0-9]*", text):
        raise ValueError("must be a positive whole number, in digits alone")
    return text


Positive = Annotated[int, Field(ge=1, le=2**63 - 1), BeforeValidator(_digits)]
Version = Positive
PageSize = Annotated[int, Field(ge=1, le=1000), BeforeValidator(_digits)]
RecipeNumber = Annotated[int, Field(ge=1, le=MOST), BeforeValidator(_digits)]
Milliseconds = Annotated[int, Field(ge=1, le=LONGEST_DEADLINE_MS), BeforeValidator(_digits)]


@dataclass(frozen=True)
class RequestScope:
    """One request for a verdict."""

    request: Request
    service: Service
    deadline_ms: int
    until: float
    """When its time is up, on the event loop's clock."""
    challenge: str | None
    """What X-Challenge says."""
    recipe: int | None
    """What X-Recipe says."""

    async def find(self, model: str | None = None, version: int | None = None) -> LoadedModel:
        """The version that answers, under the recipe's thresholds, if any; of no `model`: the recipe's, or the default.

        Raises UnknownRecipeError, RequestValidationError where the recipe is of another model or version, or
        UnknownModelError, UnknownVersionError or NotReadyError, or DeadlineError
        where it is loaded only now, and that takes too long.
        """
        manager = self.service.model_manager
        if self.recipe is None:
            name = model or manager.snapshot.default(self.service.settings.default_model)
            return await manager.obtain(name, version, self.until)
        recipe = manager.snapshot.recipe(self.recipe)
        if model not in (None, recipe.model) or not {version, recipe.version} <= {None, version or recipe.version}:
            of = f"version {recipe.version} of model {recipe.model!r}" if recipe.version else f"model {recipe.model!r}"
            reason = f"recipe {self.recipe} is of {of}, which isn't what the address names"
            raise RequestValidationError([{"loc": ("header", "X-Recipe"), "msg": reason}])
        if (record := current.get()) and recipe.thresholds is not None:
            record.has_own_thresholds = True
        loaded = await manager.obtain(recipe.model, version or recipe.version, self.until)
        return loaded.under(recipe.applied(loaded.config))

    def _challenge_kind(self, loaded: LoadedModel) -> str | None:
        """Raises RequestValidationError where the model knows no such kind: a slip would count as a defect."""
        if self.challenge is None:
            return None
        kind, kinds = unquote(self.challenge), {GOOD, DEFECT, *loaded.detector.manifest.data.kinds}
        if kind not in kinds:
            reason = f"is no kind of this model; there are: {', '.join(sorted(kinds))}"
            raise RequestValidationError([{"loc": ("header", "X-Challenge"), "msg": reason}])
        return kind

    async def answer(
        self, loaded: LoadedModel, reply: Callable[[Upload, Admitted], Awaitable[Response]], *, overlay: bool = False
    ) -> Response:
        """Admit the request, receive its body and return what `reply` makes of it, cancelled at the deadline.

        Raises any error of the table in app.errors.
        """
        service, admission = self.service, self.service.admission
        if record := current.get():
            record.model, record.version = loaded.key
            record.is_challenge = self.challenge is not None
            record.challenge_kind = self._challenge_kind(loaded)
        async with _time_limit(self.until, self.deadline_ms) as limit:
            kind = Kind.of(loaded.key, declared_length(self.request.headers))
            admission.check(kind, _left(limit), overlay=overlay)  # before the body is read
            with admission.body() as body:
                upload = await receive(self.request, service.settings.max_bytes, body)
                kind, until = Kind.of(loaded.key, len(upload.body)), limit.when() or 0.0
                with admission.slot(kind, until, _left(limit), overlay=overlay) as admitted:
                    async with _cancelled_by_disconnect(self.request, limit):
                        return await reply(upload, admitted)


async def _request_scope(
    request: Request,
    service: TheService,
    deadline_ms: Annotated[
        Milliseconds | None,
        Header(alias="X-Deadline-Ms", description="Time for this request, in milliseconds."),
    ] = None,
    challenge: Annotated[
        str | None,
        Header(
            alias="X-Challenge",
            description="The image shows a live challenge part: good, defect, or a kind of the model, percent-encoded "
            "in UTF-8 where it needs to be. It counts in no figure of the production.",
        ),
    ] = None,
    recipe: Annotated[
        RecipeNumber | None,
        Header(alias="X-Recipe", description="Number of a product in recipes.json: its model, version and thresholds."),
    ] = None,
) -> RequestScope:
    milliseconds = deadline_ms or service.settings.deadline_ms
    until = asyncio.get_running_loop().time() + milliseconds / 1000
    return RequestScope(request, service, milliseconds, until, challenge, recipe)


TheRequestScope = Annotated[RequestScope, Depends(_request_scope)]


@asynccontextmanager
async def _time_limit(until: float, milliseconds: int) -> AsyncIterator[asyncio.Timeout]:
    """Cancel the block when its time is up, and raise DeadlineError."""
    try:
        async with asyncio.timeout_at(until) as limit:
            yield limit
    except TimeoutError:
        raise DeadlineError(f"there was no answer within the deadline of {milliseconds} ms") from None


def _left(limit: asyncio.Timeout) -> float:
    """Seconds until the limit."""
    return (limit.when() or 0.0) - asyncio.get_running_loop().time()


@asynccontextmanager
async def _cancelled_by_disconnect(request: Request, limit: asyncio.Timeout) -> AsyncIterator[None]:
    """End the block when the client disconnects, and raise ClientDisconnect. For requests whose body is read."""
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone = True
        if not limit.expired():
            limit.reschedule(0)

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if gone:
            raise ClientDisconnect from None
        raise
    finally:
        watcher.cancel()
