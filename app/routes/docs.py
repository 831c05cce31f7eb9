"""The page /docs: Swagger UI from the service's own files (app/docs), so that it needs no internet."""

from pathlib import Path
from typing import Final

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.staticfiles import StaticFiles

from app.addresses import DOCS_FILES

_HEADERS: Final = {
    "Cache-Control": "no-cache",  # kept, but asked for again: 304 where it is the same
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
_FOLDER: Final = StaticFiles(directory=Path(__file__).parent.parent / "docs")

router = APIRouter(include_in_schema=False)


@router.api_route("/docs", methods=["GET", "HEAD"])
async def page(request: Request) -> Response:
    return await _file("index.html", request)


@router.api_route("/docs/{name}", methods=["GET", "HEAD"])
async def file(name: str, request: Request) -> Response:
    if name not in DOCS_FILES:
        raise HTTPException(404)
    return await _file(name, request)


async def _file(name: str, request: Request) -> Response:
    response = await _FOLDER.get_response(name, request.scope)
    response.headers.update(_HEADERS)
    return response
