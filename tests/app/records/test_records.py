"""From a reply to its record, and back."""

import base64
import hashlib
import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from app.records.image_rules import ImageRules
from app.records.writer import Writer
from tests.app.records.conftest import Recorder
from tests.support.images import encoded

pytestmark = pytest.mark.anyio


async def test_record_has_what_the_reply_has(recorder: Recorder) -> None:
    image = encoded()
    before = datetime.now(UTC)
    reply = await recorder.client.post("/predict", content=image, headers={"X-Part-ID": "St%C3%BCck%201"})
    assert reply.status_code == 200, reply.text
    assert reply.headers["x-camspector-recorded"] == "true"
    sent = reply.json()
    assert reply.headers["x-camspector-inference-id"] == sent["inference_id"]
    record = (await recorder.client.get(f"/v1/inspections/{sent['inference_id']}")).json()
    same = sent.keys() & record.keys()
    assert same >= {"label", "decision", "probability", "log_odds", "thresholds", "regions", "timing_ms", "image"}
    kept = {"sha256": hashlib.sha256(image).hexdigest(), "bytes": len(image), "kept": True}
    assert {name: record[name] for name in same} == {name: sent[name] for name in same} | {
        "image": sent["image"] | kept
    }
    assert record["part_id"] == "Stück 1"
    assert (record["station"], record["line"]) == ("cell 7", "line 3")
    assert record["request_id"] == reply.headers["x-request-id"]
    assert before.timestamp() - 1 < datetime.fromisoformat(record["received_at"]).timestamp() < before.timestamp() + 60
    assert record["serving_sha256"] == hashlib.sha256(b"{}\n").hexdigest()
    assert record["labelled"] is None
    assert recorder.count("written") == 1


async def test_heatmap_regions_overlay_and_image_of_an_old_record_are_the_replys_to_the_bit(
    recorder: Recorder,
) -> None:
    """Drawn from the record alone."""
    for seed in range(5):
        image = encoded(seed=seed, size=100 + seed)
        reply = (await recorder.client.post("/predict", content=image)).json()
        overlay = await recorder.client.post("/predict", content=image, headers={"Accept": "image/png"})
        unasked = await recorder.client.post("/predict?regions=false&heatmap=none", content=image)
        for inference_id in (
            reply["inference_id"],
            overlay.headers["x-camspector-inference-id"],
            unasked.json()["inference_id"],
        ):
            address = f"/v1/inspections/{inference_id}"
            heatmap = await recorder.client.get(f"{address}/heatmap")
            assert heatmap.headers["content-type"] == "image/png"
            assert heatmap.content == base64.b64decode(reply["heatmap"])
            assert (await recorder.client.get(address)).json()["regions"] == reply["regions"]
            assert (await recorder.client.get(f"{address}/overlay")).content == overlay.content
            kept = await recorder.client.get(f"{address}/image")
            assert (kept.content, kept.headers["content-type"]) == (image, "image/png")


async def test_v2_is_recorded_too(recorder: Recorder) -> None:
    images = [base64.b64encode(encoded(seed=seed)).decode() for seed in (1, 2)]
    body = {
        "inputs": [{"name": "image", "datatype": "BYTES", "shape": [2], "data": images}],
        "outputs": [{"name": "probability"}],
    }
    reply = await recorder.client.post("/v2/models/widget/infer", json=body)
    assert reply.status_code == 200, reply.text
    assert reply.headers["x-camspector-recorded"] == "true"
    ids = reply.headers["x-camspector-inference-id"].split(",")
    records = [(await recorder.client.get(f"/v1/inspections/{each}")).json() for each in ids]
    assert [record["probability"] for record in records] == reply.json()["outputs"][0]["data"]
    assert all(record["image"]["kept"] for record in records)


async def test_events_say_what_can_be_fetched(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image of a batch by its own id; nothing, where it can't be written."""
    images = [base64.b64encode(encoded(seed=seed)).decode() for seed in (1, 2)]
    body = {
        "inputs": [{"name": "image", "datatype": "BYTES", "shape": [2], "data": images}],
        "outputs": [{"name": "probability"}],
    }
    with recorder.app.state.service.events.listening() as listener:
        batch = await recorder.client.post("/v2/models/widget/infer", json=body)
        heard = [json.loads(await listener.get(60.0)) for _ in images]
        assert [each["inference_id"] for each in heard] == batch.headers["x-camspector-inference-id"].split(",")
        assert [each["recorded"] for each in heard] == ["image", "image"]
        for each in heard:
            assert (await recorder.client.get(f"/v1/inspections/{each['inference_id']}/image")).status_code == 200
        monkeypatch.setattr(recorder.records, "_rules", ImageRules.of("none"))
        await recorder.client.post("/predict", content=encoded())
        assert json.loads(await listener.get(60.0))["recorded"] == "evidence"
        monkeypatch.setattr(Writer, "available", False)
        await recorder.client.post("/predict", content=encoded())
        assert json.loads(await listener.get(60.0))["recorded"] is None


async def test_pages_go_back_in_time_and_have_each_once(recorder: Recorder) -> None:
    sent = []
    for number in range(7):
        reply = await recorder.client.post(
            "/predict?heatmap=none", content=encoded(seed=number), headers={"X-Part-ID": f"p{number % 2}"}
        )
        sent.append(reply.json()["inference_id"])
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await recorder.client.get("/v1/inspections", params={"limit": "3"} | cursor)).json()
        seen += [each["inference_id"] for each in page["inspections"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == sent[::-1]
    found = (await recorder.client.get("/v1/inspections", params={"part_id": "p1"})).json()
    assert [each["inference_id"] for each in found["inspections"]] == sent[1::2][::-1]


async def test_filters(recorder: Recorder) -> None:
    first = (await recorder.client.post("/v1/models/widget/versions/1/predict", content=encoded())).json()
    second = (await recorder.client.post("/v1/models/gadget/predict", content=encoded())).json()
    at = (await recorder.client.get(f"/v1/inspections/{second['inference_id']}")).json()["received_at"]

    async def ids(**params: str) -> list[str]:
        page = await recorder.client.get("/v1/inspections", params=params)
        assert page.status_code == 200, page.text
        return [each["inference_id"] for each in page.json()["inspections"]]

    both = [second["inference_id"], first["inference_id"]]
    assert await ids() == both
    assert await ids(model="widget") == both[1:]
    assert await ids(version="1") == both
    assert await ids(version="2") == []
    assert await ids(decision=first["decision"], model="widget") == both[1:]
    assert await ids(since=at) == both[:1]
    assert await ids(until=at) == both[1:]
    assert await ids(since="2999-01-01") == []
    assert await ids(labelled="false") == both
    assert await ids(label="good") == []


@pytest.mark.parametrize(
    "params",
    [
        {"cursor": "x"},
        {"limit": "0"},
        {"limit": "1001"},
        {"decision": "maybe"},
        {"since": "yesterday"},
        {"until": "0.5"},
        {"version": "2257738220751655272448"},
        {"model": "a\0"},
        {"version": "+1"},
        {"lable": "good"},
    ],
)
async def test_wrong_filter_is_400(recorder: Recorder, params: dict[str, str]) -> None:
    reply = await recorder.client.get("/v1/inspections", params=params)
    assert (reply.status_code, reply.json()["error"]) == (400, "bad-parameter")


async def test_csv(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole, by pages; with what a spreadsheet may stumble over."""
    monkeypatch.setattr("app.routes.inspections.CSV_PAGE", 2)
    for part in ("a%2Cb", "%22quoted%22", "%C3%BC", "d", "e"):
        await recorder.client.post("/predict?heatmap=none", content=encoded(), headers={"X-Part-ID": part})
    reply = await recorder.client.get("/v1/inspections", headers={"Accept": "text/csv"})
    assert reply.headers["content-type"].startswith("text/csv; charset=utf-8")
    lines = reply.text.split("\r\n")
    assert lines[0].startswith("inference_id,received_at,part_id,")
    assert [line.split(",", 2)[2].partition(",cell 7,")[0] for line in lines[1:-1]] == [
        "e", "d", "ü", '"""quoted"""', '"a,b"'
    ]  # fmt: skip
    limited = await recorder.client.get("/v1/inspections?limit=3", headers={"Accept": "text/csv"})
    assert limited.text.split("\r\n")[:4] == lines[:4]
    assert len(limited.text.splitlines()) == 4


async def test_unknown_inspection_is_404(recorder: Recorder) -> None:
    for end in ("", "/image", "/heatmap", "/overlay"):
        reply = await recorder.client.get(f"/v1/inspections/{'0' * 32}{end}")
        assert (reply.status_code, reply.json()["error"]) == (404, "unknown-inspection")


async def test_without_records_everything_says_so(client: httpx.AsyncClient) -> None:
    reply = await client.post("/predict", content=encoded())
    assert "x-camspector-recorded" not in reply.headers
    for path in ("", f"/{'0' * 32}", f"/{'0' * 32}/image"):
        refused = await client.get(f"/v1/inspections{path}")
        assert (refused.status_code, refused.json()["error"]) == (404, "no-records")


async def test_a_record_that_is_replied_is_in_the_file(recorder: Recorder) -> None:
    """Read by another connection than the service's."""
    reply = await recorder.client.post("/predict", content=encoded())
    database = sqlite3.connect(f"file:{recorder.folder / 'records.sqlite'}?mode=ro", uri=True)
    try:
        (found,) = database.execute("SELECT inference_id, decision FROM inspections").fetchall()
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    finally:
        database.close()
    assert found == (reply.json()["inference_id"], reply.json()["decision"])


async def test_records_of_last_time_are_there(recorder: Recorder, store: Path) -> None:
    from app.application import create_app
    from app.settings import Settings
    from tests.app.conftest import running

    reply = await recorder.client.post("/predict", content=encoded())
    other = create_app(Settings(store=store, device="cpu", records=str(recorder.folder)))
    async with running(other) as client:
        found = await client.get(f"/v1/inspections/{reply.json()['inference_id']}")
        assert found.json()["probability"] == reply.json()["probability"]
