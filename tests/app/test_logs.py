"""One line a request, as text and as JSON, and what never stands in it."""

import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.monitoring.logs import JsonFormatter, log_request
from app.monitoring.request_record import ImageRecord, RequestRecord, Step
from model.verdict import Verdict
from tests.app.conftest import Bench
from tests.support.images import encoded
from tests.support.process import ROOT

IDS = {"X-Request-ID": "r-1", "X-Part-ID": "part-4711"}


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Of requests, as JSON says them."""
    records = [record for record in caplog.records if record.name == "app.requests"]
    return [json.loads(JsonFormatter().format(record)) for record in records]


@pytest.mark.anyio
async def test_a_verdict(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    bench.widget.gate.set()
    await bench.predict(255, **IDS)
    (line,) = lines(caplog)
    assert line.pop("ms").keys() == {"decode", "queue", "predict", "render", "total"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line.pop("time"))
    assert line == {
        "level": "info",
        "logger": "app.requests",
        "request_id": "r-1",
        "part_id": "part-4711",
        "method": "POST",
        "route": "/v1/models/{model}/predict",
        "status": 200,
        "model": "widget",
        "version": 1,
        "decision": "reject",
    }


@pytest.mark.anyio
@pytest.mark.parametrize("heatmap", ["none", "gray", "overlay"])
async def test_log_and_reply_name_the_same_times(bench: Bench, caplog: pytest.LogCaptureFixture, heatmap: str) -> None:
    caplog.set_level("INFO")
    bench.widget.gate.set()
    reply = await bench.client.post(f"/v1/models/widget/predict?heatmap={heatmap}", content=encoded())
    (line,) = lines(caplog)
    assert line["ms"] == reply.json()["timing_ms"] | {"total": line["ms"]["total"]}
    assert line["ms"]["total"] >= sum(reply.json()["timing_ms"].values()) - 0.3  # rounded to tenths


@pytest.mark.anyio
async def test_a_batch_under_v2(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    bench.widget.gate.set()
    pixels = [[[[level] * 3] * 64] * 64 for level in (0, 255)]
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": [2, 64, 64, 3], "data": pixels}
    reply = await bench.client.post("/v2/models/widget/infer", json={"inputs": [tensor]})
    assert reply.status_code == 200
    (line,) = lines(caplog)
    assert line["decision"] == ["accept", "reject"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "content", "fields"),
    [
        ("/v1/models/widget/predict", b"hello", {"status": 415, "error": "unsupported-format", "model": "widget"}),
        ("/v1/models/none/predict", encoded(), {"status": 404, "error": "unknown-model"}),
        ("/a/path/made/up", b"", {"status": 404, "error": "not-found", "route": "unknown"}),
    ],
)
async def test_an_error(
    bench: Bench, caplog: pytest.LogCaptureFixture, path: str, content: bytes, fields: dict[str, object]
) -> None:
    caplog.set_level("INFO")
    await bench.client.post(path, content=content)
    (line,) = lines(caplog)
    assert line.items() >= fields.items()
    assert "decision" not in line
    assert "made" not in str(line)


@pytest.mark.anyio
async def test_a_bug_has_its_line_too(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    bench.widget.error = ZeroDivisionError("secret")
    bench.widget.gate.set()
    await bench.predict(1, **IDS)
    (line,) = lines(caplog)
    assert (line["status"], line["error"], line["request_id"]) == (500, "internal-error", "r-1")
    metrics = (await bench.client.get("/metrics")).text
    assert 'camspector_requests_rejected_total{reason="internal-error"} 1.0' in metrics


@pytest.mark.anyio
async def test_health_is_for_debugging(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    for path in ("/livez", "/readyz", "/healthz", "/metrics", "/v2/health/live", "/v2/health/ready"):
        await bench.client.get(path)
    assert [line["level"] for line in lines(caplog)] == ["debug"] * 6


@pytest.mark.anyio
async def test_neither_images_nor_headers_are_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "app")
    bench.widget.gate.set()
    await bench.predict(1, **{"Authorization": "Bearer key-1", "X-API-Key": "key-2", "X-Part-ID": "two words"})
    text = " ".join(str(vars(record)) for record in caplog.records if record.name.startswith("app"))
    assert not re.search("key-|two words|PNG|IDAT", text)


def test_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    steps = [Step("decode", 0, 0.0123), Step("predict", 1, 0.25)]
    accepted, reviewed = Verdict("good", "accept", 0.1, -2.2), Verdict("anomaly", "review", 0.6, 0.4)
    images = [ImageRecord(accepted, steps), ImageRecord(reviewed, [])]
    log_request(RequestRecord("r-1", "POST", route="/predict", status=200, images=images, seconds=0.3))
    assert caplog.messages == [
        "request_id=r-1 method=POST route=/predict status=200 decision=accept,review "
        "decode_ms=12.3 predict_ms=250.0 total_ms=300.0"
    ]


def test_other_lines_as_json() -> None:
    try:
        raise ValueError("a\nb")
    except ValueError:
        record = logging.getLogger("x").makeRecord("x", logging.ERROR, "", 0, "%s\nfailed", ("é",), sys.exc_info())
    text = JsonFormatter().format(record)
    line = json.loads(text)
    assert "\n" not in text
    assert (line["level"], line["logger"], line["message"]) == ("error", "x", "é\nfailed")
    assert "ValueError: a\nb" in line["traceback"]


def test_every_line_of_a_process_is_json(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "app", "serve", "--store", str(tmp_path), "--port", "0", "--log-format", "json"]
    command += ["--station", "cell-7", "--line", "3"]
    process = subprocess.Popen([*command, "--device", "cpu"], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    first = json.loads(process.stderr.readline())
    assert first["message"].startswith("listening on http://127.0.0.1:")
    assert (first["station"], first["line"]) == ("cell-7", "3")
    process.terminate()
    process.terminate()
    assert [json.loads(line)["level"] for line in process.stderr]
    assert process.wait(60) == 0
    process.stderr.close()
