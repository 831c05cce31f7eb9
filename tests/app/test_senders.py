"""Clients of every kind against a real process: large, slow, odd and broken requests."""

import io
import re
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.support.connections import talk
from tests.support.images import encoded, five_megabytes, png_bomb
from tests.support.process import PATIENCE, Server, served


@pytest.fixture(scope="module")
def hasty_server(capsule_store: Path) -> Iterator[Server]:
    with served(capsule_store, "--arrival-seconds", "1", "--deadline-ms", "60000") as server:
        server.wait_until_ready()
        yield server


def pieces(size: int) -> Iterator[bytes]:
    for _ in range(0, size, 50_000):
        yield bytes(50_000)


def test_uploads(server: Server) -> None:
    predict = f"{server.url}/predict"
    for body in (bytes(50_000_000), pieces(50_000_000)):
        reply = httpx.post(predict, content=body, timeout=PATIENCE)
        assert (reply.status_code, reply.json()["error"]) == (413, "body-too-large")
        assert reply.headers["connection"] == "close"
    for form in ({"files": {"file": five_megabytes()}}, {"content": five_megabytes()}):
        assert httpx.post(predict, timeout=PATIENCE, **form).status_code == 200


@pytest.mark.parametrize(
    "piece", [b"", b"POST /predict HTTP/1.1\r\nHost: ", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /"]
)
def test_late_headers_end_the_connection(hasty_server: Server, piece: bytes) -> None:
    answer = talk(hasty_server, piece)
    assert answer.startswith(b"HTTP/1.1 200 OK") if b"livez" in piece else answer == b""


@pytest.mark.parametrize("head", [b"Content-Length: 5000", b"Transfer-Encoding: chunked"])
def test_late_body_is_408(hasty_server: Server, head: bytes) -> None:
    answer = talk(hasty_server, b"POST /predict HTTP/1.1\r\nHost: camspector\r\n" + head + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"error":"slow-body"' in answer
    assert b"connection: close" in answer.lower()


def test_idle_and_trickling_connections_keep_nobody_out(capsule_store: Path) -> None:
    """More of each than there are places; benchmarks/chaos.py has more."""
    with served(capsule_store, "--queue-size", "2", "--deadline-ms", "60000") as server, ExitStack() as connections:
        server.wait_until_ready()
        address = httpx.URL(server.url)
        for number in range(60):
            connection = socket.create_connection((address.host, address.port or 80), timeout=PATIENCE)
            connections.enter_context(connection)
            pieces = b"", b"POST /predict HTT", b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nx"
            connection.sendall(pieces[number % 3])
        for _ in range(10):
            assert httpx.post(f"{server.url}/predict", content=encoded(), timeout=PATIENCE).status_code == 200


@pytest.mark.parametrize("upgrade", ["h2c", "websocket"])
def test_offer_to_upgrade_is_ignored(server: Server, upgrade: str) -> None:
    """Java's HttpClient offers HTTP/2 with every first request."""
    data = encoded()
    head = (
        "POST /predict HTTP/1.1\r\nHost: camspector\r\nConnection: Upgrade, HTTP2-Settings, close\r\n"
        f"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nUpgrade: {upgrade}\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    )
    assert talk(server, head.encode(), data).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("head", [b"GET / HTTP/1.1\r\nX: ", b"GET /", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 1000])
def test_endless_headers_are_refused(server: Server, head: bytes) -> None:
    assert talk(server, head + b"x" * 20_000).startswith(b"HTTP/1.1 400")


def test_broken_chunks_are_not_logged(capsule_store: Path) -> None:
    """Whether the answer has begun or not."""
    with served(capsule_store) as server:
        server.wait_until_ready()
        for target in (b"GET /livez", b"POST /nowhere", b"POST /predict"):
            head = target + b" HTTP/1.1\r\nHost: camspector\r\nTransfer-Encoding: chunked\r\n\r\n"
            assert talk(server, head + b"no chunk\r\n").startswith(b"HTTP/1.1 400")
            address = httpx.URL(server.url)
            with socket.create_connection((address.host, address.port or 80), timeout=PATIENCE) as connection:
                connection.sendall(head)
                if target != b"POST /predict":
                    assert connection.recv(65536).startswith(b"HTTP/1.1 ")
                connection.sendall(b"no chunk\r\n")
                while connection.recv(65536):
                    pass
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(PATIENCE) == 0
    assert "ERROR" not in server.log()
    assert "Traceback" not in server.log()


def test_clients_write_nothing_into_the_log(capsule_store: Path) -> None:
    """Neither by what the parser, Pillow or uvicorn warn of."""
    with served(capsule_store, "--log-level", "debug") as server:
        server.wait_until_ready()
        predict = f"{server.url}/predict"
        tiff = io.BytesIO()
        Image.new("RGB", (9, 9)).save(tiff, "TIFF")
        form = {"Content-Type": "multipart/form-data; boundary=b"}
        talk(server, b"nonsense\r\n\r\n")
        talk(server, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n")
        httpx.post(predict, content=b"--x\r\nhello", headers=form, timeout=PATIENCE)
        httpx.post(predict, content=b"--b\r\nA: b\r\n\r\n--b--\r\nmore", headers=form, timeout=PATIENCE)
        httpx.post(predict, content=tiff.getvalue()[:-9] + b"\xff" * 9, timeout=PATIENCE)
        one, many = (struct.pack("<HHII", 277, 3, 1, samples) for samples in (3, 2048))  # SamplesPerPixel
        assert one in tiff.getvalue()
        httpx.post(predict, content=tiff.getvalue().replace(one, many), timeout=PATIENCE)
        httpx.post(predict, content=png_bomb(9000), timeout=PATIENCE)
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(PATIENCE) == 0
    assert [line for line in server.lines if not re.search(r" (INFO|DEBUG) app\.", line)] == []
