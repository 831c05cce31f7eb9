"""FastAPI runs a dependency that is no coroutine in a thread of its own, and waits: three of them a request once."""

import inspect
from collections.abc import Iterator

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from app.routes import admin, health, models, predict, v2


def calls(dependant: Dependant) -> Iterator[object]:
    yield dependant.call
    for each in dependant.dependencies:
        yield from calls(each)


def test_routes_and_what_they_ask_for_are_coroutines() -> None:
    routes = [route for each in (predict, v2, models, admin, health) for route in each.router.routes]
    found = [call for route in routes if isinstance(route, APIRoute) for call in calls(route.dependant)]
    assert len(found) > 20
    assert [call for call in found if not inspect.iscoroutinefunction(call)] == []
