"""What only a real process shows: bodies under uvicorn, and how it stops."""

import io
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.support.images import encoded, five_megabytes, png_bomb
from tests.support.process import PATIENCE, ROOT, Server, served


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


def test_sigterm_answers_every_request(capsule_store: Path) -> None:
    """Clients that send without a pause, until readiness tells their load balancer to stop, lose nothing."""
    with served(capsule_store, "--drain-seconds", "10", "--deadline-ms", "60000") as server:
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


def test_sigterm_under_clients_that_never_stop(capsule_store: Path) -> None:
    """Every request whose connection was made is answered; then no connection is made any more."""
    with served(capsule_store, "--drain-seconds", "1", "--deadline-ms", "60000", "--queue-size", "1000") as server:
        server.wait_until_ready()
        address = httpx.URL(server.url)
        data = encoded()
        head = f"POST /predict?heatmap=none HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        answers: list[bytes] = []

        def send() -> None:
            while True:
                try:
                    connection = socket.create_connection((address.host, address.port or 80), timeout=PATIENCE)
                except ConnectionRefusedError:
                    return
                with connection:
                    connection.sendall(head + data)
                    answers.append(connection.recv(65536).partition(b"\r\n")[0])

        with ThreadPoolExecutor(8) as pool:
            sending = [pool.submit(send) for _ in range(8)]
            time.sleep(1)
            server.process.send_signal(signal.SIGTERM)
            for each in sending:
                each.result(PATIENCE)
        assert server.process.wait(PATIENCE) == 0
    assert set(answers) == {b"HTTP/1.1 200 OK"}
    assert len(answers) > 16
    assert "Traceback" not in server.log()


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
    assert run.returncode == 2
    assert f"can't listen on 127.0.0.1, port {port}: Address already in use" in run.stderr
    assert "--port" in run.stderr
    assert "Traceback" not in run.stderr


def talk(server: Server, *pieces: bytes) -> bytes:
    """What comes back for raw bytes until the server closes the connection."""
    address = httpx.URL(server.url)
    with socket.create_connection((address.host, address.port or 80), timeout=PATIENCE) as connection:
        with suppress(ConnectionError):  # refused in the middle
            for piece in pieces:
                connection.sendall(piece)
        return b"".join(iter(lambda: connection.recv(65536), b""))


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
    """More of each than there are slots; benchmarks/chaos.py has more."""
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


@pytest.mark.parametrize("stderr", ["", "2>/dev/full", "2>&-"], ids=["reader gone", "disk full", "closed"])
def test_a_log_that_cannot_be_written_stops_nobody(capsule_store: Path, stderr: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "app", "serve", "--store", str(capsule_store), "--port", str(port)]
    command = ["sh", "-c", f'exec "$@" {stderr}', "sh", *command, "--device", "cpu", "--deadline-ms", "60000"]
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(command, cwd=ROOT, stderr=writer)
    os.close(writer)
    server = Server(process, f"http://127.0.0.1:{port}", [])
    try:
        server.wait_until_ready()
        for _ in range(3):
            assert httpx.post(f"{server.url}/predict", content=encoded(), timeout=PATIENCE).status_code == 200
        assert metric(server, "log_lines_waiting") >= 3
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()


SMALL_BACKLOG = """
import sys
from app import stderr
stderr.MOST_BYTES = 20_000
from app.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_stalled_log_stops_nobody(capsule_store: Path) -> None:
    """Every request is answered, every lost line counted, and the process ends when it is told to."""
    flags = "--log-format", "json", "--drain-seconds", "0", "--deadline-ms", "60000"
    with (
        served(capsule_store, *flags, program=["-c", SMALL_BACKLOG]) as server,
        httpx.Client(timeout=PATIENCE) as client,
    ):
        server.wait_until_ready()
        server.wait_until_loaded("capsule", 1)

        def list_models(requests: int) -> int:
            """How many lines are lost meanwhile."""
            before = metric(server, "log_lines_dropped_total")
            assert {client.get(f"{server.url}/v1/models").status_code for _ in range(requests)} == {200}
            assert client.get(f"{server.url}/livez").status_code == 200
            return int(metric(server, "log_lines_dropped_total") - before)

        server.reading.clear()
        lost = list_models(1200)
        assert 600 < lost < 1200
        assert client.post(f"{server.url}/predict", content=encoded()).status_code == 200
        server.reading.set()
        notice = server.wait_until_logged("lines of the log are lost")
        assert metric(server, "log_lines_dropped_total") == lost + 1
        assert list_models(1) == 0

        server.reading.clear()
        assert list_models(600) > 0
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(15) == 0
    gap = server.lines.index(notice)
    assert sum('"/v1/models"' in line for line in server.lines[:gap]) == 1200 - lost
    told = json.loads(notice)
    assert (told["level"], told["logger"]) == ("error", "app.logs")
    assert told["message"].startswith(f"{lost + 1} lines of the log are lost, from 20")


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


@pytest.mark.parametrize("signals", [1, 2])
def test_unfinished_request_gets_an_answer_when_it_is_cut_off(capsule_store: Path, signals: int) -> None:
    flags = ["--drain-seconds", "0", "--shutdown-seconds", "1" if signals == 1 else "600", "--deadline-ms", "60000"]
    with served(capsule_store, *flags) as server:
        server.wait_until_ready()
        slow = send_half(server, encoded())
        time.sleep(0.5)
        for _ in range(signals):
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
        with slow:
            answer = b"".join(iter(lambda: slow.recv(65536), b""))
        assert server.process.wait(PATIENCE) == 0
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"application/problem+json" in answer
    assert b'"error":"not-ready"' in answer
    assert "Traceback" not in server.log()
    assert server.log().endswith("app.server: stopped\n")


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


def metric(server: Server, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", httpx.get(f"{server.url}/metrics", timeout=PATIENCE).text, re.M)
    assert found
    return float(found[1])


NOT_COMING_BACK = """
import sys, threading, time
from app import service
from model import store
service.STOP_SECONDS = 1
looks = []
def models(self, of=store.Store.models):
    looks.append(self)
    return of(self) if len(looks) == 1 else time.sleep(600)
store.Store.models = models
threading.Thread(target=time.sleep, args=[600]).start()
"""


def test_threads_that_do_not_come_back_keep_no_process(capsule_store: Path) -> None:
    """One in the engine, the registry's in the store, and one as a codec would have it, which is no daemon."""
    flags = ["--drain-seconds", "0", "--shutdown-seconds", "1", "--store-poll-seconds", "0.1", "--deadline-ms", "60000"]
    with (
        served(capsule_store, *flags, program=["-c", NOT_COMING_BACK + HANGING]) as server,
        ThreadPoolExecutor() as pool,
    ):
        server.wait_until_ready()
        predict = f"{server.url}/predict"
        cut_off = pool.submit(httpx.post, predict, content=encoded(brightness=255), timeout=PATIENCE)
        time.sleep(1)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(15) == 0
        assert cut_off.result().status_code == 503
    assert server.log().endswith("app.server: stopped\n")


NEVER_STOPPED = """
import sys, time
from app import server, service
server.END_SECONDS = 1
service.Service.stop = lambda self: time.sleep(600)
from app.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_service_that_does_not_stop_is_ended(tmp_path: Path) -> None:
    with served(tmp_path, "--drain-seconds", "0", "--shutdown-seconds", "1", program=["-c", NEVER_STOPPED]) as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(15) == 70
    assert "did not come to an end" in server.lines[-1]


HANGING = """
import sys, time
from model.engines import pytorch
evidence = pytorch.TorchEngine.evidence
def slow(self, pixels, **how):
    return evidence(self, pixels, **how) if pixels.max() < 255 else time.sleep(600)
pytorch.TorchEngine.evidence = slow
from app.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_hanging_engine_ends_the_process(capsule_store: Path) -> None:
    """Whoever waits is told at once; 70 is the exit status."""
    with served(capsule_store, "--hang-seconds", "1", "--deadline-ms", "60000", program=["-c", HANGING]) as server:
        server.wait_until_ready()
        predict = f"{server.url}/predict"
        assert httpx.post(predict, content=encoded(brightness=9), timeout=PATIENCE).status_code == 200
        with ThreadPoolExecutor() as pool:
            replies = list(
                pool.map(
                    lambda brightness: httpx.post(predict, content=encoded(brightness=brightness), timeout=PATIENCE),
                    [255, 255, 255],  # whichever comes first hangs
                )
            )
        assert [reply.status_code for reply in replies] == [503, 503, 503]
        assert {reply.json()["error"] for reply in replies} == {"engine-failed"}
        assert server.process.wait(PATIENCE) == 70
    (critical,) = [line for line in server.lines if "CRITICAL" in line]
    assert re.search(r"engine worker \d+ has not come back from a batch", critical)


PLANTED = """
import sys
from app.sandbox.pool import CodecPool
CodecPool.__init__.__defaults__ = ("tests.app.sandbox.planted",)
from app.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
"""Codec processes that do what an image says."""


def test_sigterm_with_an_image_that_never_ends_in_every_codec_process(capsule_store: Path) -> None:
    flags = ("--deadline-ms", "60000", "--drain-seconds", "1", "--shutdown-seconds", "2")
    with served(capsule_store, *flags, program=["-c", PLANTED]) as server, ThreadPoolExecutor(8) as pool:
        server.wait_until_ready()
        replies = [pool.submit(httpx.post, f"{server.url}/predict", content=b"sleep 600", timeout=60) for _ in range(4)]
        template = subprocess.run(
            ["pgrep", "-P", str(server.process.pid)], capture_output=True, text=True
        ).stdout.split()
        time.sleep(3)
        assert httpx.post(f"{server.url}/predict", content=b"fine", timeout=20).status_code in (200, 429)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
        assert time.monotonic() - began < 10
        assert {reply.result().status_code for reply in replies} <= {429, 503}
        assert not Path(f"/proc/{template}").exists()
