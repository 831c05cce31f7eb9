"""Unknown and repeated parameters, refused at every address: ignored, they would silently change nothing."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from fastapi import Request, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from app.addresses import PROBES


async def check_parameters(request: Request) -> None:
    """Dependency of the whole application, and so of routes added later. Raises RequestValidationError."""
    route = request.scope["route"]
    if route.path in PROBES:  # a health check may add what it likes
        return
    known = _names(route, params.Query)
    sent = Counter(name for name, _ in request.query_params.multi_items())
    for name in sent.keys() - known:
        there_are = f"there are: {', '.join(sorted(known))}" if known else "there are none"
        raise _bad("query", name[:40], f"no such parameter of this address; {there_are}")
    _check_once("query", sent, known)
    _check_once("header", Counter(name for name, _ in request.headers.items()), _names(route, params.Header))


def _names(route: APIRoute, kind: type[params.Param]) -> set[str]:
    return {field.alias for field in get_flat_params(route.dependant) if isinstance(field.field_info, kind)}


def _check_once(location: str, found: Counter[str], names: Iterable[str]) -> None:
    for name in sorted(names):
        if found[name if location == "query" else name.lower()] > 1:
            raise _bad(location, name, "is there more than once")


def _bad(location: str, name: str, reason: str) -> RequestValidationError:
    error: dict[str, Any] = {"loc": (location, name), "msg": reason}
    return RequestValidationError([error])
