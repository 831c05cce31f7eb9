"""The clients for controllers, each run against a real service: what isn't accepted for sure doesn't pass."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.artifacts import publish
from tests.support.connections import talk
from tests.support.images import encoded, five_megabytes
from tests.support.process import ROOT, Server, served

PLC = ROOT / "examples" / "plc"
LINE = r"[1-3];[01]\.\d{4};(accept|review|reject);capsule;1;"
PART = "Prüfling 4711/a"
SENT = "Pr%C3%BCfling%204711%2Fa"
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs node (Debian package nodejs)")
needs_mono = pytest.mark.skipif(
    shutil.which("mcs") is None or shutil.which("mono") is None, reason="needs mcs and mono (Debian package mono-mcs)"
)
FLOW = """
import { readFileSync } from 'node:fs';
const [flowFile, address, imageFile, partId] = process.argv.slice(2);
const nodes = Object.fromEntries(JSON.parse(readFileSync(flowFile)).map(node => [node.id, node]));
let msg = { payload: readFileSync(imageFile), partId };
for (let node = nodes['camspector-in']; ; node = nodes[node.wires[0][0]]) {
  if (node.type === 'function') msg = new Function('msg', node.func)(msg);
  if (node.type === 'http request') {
    const response = await fetch(address, { method: msg.method, headers: msg.headers, body: msg.payload });
    msg.statusCode = response.status;
    msg.payload = await response.text();
  }
  if (node.wires.length === 0) break;
}
console.log(JSON.stringify({ passed: msg.passed, line: msg.payload }));
"""
"""What Node-RED does with the flow: a message goes from node to node."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("store")
    publish(root, "capsule")
    with served(root, "--deadline-ms", "60000") as server:
        server.wait_until_ready()
        yield server


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "part.png").write_bytes(encoded())
    return tmp_path / "part.png"


def run(*command: object) -> tuple[int, str, str]:
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def check(status: int, output: str, part: str) -> None:
    """The exit status says what the line says."""
    found = re.fullmatch(rf"(pass|stop) ({LINE}{re.escape(part)})\n", output)
    assert found, output
    assert len(found[2]) < 80
    assert (found[1] == "pass") == (status == 0) == found[2].startswith("1;")
    assert found[2].startswith("1;") == (found[3] == "accept")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("mono") / "Inspect.exe"
    status, output, error = run("mcs", f"-out:{program}", PLC / "Inspect.cs")
    assert status == 0, output + error
    return program


@needs_mono
def test_c_sharp(server: Server, compiled: Path, image: Path) -> None:
    status, output, error = run("mono", compiled, f"{server.url}/predict", image, PART)
    assert error == ""
    check(status, output, SENT)
    status, output, error = run("mono", compiled, f"{server.url}/v1/models/other/predict", image, PART)
    assert (status, output) == (2, "")
    assert "404" in error


@needs_node
def test_node(server: Server, image: Path) -> None:
    status, output, error = run("node", PLC / "inspect.mjs", f"{server.url}/predict", image, PART)
    assert error == ""
    check(status, output, SENT)
    status, output, error = run("node", PLC / "inspect.mjs", f"{server.url}/v1/models/other/predict", image, PART)
    assert (status, output) == (2, "")
    assert "404" in error


@needs_node
def test_node_red(server: Server, image: Path, tmp_path: Path) -> None:
    (tmp_path / "flow.mjs").write_text(FLOW)
    for address, line in [("/predict", rf"{LINE}{SENT}\n"), ("/v1/models/other/predict", "")]:
        command = ["node", tmp_path / "flow.mjs", PLC / "node-red.json", f"{server.url}{address}", image, PART]
        status, output, error = run(*command)
        assert (status, error) == (0, "")
        said = json.loads(output)
        assert said["passed"] == said["line"].startswith("1;")
        if line:
            assert re.fullmatch(line, said["line"])


def test_raw_socket(server: Server, tmp_path: Path) -> None:
    (tmp_path / "part.bmp").write_bytes(image := five_megabytes())
    assert len(f"{len(image)}") == 7
    program = [sys.executable, PLC / "raw_socket.py", f"127.0.0.1:{server.port}"]
    status, output, error = run(*program, tmp_path / "part.bmp")
    assert error == ""
    check(status, output, "")
    (tmp_path / "part.txt").write_text("no image")
    status, output, error = run(*program, tmp_path / "part.txt")
    assert (status, output) == (2, "")
    assert "415" in error


def test_raw_socket_sends_82_bytes_before_the_image() -> None:
    """As docs/api.md shows them."""
    shown = re.findall(
        r"    (POST /predict HTTP/1\.0)\n    (.+)\n    (.+)\n    (.+)\n", (ROOT / "docs" / "api.md").read_text()
    )
    assert len("\r\n".join([*shown[0], "", ""])) == 82
    template = re.findall(r'f"(POST.+?)"', (PLC / "raw_socket.py").read_text())[0]
    assert [line.split(": ")[0] for line in template.split(r"\r\n")[:4]] == [line.split(": ")[0] for line in shown[0]]


@pytest.mark.parametrize("head", ["HTTP/1.0\r\n", "HTTP/1.1\r\nHost: cam\r\nConnection: close\r\n"])
def test_old_and_closing_connections(server: Server, head: str) -> None:
    image = encoded()
    request = f"POST /predict {head}Accept: text/plain\r\nContent-Length: {len(image)}\r\n\r\n"
    reply = talk(server, request.encode() + image).decode("ascii")
    status, _, body = reply.partition("\r\n\r\n")
    assert status.split(" ")[1] == "200"
    assert f"content-length: {len(body)}" in status.lower()
    assert body.count(";") == 5
