"""The page /docs: Swagger UI from the service's own files (app/docs), so that it needs no internet."""

from typing import Final

from fastapi import APIRouter, Request, Response

from app.addresses import DOCS_FILES
from app.routes.static_folder import StaticFolder

_FOLDER: Final = StaticFolder(
    "docs",
    DOCS_FILES,
    {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    },
)

router = APIRouter(include_in_schema=False)


@router.api_route("/docs", methods=["GET", "HEAD"])
async def page(request: Request) -> Response:
    return await _FOLDER.index(request)


@router.api_route("/docs/{name}", methods=["GET", "HEAD"])
async def file(name: str, request: Request) -> Response:
    return await _FOLDER.file(name, request)
