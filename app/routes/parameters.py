"""What no route may ignore: a parameter that it doesn't know would change nothing, and nobody would be told."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from fastapi import Request, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from app.addresses import PROBES


async def check_parameters(request: Request) -> None:
    """For the whole application, and so for routes that are added later. Raises RequestValidationError."""
    route = request.scope["route"]
    if route.path in PROBES:  # a health check may add what it likes
        return
    known = _names(route, params.Query)
    asked = Counter(name for name, _ in request.query_params.multi_items())
    for name in asked.keys() - known:
        there_are = f"there are: {', '.join(sorted(known))}" if known else "there are none"
        raise _bad("query", name[:40], f"no such parameter of this address; {there_are}")
    _once("query", asked, known)
    _once("header", Counter(name for name, _ in request.headers.items()), _names(route, params.Header))


def _names(route: APIRoute, kind: type[params.Param]) -> set[str]:
    return {field.alias for field in get_flat_params(route.dependant) if isinstance(field.field_info, kind)}


def _once(place: str, found: Counter[str], names: Iterable[str]) -> None:
    for name in sorted(names):
        if found[name if place == "query" else name.lower()] > 1:
            raise _bad(place, name, "is there more than once")


def _bad(place: str, name: str, reason: str) -> RequestValidationError:
    fault: dict[str, Any] = {"loc": (place, name), "msg": reason}
    return RequestValidationError([fault])
