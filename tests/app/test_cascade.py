"""A version with a cascade, served: by HTTP and /v2 alike, and by its full network where the line accepts less."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from app.application import create_app
from app.settings import Settings
from model.artifact import golden_png
from model.detector import Detector, VariantChoice, load_detector
from model.serving import Serving
from tests.app.conftest import running, until
from tests.app.v2_messages import INFER, image, request, values
from tests.support.artifacts import pattern, publish
from tests.support.cascade import add_cascade

pytestmark = pytest.mark.anyio
PREDICT = "/v1/models/widget/predict"


@pytest.fixture
def version(tmp_path: Path) -> Path:
    path = publish(tmp_path, onnx=True, slope=1.0)
    add_cascade(path, margin=-100.0)  # it clears whatever looks like the training images
    return path


@pytest.fixture
async def client(anyio_backend: str, version: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(store=version.parents[1], device="cpu", deadline_ms=60_000, store_poll_seconds=0.1)
    app = create_app(settings)
    async with running(app) as client:
        await until(lambda: bool(app.state.service.model_manager.snapshot.served()))
        yield client


PNG = golden_png(pattern(0))


def log_odds(version: Path, variant: VariantChoice, serving: Serving | None = None) -> float:
    detector: Detector = load_detector(version, "cpu", variant=variant).under(serving or Serving())
    return detector.verdict(detector.run(detector.read_image(PNG).pixels).evidence).log_odds


async def test_it_answers_as_the_version_does_offline(client: httpx.AsyncClient, version: Path) -> None:
    reply = (await client.post(PREDICT, content=PNG)).json()
    assert reply["log_odds"] == pytest.approx(log_odds(version, "cascade"), abs=1e-4)
    assert reply["log_odds"] != pytest.approx(log_odds(version, "float32"), abs=1e-2)
    known = (await client.get("/v1/models/widget")).json()["versions"][0]
    assert (known["variant"], known["skipped_variants"]) == ("cascade", {})
    found = values(await client.post(INFER, json=request(image(PNG))))
    assert found["probability"] == [pytest.approx(reply["probability"], abs=1e-6)]
    metrics = (await client.get("/metrics")).text
    assert 'camspector_cleared_images_total{model="widget",version="1"} 2.0' in metrics


async def test_where_the_line_accepts_less_the_full_network_answers(client: httpx.AsyncClient, version: Path) -> None:
    (version.parent / "serving.json").write_text('{"thresholds": 0.1}')
    expected = log_odds(version, "float32", Serving(thresholds=0.1))

    for _ in range(600):
        reply = (await client.post(PREDICT, content=PNG)).json()
        if reply["thresholds"]["label"] == 0.1:
            break
    assert reply["log_odds"] == pytest.approx(expected, abs=1e-4)
