"""Drift over HTTP: from requests to an alarm in /stats, log and metrics, until an administrator acknowledges it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from model.drift import Chart, Drift
from tests.app.test_challenge import ADMIN_KEY, GOOD, LINE, LINE_KEY, Station, opened
from tests.support.images import encoded

pytestmark = pytest.mark.anyio

ACKNOWLEDGE = "/v1/admin/models/widget/drift/acknowledge"


@pytest.fixture
async def station(anyio_backend: str, store: Path, tmp_path: Path) -> AsyncIterator[Station]:
    async with watched(store, tmp_path) as station:
        yield station


@asynccontextmanager
async def watched(store: Path, folder: Path) -> AsyncIterator[Station]:
    """Log-odds of good images were about 0; a dark image has -5."""
    (folder / "keys").write_text(f"{ADMIN_KEY.line}\n{LINE_KEY.line}\n")
    (folder / "state").mkdir()
    chart = Chart([-1.0, 1.0], [10, 10, 10], [-19, 0, 19], 11, {"up": 30, "down": 30}, 0.0, 1.0)
    async with opened(store, folder) as station:
        models = station.service.model_manager.snapshot
        loaded = models.find("widget")
        manifest = replace(loaded.detector.manifest, drift=Drift(100_000, {"log_odds": chart}, []))
        loaded = replace(loaded, detector=replace(loaded.detector, manifest=manifest))
        state = replace(models.model("widget"), loaded={1: loaded})
        station.service.model_manager.memory.snapshot = models.with_model("widget", state)
        yield station


async def inspect(station: Station, part: str, **headers: str) -> str:
    reply = await station.client.post(
        "/v1/models/widget/predict", content=encoded(brightness=GOOD), headers={"X-Part-ID": part} | headers
    )
    assert reply.status_code == 200
    return str(reply.json()["inference_id"])


async def test_an_alarm_and_its_acknowledgement(station: Station, caplog: pytest.LogCaptureFixture) -> None:
    first = await inspect(station, "4711")
    for number in range(3):
        await inspect(station, str(number))
    drift = (await station.client.get("/v1/models/widget/stats")).json()["drift"]
    assert drift["parts_per_false_alarm"] == 100_000
    assert drift["levels"][1] == {"quantity": "log_odds", "change": "down", "level": pytest.approx(32 / 30, abs=1e-3)}
    (alarm,) = drift["alarms"]
    assert (alarm["quantity"], alarm["change"], alarm["parts"]) == ("log_odds", "down", 4)
    assert (alarm["since_part_id"], alarm["since_inference_id"]) == ("4711", first)
    assert "have fallen: -5 on average over the last 4 parts, 5.0 standard deviations below" in alarm["text"]
    assert alarm["text"] in caplog.text
    name = 'camspector_drift_alarm{change="down",model="widget",quantity="log_odds"}'
    assert f"{name} 1.0" in await station.metrics()
    reply = await station.client.post(ACKNOWLEDGE, headers={"X-API-Key": LINE})
    assert (reply.status_code, reply.json()["error"]) == (403, "key-not-allowed")
    reply = await station.client.post(ACKNOWLEDGE)
    assert (reply.status_code, reply.json()) == (200, {"acknowledged": [alarm]})
    assert "model widget: drift is acknowledged by office" in caplog.text
    assert (await station.client.get("/v1/models/widget/stats")).json()["drift"]["alarms"] == []
    assert f"{name} 0.0" in await station.metrics()
    assert (await station.client.post(ACKNOWLEDGE)).json() == {"acknowledged": []}


async def test_challenge_parts_count_in_no_chart(station: Station) -> None:
    for number in range(5):
        await inspect(station, str(number), **{"X-Challenge": "good"})
    assert (await station.client.get("/v1/models/widget/stats")).json()["drift"]["levels"] == []


async def test_an_unknown_model(station: Station) -> None:
    reply = await station.client.post(ACKNOWLEDGE.replace("widget", "gizmo"))
    assert (reply.status_code, reply.json()["error"]) == (404, "unknown-model")
