"""docs/offline.md: pip's configuration as a build secret, and a wheelhouse where there is no network."""

import base64
import hashlib
import http.server
import os
import re
import shlex
import shutil
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.network_namespace import called, why_not
from tests.test_container_files import DOCKERFILE

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "offline.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.+?)^```", TEXT, re.DOTALL | re.MULTILINE)
PATIENCE = 120


def block(kind: str, word: str) -> str:
    """The only one with that word in it."""
    (found,) = [text for language, text in BLOCKS if language == kind and word in text]
    return str(found)


def write_wheel(folder: Path, name: str, *needs: str) -> str:
    """A wheel of one module, and its line of a lock file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n" + "".join(
        f"Requires-Dist: {each}\n" for each in needs
    )
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(f"{name}-1.0.dist-info/METADATA", metadata)
        wheel.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def steps() -> list[str]:
    """What the Dockerfile runs, each on one line."""
    return [line for line in DOCKERFILE.replace("\\\n", "").splitlines() if line.startswith("RUN ")]


def test_whatever_pip_installs_it_installs_with_the_secrets() -> None:
    installing = [line for line in steps() if "pip --python" in line]
    assert len(installing) == 3
    for line in installing:
        assert re.match(r"RUN --mount=type=secret,id=pip --mount=type=secret,id=ca +python3 -m pip ", line), line
    assert "PIP_CONFIG_FILE=/run/secrets/pip" in DOCKERFILE.partition(" AS build\n")[2].partition("\nFROM ")[0]
    assert "secrets" not in DOCKERFILE.partition(" AS service\n")[2]


def test_documented_build_gives_them() -> None:
    words = shlex.split(block("sh", "--secret").partition("\ndocker compose")[0])
    assert [words[at + 1] for at, word in enumerate(words) if word == "--secret"] == [
        "id=pip,src=pip.conf",
        "id=ca,src=ca.pem",
    ]


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A folder as the build has it: an empty environment, a lock file of one package, and its wheel in an index."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (tmp_path / "serve-cpu.txt").write_text(write_wheel(tmp_path / "index" / "simple" / "parcel", "parcel"))
    return tmp_path


def installed(build: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What the Dockerfile's step for CPUs does there."""
    (step,) = [line for line in steps() if line.endswith("/build/serve-cpu.txt")]
    command = shlex.split(step)[3:]
    assert command[:3] == ["python3", "-m", "pip"]
    instead = {"python3": sys.executable, "/opt/venv/bin/python": str(build / "venv" / "bin" / "python")}
    instead["/build/serve-cpu.txt"] = str(build / "serve-cpu.txt")
    return subprocess.run(
        [instead.get(word, word) for word in command],
        env={"PATH": os.environ["PATH"], "HOME": str(build), "PIP_RETRIES": "0"} | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@contextmanager
def index(folder: Path, certificate: Path, key: Path, authorization: str) -> Iterator[int]:
    """A company's index, for whoever says `authorization`. Yields its port."""

    class Index(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers["Authorization"] == authorization:
                super().do_GET()
            else:
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *given: Index(*given, directory=str(folder))
    ) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl (Debian package openssl)")
def test_packages_come_from_the_index_of_the_secret(build: Path) -> None:
    """By the documented file: its password, and TLS that only the company's CA vouches for. Nothing of it stays."""
    certificate = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -keyout key.pem -out ca.pem -days 2"
    )
    names = ["-subj", "/CN=index", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *certificate.split(), *names], cwd=build, capture_output=True, check=True)
    authorization = "Basic " + base64.b64encode(b"USER:PASSWORD").decode()
    secret = build / "pip.conf"
    with index(build / "index", build / "ca.pem", build / "key.pem", authorization) as port:
        text = block("ini", "index-url").replace("@INDEX/", f"@127.0.0.1:{port}/")
        secret.write_text(text.partition("cert")[0])
        assert installed(build, PIP_CONFIG_FILE=str(secret)).returncode != 0
        secret.write_text(text.replace("/run/secrets/ca", str(build / "ca.pem")))
        run = installed(build, PIP_CONFIG_FILE=str(secret))
    assert run.returncode == 0, run.stderr
    assert list((build / "venv").rglob("parcel.py"))
    files = [path for path in (build / "venv").rglob("*") if path.is_file()]
    assert [path for path in files if b"PASSWORD" in path.read_bytes()] == []


def test_without_secrets_pip_does_as_always(build: Path) -> None:
    folder = build / "index" / "simple" / "parcel"
    run = installed(build, PIP_CONFIG_FILE=str(build / "none"), PIP_NO_INDEX="1", PIP_FIND_LINKS=str(folder))
    assert run.returncode == 0, run.stderr
    assert list((build / "venv").rglob("parcel.py"))


@pytest.mark.skipif(why_not() != "", reason=why_not())
def test_a_wheelhouse_needs_no_network(tmp_path: Path) -> None:
    """The documented commands, where every connection would be noticed; one package needs the other."""
    lines = [write_wheel(tmp_path / "wheelhouse", "parcel", "ribbon"), write_wheel(tmp_path / "wheelhouse", "ribbon")]
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "serve-cpu.txt").write_text("".join(lines))
    commands = block("sh", "--no-index").replace("python3", sys.executable, 1)
    assert called(["bash", "-ec", f"cd {shlex.quote(str(tmp_path))}; {commands}"], tmp_path, PATIENCE) == []
    assert {path.stem for path in (tmp_path / ".venv").rglob("site-packages/*.py")} >= {"parcel", "ribbon"}


def test_wheels_are_downloaded_as_they_are_installed() -> None:
    """With the same hashes into the same folder."""
    download, install = block("sh", "pip download"), block("sh", "--no-index")
    for flag in ("--require-hashes", "-r requirements/serve-cpu.txt"):
        assert flag in download
        assert flag in install
    assert "--dest wheelhouse" in download
    assert "--find-links wheelhouse" in install
