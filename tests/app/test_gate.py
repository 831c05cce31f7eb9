"""What can't be inspected is never accepted and never rejected, and the reply, log, metrics and model page say why."""

import io
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from app.application import create_app
from app.settings import Settings
from model.detector import load_detector
from model.gate import CHECKS, CheckName, Limits
from tests.app.conftest import running, until
from tests.app.v2_messages import INFER, image, pixels, request, values
from tests.support.artifacts import INPUT_SIZE, pattern, publish
from tests.support.images import encoded

pytestmark = pytest.mark.anyio

LIMITS: Final[dict[CheckName, Limits]] = {
    "size": (48.0, 400.0), "aspect": (0.9, 1.1), "colour": (20.0, 200.0), "brightness": (60.0, 200.0),
    "contrast": (10.0, 100.0), "clipped": (0.0, 0.05), "sharpness": (1.0, 14.0), "appearance": (0.0, 3.0),
}  # fmt: skip
PREDICT: Final = "/v1/models/widget/predict"


def png(pixels: NDArray[np.integer[Any]]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


SHARP: Final = pattern(1, 96)
IMAGES: Final = {
    "size": png(pattern(1, 32)),
    "aspect": png(pattern(1, 96)[:60]),
    "colour": png(SHARP[:, :, 1]),
    "brightness": png(SHARP // 4),
    "contrast": png(np.full((96, 96, 3), 120)),
    "clipped": png(np.where(SHARP > 100, 255, SHARP)),
    "sharpness": png(np.array(Image.fromarray(pattern(1, 8)).resize((96, 96), Image.Resampling.BICUBIC))),
    "appearance": png(np.random.default_rng(0).integers(0, 256, (96, 96, 3))),
}
"""An image for each check, which it fails; it may fail others too."""


@pytest.fixture(scope="module")
def gate_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without a review band; what it makes of a black frame is accept."""
    root = tmp_path_factory.mktemp("gate_store")
    publish(root, limits=LIMITS, slope=0.001)
    (root / "widget" / "serving.json").write_text('{"thresholds": 0.999999}')
    return root


@pytest.fixture
async def client(anyio_backend: str, gate_store: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(store=gate_store, device="cpu", deadline_ms=60_000))
    async with running(app) as client:
        await until(lambda: bool(app.state.service.model_manager.snapshot.served()))
        yield client


async def test_a_black_frame_is_for_review_and_says_why(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        reply = await client.post(PREDICT, content=encoded(brightness=0))
    assert reply.status_code == 200
    verdict = reply.json()
    assert (verdict["label"], verdict["decision"], verdict["inspectable"]) == ("good", "review", False)
    assert verdict["thresholds"] == {"review": 0.999999, "label": 0.999999, "reject": 0.999999}
    reasons = {odd["check"]: (odd["value"], odd["limit"]) for odd in verdict["odd"]}
    assert reasons["brightness"] == (0.0, [60.0, 200.0])
    assert reasons["contrast"] == (0.0, [10.0, 100.0])
    assert reasons["clipped"] == (1.0, [0.0, 0.05])
    assert reasons["sharpness"] == (0.0, [1.0, 14.0])
    assert verdict["typicality"] == 0.01  # 99 held-out distances, all below its own
    metrics = (await client.get("/metrics")).text
    assert 'camspector_odd_images_total{check="brightness",model="widget"} ' in metrics
    assert any("brightness" in str(record.__dict__) and "odd" in str(record.__dict__) for record in caplog.records)


async def test_an_ordinary_image_passes(client: httpx.AsyncClient) -> None:
    verdict = (await client.post(PREDICT, content=png(SHARP))).json()
    assert (verdict["odd"], verdict["inspectable"]) == ([], True)
    assert verdict["decision"] == ("accept" if verdict["label"] == "good" else "reject")
    assert 0.01 <= verdict["typicality"] <= 1


@pytest.mark.parametrize("check", CHECKS)
async def test_every_check_stops_what_it_is_for(client: httpx.AsyncClient, check: CheckName) -> None:
    reply = await client.post(PREDICT, content=IMAGES[check])
    assert reply.status_code == 200
    verdict = reply.json()
    (reason,) = [odd for odd in verdict["odd"] if odd["check"] == check]
    low, high = LIMITS[check]
    assert reason["limit"] == [low, high]
    assert not low <= reason["value"] <= high
    assert (verdict["decision"], verdict["inspectable"]) == ("review", False)


async def test_the_overlay_carries_it_in_headers(client: httpx.AsyncClient) -> None:
    reply = await client.post(PREDICT, content=encoded(brightness=0), headers={"Accept": "image/png"})
    assert (reply.status_code, reply.headers["X-Camspector-Decision"]) == (200, "review")
    assert reply.headers["X-Camspector-Inspectable"] == "false"
    assert "brightness" in reply.headers["X-Camspector-Odd"].split(", ")
    assert reply.headers["X-Camspector-Typicality"] == "0.01"
    reply = await client.post(PREDICT, content=png(SHARP), headers={"Accept": "image/png"})
    assert reply.status_code == 200, reply.text
    assert reply.headers["X-Camspector-Inspectable"] == "true"
    assert "X-Camspector-Odd" not in reply.headers


async def test_v2_has_it_as_outputs(client: httpx.AsyncClient) -> None:
    names = ["decision", "inspectable", "odd", "typicality"]
    body = request(image(encoded(brightness=0), png(SHARP)), outputs=names)
    outputs = values(await client.post(INFER, json=body))
    assert outputs["inspectable"] == [False, True]
    assert outputs["decision"][0] == "review"
    reasons, none = (json.loads(text) for text in outputs["odd"])
    assert {"check": "brightness", "value": 0.0, "limit": [60.0, 200.0]} in reasons
    assert none == []
    assert outputs["typicality"][0] == 0.01


async def test_pixels_have_no_size_to_check(client: httpx.AsyncClient) -> None:
    """Sent as the network sees them, they have the size of its input, whatever the image was."""
    outputs = values(await client.post(INFER, json=request(pixels(2), outputs=["odd"])))
    reasons = [json.loads(text) for text in outputs["odd"]]
    assert not {reason["check"] for each in reasons for reason in each} & {"size", "aspect"}


@pytest.mark.parametrize(
    ("checks", "limit"),
    [
        ({"brightness": "off"}, None),
        ({"brightness": [0, 255]}, None),
        ({"brightness": [None, 255]}, None),
        ({"brightness": [10, None]}, [10, None]),
        ({"brightness": [100, 120]}, [100, 120]),
    ],
)
async def test_serving_json_moves_a_check_and_the_model_says_so(
    gate_store: Path, tmp_path: Path, checks: dict[str, Any], limit: list[float] | None, anyio_backend: str
) -> None:
    (tmp_path / "widget").mkdir()
    (tmp_path / "widget" / "1").symlink_to(gate_store / "widget" / "1")
    (tmp_path / "widget" / "serving.json").write_text(json.dumps({"checks": checks}))
    app = create_app(Settings(store=tmp_path, device="cpu", deadline_ms=60_000))
    async with running(app) as client:
        await until(lambda: bool(app.state.service.model_manager.snapshot.served()))
        verdict = (await client.post(PREDICT, content=encoded(brightness=0))).json()
        (version,) = (await client.get("/v1/models/widget")).json()["versions"]
    found = [odd["limit"] for odd in verdict["odd"] if odd["check"] == "brightness"]
    assert found == ([] if limit is None else [limit])
    assert version["checks_changed"] == ["brightness"]
    assert version["checks"].get("brightness") == (None if checks["brightness"] == "off" else checks["brightness"])
    assert version["gate"]["limits"]["brightness"] == [60.0, 200.0]


async def test_all_checks_can_be_switched_off(gate_store: Path) -> None:
    detector = load_detector(gate_store / "widget" / "1", "cpu")
    without = replace(detector, line_checks=dict.fromkeys(CHECKS, "off"))
    black = np.zeros((INPUT_SIZE, INPUT_SIZE, 3), np.uint8)
    features = detector.run(black).features
    assert not detector.inspectability(black, features, (96, 96)).inspectable
    found = without.inspectability(black, features, (96, 96))
    assert (found.inspectable, found.odd) == (True, ())
    assert found.measures["brightness"] == 0.0
