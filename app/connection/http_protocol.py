"""uvicorn's HTTP protocol with request deadlines, and bounds on what one connection can cost."""

import asyncio
import socket
from contextlib import suppress
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.connection.framing import Framing, FramingError

ARRIVES_BY: Final = "arrives_by"
"""Key in the scope's state: the event loop's time by which the request's body must have arrived."""

LAST_SECONDS: Final = 1.0
"""Seconds for the request of a connection that was made just before the server closed."""
DROP_SECONDS: Final = 2.0
"""Seconds during which bytes after a broken request are read and dropped: a connection that is closed with unread bytes
in it is reset, and the client may never see why (nginx: lingering_close)."""
RESET_SECONDS: Final = 0.2
"""Seconds between two checks whether a client that has closed its sending side has closed the connection."""

FREE_READS: Final = 100
LEAST_READ: Final = 512
"""Average bytes of a read after FREE_READS; each read costs the same, however little it brings."""
PAUSE_SECONDS: Final = 0.01
"""Pause before the next read where reads bring less, so that it brings more."""

FREE_PIPELINED: Final = 10
PIPELINE_SECONDS: Final = 0.02
"""Pause before each pipelined request after FREE_PIPELINED, so that other connections get their turn."""

READ_SECONDS: Final = 10.0
LEAST_READ_BY_CLIENT: Final = 500_000
"""Bytes of an answer, or its rest, that a client has to read in READ_SECONDS; else its connection ends."""
MOST_UNREAD: Final = 250_000_000
"""Unread bytes of answers to all clients; beyond, the connection that has waited longest ends."""


def request_deadline_protocol(arrival_seconds: float) -> type[H11Protocol]:
    """The protocol class for uvicorn, which makes an instance per connection."""

    class Configured(RequestDeadlineProtocol):
        seconds = arrival_seconds
        unread: dict["RequestDeadlineProtocol", int] = {}  # noqa: RUF012  # one for all connections

    return Configured


class RequestDeadlineProtocol(H11Protocol):
    """HTTP by h11, which is given one request at a time, and its body in few pieces: in h11 each piece costs 15 µs.
    Not by httptools: that drops the body of a request which offers HTTP/2 (`Upgrade: h2c`, as Java's HttpClient does),
    and calls back for every chunk.

    A request's headers and body have `seconds` to arrive, from the connection's start or the request's first byte on.
    Late headers end the connection here; app.middleware.request_context answers a late body.
    """

    seconds: float
    unread: dict["RequestDeadlineProtocol", int]
    """Connections whose client is slow to read, and the unread bytes at the last check."""
    _too_late: asyncio.TimerHandle | None = None
    _dropping = False
    _half_closed = False
    _resting = False
    _pipelined = 0
    _reads = 0
    _read_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._framing = Framing()
        self.app_state: dict[str, Any] = dict(self.app_state)  # uvicorn copies it into the scope of every request
        self._expect_request(self.seconds)

    def data_received(self, data: bytes) -> None:
        if self._dropping:
            return
        self._framing.feed(data)
        self._throttle(len(data))
        self._feed_h11()

    def eof_received(self) -> bool:  # type: ignore[override]
        """True: the client sends no more, but may wait for the answer to what it has sent. Where it doesn't, because it
        is gone, TCP tells once there is something to take: so it gets the answer's first bytes, which are always the
        same. With TLS there is no half of a connection."""
        self._half_closed = self.scheme == "http" and self._is_answering()
        if self._half_closed:
            if not (self._resting or self.cycle.response_started):
                self.cycle.transport = _BegunTransport(self.transport)  # type: ignore[assignment]  # it needs no more
            self._check_reset()
        return self._half_closed

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._watch_reader()
        self._pipelined = self._pipelined + 1 if self._framing.ahead else 0
        if self._pipelined > FREE_PIPELINED:
            self._resting = True
            self.loop.call_later(PIPELINE_SECONDS, self._begin_next)
        else:
            self._begin_next()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def shutdown(self) -> None:
        """The server closes. The request of a connection that has just been made is on its way: it is waited for."""
        if self.cycle is None and not self._dropping and not self.transport.is_closing():
            self._expect_request(min(self.seconds, LAST_SECONDS))
        else:
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self.unread.pop(self, None)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Replaces uvicorn's, which assumes that no answer has begun, that none will, and that nothing follows."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(msg))), ("Connection", "close")]
            reply = (
                h11.Response(status_code=400, headers=headers, reason="Bad Request"),
                h11.Data(data=msg.encode("ascii")),
                h11.EndOfMessage(),
            )
            self.transport.write(b"".join(self.conn.send(event) or b"" for event in reply))
        self._drop()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _begin_next(self) -> None:
        self._resting = False
        if not self.transport.is_closing():
            self.flow.resume_reading()
            self._feed_h11()
        if self._half_closed and not self._is_answering():
            self.transport.close()

    def _feed_h11(self) -> None:
        """Pass to h11 the bytes of the request that it is reading, or the next one's head once that is answered."""
        if self._resting:
            self.flow.pause_reading()
            return
        try:
            while piece := self._framing.take_body() or self._next_head():
                super().data_received(piece)
                if self.conn.their_state is h11.SEND_BODY and not self._framing.in_body:
                    self._framing.expect_body(self.headers)
        except FramingError as error:
            self.send_400_response(f"Invalid HTTP request received: {error}.")
            return
        if self._framing.ahead and self.conn.their_state is not h11.IDLE:
            self.flow.pause_reading()  # it will be the next

    def _next_head(self) -> bytes | None:
        if self.conn.their_state is not h11.IDLE or not self._framing.begun():
            return None
        if self._too_late is None:
            self._unset_keepalive_if_required()
            self._expect_request(self.seconds)
        head = self._framing.take_head()
        if head is not None:
            self._stop_waiting()
            self._reads = self._read_bytes = 0
        return head

    def _is_answering(self) -> bool:
        """Whether a complete request is unanswered, or the next is about to begin."""
        cycle = self.cycle
        done = cycle is None or cycle.more_body or cycle.response_complete or cycle.disconnected
        return self._resting or not done

    def _drop(self) -> None:
        """Read nothing more, and close once the client has had time to read why."""
        self._dropping = True
        self._stop_waiting()
        with suppress(NotImplementedError):  # TLS
            self.transport.write_eof()
        self._too_late = self.loop.call_later(DROP_SECONDS, self.transport.close)

    def _throttle(self, size: int) -> None:
        """Pause reading where too many reads brought too little."""
        self._reads += 1
        self._read_bytes += size
        if self._reads > FREE_READS and self._read_bytes < LEAST_READ * self._reads:
            self.transport.pause_reading()
            self.loop.call_later(PAUSE_SECONDS, self._resume_reading)

    def _resume_reading(self) -> None:
        if not self.flow.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def _check_reset(self) -> None:
        if self.transport.is_closing():
            return
        connection: socket.socket = self.transport.get_extra_info("socket")
        if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.transport.abort()
        else:
            self.loop.call_later(RESET_SECONDS, self._check_reset)

    def _watch_reader(self) -> None:
        """Begin to watch a client that is slow to read its answer."""
        if self not in self.unread:
            self._check_reader()
        while sum(self.unread.values()) > MOST_UNREAD:
            first = next(iter(self.unread))
            del self.unread[first]
            first.transport.abort()

    def _check_reader(self) -> None:
        left, before = self.transport.get_write_buffer_size(), self.unread.get(self)
        if left == 0:
            self.unread.pop(self, None)
        elif before is not None and before - left < LEAST_READ_BY_CLIENT:
            self.transport.abort()
        else:
            self.unread[self] = left
            self.loop.call_later(READ_SECONDS, self._check_reader)

    def _expect_request(self, seconds: float) -> None:
        self._stop_waiting()
        self.app_state[ARRIVES_BY] = self.loop.time() + seconds
        self._too_late = self.loop.call_at(self.app_state[ARRIVES_BY], self.transport.close)

    def _stop_waiting(self) -> None:
        if self._too_late is not None:
            self._too_late.cancel()
            self._too_late = None


class _BegunTransport:
    """A transport to which the first bytes of an answer have already been written."""

    first: Final = b"HTTP/1.1 "

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._left = self.first
        transport.write(self.first)

    def write(self, data: bytes) -> None:
        assert data.startswith(self._left)
        self._transport.write(data[len(self._left) :])
        self._left = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
