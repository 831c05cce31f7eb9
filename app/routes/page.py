"""The inspection page: the static files of app/page, which ask the API as any other client does."""

from pathlib import Path
from typing import Final

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.staticfiles import StaticFiles

from app.addresses import PAGE_FILES

_HEADERS: Final = {
    "Cache-Control": "no-cache",  # kept, but asked for again: 304 where it is the same
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(self)",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
    "X-Content-Type-Options": "nosniff",
}
_FOLDER: Final = StaticFiles(directory=Path(__file__).parent.parent / "page")

router = APIRouter(include_in_schema=False)


@router.api_route("/page/{name}", methods=["GET", "HEAD"])
async def file(name: str, request: Request) -> Response:
    if name not in PAGE_FILES:
        raise HTTPException(404)
    return await page_file(name, request)


async def page_file(name: str, request: Request) -> Response:
    response = await _FOLDER.get_response(name, request.scope)
    response.headers.update(_HEADERS)
    return response
