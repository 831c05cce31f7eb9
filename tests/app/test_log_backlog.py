"""A log that nobody takes stops no process."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.images import encoded
from tests.support.process import PATIENCE, ROOT, Server, served


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
        assert metric(server, "camspector_log_lines_waiting") >= 3
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()


SMALL_BACKLOG = """
import sys
from app.monitoring import stderr
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
            before = metric(server, "camspector_log_lines_dropped_total")
            assert {client.get(f"{server.url}/v1/models").status_code for _ in range(requests)} == {200}
            assert client.get(f"{server.url}/livez").status_code == 200
            return int(metric(server, "camspector_log_lines_dropped_total") - before)

        server.reading.clear()
        lost = list_models(1200)
        assert 600 < lost < 1200
        assert client.post(f"{server.url}/predict", content=encoded()).status_code == 200
        server.reading.set()
        notice = server.wait_until_logged("lines of the log are lost")
        assert metric(server, "camspector_log_lines_dropped_total") == lost + 1
        assert list_models(1) == 0

        server.reading.clear()
        assert list_models(600) > 0
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(15) == 0
    gap = server.lines.index(notice)
    assert sum('"/v1/models"' in line for line in server.lines[:gap]) == 1200 - lost
    told = json.loads(notice)
    assert (told["level"], told["logger"]) == ("error", "app.monitoring.logs")
    assert told["message"].startswith(f"{lost + 1} lines of the log are lost, from 20")


def metric(server: Server, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", httpx.get(f"{server.url}/metrics", timeout=PATIENCE).text, re.M)
    assert found
    return float(found[1])
