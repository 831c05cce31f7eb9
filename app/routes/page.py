"""The inspection page: the static files of app/page, which ask the API as any other client does."""

from typing import Final

from fastapi import APIRouter, Request, Response

from app.addresses import PAGE_FILES
from app.routes.static_folder import StaticFolder

_FOLDER: Final = StaticFolder(
    "page",
    PAGE_FILES,
    {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "Permissions-Policy": "camera=(self)",
        "Referrer-Policy": "no-referrer",
        "Vary": "Accept",
    },
)

router = APIRouter(include_in_schema=False)


@router.api_route("/page/{name}", methods=["GET", "HEAD"])
async def file(name: str, request: Request) -> Response:
    return await _FOLDER.file(name, request)


async def index(request: Request) -> Response:
    return await _FOLDER.index(request)
