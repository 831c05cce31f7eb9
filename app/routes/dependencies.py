"""Dependencies of routes. All are coroutines: FastAPI runs plain functions and classes in threads, one by one."""

from typing import Annotated

from fastapi import Depends, Request

from app.service import Service


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


TheService = Annotated[Service, Depends(_service)]
