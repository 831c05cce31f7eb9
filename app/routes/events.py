"""Inspections as they come, as server-sent events."""

from collections.abc import AsyncIterator
from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from app.documentation import problems
from app.errors import QueueFullError
from app.routes.dependencies import TheService
from app.service import Service

LOOK_SECONDS: Final = 1.0
"""How often a stream without events looks whether the service is about to stop."""
ALIVE_LOOKS: Final = 15
"""After so many, a comment keeps gateways from closing the connection."""

router = APIRouter(tags=["inspections"])


@router.get(
    "/v1/events",
    response_class=Response,
    responses={
        200: {
            "description": "An event `inspection` for each image, until the client leaves.",
            "content": {"text/event-stream": {}},
        },
        **problems(QueueFullError),
    },
)
async def events(service: TheService) -> Response:
    """Every inspected image as it comes. Who reads too slowly loses the oldest: an event `lost` has their number."""
    service.events.check()
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(service), media_type="text/event-stream", headers=headers)


async def _stream(service: Service) -> AsyncIterator[str]:
    with service.events.listening() as listener:
        yield ": listening\n\n"
        told, silent = 0, 0
        while not service.draining:
            event = await listener.get(LOOK_SECONDS)
            if listener.lost > told:
                told = listener.lost
                yield f"event: lost\ndata: {told}\n\n"
            if event is not None:
                yield f"event: inspection\ndata: {event}\n\n"
            silent = 0 if event is not None else silent + 1
            if silent == ALIVE_LOOKS:
                silent = 0
                yield ": alive\n\n"
