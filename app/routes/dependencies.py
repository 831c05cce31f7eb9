"""What routes ask for. All coroutines: FastAPI runs plain functions and classes in threads, one after the other."""

from typing import Annotated

from fastapi import Depends, Request

from app.service import Service


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


TheService = Annotated[Service, Depends(_service)]
