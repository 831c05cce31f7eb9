"""uvicorn, stopping as an orchestrator expects."""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Final, NoReturn

import uvicorn
from starlette.types import ASGIApp

from app.application import create_app
from app.connection.http_protocol import request_deadline_protocol
from app.connection.sockets import listen, waiting
from app.monitoring.logs import log_to_stderr
from app.sandbox.limits import CAN_CONFINE
from app.service import Service
from app.settings import ConfigurationError, Settings
from app.unknown_settings import unknown_variables

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 75
"""Longer than a gateway keeps an idle connection (nginx: 60 s), so that it is never the service that closes first."""


STALL_STATUS: Final = 70
"""Exit status (sysexits.h: EX_SOFTWARE) after which the container is to be started again."""
HANDSHAKE_SECONDS: Final = 2.0
"""For TLS to begin on a connection that was made before the service stopped listening."""
TICK_SECONDS: Final = 0.1
"""Between two calls of uvicorn's on_tick."""
LAST_SECONDS: Final = 2.0
"""For the last answers to be written."""
_HANGUP: Final = getattr(signal, "SIGHUP", None)
"""Not on Windows."""
END_SECONDS: Final = 19.0
"""For all that comes after the requests; then, whatever has stalled, the log has its second, and the process ends."""


class Server(uvicorn.Server):
    """SIGTERM: not ready at once, sockets open for the grace period, then finish what is in flight and exit 0.

    SIGHUP, of a terminal that closes: the same. SIGINT: the same without grace. A second signal: cut off what is in
    flight, and exit. (uvicorn alone closes at once and dies of the signal.)
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._exit_at: float | None = None
        self._last_tick = time.monotonic()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        host, port = self._service.settings.host, self.servers[0].sockets[0].getsockname()[1]
        url = f"http{'s' if self.config.is_ssl else ''}://{f'[{host}]' if ':' in host else host}:{port}"
        log.info("listening on %s, documentation at %s/docs, models from %s", url, url, self._service.settings.store)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._service.draining:
            if sig != _HANGUP:  # which systemd (SendSIGHUP=) and shells send beside another
                self.should_exit = self.force_exit = True
            return
        self._service.draining = True
        grace = self._service.settings.drain_seconds if sig != signal.SIGINT else 0.0
        self._exit_at = time.monotonic() + grace
        log.info("stopping: not ready any more; closing in %g s", grace)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends the process, without its threads: one that stalls would keep it, or crash it while it is torn down."""
        late = threading.Timer(self._service.settings.shutdown_seconds + END_SECONDS, _end_late)
        late.daemon = True
        late.start()
        await self._stop_listening()
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn would leave both to the end of the event loop
            for task in self.server_state.tasks:
                task.cancel()
            await self.lifespan.shutdown()
        await self._last_answers()
        log.info("stopped")
        end(0)

    async def _stop_listening(self) -> None:
        """Take in the connections that were made already: closed with them in it, the socket would reset them."""
        loop = asyncio.get_running_loop()
        listening = [
            socket.fromfd(each.fileno(), each.family, each.type) for server in self.servers for each in server.sockets
        ]
        for server in self.servers:
            server.close()
        made: list[socket.socket] = []
        for each in listening:
            each.setblocking(False)
            with each, suppress(OSError):  # BlockingIOError: there are no more; others: the client has gone
                while True:
                    made.append(each.accept()[0])
        tls, patience = self.config.ssl, HANDSHAKE_SECONDS if self.config.ssl else None
        taken = (
            loop.connect_accepted_socket(self._protocol, connection, ssl=tls, ssl_handshake_timeout=patience)
            for connection in made
        )
        for outcome in await asyncio.gather(*taken, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, OSError):  # OSError: no handshake came
                raise outcome

    def _protocol(self) -> asyncio.Protocol:
        """As uvicorn makes it."""
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    async def on_tick(self, counter: int) -> bool:
        self._measure_load()
        if stalled := self._service.inference.watchdog.stalled(time.monotonic()):
            await self._abandon(stalled)
        if self._exit_at is not None and time.monotonic() >= self._exit_at:
            self.should_exit = True
        return await super().on_tick(counter)

    def _measure_load(self) -> None:
        """How late this comes, and how many wait to be let in: what no request's own time shows."""
        now = time.monotonic()
        self._service.metrics.loop_delay.observe(max(0.0, now - self._last_tick - TICK_SECONDS))
        self._last_tick = now
        listening = [each for server in self.servers for each in server.sockets]
        self._service.metrics.backlog.set(sum(waiting(each) for each in listening))

    async def _abandon(self, stalled: str) -> None:
        """Answer whoever waits, then end the process: no thread can be made to leave a device that has stalled."""
        log.critical("%s: the process ends with status %d", stalled, STALL_STATUS)
        self._service.give_up(stalled)
        await self._last_answers()
        end(STALL_STATUS)

    async def _last_answers(self) -> None:
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=LAST_SECONDS)


def end(status: int) -> NoReturn:
    """Of the process, at once: only the log has a second to be written."""
    logging.shutdown()
    os._exit(status)


def _end_late() -> None:
    log.critical("the service did not come to an end: the process ends with status %d", STALL_STATUS)
    end(STALL_STATUS)


def allow_connections() -> None:
    """As many as the system lets this process have: each takes a file descriptor, and idle ones are kept."""
    if resource is None:
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def configuration(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """uvicorn's own settings for ours."""
    return uvicorn.Config(
        app,
        root_path=settings.root_path,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        http=request_deadline_protocol(settings.arrival_seconds),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        workers=1,  # not what WEB_CONCURRENCY says
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )


def _listening(settings: Settings) -> list[socket.socket]:
    try:
        return listen(settings.host, settings.port)
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(
            f"can't listen on {settings.host}, port {settings.port}: {getattr(error, 'strerror', error)}; "
            "choose another --host or --port (CAMSPECTOR_HOST, CAMSPECTOR_PORT)"
        ) from None


def serve(settings: Settings) -> None:
    """Run until a signal. Raises KeysError, KeyFileError or ConfigurationError."""
    allow_connections()
    app = create_app(settings)
    sockets = _listening(settings)
    log_to_stderr(settings.log_level, settings.log_format, settings.station, settings.line)
    if not CAN_CONFINE:
        log.warning("%s: images are decoded by processes that nothing confines; this is for development", sys.platform)
    for doubt in unknown_variables(os.environ, Settings.model_fields):
        log.warning("%s", doubt)
    server = Server(configuration(app, settings), app.state.service)
    if _HANGUP and signal.getsignal(_HANGUP) != signal.SIG_IGN:  # as nohup leaves it
        signal.signal(_HANGUP, server.handle_exit)
    server.run(sockets)
