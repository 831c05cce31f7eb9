"""examples/inspect_folder.py, which integrators copy: what isn't accepted for sure doesn't pass."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.images import encoded
from tests.support.process import ROOT, Server

Reply = tuple[int, dict[str, str], dict[str, Any]]
PROGRAM = ROOT / "examples" / "inspect_folder.py"
PROXY = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
ACCEPT: Reply = (200, {}, {"decision": "accept", "probability": 0.03, "model": "m", "model_version": 1})
BUSY: Reply = (429, {"Retry-After": "2"}, {"error": "queue-full", "detail": "come again"})
GONE: Reply = (0, {}, {})
"""The connection ends without an answer."""

Answer = tuple[int, dict[str, str], dict[str, Any]]


def run(*arguments: object, **environment: str) -> tuple[int, list[dict[str, Any]], str]:
    """Exit status, lines, standard error."""
    command = [sys.executable, "-W", "error", str(PROGRAM), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Its module; with how long it would have slept, `waits`."""
    specification = importlib.util.spec_from_file_location("inspect_folder", PROGRAM)
    assert specification
    assert specification.loader
    module: Any = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    module.waits = []
    module.asking = lambda url: closing(module.Inspector(url))
    monkeypatch.setattr(module.time, "sleep", module.waits.append)
    return module


@contextmanager
def answering(*answers: Answer) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The address of a service that answers so, the last one from then on, and the headers that it was sent."""
    left, asked = list(answers), []

    class Service(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked.append({**self.headers, "peer": str(self.client_address), "path": self.path})
            self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, body = left.pop(0) if len(left) > 1 else left[0]
            if not status:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            content = json.dumps(body).encode() if body else b"<html>"
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/predict", asked
        server.shutdown()


def test_a_folder_with_all_that_folders_have(server: Server, tmp_path: Path) -> None:
    (tmp_path / "lot 7").mkdir()
    (tmp_path / "lot 7" / "Stück 1.png").write_bytes(encoded())
    (tmp_path / "empty").mkdir()
    (tmp_path / "itself").symlink_to(tmp_path)
    (tmp_path / "a.jpg").write_bytes(encoded("JPEG"))
    (tmp_path / "b.txt").write_text("hello")
    (tmp_path / "c.png").write_bytes(b"")
    (tmp_path / "huge.png").write_bytes(bytes(30_000_000))
    status, lines, said = run(tmp_path, f"{server.url}/predict", **PROXY)
    assert (status, said) == (1, "")
    a, b, c, huge, d = lines
    assert [line["file"] for line in lines] == ["a.jpg", "b.txt", "c.png", "huge.png", "lot 7/Stück 1.png"]
    assert b["error"].startswith("unsupported-format: ")
    assert c["error"].startswith("empty-image: ")
    assert huge["error"].startswith("body-too-large: ")
    assert d["part_id"] == "lot%207/St%C3%BCck%201"
    for line in (a, d):
        assert (line["model"], line["passed"]) == ("capsule", line["decision"] == "accept")
        assert 0 <= line["probability"] <= 1
    assert not any(line["passed"] for line in (b, c, huge))


@pytest.mark.parametrize(("key", "sent"), [("k-1\n", "Bearer k-1"), ("", None)])
def test_key(tmp_path: Path, key: str, sent: str | None) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    with answering(ACCEPT) as (url, asked):
        status, (line,), _ = run(tmp_path, url, INSPECTION_API_KEY=key)
    assert (status, line["passed"], asked[0].get("Authorization")) == (0, True, sent)


@pytest.mark.parametrize(
    ("arguments", "key", "said"),
    [
        (["nowhere"], "", "not a folder: nowhere"),
        ([".", "localhost:8000/predict"], "", "not the address of a service"),
        ([".", "http://localhost:many/"], "", "many"),
        (["."], "two words", "is no key"),
    ],
)
def test_arguments_that_cannot_be_used(tmp_path: Path, arguments: list[str], key: str, said: str) -> None:
    status, lines, error = run(*arguments, INSPECTION_API_KEY=key)
    assert (status, lines) == (2, [])
    assert said in error
    assert "Traceback" not in error


def test_nothing_listens(program: Any, tmp_path: Path) -> None:
    """The first image waits for the service to come back, the others no longer."""
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(encoded())
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    lines = list(program.inspect(tmp_path, program.Inspector(f"http://127.0.0.1:{port}")))
    assert [line["passed"] for line in lines] == [False] * 3
    assert all(line["error"].startswith("no answer: ") for line in lines)
    assert len(program.waits) == program.ATTEMPTS - 1
    assert sum(program.waits) > 10


def test_what_is_refused_for_now_is_sent_again_after_retry_after(program: Any) -> None:
    with answering(BUSY, (503, {"Retry-After": "5"}, {}), ACCEPT) as (url, asked), program.asking(url) as inspector:
        assert inspector.inspect(b"x", "p-1")["decision"] == "accept"
    assert [each["X-Part-ID"] for each in asked] == ["p-1"] * 3
    assert len({each["peer"] for each in asked}) == 1
    assert asked[0]["path"] == "/predict?heatmap=none"
    first, second = program.waits
    assert 2 <= first <= 3
    assert 5 <= second <= 7.5
    assert first / 2 != second / 5


@pytest.mark.parametrize(
    ("answer", "times", "reason"),
    [
        (BUSY, 5, "queue-full: come again"),
        (GONE, 5, "no answer: .+"),
        ((502, {"Retry-After": "Wed, 25 Nov 2026 08:00:00 GMT"}, {}), 5, "502: Bad Gateway"),
        ((503, {"Retry-After": "3600"}, {}), 1, "503: .+"),
        ((401, {}, {"error": "key-missing", "detail": "send an API key"}), 1, "key-missing: send an API key"),
        ((422, {}, {"error": "undecodable-image", "detail": "cut short"}), 1, "undecodable-image: cut short"),
        ((500, {"Retry-After": "1"}, {}), 1, "500: .+"),
        ((504, {}, {"error": "deadline-passed", "detail": "late"}), 1, "deadline-passed: late"),
        ((200, {}, {}), 1, "200: OK"),
        ((200, {}, {"status": "ready"}), 1, "200: OK"),
        ((302, {"Location": "/elsewhere"}, {}), 1, "302: Found"),
    ],
)
def test_no_verdict(program: Any, answer: Answer, times: int, reason: str) -> None:
    with (
        answering(answer) as (url, asked),
        program.asking(url) as inspector,
        pytest.raises(program.NoVerdictError, match=f"^{reason}$"),
    ):
        inspector.inspect(b"x", "p-1")
    assert (len(asked), len(program.waits)) == (times, times - 1)
    assert sum(program.waits) < 30


@pytest.mark.parametrize(
    ("decision", "good"), [("accept", True), ("review", False), ("reject", False), ("ACCEPT", False)]
)
def test_passed(program: Any, tmp_path: Path, decision: str, good: bool) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    with answering((200, {}, {"decision": decision})) as (url, _), program.asking(url) as inspector:
        (line,) = program.inspect(tmp_path, inspector)
    assert line["passed"] is good


def test_a_connection_closed_meanwhile_costs_nothing(program: Any) -> None:
    with answering(ACCEPT, GONE, ACCEPT) as (url, _), program.asking(url) as inspector:
        for _ in range(2):
            assert inspector.inspect(b"x", "p-1")["decision"] == "accept"
    assert program.waits == [0]
