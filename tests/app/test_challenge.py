"""Challenge runs and live challenge parts: expected against got, and counted apart from the production."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from app.application import create_app
from app.middleware.keys import new_key
from app.models.model_snapshot import LoadedModel, ModelSnapshot, ModelState
from app.service import Service
from app.settings import ConfigurationError, Settings, read_settings
from model.challenge import CHALLENGE
from tests.app.conftest import FakeEngine, fake_detector, running, until
from tests.support.images import encoded

pytestmark = pytest.mark.anyio

ADMIN, ADMIN_KEY = new_key("admin", "office")
LINE, LINE_KEY = new_key("predict", "line")
GOOD, DOUBTFUL, DEFECTIVE = 0, 128, 255
"""Brightness of images that are accepted, left to a person, and rejected."""


@dataclass
class Station:
    """A service whose model `widget` takes bright parts for defective, and its clock."""

    app: FastAPI
    client: httpx.AsyncClient
    folder: Path
    """Of the model's challenge images."""

    @property
    def service(self) -> Service:
        service: Service = self.app.state.service
        return service

    def write(self, **images: int) -> None:
        """Challenge images by KIND_NAME, of that brightness."""
        for name, brightness in images.items():
            kind, _, file = name.partition("_")
            (self.folder / kind).mkdir(parents=True, exist_ok=True)
            (self.folder / kind / f"{file}.png").write_bytes(encoded(brightness=brightness))

    async def run(self) -> httpx.Response:
        return await self.client.post("/v1/models/widget/challenge")

    async def live(self, brightness: int, kind: str) -> httpx.Response:
        headers = {"X-Challenge": kind}
        return await self.client.post(
            "/v1/models/widget/predict", content=encoded(brightness=brightness), headers=headers
        )

    async def metrics(self) -> str:
        return (await self.client.get("/metrics")).text


@pytest.fixture
async def station(anyio_backend: str, store: Path, tmp_path: Path) -> AsyncIterator[Station]:
    (tmp_path / "keys").write_text(f"{ADMIN_KEY.line}\n{LINE_KEY.line}\n")
    (tmp_path / "state").mkdir()
    async with opened(store, tmp_path) as station:
        yield station


@asynccontextmanager
async def opened(store: Path, folder: Path) -> AsyncIterator[Station]:
    """The service between start and stop, on the same folders each time."""
    settings = Settings(
        store=folder / "models",
        device="cpu",
        keys_file=folder / "keys",
        state=folder / "state",
        challenge_hours=8,
        store_poll_seconds=3600,
        deadline_ms=60_000,
    )
    app = create_app(settings)
    manager = app.state.service.model_manager
    (engine := FakeEngine()).gate.set()
    async with running(app) as client:
        client.headers["X-API-Key"] = ADMIN
        await until(lambda: manager.reconciler.problems)  # the store was looked at, and isn't again
        state = ModelState(available=(1,), loaded={1: LoadedModel("widget", 1, fake_detector(store, engine))})
        manager.memory.snapshot = ModelSnapshot({"widget": state}, frozenset(["widget"]))
        yield Station(app, client, folder / "models" / "widget" / CHALLENGE)


async def test_a_run_that_is_passed(station: Station) -> None:
    station.write(good_1=GOOD, crack_1=DEFECTIVE, crack_2=DOUBTFUL)
    reply = await station.run()
    assert reply.status_code == 200
    run = reply.json()
    assert (run["model"], run["model_version"], run["passed"]) == ("widget", 1, True)
    assert [
        (each["image"], each["kind"], each["expected"], each["decision"], each["passed"]) for each in run["images"]
    ] == [
        ("crack/1.png", "crack", "not accept", "reject", True),
        ("crack/2.png", "crack", "not accept", "review", True),
        ("good/1.png", "good", "accept", "accept", True),
    ]
    metrics = await station.metrics()
    assert 'camspector_challenges_total{kind="crack",model="widget",result="passed"} 2.0' in metrics
    assert "camspector_verdicts_total{" not in metrics
    assert (await station.client.get("/v1/models/widget/stats")).json()["requests"] == 0


async def test_a_run_that_fails_names_the_image(station: Station) -> None:
    station.write(good_1=GOOD, crack_1=DEFECTIVE, crack_2=GOOD, stain_1=DEFECTIVE)
    (station.folder / "stain" / "1.png").write_bytes(encoded(brightness=DEFECTIVE)[:60])
    run = (await station.run()).json()
    assert run["passed"] is False
    failed = [each for each in run["images"] if not each["passed"]]
    assert [(each["image"], each["decision"], each["error"]) for each in failed] == [
        ("crack/2.png", "accept", None),
        ("stain/1.png", None, "undecodable-image"),
    ]
    assert 'camspector_challenges_total{kind="stain",model="widget",result="failed"} 1.0' in await station.metrics()
    assert (await station.client.get("/readyz")).status_code == 503


async def test_what_can_not_be_run(station: Station) -> None:
    reply = await station.run()
    assert (reply.status_code, reply.json()["error"]) == (409, "challenge-not-usable")
    station.write(good_1=GOOD)
    reply = await station.run()
    assert (reply.status_code, reply.json()["error"]) == (409, "challenge-not-usable")
    assert "has 1 good images and 0 defective ones" in reply.json()["detail"]
    reply = await station.client.post("/v1/models/gizmo/challenge")
    assert (reply.status_code, reply.json()["error"]) == (404, "unknown-model")


async def test_only_an_administrator_may_run_it(station: Station) -> None:
    reply = await station.client.post("/v1/models/widget/challenge", headers={"X-API-Key": LINE})
    assert (reply.status_code, reply.json()["error"]) == (403, "key-not-allowed")


async def test_a_live_part_counts_in_no_figure_of_the_production(station: Station) -> None:
    reply = await station.live(DEFECTIVE, "crack")
    assert (reply.status_code, reply.json()["decision"]) == (200, "reject")
    assert (await station.live(DEFECTIVE, "good")).status_code == 200  # and isn't accepted
    metrics = await station.metrics()
    assert 'camspector_challenges_total{kind="crack",model="widget",result="passed"} 1.0' in metrics
    assert 'camspector_challenges_total{kind="good",model="widget",result="failed"} 1.0' in metrics
    assert "camspector_verdicts_total{" not in metrics
    assert "camspector_verdict_probability_count" not in metrics
    stats = (await station.client.get("/v1/models/widget/stats")).json()
    assert (stats["requests"], stats["decisions"]) == (0, {})
    assert (stats["challenge"]["passed"], stats["challenge"]["failed"]) == (1, 1)


async def test_a_live_part_without_a_verdict_has_failed(station: Station) -> None:
    reply = await station.client.post("/v1/models/widget/predict", content=b"?", headers={"X-Challenge": "crack"})
    assert reply.status_code == 415
    assert 'camspector_challenges_total{kind="crack",model="widget",result="failed"} 1.0' in await station.metrics()


@pytest.mark.parametrize("kind", ["god", "", "crack%20", "%ff"])
async def test_a_kind_that_the_model_does_not_know_is_refused(station: Station, kind: str) -> None:
    reply = await station.live(DEFECTIVE, kind)
    assert (reply.status_code, reply.json()["error"]) == (400, "bad-parameter")
    assert "there are: crack, defect, good" in reply.json()["detail"]
    assert "camspector_challenges_total{" not in await station.metrics()


async def test_two_kinds_are_refused(station: Station) -> None:
    headers = httpx.Headers([("X-Challenge", "good"), ("X-Challenge", "crack")])
    reply = await station.client.post("/v1/models/widget/predict", content=encoded(), headers=headers)
    assert (reply.status_code, reply.json()["error"]) == (400, "bad-parameter")


async def test_live_parts_of_v2_are_counted_too(station: Station) -> None:
    pixels = [[[[255, 255, 255]] * 64] * 64] * 2
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": [2, 64, 64, 3], "data": pixels}
    reply = await station.client.post(
        "/v2/models/widget/infer", json={"inputs": [tensor]}, headers={"X-Challenge": "defect"}
    )
    assert reply.status_code == 200
    metrics = await station.metrics()
    assert 'camspector_challenges_total{kind="defect",model="widget",result="passed"} 2.0' in metrics
    assert "camspector_verdicts_total{" not in metrics


async def test_readiness_waits_for_a_run(station: Station) -> None:
    reply = await station.client.get("/readyz")
    assert reply.status_code == 503
    assert "model 'widget' has passed no challenge run yet (--challenge-hours 8)" in reply.json()["detail"]
    station.write(good_1=GOOD, crack_1=DEFECTIVE)
    await station.run()
    assert (await station.client.get("/readyz")).status_code == 200
    station.service.challenges._clock = lambda: station.service.challenges._passed["widget"] + 9.25 * 3600
    detail = (await station.client.get("/readyz")).json()["detail"]
    assert "model 'widget' last passed a challenge run 9.2 hours ago (--challenge-hours 8)" in detail


async def test_a_live_run_is_a_good_part_and_a_defective_one_with_no_failure_between(station: Station) -> None:
    for brightness, kind, ready in [
        (GOOD, "good", False),
        (GOOD, "good", False),
        (GOOD, "crack", False),  # not seen: begin anew
        (DEFECTIVE, "crack", False),
        (GOOD, "good", True),
    ]:
        await station.live(brightness, kind)
        assert ((await station.client.get("/readyz")).status_code == 200) == ready


async def test_the_last_passed_run_survives_a_restart(station: Station, store: Path, tmp_path: Path) -> None:
    station.write(good_1=GOOD, crack_1=DEFECTIVE)
    await station.run()
    at = (await station.client.get("/v1/models/widget/stats")).json()["challenge"]["last_passed"]
    assert at.endswith("+00:00")
    station.service.challenges.stop(10)
    async with opened(store, tmp_path) as again:
        assert (await again.client.get("/readyz")).status_code == 200
        assert (await again.client.get("/v1/models/widget/stats")).json()["challenge"] == {
            "passed": 0,
            "failed": 0,
            "last_passed": at,
        }
        assert 'camspector_challenge_passed_timestamp_seconds{model="widget"}' in await again.metrics()


async def test_without_the_setting_readiness_does_not_ask(station: Station) -> None:
    challenges = station.service.challenges
    challenges._hours = None
    assert (await station.client.get("/readyz")).status_code == 200


def test_a_state_folder_that_can_not_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--state .*can't be written: No such file"):
        read_settings(["--store", "x", "--state", str(tmp_path / "none")])
    with pytest.raises(ConfigurationError, match=r"--challenge-hours .*greater than 0"):
        read_settings(["--store", "x", "--challenge-hours", "0"])
