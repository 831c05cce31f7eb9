"""The service calls nobody (docs/security.md), whatever the libraries that it uses would do."""

import sys
from pathlib import Path

import pytest

from tests.support.artifacts import publish
from tests.support.images import encoded
from tests.support.network_namespace import called, why_not

PATIENCE = 300
pytestmark = pytest.mark.skipif(why_not() != "", reason=why_not())


def test_what_is_called_is_noticed(tmp_path: Path) -> None:
    """By name, by address, over either protocol."""
    code = (
        "import socket\n"
        "for host, port in (('example.com', 443), ('198.51.100.7', 80)):\n"
        "    try: socket.create_connection((host, port), 5)\n"
        "    except OSError: pass\n"
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('198.51.100.8', 514))\n"
        "server = socket.create_server(('127.0.0.1', 8000)); socket.create_connection(('127.0.0.1', 8000))\n"
    )
    found = called([sys.executable, "-c", code], tmp_path, PATIENCE)
    assert set(found) >= {
        "UDP 10.255.255.53 53 example.com",
        "TCP 203.0.113.1 443",
        "TCP 198.51.100.7 80",
        "UDP 198.51.100.8 514",
    }
    assert not [line for line in found if "127.0.0.1" in line]


def test_onnx_runtime_would_call(tmp_path: Path) -> None:
    """Why one module imports it: a wheel that no longer calls makes that module superfluous."""
    code = "import time, onnxruntime; time.sleep(15)"
    assert called([sys.executable, "-c", code], tmp_path, PATIENCE) != []


SERVE = """
import sys, time
from pathlib import Path
import httpx
from tests.support.process import PATIENCE, served

store, image = map(Path, sys.argv[1:])
with served(store) as server, httpx.Client(timeout=PATIENCE) as client:
    server.wait_until_ready()
    assert client.post(f"{server.url}/predict", content=image.read_bytes()).status_code == 200
    time.sleep(20)  # ONNX Runtime calls after 10
    assert client.post(f"{server.url}/predict", content=image.read_bytes()).status_code == 200
    server.process.terminate()
    assert server.process.wait(PATIENCE) == 0
"""


def test_the_service_calls_nobody(tmp_path: Path) -> None:
    """From the start to the end, with requests."""
    publish(tmp_path / "store", onnx=True)
    (tmp_path / "part.png").write_bytes(encoded())
    command = [sys.executable, "-c", SERVE, str(tmp_path / "store"), str(tmp_path / "part.png")]
    assert called(command, tmp_path, PATIENCE) == []


DOCS = """
import re, sys
from pathlib import Path
from urllib.parse import urljoin
import httpx
from tests.support.process import PATIENCE, served

with served(Path(sys.argv[1])) as server, httpx.Client(timeout=PATIENCE) as client:
    page = client.get(f"{server.url}/docs")
    addresses = re.findall('(?:src|href)=["\\']([^"\\']+)', page.text)
    assert addresses
    for address in addresses:
        try:
            assert client.get(urljoin(f"{server.url}/docs", address)).status_code == 200
        except httpx.ConnectError:
            pass  # whom it called is noticed
"""


def test_the_page_of_documentation_calls_nobody(tmp_path: Path) -> None:
    """Neither do the scripts and styles that a browser loads for it."""
    assert called([sys.executable, "-c", DOCS, str(tmp_path)], tmp_path, PATIENCE) == []
