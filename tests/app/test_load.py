"""Batches, deadlines, clients that go away and engines that fail: the real application over fake engines."""

import asyncio
import logging
from collections.abc import AsyncIterator

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from model.detector import Detector
from model.engines.output import NetworkOutput
from model.errors import DeviceMemoryError, EngineError
from tests.app.conftest import Bench, until
from tests.support.images import encoded

pytestmark = pytest.mark.anyio


def start(
    bench: Bench, *brightnesses: int, model: str = "widget", **headers: str
) -> list[asyncio.Task[httpx.Response]]:
    return [asyncio.create_task(bench.predict(brightness, model, **headers)) for brightness in brightnesses]


async def statuses(tasks: list[asyncio.Task[httpx.Response]]) -> list[int]:
    return [reply.status_code for reply in await asyncio.gather(*tasks)]


async def occupied(bench: Bench) -> list[asyncio.Task[httpx.Response]]:
    """The worker is busy with one image of brightness 1, until widget's gate opens."""
    tasks = start(bench, 1)
    await until(lambda: bench.widget.batches)
    return tasks


async def queue(bench: Bench, tasks: list[asyncio.Task[httpx.Response]], brightness: int, model: str) -> None:
    """Add a request, and wait until it is the last in the queue."""
    tasks += start(bench, brightness, model=model)
    await until(lambda: bench.waiting() == len(tasks) - 1)


async def test_batches_are_greedy_and_of_one_model(bench: Bench) -> None:
    tasks = await occupied(bench)
    bench.service.admission._free = 100
    for model, brightness in [("widget", 2), ("gadget", 3), ("widget", 4), ("widget", 5), ("gadget", 6), ("widget", 7)]:
        await queue(bench, tasks, brightness, model)
    bench.widget.gate.set()
    bench.gadget.gate.set()
    assert set(await statuses(tasks)) == {200}
    assert bench.widget.batches == [[1], [2, 4, 5], [7]]
    assert bench.gadget.batches == [[3, 6]]


async def test_each_gets_its_own_answer(bench: Bench) -> None:
    tasks = await occupied(bench) + start(bench, 0, 100, 255)
    bench.widget.gate.set()
    log_odds = [reply.json()["log_odds"] for reply in await asyncio.gather(*tasks)]
    assert log_odds == pytest.approx([10 * (brightness / 255 - 0.5) for brightness in (1, 0, 100, 255)], abs=1e-4)


async def test_deadline_passes_in_the_queue(bench: Bench) -> None:
    tasks = await occupied(bench)
    reply = await bench.predict(2, **{"X-Deadline-Ms": "150"})
    assert (reply.status_code, reply.json()["error"]) == (504, "deadline-passed")
    bench.widget.gate.set()
    assert await statuses(tasks) == [200]
    assert (await bench.predict(3)).status_code == 200
    assert bench.widget.batches == [[1], [3]]


async def test_deadline_passes_in_the_network(bench: Bench) -> None:
    reply = await bench.predict(1, **{"X-Deadline-Ms": "150"})
    assert reply.status_code == 504
    bench.widget.gate.set()
    assert (await bench.predict(3)).status_code == 200


async def test_deadline_counts_while_the_body_arrives(bench: Bench) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        yield encoded()[:50]
        await asyncio.sleep(30)

    headers = {"X-Deadline-Ms": "100", "Transfer-Encoding": "chunked"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.middleware.request_context.LINGER_SECONDS", 0.1)
        reply = await bench.client.post("/v1/models/widget/predict", content=trickle(), headers=headers)
    assert reply.status_code == 504
    assert reply.headers["connection"] == "close"


async def test_work_of_a_client_that_went_away_is_dropped(bench: Bench) -> None:
    tasks = await occupied(bench)
    gone = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield encoded(brightness=2)
        await gone.wait()

    call = asyncio.create_task(asgi_call(bench, body()))
    await until(lambda: bench.waiting() == 1)
    gone.set()
    await call
    bench.widget.gate.set()
    assert await statuses(tasks) == [200]
    assert (await bench.predict(3)).status_code == 200
    assert bench.widget.batches == [[1], [3]]
    assert bench.service.admission._free == 4


async def test_one_bad_image_fails_alone(bench: Bench) -> None:
    tasks = await occupied(bench)
    bad = asyncio.create_task(bench.client.post("/v1/models/widget/predict", content=encoded()[:-300]))
    tasks += start(bench, 2, 3)
    assert (await bad).status_code == 422
    bench.widget.gate.set()
    assert await statuses(tasks) == [200, 200, 200]


@pytest.mark.parametrize(
    ("error", "code"),
    [(EngineError("CUDA error 700 in kernel X"), "engine-failed"), (DeviceMemoryError("full"), "device-out-of-memory")],
)
async def test_engine_failure(bench: Bench, caplog: pytest.LogCaptureFixture, error: EngineError, code: str) -> None:
    tasks = await occupied(bench) + start(bench, 2, 3)
    await until(lambda: bench.waiting() == 2)
    bench.widget.error = error
    bench.widget.gate.set()
    for reply in await asyncio.gather(*tasks):
        assert (reply.status_code, reply.json()["error"]) == (503, code)
        assert "retry-after" in reply.headers
        assert str(error) not in reply.text
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == [
        f"a batch of 1 failed: {error}",
        f"a batch of 2 failed: {error}",
    ]
    bench.widget.error = None
    assert (await bench.predict()).status_code == 200


@pytest.mark.parametrize(("error", "reports"), [(EngineError("lost"), 1), (DeviceMemoryError("full"), 0)])
async def test_a_failed_engine_is_reported(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: EngineError, reports: int
) -> None:
    """But not one that only had no memory."""
    reported: list[Detector] = []
    for worker in bench.service.inference.workers:
        monkeypatch.setattr(worker, "_report", reported.append)
    bench.widget.error = error
    bench.widget.gate.set()
    assert (await bench.predict()).status_code == 503
    assert [detector.engine for detector in reported] == [bench.widget] * reports


async def test_batches_are_halved_where_the_device_has_no_memory(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = await occupied(bench)
    for brightness in (2, 3, 4):
        await queue(bench, tasks, brightness, "widget")
    run = bench.widget.run

    def small(pixels: NDArray[np.uint8], *, exclusive: bool) -> NetworkOutput:
        if len(pixels) > 2:
            raise DeviceMemoryError(f"no memory for a batch of {len(pixels)}")
        return run(pixels, exclusive=exclusive)

    monkeypatch.setattr(bench.widget, "run", small)
    bench.widget.gate.set()
    assert await statuses(tasks) == [200] * 4
    assert bench.widget.batches == [[1], [2], [3, 4]]
    assert [record.message for record in caplog.records if record.name == "app.inference.worker"] == [
        "no memory for a batch of 3: batches have 1 tiles at most from now on"
    ]
    assert bench.service.inference.queue.max_batch == 1  # for every worker


async def test_whoever_waits_for_a_hanging_engine_is_answered(bench: Bench) -> None:
    tasks = await occupied(bench) + start(bench, 2, 3)
    await until(lambda: bench.waiting() == 2)
    bench.service.give_up("engine worker 1 has been stalled")
    tasks += start(bench, 4)
    for reply in await asyncio.gather(*tasks):
        assert (reply.status_code, reply.json()["error"]) == (503, "engine-failed")
    reply = await bench.client.get("/livez")
    assert (reply.status_code, reply.json()["detail"]) == (503, "engine worker 1 has been stalled")


@pytest.mark.parametrize("what", ["evidence", "context"])
async def test_image_without_finite_evidence_fails_alone(
    bench: Bench, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    tasks = await occupied(bench) + start(bench, 2, 255, 3)
    await until(lambda: bench.waiting() == 3)
    run = bench.widget.run

    def burning(pixels: NDArray[np.uint8], *, exclusive: bool) -> NetworkOutput:
        output = run(pixels, exclusive=exclusive)
        output = output._replace(context=np.zeros_like(output.evidence))
        getattr(output, what)[pixels.min(axis=(1, 2, 3)) > 250] = np.nan
        return output

    bench.widget.run = burning  # type: ignore[assignment, method-assign]
    bench.widget.gate.set()
    replies = await asyncio.gather(*tasks)
    assert [reply.status_code for reply in replies] == [200, 200, 503, 200]
    assert replies[2].json()["error"] == "engine-failed"
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "model widget version 1: the network's evidence" in record.message
    assert record.exc_info is None


async def test_bug_is_logged_once_and_leaks_nothing(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.widget.error = ZeroDivisionError("secret")
    bench.widget.gate.set()
    reply = await bench.predict(1, **{"X-Request-ID": "r-1", "X-Part-ID": "p-1"})
    assert (reply.status_code, reply.json()["error"]) == (500, "internal-error")
    assert (reply.headers["x-request-id"], reply.headers["x-part-id"]) == ("r-1", "p-1")
    assert "secret" not in reply.text
    assert [record.message for record in caplog.records if record.exc_info] == ["request r-1 failed"]
    assert "ZeroDivisionError: secret" in caplog.text
    bench.widget.error = None
    assert (await bench.predict()).status_code == 200


async def asgi_call(bench: Bench, body: AsyncIterator[bytes], on_start: object = None) -> list[dict[str, object]]:
    """RequestScope the application as a server does; when `body` ends, the client is gone. Returns what it sent."""
    sent: list[dict[str, object]] = []
    first = True

    async def receive() -> dict[str, object]:
        nonlocal first
        async for piece in body:
            first, more = False, not first
            return {"type": "http.request", "body": piece, "more_body": more}
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)
        if callable(on_start):
            on_start()

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/models/widget/predict",
        "query_string": b"",
        "headers": [(b"transfer-encoding", b"chunked")],
        "scheme": "http",
        "server": ("camspector", 80),
        "client": ("127.0.0.1", 1),
    }
    await bench.client._transport.app(scope, receive, send)  # type: ignore[attr-defined]
    return sent
