"""A real process that is killed, or whose disk is full."""

import resource
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.support.artifacts import publish
from tests.support.images import encoded
from tests.support.process import PATIENCE, served


@pytest.fixture(scope="module")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("store")
    publish(root, "widget", onnx=True, size=32)
    return root


def recorded(records: Path) -> set[str]:
    with closing(sqlite3.connect(records / "records.sqlite")) as database:
        return {inference_id for (inference_id,) in database.execute("SELECT inference_id FROM inspections")}


def test_what_was_answered_before_a_kill_is_recorded(small_store: Path, tmp_path: Path) -> None:
    """SIGKILL under load, twice; benchmarks/records_kill.py does it oftener."""
    answered: list[str] = []

    def ask(url: str) -> None:
        with httpx.Client(timeout=PATIENCE) as client:
            try:
                while True:
                    reply = client.post(f"{url}/predict?heatmap=none", content=encoded(size=32))
                    assert reply.headers["x-camspector-recorded"] in ("true", "false")
                    if reply.headers["x-camspector-recorded"] == "true":
                        answered.append(reply.json()["inference_id"])
            except httpx.TransportError:
                return

    for before in (0, 60):
        with served(small_store, "--deadline-ms", "60000", "--records", str(tmp_path / "records")) as server:
            server.wait_until_ready()
            clients = [threading.Thread(target=ask, args=[server.url]) for _ in range(4)]
            for client in clients:
                client.start()
            give_up = time.monotonic() + PATIENCE
            while len(answered) < before + 60:
                assert time.monotonic() < give_up
                time.sleep(0.005)
            server.process.send_signal(signal.SIGKILL)
            for client in clients:
                client.join(PATIENCE)
        assert set(answered) <= recorded(tmp_path / "records")
    assert len(set(answered)) == len(answered) >= 120


def test_a_full_disk_stops_no_inspection(small_store: Path, tmp_path: Path) -> None:
    """Files may grow to 300 kB, for a while."""
    with (
        served(small_store, "--deadline-ms", "60000", "--records", str(tmp_path / "records")) as server,
        httpx.Client(base_url=server.url, timeout=PATIENCE) as client,
    ):
        server.wait_until_ready()
        ids: list[str] = []

        def inspect() -> str:
            reply = client.post("/predict?heatmap=none", content=encoded(size=32))
            assert reply.status_code == 200
            ids.append(reply.json()["inference_id"])
            return reply.headers["x-camspector-recorded"]

        def inspect_until(kept: str) -> None:
            give_up = time.monotonic() + PATIENCE
            while inspect() != kept:
                assert time.monotonic() < give_up
                time.sleep(0.01)

        inspect_until("true")
        limit = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (300_000, limit[1]))
        inspect_until("false")
        server.wait_until_logged("the records can't be written")
        give_up = time.monotonic() + PATIENCE
        while "camspector_records_unavailable 1.0" not in client.get("/metrics").text:
            inspect()
            assert time.monotonic() < give_up
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limit)
        inspect_until("true")
        server.wait_until_logged("resolved: the records are written again")
        assert server.stop() == 0
    assert recorded(tmp_path / "records") == set(ids)
