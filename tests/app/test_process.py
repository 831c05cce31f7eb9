"""What only a real process shows: bodies under uvicorn, and how it stops."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.app.process import PATIENCE, ROOT, Server, served
from tests.pictures import encoded, five_megabytes


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


def test_sigterm_answers_every_request(capsule_store: Path) -> None:
    """Clients that send without a pause, until readiness tells their load balancer to stop, lose nothing."""
    with served(capsule_store, "--drain-seconds", "2", "--deadline-ms", "60000") as server:
        server.wait_until_ready()
        statuses: list[int] = []
        unready = threading.Event()

        def send() -> None:
            with httpx.Client(timeout=PATIENCE) as client:
                while not unready.is_set():
                    statuses.append(client.post(f"{server.url}/predict", content=encoded()).status_code)

        clients = [threading.Thread(target=send) for _ in range(4)]
        for client in clients:
            client.start()
        time.sleep(1)
        data = encoded()
        slow = send_half(server, data)
        server.process.send_signal(signal.SIGTERM)
        while httpx.get(f"{server.url}/readyz").status_code == 200:
            time.sleep(0.01)
        assert httpx.get(f"{server.url}/livez").status_code == 200
        assert httpx.post(f"{server.url}/predict", content=data, timeout=PATIENCE).status_code == 200
        unready.set()
        for client in clients:
            client.join(PATIENCE)
        server.wait_until_closed()
        assert answer_to_other_half(slow, data).startswith(b"HTTP/1.1 200 OK")
        assert server.process.wait(PATIENCE) == 0
        assert len(statuses) >= 4
        assert set(statuses) == {200}


def send_half(server: Server, data: bytes) -> socket.socket:
    address = httpx.URL(server.url)
    connection = socket.create_connection((address.host, address.port or 80), timeout=PATIENCE)
    head = f"POST /predict HTTP/1.1\r\nHost: camspector\r\nContent-Length: {len(data)}\r\n\r\n"
    connection.sendall(head.encode() + data[:100])
    return connection


def answer_to_other_half(connection: socket.socket, data: bytes) -> bytes:
    with connection:
        connection.sendall(data[100:])
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_second_signal_ends_the_grace_period(tmp_path: Path) -> None:
    with served(tmp_path, "--drain-seconds", "600") as server:
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert httpx.get(f"{server.url}/livez").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0


def test_port_in_use_is_said(server: Server, tmp_path: Path) -> None:
    port = str(httpx.URL(server.url).port)
    command = [sys.executable, "-m", "app", "serve", "--store", str(tmp_path), "--port", port, "--device", "cpu"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert run.returncode != 0
    assert "address already in use" in run.stderr
    assert "Traceback" not in run.stderr
