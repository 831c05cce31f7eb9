"""The service as an application of Ray Serve: deploy/ray/camspector.yml names `application`."""

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from app.monitoring.logs import log_to_stderr
from app.settings import Settings, settings_of
from model.cpus import agree_to

if TYPE_CHECKING:
    from fastapi import FastAPI
    from ray.serve import Application

    from app.service import Service

_LOADING_SECONDS: Final = 60.0
"""So long is a new replica, whose models aren't loaded, given no requests."""
_STEP_SECONDS: Final = 0.1


class Replica:
    """Ray Serve asks it how it is every second (the file says so), and starts another in its place."""

    app: "FastAPI"
    """Ray Serve's, made by `_builder`."""
    _loaded = False

    async def check_health(self) -> None:
        """Raises RuntimeError where only a restart mends it. The first answer waits for the models."""
        service: Service = self.app.state.service
        if not self._loaded:
            await _until_loaded(service)
            self._loaded = True
        if stalled := service.inference.watchdog.stalled(time.monotonic()):
            service.give_up(stalled)
        if dead := service.dead():
            raise RuntimeError("; ".join(dead))


def application(settings: dict[str, Any]) -> "Application":
    """`settings`: as in docs/configuration.md, by their names with underscores. Raises ConfigurationError."""
    from ray import serve

    given = settings_of(**settings)

    def build() -> "FastAPI":
        return _replica_app(given)

    return serve.deployment(name="camspector")(serve.ingress(build)(Replica)).bind()


def _replica_app(settings: Settings) -> "FastAPI":
    """In the replica's own process, which takes no more CPUs than Ray has counted for it."""
    import ray

    from app.application import create_app

    agree_to(max(1, int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1))))  # type: ignore[no-untyped-call]
    log_to_stderr(settings.log_level, settings.log_format, settings.station, settings.line)
    return create_app(settings)


async def _until_loaded(service: "Service") -> None:
    give_up = time.monotonic() + _LOADING_SECONDS
    while service.unready() and time.monotonic() < give_up:
        await asyncio.sleep(_STEP_SECONDS)
