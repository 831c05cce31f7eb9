"""The ASGI application, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app import documentation, openapi
from app.errors import install_handlers
from app.exchange import Exchange
from app.routes import health, models, predict, v2
from app.service import Service
from app.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """A service of its own, in `app.state.service`; it runs from the application's startup to its shutdown."""
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.stop()

    app = FastAPI(
        title="Camspector",
        description=documentation.DESCRIPTION,
        version=documentation.VERSION,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.service = service
    app.add_middleware(Exchange, service=service)
    install_handlers(app)
    for routes in (predict, v2, models, health):
        app.include_router(routes.router)
    openapi.install(app)
    return app
