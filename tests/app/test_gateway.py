"""deploy/nginx.conf with the real nginx, in front of real services."""

import json
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.images import encoded
from tests.support.process import PATIENCE, ROOT, Server, served

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin")
CONFIGURATION = (ROOT / "deploy" / "nginx.conf").read_text()
UPSTREAM = (ROOT / "deploy" / "upstream.conf").read_text()
FLEET = (ROOT / "deploy" / "fleet-upstream.conf").read_text()

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian package nginx-light)")


@contextmanager
def gateway(folder: Path, *ports: int, upstream: str = UPSTREAM) -> Iterator[str]:
    """The address of an nginx before services on these ports."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    servers = "".join(f"server 127.0.0.1:{port};" for port in ports)
    text = upstream.replace("server 127.0.0.1:8000;", servers)
    assert servers in text
    text += CONFIGURATION.replace("listen 8080;", f"listen 127.0.0.1:{port};")
    assert f"listen 127.0.0.1:{port};" in text
    (folder / "camspector.conf").write_text(text)
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off; {temporary} include {folder}/camspector.conf; }}\n"
    )
    assert NGINX
    command = [NGINX, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < give_up
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def port_of(server: Server) -> int:
    return httpx.URL(server.url).port or 80


def test_requests_pass(server: Server, tmp_path: Path) -> None:
    with gateway(tmp_path, port_of(server)) as url, httpx.Client(base_url=url, timeout=PATIENCE) as client:
        reply = client.post("/predict", content=encoded(), headers={"X-Part-ID": "p-1", "X-Request-ID": "r-1"})
        assert (reply.status_code, reply.headers["x-part-id"], reply.headers["x-request-id"]) == (200, "p-1", "r-1")
        assert len(client.get("/readyz").headers["x-request-id"]) == 32
        assert "camspector_http_requests_total" in client.get("/metrics").text
        reply = client.post("/predict", content=b"hello")
        assert (reply.status_code, reply.json()["error"]) == (415, "unsupported-format")


def test_requests_pass_where_docker_names_the_services(server: Server, tmp_path: Path) -> None:
    """But for two words that Debian's nginx is too old for."""
    resolver = re.search(r"^ +resolver .+;.*$", FLEET, re.MULTILINE)
    assert resolver
    upstream = FLEET.replace("server camspector:8000 resolve;", "server 127.0.0.1:8000;").replace(resolver[0], "")
    upstream = upstream.replace("server camspector-2:8000 resolve;", "")
    with gateway(tmp_path, port_of(server), upstream=upstream) as url:
        assert httpx.post(f"{url}/predict", content=encoded(), timeout=PATIENCE).status_code == 200


def test_too_large_bodies(server: Server, tmp_path: Path) -> None:
    """Little more than the limit is the service's to explain, much more nginx refuses."""
    with gateway(tmp_path, port_of(server)) as url:
        for size in (20_000_001, 30_000_000):
            reply = httpx.post(f"{url}/predict", content=bytes(size), timeout=PATIENCE)
            assert (reply.status_code, reply.json()["error"]) == (413, "body-too-large")
            assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("r-1/{}~#", True), ('a","x":"b', False), ("a\\", False), ("two words", False), ("x" * 129, False)],
)
def test_no_id_breaks_the_gateways_log(server: Server, tmp_path: Path, sent: str, kept: bool) -> None:
    with gateway(tmp_path, port_of(server)) as url:
        reply = httpx.post(
            f"{url}/predict", content=bytes(30_000_000), headers={"X-Request-ID": sent}, timeout=PATIENCE
        )
        assert reply.json().keys() == {"type", "title", "status", "detail", "error", "request_id"}
        assert (reply.json()["request_id"] == sent) == kept
        assert (
            httpx.get(f"{url}/livez", headers={"X-Request-ID": sent}, timeout=PATIENCE).headers["x-request-id"] == sent
        ) == kept


def test_floods_are_held_off(server: Server, tmp_path: Path) -> None:
    with gateway(tmp_path, port_of(server)) as url, httpx.Client(base_url=url, timeout=PATIENCE) as client:
        with ThreadPoolExecutor(20) as pool:
            replies = list(pool.map(lambda _: client.get("/nowhere"), range(1500)))
        statuses = Counter(reply.status_code for reply in replies)
        assert statuses.keys() == {404, 429}
        assert statuses[404] >= 200
        refused = next(reply for reply in replies if reply.status_code == 429)
        assert (refused.json()["error"], refused.headers["retry-after"]) == ("too-many-requests", "1")


def test_a_half_sent_upload_does_not_reach_the_service(tmp_path: Path) -> None:
    reached = []

    class Service(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            reached.append(self.request.recv(65536))

    with socketserver.TCPServer(("127.0.0.1", 0), Service) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        with gateway(tmp_path, service.server_address[1]) as url:
            address = httpx.URL(url)
            with socket.create_connection((address.host, address.port or 80), timeout=PATIENCE) as connection:
                connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" + b"x" * 99)
                time.sleep(0.5)
                assert reached == []
                connection.sendall(b"x")
                assert connection.recv(65536).startswith(b"HTTP/1.1 502 ")
        service.shutdown()
    assert len(reached) == 1


@pytest.mark.parametrize(("method", "times"), [("POST", 1), ("GET", 2)])
def test_a_request_is_sent_again_only_where_that_is_harmless(tmp_path: Path, method: str, times: int) -> None:
    """Both services take the request, and close."""
    reached = []

    class Service(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            reached.append(self.request.recv(65536))

    with (
        socketserver.TCPServer(("127.0.0.1", 0), Service) as first,
        socketserver.TCPServer(("127.0.0.1", 0), Service) as second,
    ):
        for service in (first, second):
            threading.Thread(target=service.serve_forever, daemon=True).start()
        with gateway(tmp_path, first.server_address[1], second.server_address[1]) as url:
            reply = httpx.request(method, f"{url}/predict", timeout=PATIENCE)
        for service in (first, second):
            service.shutdown()
    assert len(reached) == times
    assert (reply.status_code, reply.json()["error"], reply.headers["retry-after"]) == (502, "unreachable", "5")


def test_a_service_that_takes_no_connections_is_passed_by(server: Server, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with gateway(tmp_path, port, port_of(server)) as url:
        for _ in range(4):
            assert httpx.post(f"{url}/predict", content=encoded(), timeout=PATIENCE).status_code == 200


def test_a_stop_under_load_loses_nothing(capsule_store: Path, tmp_path: Path) -> None:
    """Clients that never stop sending, and never send anything twice."""
    flags = ["--deadline-ms", "60000", "--drain-seconds", "5"]
    with served(capsule_store, *flags) as stopping, served(capsule_store, *flags) as staying:
        stopping.wait_until_ready()
        staying.wait_until_ready()
        replies: list[tuple[int, str]] = []
        enough = threading.Event()

        def send(url: str) -> None:
            with httpx.Client(timeout=PATIENCE) as client:
                while not enough.is_set():
                    reply = client.post(f"{url}/predict?heatmap=none", content=encoded())
                    replies.append((reply.status_code, reply.text))
                    time.sleep(0.03)

        with gateway(tmp_path, port_of(stopping), port_of(staying)) as url:
            clients = [threading.Thread(target=send, args=[url]) for _ in range(4)]
            for client in clients:
                client.start()
            time.sleep(1)
            stopping.process.send_signal(signal.SIGTERM)
            assert stopping.process.wait(PATIENCE) == 0
            time.sleep(1)
            enough.set()
            for client in clients:
                client.join(PATIENCE)
        assert [text for status, text in replies if status != 200] == []
        assert len({json.loads(text)["inference_id"] for _, text in replies}) == len(replies) >= 20
