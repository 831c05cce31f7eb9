"""Who is let in: slots, memory for bodies, and deadlines that can't be met; the real application over fake engines."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.inference.latency_estimator import Cost, Kind
from tests.app.conftest import Bench, until
from tests.app.test_load import asgi_call, occupied, start, statuses
from tests.support.images import encoded

pytestmark = pytest.mark.anyio

KIND = Kind.of(("widget", 1), len(encoded()))


async def test_full_queue_refuses(bench: Bench) -> None:
    tasks = await occupied(bench) + start(bench, 2, 3, 4)
    await until(lambda: bench.waiting() == 3)
    reply = await bench.predict()
    assert (reply.status_code, reply.json()["error"], reply.headers["retry-after"]) == (429, "queue-full", "1")
    bench.widget.gate.set()
    assert await statuses(tasks) == [200] * 4
    assert (await bench.predict()).status_code == 200


async def test_full_queue_refuses_before_the_body_is_read(bench: Bench) -> None:
    tasks = await occupied(bench) + start(bench, 2, 3, 4)
    await until(lambda: bench.waiting() == 3)
    pieces = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal pieces
        for piece in (encoded(), b""):
            pieces += 1
            yield piece
            assert reply_begun.is_set()

    reply_begun = asyncio.Event()
    messages = await asgi_call(bench, body(), on_start=reply_begun.set)
    assert messages[0]["status"] == 429
    bench.widget.gate.set()
    assert await statuses(tasks) == [200] * 4


async def half_sent(bench: Bench, go_on: asyncio.Event, **headers: str) -> httpx.Response:
    async def body() -> AsyncIterator[bytes]:
        yield encoded()[:50]
        await go_on.wait()
        yield encoded()[50:]

    return await bench.client.post("/v1/models/widget/predict", content=body(), headers=headers)


async def test_half_sent_uploads_hold_no_slots(bench: Bench) -> None:
    """So that slow senders keep nobody out."""
    bench.widget.gate.set()
    go_on = asyncio.Event()
    slow = [asyncio.create_task(half_sent(bench, go_on)) for _ in range(20)]
    await until(lambda: bench.service.admission._free_bytes == 4 * 20_000_000 - 20 * 50)
    assert (await bench.predict()).status_code == 200
    go_on.set()
    found = await statuses(slow)
    assert set(found) <= {200, 429}
    assert found.count(200) >= 4
    assert bench.service.admission._free_bytes == 4 * 20_000_000


async def test_bodies_are_refused_where_the_memory_for_them_is_used_up(bench: Bench) -> None:
    bench.widget.gate.set()
    bench.service.admission._free_bytes = len(encoded(brightness=128))
    go_on = asyncio.Event()
    slow = asyncio.create_task(half_sent(bench, go_on))
    await until(lambda: bench.service.admission._free_bytes < len(encoded(brightness=128)))
    reply = await bench.predict()
    assert (reply.status_code, reply.json()["error"], reply.json()["retry_after_ms"]) == (429, "queue-full", 1000)
    slow.cancel()
    await until(lambda: bench.service.admission._free_bytes == len(encoded(brightness=128)))
    assert (await bench.predict()).status_code == 200


async def test_unreachable_deadline_is_refused_before_the_body_is_read(bench: Bench) -> None:
    """Two images of some four seconds each are ahead."""
    tasks = await occupied(bench) + start(bench, 2)
    await until(lambda: bench.waiting() == 1)
    latency = bench.service.inference.latency
    latency.learn(KIND, Cost(4.0, 4.0), 4.0)
    latency._ahead = 8.3

    async def body() -> AsyncIterator[bytes]:
        assert bench.service.metrics.rejected.labels("deadline-unreachable")._value.get() == 1
        yield encoded()  # to be thrown away

    headers = {"X-Deadline-Ms": "5000"}
    reply = await bench.client.post("/v1/models/widget/predict", content=body(), headers=headers)
    assert (reply.status_code, reply.json()["error"]) == (429, "deadline-unreachable")
    assert reply.json()["retry_after_ms"] == pytest.approx(1000 * (1.25 * 12.3 - 5), abs=50)
    assert reply.headers["retry-after"] == "11"  # rounded up
    tasks += start(bench, 3, **{"X-Deadline-Ms": "20000"})
    await until(lambda: bench.waiting() == 2)
    bench.widget.gate.set()
    assert await statuses(tasks) == [200, 200, 200]


async def test_full_queue_says_when_a_slot_is_free(bench: Bench) -> None:
    tasks = await occupied(bench) + start(bench, 2, 3, 4)
    await until(lambda: bench.waiting() == 3)
    bench.service.inference.latency.learn(KIND, Cost(2.4, 2.4), 2.4)
    reply = await bench.predict()
    assert (reply.json()["error"], reply.json()["retry_after_ms"]) == ("queue-full", 2400)
    assert reply.headers["retry-after"] == "3"
    bench.widget.gate.set()
    assert await statuses(tasks) == [200] * 4


async def test_overlays_wait_for_overlays_and_nobody_else_does(bench: Bench) -> None:
    """Six seconds of drawing are ahead, and no other work."""
    bench.widget.gate.set()
    bench.service.inference.drawing.learn(KIND, Cost(2.0, 2.0), 2.0)
    with bench.service.inference.drawing.work(KIND, images=3):
        headers = {"X-Deadline-Ms": "5000", "Accept": "image/png"}
        reply = await bench.client.post("/v1/models/widget/predict", content=encoded(), headers=headers)
        assert (reply.status_code, reply.json()["error"]) == (429, "deadline-unreachable")
        assert reply.json()["retry_after_ms"] == pytest.approx(1000 * (1.25 * 8 - 5), abs=50)
        deadline: dict[str, Any] = {"X-Deadline-Ms": "5000"}
        assert (await bench.predict(**deadline)).status_code == 200
    reply = await bench.client.post("/v1/models/widget/predict", content=encoded(), headers=headers)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "image/png")


async def test_a_batch_counts_as_its_images(bench: Bench) -> None:
    """An image of two seconds is ahead: one of three could be answered in time, not all."""
    tasks = await occupied(bench)
    body = json.dumps(
        {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [3], "data": 3 * [b64encode(encoded()).decode()]}]}
    )
    kind = Kind.of(("widget", 1), len(body) // 3)
    bench.service.inference.latency.learn(kind, Cost(2.0, 2.0), 2.0)
    bench.service.inference.latency._ahead = 2.0
    reply = await bench.client.post("/v2/models/widget/infer", content=body, headers={"X-Deadline-Ms": "7000"})
    assert (reply.status_code, reply.json()["error"].partition(":")[0]) == (429, "deadline-unreachable")
    bench.widget.gate.set()
    assert await statuses(tasks) == [200]


async def test_a_small_body_that_has_come_does_not_end_the_connection(bench: Bench) -> None:
    """So a client that is refused needn't connect anew; one whose body is still on its way must."""
    tasks = await occupied(bench) + start(bench, 2, 3, 4)
    await until(lambda: bench.waiting() == 3)

    async def slow() -> AsyncIterator[bytes]:
        yield encoded()
        await asyncio.sleep(0.05)

    whole = await bench.predict()
    headers = {"Content-Length": str(len(encoded()) + 1)}
    part = await bench.client.post("/v1/models/widget/predict", content=slow(), headers=headers)
    assert [whole.status_code, part.status_code] == [429, 429]
    assert "connection" not in whole.headers
    bench.widget.gate.set()
    assert await statuses(tasks) == [200] * 4


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/models/widget/predict", "/v1/models/{model}/predict"),
        ("/v1/models/widget/versions/1/predict", "/v1/models/{model}/versions/{version}/predict"),
        ("/v2/models/widget/infer", "/v2/models/{model}/infer"),
    ],
)
async def test_what_is_refused_at_once_is_counted_as_any_other(bench: Bench, path: str, route: str) -> None:
    tasks = await occupied(bench) + start(bench, 2, 3, 4)
    await until(lambda: bench.waiting() == 3)
    reply = await bench.client.post(path, content=encoded())
    assert (reply.status_code, reply.json()["error"].partition(":")[0]) == (429, "queue-full")
    metrics = bench.service.metrics
    assert metrics.requests.labels("POST", route, "429")._value.get() == 1
    assert metrics.rejected.labels("queue-full")._value.get() == 1
    assert bench.service.statistics.of("widget").errors == {"queue-full": 1}
    bench.widget.gate.set()
    assert await statuses(tasks) == [200] * 4
