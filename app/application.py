"""The ASGI application: settings, middleware, routes and OpenAPI in one FastAPI object."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware

from app import documentation, openapi
from app.errors import install_handlers
from app.middleware.auth import Auth
from app.middleware.load_shedding import LoadShedding
from app.middleware.request_context import RequestContext
from app.routes import (
    admin,
    challenge,
    docs,
    events,
    health,
    inspections,
    models,
    page,
    predict,
    recipes,
    v2,
    version_files,
)
from app.routes.parameters import check_parameters
from app.service import Service
from app.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """An application with its own service in `app.state.service`, which runs from startup to shutdown.

    Raises KeysError, KeyFileError or ConfigurationError.
    """
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            service.stop()

    app = FastAPI(
        title="Camspector",
        description=documentation.DESCRIPTION,
        version=documentation.VERSION,
        docs_url=None,  # FastAPI's own page is nothing without the internet: routes/docs
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        telemetry={"auto_configure": False},  # nothing is sent but to --trace-endpoint
        dependencies=[Depends(check_parameters)],
    )
    app.state.service = service
    app.add_middleware(LoadShedding, service=service)
    app.add_middleware(Auth, service=service)
    if settings.cors_origins:  # before Auth: a browser's preflight has no key, and must be able to read refusals
        app.add_middleware(
            CORSMiddleware,
            allow_origins=[origin.strip() for origin in settings.cors_origins.split(",")],
            allow_methods=["GET", "POST", "PUT"],
            allow_headers=["*"],
            expose_headers=["*"],
        )
    app.add_middleware(RequestContext, service=service)
    install_handlers(app)
    for routes in (
        predict,
        v2,
        inspections,
        events,
        models,
        recipes,
        version_files,
        challenge,
        admin,
        health,
        docs,
        page,
    ):
        app.include_router(routes.router)
    openapi.install(app)
    return app
