"""What lies between a client and the application: TLS, and what a gateway adds."""

import asyncio
import re
import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from app.__main__ import main
from app.keys import new_key
from app.server import Server, configuration
from app.settings import Settings
from tests.support.images import encoded
from tests.support.process import PATIENCE, served
from tests.test_container_files import health_check


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """certificate.pem with key.pem for 127.0.0.1; other.pem is another key, locked.pem needs a password."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl (Debian package openssl)")
    folder = tmp_path_factory.mktemp("certificates")
    for command in (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -keyout key.pem -out certificate.pem -days 2"
        " -subj /CN=camspector -addext subjectAltName=IP:127.0.0.1",
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out other.pem",
        "pkey -in key.pem -aes256 -passout pass:secret -out locked.pem",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, capture_output=True, check=True)
    return folder


def test_https_with_keys_behind_a_root_path(capsule_store: Path, certificates: Path, tmp_path: Path) -> None:
    secret, key = new_key("predict", "line-3")
    (tmp_path / "keys").write_text(key.line)
    flags = ["--tls-certificate", str(certificates / "certificate.pem"), "--tls-key", str(certificates / "key.pem")]
    flags += ["--keys-file", str(tmp_path / "keys"), "--root-path", "/inspection", "--deadline-ms", "60000"]
    with served(capsule_store, *flags) as server:
        assert server.url.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=certificates / "certificate.pem")
        with httpx.Client(base_url=server.url, verify=context, timeout=PATIENCE) as client:
            client.headers["Authorization"] = f"Bearer {secret}"
            while client.get("/readyz").status_code != 200:
                pass
            assert client.post("/predict", content=encoded()).json()["model"] == "capsule"
            environment = {"CAMSPECTOR_PORT": str(client.base_url.port), "CAMSPECTOR_TLS_KEY": "key.pem"}
            assert subprocess.run([sys.executable, "-c", health_check()], env=environment, check=False).returncode == 0
            assert {"url": "/inspection"} in client.get("/openapi.json").json()["servers"]
            assert client.post("/v1/admin/reload").json()["error"] == "key-not-allowed"
            del client.headers["Authorization"]
            assert client.post("/predict", content=encoded()).json()["error"] == "key-missing"
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{server.url}/livez", timeout=PATIENCE)
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{server.url}/livez".replace("https", "http"), timeout=PATIENCE)
    assert secret not in server.log()


@pytest.mark.parametrize(
    ("certificate", "key", "reason"),
    [
        ("certificate.pem", None, "need each other"),
        (None, "key.pem", "need each other"),
        ("none.pem", "key.pem", "No such file"),
        ("certificate.pem", "other.pem", "KEY_VALUES_MISMATCH"),
        ("key.pem", "key.pem", r"can't be used with .*key\.pem"),
        ("certificate.pem", "locked.pem", r"can't be used with .*certificate\.pem"),
    ],
)
def test_certificate_that_cannot_be_used_stops_the_start(
    certificates: Path, certificate: str | None, key: str | None, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--tls-certificate", str(certificates / certificate)] if certificate else []
    flags += ["--tls-key", str(certificates / key)] if key else []
    assert main(["serve", "--store", "x", *flags]) == 2
    error = capsys.readouterr().err
    assert "--tls-key (or CAMSPECTOR_TLS_KEY): " in error
    assert re.search(reason, error)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("trusted", "peer", "believed"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "10.0.0.7", False),
        ("10.0.0.0/8, 192.168.0.1", "10.0.0.7", True),
        ("10.0.0.0/8", "11.0.0.7", False),
        ("", "127.0.0.1", False),
        ("*", "203.0.113.9", True),
    ],
)
async def test_forwarded_headers_are_believed_from_trusted_proxies_only(
    tmp_path: Path, trusted: str, peer: str, believed: bool
) -> None:
    seen: list[Any] = []

    async def application(scope: Any, _: Any, __: Any) -> None:
        seen.append((scope["scheme"], scope["client"][0]))

    config = configuration(application, Settings(store=tmp_path, trusted_proxies=trusted))
    config.load()
    headers = [(b"x-forwarded-for", b"198.51.100.5"), (b"x-forwarded-proto", b"https")]
    scope = {"type": "http", "scheme": "http", "client": (peer, 1), "headers": headers}
    await config.loaded_app(scope, None, None)
    assert seen == [("https", "198.51.100.5") if believed else ("http", peer)]


@pytest.mark.anyio
async def test_stopping_outlives_connections_whose_tls_never_begins(
    certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made before the socket is closed: one that closes, one that speaks plain HTTP, one that says nothing."""
    monkeypatch.setattr("app.server.HANDSHAKE_SECONDS", 0.2)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "certificate.pem", certificates / "key.pem")
    server = Server.__new__(Server)
    server.config = SimpleNamespace(ssl=context)  # type: ignore[assignment]
    made = []

    def protocol() -> asyncio.Protocol:
        made.append(1)
        return asyncio.Protocol()

    monkeypatch.setattr(server, "_protocol", protocol)
    server.servers = [await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)]
    address = server.servers[0].sockets[0].getsockname()
    closed, plain, silent = (socket.create_connection(address) for _ in range(3))
    closed.close()
    plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
    async with asyncio.timeout(5):
        await server._stop_listening()
    assert len(made) == 3
    plain.close()
    silent.close()
