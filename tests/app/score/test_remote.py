"""A service elsewhere: what is worth another try, what isn't, and what stops the run."""

import asyncio
import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from app.__main__ import main
from app.schemas import Prediction
from app.score import remote
from app.score.errors import NoVerdictError, StoppedError
from app.score.remote import remote_inspector

Answer = tuple[int, dict[str, str], dict[str, Any]]
VERDICT: dict[str, Any] = cast(Any, Prediction.model_config)["json_schema_extra"]["examples"][0]
ACCEPT: Answer = (200, {}, VERDICT | {"decision": "accept"})
BUSY: Answer = (429, {"Retry-After": "2"}, {"error": "queue-full", "detail": "come again"})
GONE: Answer = (0, {}, {})
"""The connection ends without an answer."""


@contextmanager
def answering(*answers: Answer) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The address of a service that answers so, the last one from then on, and what it was sent."""
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
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long would have been slept: the clock jumps instead."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: sum(slept))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv(remote.KEY_VARIABLE, raising=False)
    return slept


def inspected(url: str, name: str = "lot 7/Stück 1.png") -> Prediction:
    async def inspect() -> Prediction:
        async with remote_inspector(url, "capsule", 3, 2) as inspector:
            return await inspector.inspect(b"x", name, "none")

    return asyncio.run(inspect())


def test_what_is_refused_for_now_is_sent_again_after_retry_after(waits: list[float]) -> None:
    with answering(BUSY, (503, {"Retry-After": "5"}, {}), ACCEPT) as (url, asked):
        assert inspected(url).decision == "accept"
    assert [each["X-Part-ID"] for each in asked] == ["lot%207/St%C3%BCck%201"] * 3
    assert len({each["peer"] for each in asked}) == 1
    assert asked[0]["path"] == "/v1/models/capsule/versions/3/predict?heatmap=none"
    first, second = waits
    assert 2 <= first <= 3
    assert 5 <= second <= 7.5
    assert first / 2 != second / 5


@pytest.mark.parametrize(("key", "sent"), [("k-1\n", "Bearer k-1"), ("", None)])
def test_key(key: str, sent: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(remote.KEY_VARIABLE, key)
    with answering(ACCEPT) as (url, asked):
        inspected(url)
    assert asked[0].get("Authorization") == sent


@pytest.mark.parametrize("name", ["x" * 200 + ".png", "a\nb.png"])
def test_a_name_that_is_no_part_id_is_not_sent(name: str) -> None:
    with answering(ACCEPT) as (url, asked):
        assert inspected(url, name).decision == "accept"
    assert "X-Part-ID" not in asked[0]


def test_a_connection_closed_meanwhile_costs_a_second(waits: list[float]) -> None:
    with answering(GONE, ACCEPT) as (url, _):
        assert inspected(url).decision == "accept"
    assert sum(waits) < 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((422, {}, {"error": "undecodable-image", "detail": "cut short"}), "undecodable-image"),
        ((413, {}, {}), "body-too-large"),
        ((504, {}, {"error": "deadline-passed", "detail": "late"}), "deadline-passed"),
        ((500, {"Retry-After": "1"}, {"error": "internal-error", "detail": "a bug"}), "internal-error"),
    ],
)
def test_an_image_without_a_verdict(answer: Answer, error: str, waits: list[float]) -> None:
    with answering(answer) as (url, asked), pytest.raises(NoVerdictError) as raised:
        inspected(url)
    assert (raised.value.error, len(asked), waits) == (error, 1, [])


@pytest.mark.parametrize(
    ("answer", "reason", "tried_again"),
    [
        (BUSY, "429: queue-full: come again", True),
        (GONE, "503: no-answer: .+", True),
        ((502, {"Retry-After": "Wed, 25 Nov 2026 08:00:00 GMT"}, {}), "502: status-502", True),
        ((401, {}, {"error": "key-missing", "detail": "send an API key"}), "401: key-missing: send an API key", False),
        ((400, {}, {"error": "unknown-host", "detail": "no"}), "400: unknown-host: no", False),
        ((404, {}, {"error": "unknown-version", "detail": "gone"}), "404: unknown-version: gone", False),
        ((200, {}, {}), "200: status-200", False),
        ((200, {}, {"status": "ready"}), "200: status-200", False),
        ((302, {"Location": "/elsewhere"}, {}), "302: status-302", False),
    ],
)
def test_what_stops_the_run(answer: Answer, reason: str, tried_again: bool, waits: list[float]) -> None:
    with answering(answer) as (url, asked), pytest.raises(StoppedError, match=f"^the service answers {reason}$"):
        inspected(url)
    assert (len(asked) > 5) is tried_again
    assert (sum(waits) > remote.PATIENCE_SECONDS) is tried_again


def test_an_engine_that_fails_of_one_image_only_after_all_patience(waits: list[float]) -> None:
    with answering((503, {"Retry-After": "1"}, {"error": "engine-failed", "detail": "x"})) as (url, _):
        with pytest.raises(NoVerdictError):
            inspected(url)
        assert sum(waits) > remote.PATIENCE_SECONDS


@pytest.mark.parametrize(
    ("key", "status", "reason"), [("two words", 2, "is no key"), ("", 1, "doesn't answer.*--resume goes on")]
)
def test_a_run_that_can_not_begin(
    key: str, status: int, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv(remote.KEY_VARIABLE, key)
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    server = ["--server", f"http://127.0.0.1:{port}", "--model", "capsule"]
    with contextlib.chdir(tmp_path):
        assert main(["score", ".", "--out", "v.csv", *server]) == status
    assert re.search(reason, capsys.readouterr().err)
