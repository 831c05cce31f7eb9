"""The same request again: the recorded reply, and nothing is inspected twice."""

import anyio
import httpx
import pytest

from app.service import Service
from tests.app.records.conftest import Recorder
from tests.support.images import encoded

pytestmark = pytest.mark.anyio


def inspected(recorder: Recorder) -> int:
    service: Service = recorder.app.state.service
    (metric,) = service.metrics.verdicts.collect()
    return sum(int(sample.value) for sample in metric.samples if sample.name.endswith("_total"))


@pytest.mark.parametrize("headers", [{"X-Part-ID": "4711"}, {"X-Idempotency-Key": "k-1"}])
async def test_same_request_has_the_same_reply(recorder: Recorder, headers: dict[str, str]) -> None:
    """In each form."""
    forms = [("/predict", {}), ("/predict?heatmap=overlay", {}), ("/predict?heatmap=none&regions=false", {}),
             ("/predict", {"Accept": "image/png"}), ("/predict", {"Accept": "text/plain"})]  # fmt: skip
    first = [await recorder.client.post(path, content=encoded(), headers=headers | accept) for path, accept in forms]
    assert inspected(recorder) == 1
    assert "idempotent-replayed" not in first[0].headers
    for path, accept in forms:
        reply = await recorder.client.post(path, content=encoded(), headers=headers | accept)
        assert reply.headers["idempotent-replayed"] == "true"
        assert reply.headers["x-camspector-inference-id"] == first[0].json()["inference_id"]
        assert reply.content == first[forms.index((path, accept))].content
    assert inspected(recorder) == 1
    assert recorder.count("written") == 1


async def test_recalled_overlay_is_that_of_an_inspection(recorder: Recorder) -> None:
    accept = {"Accept": "image/png"}
    fresh = await recorder.client.post("/predict", content=encoded(), headers=accept)
    await recorder.client.post("/predict", content=encoded(), headers={"X-Part-ID": "1"})
    recalled = await recorder.client.post("/predict", content=encoded(), headers=accept | {"X-Part-ID": "1"})
    assert recalled.headers["idempotent-replayed"] == "true"
    assert recalled.content == fresh.content


async def test_what_differs_is_inspected(recorder: Recorder) -> None:
    part = {"X-Part-ID": "4711"}

    async def replayed(headers: dict[str, str], path: str = "/predict", seed: int = 5) -> bool:
        reply = await recorder.client.post(path, content=encoded(seed=seed), headers=headers)
        assert reply.status_code == 200
        return "idempotent-replayed" in reply.headers

    assert not await replayed(part)
    assert not await replayed(part, seed=6)
    assert not await replayed({"X-Part-ID": "4712"})
    assert not await replayed(part, "/v1/models/widget/versions/1/predict")
    assert not await replayed(part, "/v1/models/gadget/predict")
    assert not await replayed({})
    assert not await replayed({})
    assert not await replayed(part | {"X-Idempotency-Key": "k-2"})
    assert await replayed(part)
    assert not await replayed(part | {"X-Challenge": "good"})
    assert not await replayed(part | {"X-Challenge": "good"})
    assert await replayed(part)
    (newest,) = (await recorder.client.get("/v1/inspections?limit=1")).json()["inspections"]
    assert newest["challenge"] == "good"


async def test_after_a_day_it_is_inspected_again(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    part = {"X-Part-ID": "4711"}
    await recorder.client.post("/predict", content=encoded(), headers=part)
    monkeypatch.setattr("app.records.records.SAME_SECONDS", 0.0)
    await anyio.sleep(0.01)
    reply = await recorder.client.post("/predict", content=encoded(), headers=part)
    assert "idempotent-replayed" not in reply.headers


async def test_key_for_another_image_is_422(recorder: Recorder) -> None:
    key = {"X-Idempotency-Key": "k-1"}
    await recorder.client.post("/predict", content=encoded(), headers=key)
    for path, image in [("/predict", encoded(seed=9)), ("/v1/models/gadget/predict", encoded())]:
        reply = await recorder.client.post(path, content=image, headers=key)
        assert (reply.status_code, reply.json()["error"]) == (422, "idempotency-key-reused")
    assert inspected(recorder) == 1


@pytest.mark.parametrize("key", ["", "a b", "x" * 129, "ü"])
async def test_wrong_key_is_400(recorder: Recorder, key: str) -> None:
    reply = await recorder.client.post("/predict", content=encoded(), headers=[(b"X-Idempotency-Key", key.encode())])
    assert (reply.status_code, reply.json()["error"]) == (400, "bad-parameter")


async def test_at_the_same_time_one_is_inspected(recorder: Recorder) -> None:
    replies: list[httpx.Response] = []

    async def ask() -> None:
        replies.append(await recorder.client.post("/predict", content=encoded(), headers={"X-Part-ID": "4711"}))

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(ask)
    assert len({reply.content for reply in replies}) == 1
    assert sum("idempotent-replayed" in reply.headers for reply in replies) == 4
    assert inspected(recorder) == 1
    assert recorder.records._busy == {}


async def test_one_that_failed_is_tried_again(recorder: Recorder) -> None:
    key = {"X-Idempotency-Key": "k-1"}
    assert (await recorder.client.post("/predict", content=b"no image", headers=key)).status_code == 415
    assert (await recorder.client.post("/predict", content=encoded(), headers=key)).status_code == 200
