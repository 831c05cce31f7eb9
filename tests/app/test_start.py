"""How the process starts, and how shells and supervisors start and stop it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.connection.sockets import listen
from tests.support.connections import answer_to_other_half, send_half
from tests.support.images import encoded
from tests.support.process import PATIENCE, ROOT, Server, served


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@contextmanager
def listening(host: str) -> Iterator[list[socket.socket]]:
    opened = listen(host, 0)
    try:
        yield opened
    finally:
        for each in opened:
            each.close()


def test_an_address_has_one_socket() -> None:
    with listening("127.0.0.1") as (only,):
        assert only.family == socket.AF_INET


@pytest.mark.parametrize("host", ["::", "localhost"])
def test_all_addresses_of_a_host_have_one_port(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And clients have the addresses that they have: an IPv4 gateway is known by its own."""
    find = socket.getaddrinfo

    def both(name: str, *more: Any, **options: Any) -> list[Any]:
        names = ["::1", "127.0.0.1"] if name == "localhost" else [name]
        return [each for name in names for each in find(name, *more, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with listening(host) as opened:
        assert len(opened) == (2 if has_ipv6() else 1)
        assert len({each.getsockname()[1] for each in opened}) == 1
        for each in opened:
            address = "127.0.0.1" if each.family == socket.AF_INET else "::1"
            with socket.create_connection((address, each.getsockname()[1]), PATIENCE):
                connection, client = each.accept()
                connection.close()
                assert client[0] == address


def test_a_family_that_is_not_here_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container without IPv6."""
    create = socket.create_server

    def only_ipv4(address: object, *, family: socket.AddressFamily, backlog: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return create(address, family=family, backlog=backlog)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "create_server", only_ipv4)
    with listening("::") as (only,):
        assert only.family == socket.AF_INET
    with pytest.raises(OSError, match="not supported"):
        listen("::1", 0)


def test_an_address_that_is_taken_closes_the_others() -> None:
    with listening("0.0.0.0") as (taken,), pytest.raises(OSError, match="already in use"):
        listen("::", taken.getsockname()[1])
    with listening("::"):
        pass


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_the_service_answers_both_families(tmp_path: Path) -> None:
    with served(tmp_path, "--host", "::") as server:
        port = httpx.URL(server.url).port
        for address in ("[::1]", "127.0.0.1"):
            assert httpx.get(f"http://{address}:{port}/livez", timeout=PATIENCE).status_code == 200
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams(tmp_path: Path, closed: str) -> None:
    """As some supervisors start processes: nothing else takes their numbers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "app", "serve", "--store", str(tmp_path), "--port", str(port), "--device", "cpu"]
    process = subprocess.Popen(["sh", "-c", f'exec "$@" {closed}', "sh", *command], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        give_up = time.monotonic() + PATIENCE
        while not Server(process, f"http://127.0.0.1:{port}", [])._answers():
            assert process.poll() is None
            assert time.monotonic() < give_up
            time.sleep(0.1)
        streams = [os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)]
        assert not [name for name in streams if "socket" in name or "anon_inode" in name]
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def default_sighup() -> Iterator[None]:
    """What nohup, under which the tests may run, has changed; processes inherit it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("default_sighup")
def test_sighup_lets_requests_end(capsule_store: Path) -> None:
    """A terminal that closes sends it, also twice; systemd sends it behind SIGTERM where SendSIGHUP= is set."""
    with served(capsule_store, "--drain-seconds", "1", "--deadline-ms", "60000") as server:
        server.wait_until_ready()
        data = encoded()
        slow = send_half(server, data)
        time.sleep(0.5)
        server.process.send_signal(signal.SIGHUP)
        server.process.send_signal(signal.SIGHUP)
        server.wait_until_closed()
        assert answer_to_other_half(slow, data).startswith(b"HTTP/1.1 200 OK")
        assert server.process.wait(PATIENCE) == 0
    assert server.log().endswith("app.connection.server: stopped\n")


def test_nohup_is_left_alone(tmp_path: Path) -> None:
    program = ("-c", "import signal, runpy, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); sys.argv[0] = 'app'; "
               "runpy.run_module('app', run_name='__main__')")  # fmt: skip
    with served(tmp_path, program=program) as server:
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert httpx.get(f"{server.url}/readyz", timeout=PATIENCE).json()["detail"] != "the service is shutting down"
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("value", ["", "4", "many"])
def test_what_other_servers_read_is_not_read(tmp_path: Path, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One process that serves, which believes whom its own settings name; beside it, that of the codecs."""
    for variable in ("WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "UVICORN_WORKERS", "UVICORN_PORT"):
        monkeypatch.setenv(variable, value)
    with served(tmp_path) as server:
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
        (child,) = children.split()
        assert b"app.sandbox.template" in Path(f"/proc/{child}/cmdline").read_bytes()
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(PATIENCE) == 0


def test_port_in_use_is_said(server: Server, tmp_path: Path) -> None:
    port = str(httpx.URL(server.url).port)
    command = [sys.executable, "-m", "app", "serve", "--store", str(tmp_path), "--port", port, "--device", "cpu"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert run.returncode == 2
    assert f"can't listen on 127.0.0.1, port {port}: Address already in use" in run.stderr
    assert "--port" in run.stderr
    assert "Traceback" not in run.stderr
