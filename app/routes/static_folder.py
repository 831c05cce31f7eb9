"""A folder of the service's own static files, each by its name alone."""

from collections.abc import Mapping, Set
from pathlib import Path
from typing import Final

from fastapi import HTTPException, Request, Response
from starlette.staticfiles import StaticFiles

HEADERS: Final = {
    "Cache-Control": "no-cache",  # kept, but asked for again: 304 where it is the same
    "X-Content-Type-Options": "nosniff",
}


class StaticFolder:
    """The files of app/`name` that are in `files`, and index.html."""

    def __init__(self, name: str, files: Set[str], headers: Mapping[str, str]) -> None:
        """`headers`: of every reply, beside HEADERS."""
        self._folder = StaticFiles(directory=Path(__file__).parent.parent / name)
        self._files = files
        self._headers = HEADERS | dict(headers)

    async def file(self, name: str, request: Request) -> Response:
        if name not in self._files:
            raise HTTPException(404)
        return await self._reply(name, request)

    async def index(self, request: Request) -> Response:
        return await self._reply("index.html", request)

    async def _reply(self, name: str, request: Request) -> Response:
        response = await self._folder.get_response(name, request.scope)
        response.headers.update(self._headers)
        return response
