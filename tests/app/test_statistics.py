"""What is said of a model's last minutes, on a clock that the test turns."""

import pytest

from app.monitoring.request_record import ImageRecord, RequestRecord, Step
from app.monitoring.statistics import MOST_REQUESTS, Statistics
from model.verdict import Decision, Verdict
from tests.app.conftest import Bench
from tests.app.test_latency_estimator import Clock


def answered(decision: Decision = "accept", seconds: float = 0.1) -> RequestRecord:
    images = [ImageRecord(Verdict("good", decision, 0.1, -2.2), [Step("predict", 0, seconds / 2)])]
    return RequestRecord("r", "POST", status=200, model="a", version=1, images=images, seconds=seconds)


def test_requests_decisions_and_latencies() -> None:
    statistics = Statistics(clock := Clock())
    for hundredths in range(1, 102):
        statistics.add(answered("reject" if hundredths > 100 else "accept", hundredths / 100))
    statistics.add(RequestRecord("r", "POST", status=429, error="queue-full", model="a", version=1))
    clock.now += 51
    said = statistics.of("a")
    assert (said.requests, said.seconds, said.per_second) == (102, 51, 2)
    assert (said.statuses, said.errors) == ({"200": 101, "429": 1}, {"queue-full": 1})
    assert said.decisions == {"accept": 100, "reject": 1}
    assert said.latency_ms.keys() == {"predict", "total"}
    assert (said.latency_ms["total"].p50, said.latency_ms["total"].p99) == pytest.approx((510, 1000))
    assert said.latency_ms["predict"].p50 == pytest.approx(255)


def test_only_the_last_five_minutes_count() -> None:
    statistics = Statistics(clock := Clock())
    clock.now += 1000
    statistics.add(answered())
    clock.now += 200
    statistics.add(answered("review"))
    assert statistics.of("a").decisions == {"accept": 1, "review": 1}
    clock.now += 200
    assert (statistics.of("a").decisions, statistics.of("a").seconds) == ({"review": 1}, 300)


def test_of_many_requests_only_the_last_are_kept() -> None:
    statistics = Statistics(clock := Clock())
    for _ in range(2 * MOST_REQUESTS):
        clock.now += 0.01
        statistics.add(answered())
    said = statistics.of("a")
    assert (said.requests, said.seconds) == (MOST_REQUESTS, 20)
    assert said.per_second == pytest.approx(100, rel=0.01)


def test_models_have_their_own_and_other_requests_none() -> None:
    statistics = Statistics(Clock())
    statistics.add(answered())
    statistics.add(RequestRecord("r", "GET", status=200))
    assert (statistics.of("a").requests, statistics.of("b").requests) == (1, 0)


@pytest.mark.anyio
async def test_route(bench: Bench) -> None:
    bench.widget.gate.set()
    await bench.predict(255)
    await bench.client.post("/v1/models/widget/predict", content=b"hello")
    said = (await bench.client.get("/v1/models/widget/stats")).json()
    assert (said["model"], said["requests"], said["decisions"]) == ("widget", 2, {"reject": 1})
    assert said["errors"] == {"unsupported-format": 1}
    assert said["latency_ms"].keys() == {"decode", "queue", "predict", "render", "total"}
    reply = await bench.client.get("/v1/models/none/stats")
    assert (reply.status_code, reply.json()["error"]) == (404, "unknown-model")
