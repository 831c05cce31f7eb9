"""Health, metrics, model information and headers."""

import re
from pathlib import Path

import httpx
import pytest

from app.application import create_app
from app.errors import TABLE
from app.settings import Settings
from tests.app.conftest import Bench, running, until
from tests.support.images import encoded

pytestmark = pytest.mark.anyio


async def test_ready(client: httpx.AsyncClient) -> None:
    for path, status in [("/livez", "live"), ("/readyz", "ready"), ("/healthz", "ready")]:
        reply = await client.get(path)
        assert (reply.status_code, reply.json()) == (200, {"status": status})


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/metrics"])
async def test_head(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.head(path)).status_code == 200


async def test_empty_store_is_live_and_not_ready(tmp_path: Path) -> None:
    async with running(create_app(Settings(store=tmp_path / "none", device="cpu"))) as client:
        assert (await client.get("/livez")).status_code == 200
        reply = await client.get("/readyz")
        assert (reply.status_code, reply.json()["error"], reply.headers["retry-after"]) == (503, "not-ready", "5")
        assert str(tmp_path / "none") in reply.json()["detail"]
        for path in ("/predict", "/v1/models/widget/predict"):
            reply = await client.post(path, content=encoded())
            assert (reply.status_code, reply.json()["error"], reply.headers["retry-after"]) == (503, "not-ready", "5")
        assert (await client.get("/v1/models")).json() == {"models": []}


async def test_draining_serves_but_is_not_ready(bench: Bench) -> None:
    bench.widget.gate.set()
    bench.service.draining = True
    reply = await bench.client.get("/readyz")
    assert reply.status_code == 503
    assert "the service is shutting down" in reply.json()["detail"]
    assert (await bench.client.get("/livez")).status_code == 200
    reply = await bench.predict()
    assert (reply.status_code, reply.headers["connection"]) == (200, "close")


async def test_dead_worker_is_not_live(bench: Bench) -> None:
    bench.service.inference.queue.close()
    workers = bench.service.inference.workers
    await until(lambda: not any(worker.is_alive() for worker in workers))
    reply = await bench.client.get("/livez")
    stopped = "; ".join(f"engine worker {number} has stopped" for number in range(1, len(workers) + 1))
    assert (reply.status_code, reply.json()["detail"]) == (503, stopped)


async def test_models(client: httpx.AsyncClient) -> None:
    models = (await client.get("/v1/models")).json()["models"]
    assert [(model["name"], model["serving"]) for model in models] == [("gadget", 1), ("widget", 2)]
    widget = (await client.get("/v1/models/widget")).json()
    assert widget == models[1]
    assert (widget["available"], widget["refused"]) == ([1, 2], [])
    newest, older = widget["versions"]
    assert (newest["version"], older["version"]) == (2, 1)
    assert newest["input_size"] == 64
    assert newest["thresholds"] == {"review": 0.3, "label": 0.42, "reject": 0.6}
    assert (newest["engine"], newest["variant"], newest["device"]) == ("torch", "float32", "cpu")
    assert (newest["data_defect_rate"], newest["defect_rate"]) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert newest["defect_rate_source"] == "data"
    assert newest["figures"]["balanced_accuracy"] == {"value": 0.925, "low": 0.75, "high": 0.98}


async def test_index_leads_to_pages_that_exist(client: httpx.AsyncClient) -> None:
    for page in (await client.get("/")).json().values():
        if page.startswith("/"):
            assert (await client.get(page)).status_code == 200


async def test_metrics(client: httpx.AsyncClient) -> None:
    await client.post("/v1/models/gadget/predict", content=encoded())
    await client.post("/v1/models/gadget/predict", content=b"hello")
    await client.get("/made/up/path")
    await client.request("BREW", "/predict")
    text = (await client.get("/metrics")).text
    names = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert names >= {
        "camspector_http_requests_total",
        "camspector_http_request_duration_seconds",
        "camspector_request_preprocess_seconds",
        "camspector_request_predict_seconds",
        "camspector_request_postprocess_seconds",
        "camspector_queue_depth",
        "camspector_queue_wait_seconds",
        "camspector_requests_in_progress",
        "camspector_batch_size",
        "camspector_requests_rejected_total",
        "camspector_verdicts_total",
        "camspector_verdict_probability",
        "process_resident_memory_bytes",
    }
    assert 'camspector_http_requests_total{method="POST",route="/v1/models/{model}/predict",status="200"}' in text
    assert 'camspector_http_requests_total{method="GET",route="unknown",status="404"}' in text
    assert 'camspector_http_requests_total{method="other",route="/predict",status="405"}' in text
    assert re.search(r'camspector_requests_rejected_total\{reason="unsupported-format"\} [1-9]', text)
    assert re.search(r'camspector_verdicts_total\{decision="\w+",label="\w+",model="gadget",version="1"\}', text)
    assert "made/up" not in text


async def test_errors_are_counted_from_0(bench: Bench) -> None:
    """Of a series that appears with its first error Prometheus sees no increase, and no alert comes of it."""
    text = (await bench.client.get("/metrics")).text
    for problem in TABLE.values():
        assert f'camspector_requests_rejected_total{{reason="{problem.error}"}} 0.0\n' in text


@pytest.mark.parametrize("path", ["/readyz", "/nowhere", "/predict"])
async def test_ids_come_back(client: httpx.AsyncClient, path: str) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {"X-Request-ID": "order/17", "X-Part-ID": "part-4711", "traceparent": trace}
    reply = await client.get(path, headers=headers)
    assert {name: reply.headers[name] for name in headers} == headers


@pytest.mark.parametrize("request_id", [None, "", "two words", "x" * 129, "\xe4"])
async def test_request_without_a_sound_id_gets_one(client: httpx.AsyncClient, request_id: str | None) -> None:
    headers = {} if request_id is None else {"X-Request-ID": request_id.encode("latin-1")}
    given = (await client.get("/livez", headers=headers)).headers["x-request-id"]  # type: ignore[arg-type]
    assert re.fullmatch("[0-9a-f]{32}", given)


async def test_root_path_behind_a_gateway(client: httpx.AsyncClient) -> None:
    """The gateway strips the prefix; the documentation's addresses have it."""
    app = client._transport.app  # type: ignore[attr-defined]
    transport = httpx.ASGITransport(app, root_path="/inspection")
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        assert (await client.get("/livez")).status_code == 200
        assert {"url": "/inspection"} in (await client.get("/openapi.json")).json()["servers"]
        assert (await client.get("/")).json()["documentation"] == "/inspection/docs"
