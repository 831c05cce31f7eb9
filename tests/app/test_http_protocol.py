"""HTTP as clients write it, and what one of them may cost: to a real process, and to a small application."""

import asyncio
import contextlib
import json
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
import uvloop
from uvicorn.server import ServerState

from app import http_protocol as protocol
from tests.support.connections import talk
from tests.support.images import encoded
from tests.support.process import PATIENCE, Server

IMAGE = encoded()
PATH = "/predict?heatmap=none"


def post(*headers: str, target: str = PATH, body: bytes = IMAGE) -> bytes:
    lines = [f"POST {target} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunked(body: bytes, size: int) -> bytes:
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + chunks + b"0\r\n\r\n"


def half_closed(server: Server, data: bytes) -> bytes:
    """What comes back where the client closes its sending side at once."""
    address = httpx.URL(server.url)
    with socket.create_connection((address.host, address.port or 80), timeout=PATIENCE) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    "data", [post(), chunked(IMAGE, 1000), post("Connection: close"), post("Expect: 100-continue")]
)
def test_client_that_sends_no_more_gets_its_answer(server: Server, data: bytes) -> None:
    answer = half_closed(server, data)
    assert answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").startswith(b"HTTP/1.1 200 OK")
    assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["model"] == "capsule"


def test_every_request_before_the_end_is_answered(server: Server) -> None:
    answer = half_closed(server, post() + b"\r\n" + b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 50 + post())
    assert answer.count(b"HTTP/1.1 200 OK") == 52


@pytest.mark.parametrize("data", [post()[:-1], chunked(IMAGE, 1000)[:-2], b"GET / HTTP/1.1\r\nHost", b""])
def test_half_a_request_has_no_answer(server: Server, data: bytes) -> None:
    began = time.monotonic()
    assert half_closed(server, data) == b""
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "data",
    [
        post("Connection: close", target="http://capsule.example:8000" + PATH),
        b"\r\n\r\n" + post("Connection: close"),
        post("Connection: close", "X-Note: folded", " line"),
        chunked(IMAGE, 1000).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1),
        chunked(IMAGE, len(IMAGE) // 90).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1),
    ],
)
def test_request_as_clients_write_it(server: Server, data: bytes) -> None:
    assert talk(server, data).startswith(b"HTTP/1.1 200 OK")


def test_empty_lines_between_requests(server: Server) -> None:
    get = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
    assert talk(server, get + b"\r\n\r\n\r\n\n" + get + b"Connection: close\r\n\r\n").count(b"200 OK") == 2


@pytest.mark.parametrize("target", [b"*", b"http://x"])
def test_options_of_the_whole_service(server: Server, target: bytes) -> None:
    answer = talk(server, b"OPTIONS " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 204 ")
    assert b"\r\nallow: GET, HEAD, POST, PUT, OPTIONS\r\n" in answer


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 17_000 + b"\r\n\r\n", b"larger than 16,384 bytes"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 3_000_000 + b"\r\n\r\n", b"larger than 16,384 bytes"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"more than 100 lines"),
        (post("Transfer-Encoding: chunked"), b"Transfer-Encoding beside Content-Length"),
        (chunked(IMAGE, 1), b"chunks of less than 64 bytes"),
        (b"nonsense\r\n\r\n", b"Invalid HTTP request received."),
    ],
)
def test_what_is_no_request_is_told_why(server: Server, data: bytes, reason: bytes) -> None:
    answer = talk(server, data)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert reason in answer
    assert talk(server, post("Connection: close")).startswith(b"HTTP/1.1 200 OK")


def test_refused_body_of_tiny_chunks_ends_the_connection(server: Server) -> None:
    """Its answer has gone out; the rest isn't read for long."""
    began = time.monotonic()
    answer = talk(
        server, b"POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 99
    )
    assert answer.startswith(b"HTTP/1.1 404 ") or time.monotonic() - began > 5
    piece = b"1\r\nx\r\n" * 10_000
    began = time.monotonic()
    talk(server, b"POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", *[piece] * 100)
    assert time.monotonic() - began < 8


def test_client_that_closes_at_once_ends_the_work() -> None:
    outcomes: list[str] = []

    async def application(_: Any, receive: Any, __: Any) -> None:
        outcomes.extend([(await receive())["type"] for _ in range(2)])

    async def test() -> None:
        async with serving(application) as address:
            with socket.create_connection(address) as connection:
                connection.sendall(post())
            while not outcomes:
                await asyncio.sleep(0.05)

    run(test())
    assert outcomes == ["http.request", "http.disconnect"]


Application = Callable[[Any, Any, Any], Awaitable[None]]


@asynccontextmanager
async def serving(application: Application) -> AsyncIterator[tuple[str, int]]:
    """The protocol over a small application, in this process."""
    config = uvicorn.Config(
        application, http=protocol.request_deadline_protocol(10.0), ws="none", lifespan="off", log_config=None
    )
    config.load()
    make: Any = config.http_protocol_class
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: make(config=config, server_state=state, app_state={}), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


def run(test: Awaitable[None]) -> None:
    """On uvloop, as the service."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(test, 30))


@pytest.mark.parametrize("reset", [True, False])
def test_client_that_goes_away_ends_the_work(reset: bool) -> None:
    """Closing its sending side alone doesn't; afterwards it resets the connection, or just closes it."""
    outcomes: list[str] = []

    async def application(_: Any, receive: Any, __: Any) -> None:
        messages = [(await receive())["type"] for _ in range(2)]
        outcomes.append(messages[-1])

    async def test() -> None:
        async with serving(application) as address:
            connection = socket.create_connection(address)
            connection.sendall(post())
            connection.shutdown(socket.SHUT_WR)
            await asyncio.sleep(0.3)
            assert outcomes == []
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            while not outcomes:
                await asyncio.sleep(0.05)

    run(test())
    assert outcomes == ["http.disconnect"]


ANSWER = bytes(20_000_000)


async def large(_: Any, __: Any, send: Any) -> None:
    headers = [(b"content-length", str(len(ANSWER)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


def asked(address: tuple[str, int]) -> socket.socket:
    """A client that has asked, and reads nothing by itself; the kernel holds little for it."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(address)
    connection.setblocking(False)
    connection.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return connection


async def taken(connection: socket.socket) -> int:
    """Bytes, until the connection ends."""
    count = 0
    with connection, contextlib.suppress(ConnectionError):
        while piece := await asyncio.get_running_loop().sock_recv(connection, 1 << 20):
            count += len(piece)
    return count


def test_client_that_reads_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "READ_SECONDS", 0.3)

    async def test() -> None:
        async with serving(large) as address:
            idle, quick = asked(address), asked(address)
            assert await taken(quick) > len(ANSWER)
            await asyncio.sleep(1)
            assert await taken(idle) < len(ANSWER)

    run(test())


def test_answers_that_wait_are_bounded_altogether(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that has waited longest goes first."""
    monkeypatch.setattr(protocol, "MOST_UNREAD", 2 * len(ANSWER))

    async def test() -> None:
        async with serving(large) as address:
            clients = []
            for _ in range(4):
                clients.append(asked(address))
                await asyncio.sleep(0.2)
            sizes = [await taken(client) for client in clients]
            assert [size > len(ANSWER) for size in sizes] == [False, False, True, True]

    run(test())


def test_many_small_reads_are_made_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The body comes whole, in far fewer pieces than it was sent in."""
    monkeypatch.setattr(protocol, "PAUSE_SECONDS", 0.05)
    pieces: list[int] = []

    async def application(_: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["more_body"]:
            pieces.append(len(message["body"]))
        pieces.append(len(message["body"]))
        await send({"type": "http.response.start", "status": 204, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b""})

    async def test() -> None:
        async with serving(application) as address:
            connection = socket.create_connection(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setblocking(False)
            loop = asyncio.get_running_loop()
            for byte in post(body=bytes(1000)):
                await loop.sock_sendall(connection, bytes([byte]))
                await asyncio.sleep(0.0005)
            assert (await loop.sock_recv(connection, 1000)).startswith(b"HTTP/1.1 204")
            connection.close()

    run(test())
    assert sum(pieces) == 1000
    assert len(pieces) < 300
