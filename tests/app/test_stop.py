"""How the process stops: signals, what is in flight, and what does not come back."""

import re
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.connections import answer_to_other_half, send_half
from tests.support.images import encoded
from tests.support.process import PATIENCE, served


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
        while httpx.get(f"{server.url}/readyz", timeout=PATIENCE).status_code == 200:
            time.sleep(0.01)
        assert httpx.get(f"{server.url}/livez", timeout=PATIENCE).status_code == 200
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


def test_second_signal_ends_the_grace_period(tmp_path: Path) -> None:
    with served(tmp_path, "--drain-seconds", "600") as server:
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert httpx.get(f"{server.url}/livez", timeout=PATIENCE).status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0


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
    assert server.log().endswith("app.connection.server: stopped\n")


NOT_COMING_BACK = """
import sys, threading, time
from app import service
from model import store
service.STOP_SECONDS = 1
polls = []
def models(self, of=store.Store.model_folders):
    polls.append(self)
    return of(self) if len(polls) == 1 else time.sleep(600)
store.Store.model_folders = models
threading.Thread(target=time.sleep, args=[600]).start()
"""


def test_threads_that_do_not_come_back_keep_no_process(capsule_store: Path) -> None:
    """One in the engine, the model manager's in the store, and one as a codec would have it, which is no daemon."""
    flags = ["--drain-seconds", "0", "--shutdown-seconds", "1", "--store-poll-seconds", "0.1", "--deadline-ms", "60000"]
    with (
        served(capsule_store, *flags, program=["-c", NOT_COMING_BACK + STALLED]) as server,
        ThreadPoolExecutor() as pool,
    ):
        server.wait_until_ready()
        predict = f"{server.url}/predict"
        cut_off = pool.submit(httpx.post, predict, content=encoded(brightness=255), timeout=PATIENCE)
        time.sleep(1)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(15) == 0
        assert cut_off.result().status_code == 503
    assert server.log().endswith("app.connection.server: stopped\n")


NEVER_STOPPED = """
import sys, time
from app.connection import server
from app import service
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


STALLED = """
import sys, time
from model.engines import pytorch
run = pytorch.TorchEngine.run
def slow(self, pixels, **how):
    return run(self, pixels, **how) if pixels.max() < 255 else time.sleep(600)
pytorch.TorchEngine.run = slow
from app.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_stalled_engine_ends_the_process(capsule_store: Path) -> None:
    """Whoever waits is told at once; 70 is the exit status."""
    with served(capsule_store, "--stall-seconds", "1", "--deadline-ms", "60000", program=["-c", STALLED]) as server:
        server.wait_until_ready()
        predict = f"{server.url}/predict"
        assert httpx.post(predict, content=encoded(brightness=9), timeout=PATIENCE).status_code == 200
        with ThreadPoolExecutor() as pool:
            replies = list(
                pool.map(
                    lambda brightness: httpx.post(predict, content=encoded(brightness=brightness), timeout=PATIENCE),
                    [255, 255, 255],  # whichever comes first stalls
                )
            )
        assert [reply.status_code for reply in replies] == [503, 503, 503]
        assert {reply.json()["error"] for reply in replies} == {"engine-failed"}
        assert server.process.wait(PATIENCE) == 70
    (critical,) = [line for line in server.lines if "CRITICAL" in line]
    assert re.search(r"engine worker \d+ has been stalled in a batch", critical)


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
        replies = [
            pool.submit(httpx.post, f"{server.url}/predict", content=b"sleep 600", timeout=PATIENCE) for _ in range(4)
        ]
        children = subprocess.run(
            ["pgrep", "-P", str(server.process.pid)], capture_output=True, text=True
        ).stdout.split()
        time.sleep(3)
        assert httpx.post(f"{server.url}/predict", content=b"fine", timeout=PATIENCE).status_code in (200, 429)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0
        assert time.monotonic() - began < 30
        assert {reply.result().status_code for reply in replies} <= {429, 503}
        assert children
        assert not [number for number in children if Path(f"/proc/{number}").exists()]
