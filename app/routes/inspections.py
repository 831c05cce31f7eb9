"""Recorded inspections: found, drawn again, labelled."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BeforeValidator, StringConstraints

from app.documentation import BINARY, problems
from app.errors import (
    CodecsUnavailableError,
    DeadlineError,
    ImageNotKeptError,
    KeyNotAllowedError,
    NoRecordsError,
    QueueFullError,
    RecordsUnavailableError,
    UnknownInspectionError,
)
from app.middleware.keys import Key
from app.records.csv_rows import csv_text
from app.records.filter import Filter
from app.records.inspection import Recorded, Target
from app.records.schemas import InspectionInfo, InspectionPage, NewLabel
from app.routes.dependencies import TheService
from app.routes.media import preferred
from app.routes.request_scope import PageSize, Positive
from app.service import Service
from model.image import sniff
from model.verdict import Decision

if TYPE_CHECKING:
    from app.records.records import Records

PAGE: Final = 50
CSV_PAGE: Final = 500
"""Lines that are in memory at once."""

router = APIRouter(
    prefix="/v1/inspections", tags=["inspections"], responses=problems(NoRecordsError, RecordsUnavailableError)
)


async def the_records(service: Service) -> "Records":
    """Raises NoRecordsError."""
    if service.records is None:
        raise NoRecordsError("this service keeps no records of its inspections: start it with --records")
    return service.records


def _written_out(text: str) -> str:
    """Raises ValueError for a number, which would be taken for seconds since 1970."""
    if not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError("must be a date and time of ISO 8601, as 2026-11-26T06:00:00Z")
    return text


Moment = Annotated[datetime, BeforeValidator(_written_out)]
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
"""Without NUL, which PostgreSQL can't compare with."""
InferenceId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


async def _filter(
    part_id: Annotated[Text | None, Query(description="As in the reply: decoded.")] = None,
    model: Annotated[Text | None, Query()] = None,
    version: Annotated[Positive | None, Query()] = None,
    decision: Annotated[Decision | None, Query()] = None,
    label: Annotated[Text | None, Query(description="What a person says: good, or a kind of defect.")] = None,
    labelled: Annotated[bool | None, Query(description="Whether a person has said anything.")] = None,
    since: Annotated[Moment | None, Query(description="Received then or later; UTC where it names no zone.")] = None,
    until: Annotated[Moment | None, Query(description="Received before.")] = None,
) -> Filter:
    return Filter(part_id, model, version, decision, label, labelled, _milliseconds(since), _milliseconds(until))


@router.get(
    "",
    response_model=InspectionPage,
    responses={200: {"description": "A page; with Accept: text/csv all of them.", "content": {"text/csv": {}}}},
)
async def list_inspections(
    request: Request,
    service: TheService,
    wanted: Annotated[Filter, Depends(_filter)],
    limit: Annotated[PageSize | None, Query(description=f"At most so many; without it {PAGE}, or all as CSV.")] = None,
    cursor: Annotated[
        str | None, Query(pattern="^[0-9a-f]{32}$", description="`next` of the page before: the next page.")
    ] = None,
) -> Response:
    """Inspections that satisfy all conditions, the newest first."""
    records = await the_records(service)
    if preferred(request, ["application/json", "text/csv"]) == "text/csv":
        first = await records.page(wanted, min(CSV_PAGE, limit or CSV_PAGE), cursor)  # an error has its status
        headers = {"Content-Disposition": 'attachment; filename="inspections.csv"'}
        return StreamingResponse(
            _csv(records, wanted, first, limit), media_type="text/csv; charset=utf-8; header=present", headers=headers
        )
    size = limit or PAGE
    page = await records.page(wanted, size + 1, cursor)
    more, page = page[size:], page[:size]
    reply = await service.inference.pipeline.in_executor(
        lambda: InspectionPage(
            inspections=[InspectionInfo.of(each) for each in page],
            next=page[-1].inspection.inference_id if more else None,
        ).model_dump_json()
    )
    return Response(reply, media_type="application/json")


@router.get("/{inference_id}", responses=problems(UnknownInspectionError))
async def show_inspection(inference_id: InferenceId, service: TheService) -> InspectionInfo:
    """One inspection."""
    recorded = await _find(service, inference_id)
    return await service.inference.pipeline.in_executor(lambda: InspectionInfo.of(recorded))


@router.get(
    "/{inference_id}/image",
    response_class=Response,
    responses={
        200: {
            "description": "The image, byte for byte as it was sent.",
            "content": {"image/*": BINARY},
            "headers": {"X-Content-Type-Options": {"schema": {"type": "string"}}},
        },
        **problems(UnknownInspectionError, ImageNotKeptError),
    },
)
async def image(inference_id: InferenceId, service: TheService) -> Response:
    """The image that was sent, where it is kept."""
    records = await the_records(service)
    image = await records.image(await records.find(inference_id))
    media_type = f"image/{(sniff(image) or 'octet-stream').lower()}"
    return Response(image, media_type=media_type, headers={"X-Content-Type-Options": "nosniff"})


_PNG: Final = {"description": "PNG.", "content": {"image/png": BINARY}}


@router.get(
    "/{inference_id}/heatmap",
    response_class=Response,
    responses={200: _PNG, **problems(UnknownInspectionError)},
)
async def heatmap(inference_id: InferenceId, service: TheService) -> Response:
    """The gray heatmap, drawn again from the evidence in the record: byte for byte that of the reply."""
    recorded = await _find(service, inference_id)
    png = await service.inference.pipeline.draw(recorded.inspection, b"", "gray", until=0.0)
    return Response(png, media_type="image/png")


@router.get(
    "/{inference_id}/overlay",
    response_class=Response,
    responses={
        200: _PNG,
        **problems(UnknownInspectionError, ImageNotKeptError, CodecsUnavailableError, QueueFullError, DeadlineError),
    },
)
async def overlay(inference_id: InferenceId, service: TheService) -> Response:
    """The image with the heatmap and the regions drawn in, where it is kept."""
    records = await the_records(service)
    recorded = await records.find(inference_id)
    image = await records.image(recorded)
    until = asyncio.get_running_loop().time() + service.settings.deadline_ms / 1000
    png = await service.inference.pipeline.draw(recorded.inspection, image, "overlay", until)
    return Response(png, media_type="image/png")


async def _may_label(request: Request) -> None:
    """Raises KeyNotAllowedError."""
    key: Key | None = request.state.key
    if key is not None and key.role not in ("label", "admin"):
        raise KeyNotAllowedError(f"the key {key.name!r} has the role {key.role}; this needs label or admin")


@router.put(
    "/{inference_id}/label",
    dependencies=[Depends(_may_label)],
    responses=problems(UnknownInspectionError, KeyNotAllowedError),
)
async def put_label(inference_id: InferenceId, new: NewLabel, request: Request, service: TheService) -> InspectionInfo:
    """Say what the part is; for training (`python -m training collect`), and to know how often the verdict is wrong."""
    records = await the_records(service)
    key: Key | None = request.state.key
    name = key.name if key else None
    at = round(1000 * time.time())
    target = Target(new.label, new.by or name, at, new.note) if new.label else None
    recorded = await records.label(inference_id, target, name)
    return await service.inference.pipeline.in_executor(lambda: InspectionInfo.of(recorded))


async def _find(service: TheService, inference_id: str) -> Recorded:
    return await (await the_records(service)).find(inference_id)


async def _csv(records: "Records", wanted: Filter, page: list[Recorded], limit: int | None) -> AsyncIterator[str]:
    """A page after the other: memory doesn't grow with their number, and no transaction stays open."""
    yield csv_text(page, header=True)
    left = None if limit is None else limit - len(page)
    while page and left != 0:
        page = await records.page(
            wanted, CSV_PAGE if left is None else min(CSV_PAGE, left), page[-1].inspection.inference_id
        )
        left = None if left is None else left - len(page)
        yield csv_text(page, header=False)


def _milliseconds(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    return round(1000 * (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
