"""HTTP on one connection: uvicorn's, with an end to waiting for a request."""

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

ARRIVES_BY: Final = "arrives_by"
"""In the scope's state: when, on the event loop's clock, the request's body must be there."""

LAST_SECONDS: Final = 1.0
"""For the request of a connection that was made just before the server closed."""


def protocol(arrival_seconds: float) -> type[H11Protocol]:
    """For uvicorn, which makes one for every connection."""

    class Limited(Protocol):
        seconds = arrival_seconds

    return Limited


class Protocol(H11Protocol):
    """HTTP by h11, not httptools: that drops the body of a request which offers HTTP/2 (`Upgrade: h2c`, as Java's
    HttpClient does), and lets unfinished headers grow without bound. h11 refuses them beyond 16 kB.

    A request's headers and body have `seconds` to arrive, from the connection's start or the request's first byte on.
    Late headers end the connection here; app.exchange answers a late body.
    """

    seconds: float
    _too_late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state: dict[str, Any] = dict(self.app_state)  # uvicorn copies it into the scope of every request
        self._expect_request(self.seconds)

    def data_received(self, data: bytes) -> None:
        if self._too_late is None and self.conn.their_state is h11.IDLE:
            self._expect_request(self.seconds)
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:  # the next request has begun
            self._expect_request(self.seconds)

    def shutdown(self) -> None:
        """The server closes. The request of a connection that has just been made is on its way: it is waited for."""
        if self.cycle is None and not self.transport.is_closing():
            self._expect_request(min(self.seconds, LAST_SECONDS))
        else:
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """uvicorn's own takes it for granted that no answer has begun, and that none will."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        self.transport.close()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _expect_request(self, seconds: float) -> None:
        self._stop_waiting()
        self.app_state[ARRIVES_BY] = self.loop.time() + seconds
        self._too_late = self.loop.call_at(self.app_state[ARRIVES_BY], self.transport.close)

    def _stop_waiting(self) -> None:
        if self._too_late is not None:
            self._too_late.cancel()
            self._too_late = None
